//! `--snapshot`: whether the source stands still while it is cloned.

/// Whether a clone is made from a snapshot of its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Frozen {
    /// Where one can be taken, if the source is a system's root.
    #[default]
    Auto,
    /// Always: otherwise there is no clone.
    Require,
    /// Never.
    Never,
}

/// How much a snapshot has room for: what is changed at the source meanwhile must fit into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// This share of the volume.
    Percent(u8),
    /// This many bytes.
    Bytes(u64),
}

impl Room {
    /// Reads `10%`, `512M`, `5G` or `1T`: powers of 1,024.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is neither a share of the volume, such as 10%, nor a size, such as 5G");
        if let Some(percent) = text.strip_suffix('%') {
            let percent: u8 = percent.parse().map_err(|_| wrong())?;
            return if (1..=100).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(wrong()) };
        }
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let shift = match unit {
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err(wrong()),
        };
        // Not parse() alone, which would take a sign.
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
        number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).map(Self::Bytes).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn shares_and_sizes_are_read_and_nothing_else() {
        for (text, room) in [
            ("1%", Room::Percent(1)),
            ("100%", Room::Percent(100)),
            ("512M", Room::Bytes(512 << 20)),
            ("5G", Room::Bytes(5 << 30)),
            ("1T", Room::Bytes(1 << 40)),
        ] {
            assert_eq!(Room::parse(text), Ok(room));
        }
        for text in
            ["", "%", "0%", "101%", "-1%", "5", "5g", "G", "+5G", "0G", "1.5G", "99999999T", "5\u{fc}"]
        {
            assert!(Room::parse(text).is_err(), "{text:?}");
        }
    }
}
