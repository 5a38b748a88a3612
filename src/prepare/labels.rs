//! Labels for the new filesystems: like the source's, and equal to none of this machine.

use std::collections::BTreeSet;

use crate::prepare::wanted::Kind;

/// The labels that are taken, whatever their case: FAT knows only one.
#[derive(Debug, Default)]
pub struct Taken(BTreeSet<String>);

impl Taken {
    /// Marks a label as taken.
    pub fn add(&mut self, label: &str) {
        self.0.insert(label.to_lowercase());
    }

    /// A label like this one that is not taken, which it is from now on.
    pub fn unique(&mut self, label: &str, kind: Kind) -> String {
        for number in 1_u32.. {
            let suffix = if number == 1 { "-clone".to_owned() } else { format!("-clone{number}") };
            let mut new = shortened(label, kind.longest_label().saturating_sub(suffix.len())) + &suffix;
            if kind == Kind::Vfat {
                new = new.to_uppercase();
            }
            if self.0.insert(new.to_lowercase()) {
                return new;
            }
        }
        // There are fewer labels on a machine than numbers.
        String::new()
    }
}

/// The beginning of the text that fits, in whole characters; only what every tool takes as an argument.
fn shortened(text: &str, longest: usize) -> String {
    let mut short = String::new();
    for character in text.trim_start_matches('-').chars().filter(|c| !c.is_control() && *c != '/') {
        if short.len() + character.len_utf8() > longest {
            break;
        }
        short.push(character);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::Taken;
    use crate::prepare::wanted::Kind;

    #[test]
    fn no_label_is_given_twice_or_too_long() {
        let mut taken = Taken::default();
        for label in ["root", "ROOT-clone2", "-rf"] {
            taken.add(label);
        }
        assert_eq!(taken.unique("root", Kind::Ext4), "root-clone");
        assert_eq!(taken.unique("root", Kind::Ext4), "root-clone3");
        assert_eq!(taken.unique("efi", Kind::Vfat), "EFI-CLONE");
        assert_eq!(taken.unique("EFI", Kind::Vfat), "EFI-CLONE2");
        assert_eq!(taken.unique("cloudimg-rootfs", Kind::Ext4), "cloudimg-r-clone");
        assert_eq!(taken.unique("cloudimg-rootfs", Kind::Xfs), "cloudi-clone");
        assert_eq!(taken.unique("cloudimg-rootfs", Kind::Xfs), "cloud-clone2");
        assert_eq!(taken.unique("öööööööö", Kind::Xfs), "ööö-clone");
        assert_eq!(taken.unique("--\n/x", Kind::Ext4), "x-clone");
    }
}
