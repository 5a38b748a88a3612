//! How each filesystem is made: the arguments, a pure translation.

use std::ffi::OsString;
use std::io;

use crate::fs::dir::random_hex;
use crate::prepare::wanted::Kind;

/// A new random UUID.
pub fn uuid() -> io::Result<String> {
    let digits = random_hex(16)?;
    // Version 4, variant 1.
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default().to_owned();
    Ok(format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32)))
}

/// A new identifier for a filesystem of this kind, as blkid writes it.
pub fn identifier(kind: Kind) -> io::Result<String> {
    if kind != Kind::Vfat {
        return uuid();
    }
    let digits = random_hex(4)?.to_uppercase();
    Ok(format!("{}-{}", digits.get(..4).unwrap_or_default(), digits.get(4..).unwrap_or_default()))
}

/// The arguments of the program that makes it, without the device.
#[must_use]
pub fn arguments(kind: Kind, identifier: &str, label: Option<&str>) -> Vec<OsString> {
    let (fixed, id, name): (&[&str], &str, &str) = match kind {
        Kind::Ext2 | Kind::Ext3 | Kind::Ext4 => (&["-q"], "-U", "-L"),
        Kind::Xfs => (&["-q", "-f"], "-m", "-L"),
        Kind::Btrfs => (&["-q", "-f"], "-U", "-L"),
        Kind::Vfat => (&["-F", "32"], "-i", "-n"),
        Kind::Swap => (&[], "-U", "-L"),
    };
    let value = match kind {
        Kind::Xfs => format!("uuid={identifier}"),
        Kind::Vfat => identifier.replace('-', ""),
        Kind::Ext2 | Kind::Ext3 | Kind::Ext4 | Kind::Btrfs | Kind::Swap => identifier.to_owned(),
    };
    let mut arguments: Vec<OsString> = fixed.iter().map(OsString::from).collect();
    arguments.extend([id.into(), value.into()]);
    if let Some(label) = label {
        arguments.extend([name.into(), label.into()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::{arguments, identifier, uuid};
    use crate::prepare::wanted::Kind;

    #[test]
    fn each_program_gets_its_own_options() {
        let of = |kind, id| {
            let arguments = arguments(kind, id, Some("x"));
            arguments.iter().map(|word| word.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(Kind::Ext4, "u"), "-q -U u -L x");
        assert_eq!(of(Kind::Xfs, "u"), "-q -f -m uuid=u -L x");
        assert_eq!(of(Kind::Btrfs, "u"), "-q -f -U u -L x");
        assert_eq!(of(Kind::Vfat, "AB12-CD34"), "-F 32 -i AB12CD34 -n x");
        assert_eq!(of(Kind::Swap, "u"), "-U u -L x");
        assert_eq!(arguments(Kind::Swap, "u", None), ["-U", "u"]);
    }

    #[test]
    fn identifiers_are_random_and_well_formed() {
        let one = uuid().unwrap();
        assert_ne!(one, uuid().unwrap());
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!((&one[14..15], &one[19..20]), ("4", "a"));
        let fat = identifier(Kind::Vfat).unwrap();
        assert_eq!((fat.len(), &fat[4..5]), (9, "-"));
    }
}
