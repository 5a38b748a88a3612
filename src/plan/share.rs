//! A share of a clone's files, in percent.

/// A share of the files, in thousandths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(pub u32);

/// The whole, in thousandths of a percent.
pub const WHOLE: u32 = 100_000;

/// The smallest share that is read in turns: it makes 200 of them.
const LEAST: u32 = 500;

impl Share {
    /// Parses `5%` or `0.5%`. Errors with what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        match thousandths(text) {
            Some(share @ 1..=WHOLE) => Ok(Self(share)),
            Some(_) | None => Err("write a share between 0.001% and 100%, such as 5%".to_owned()),
        }
    }

    /// The same for a share that is read in turns with the others.
    pub fn parse_turn(text: &str) -> Result<Self, String> {
        match thousandths(text) {
            Some(share @ LEAST..=WHOLE) => Ok(Self(share)),
            Some(_) | None => Err("write a share between 0.5% and 100%, such as 3%".to_owned()),
        }
    }

    /// In how many turns all files are read.
    #[must_use]
    pub fn turns(self) -> usize {
        usize::try_from(WHOLE.div_ceil(self.0.max(1))).unwrap_or(usize::MAX)
    }
}

fn thousandths(text: &str) -> Option<u32> {
    let (whole, parts) = match text.strip_suffix('%')?.split_once('.') {
        Some((whole, parts)) if (1..=3).contains(&parts.len()) => (whole, parts),
        Some(_) => return None,
        None => (text.strip_suffix('%')?, ""),
    };
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(parts) {
        return None;
    }
    let thousandths = format!("{parts:0<3}").parse::<u32>().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(thousandths)
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn a_share_is_a_percentage_of_some_files() {
        for (text, thousandths) in
            [("5%", 5_000), ("100%", 100_000), ("0.5%", 500), ("0.001%", 1), ("12.34%", 12_340)]
        {
            assert_eq!(Share::parse(text), Ok(Share(thousandths)), "{text}");
        }
        for text in [
            "", "%", "5", "0%", "101%", "100.001%", "-5%", "+5%", "5 %", ".5%", "1.2345%", "1.%", "1e2%",
            "9999999%",
        ] {
            assert!(Share::parse(text).is_err() && Share::parse_turn(text).is_err(), "{text}");
        }
        assert!(Share::parse_turn("0.499%").is_err());
    }

    #[test]
    fn the_turns_cover_everything() {
        for (text, turns) in [("100%", 1), ("99%", 2), ("50%", 2), ("3%", 34), ("3.333%", 31), ("0.5%", 200)]
        {
            assert_eq!(Share::parse_turn(text).map(Share::turns), Ok(turns), "{text}");
        }
    }
}
