//! The swap files of a machine, from `/proc/swaps`, `/etc/fstab` and systemd's units.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::linux::fstab;
use crate::linux::fstab::Entry;
use crate::linux::mounts::unescape;

/// The files in use, from `/proc/swaps`: a sample line is `/swap.img file 2097148 0 -2`.
#[must_use]
pub fn active(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let file = |line: &[u8]| {
        let mut words = words(line);
        let (path, kind) = (unescape(words.next()?), words.next()?);
        (kind == b"file" && path.is_absolute()).then_some(path)
    };
    lines.filter_map(file).collect()
}

/// The devices in use, from `/proc/swaps`: a sample line is `/dev/sda3 partition 1000 0 -2`.
#[must_use]
pub fn active_devices(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let device = |line: &[u8]| {
        let mut words = words(line);
        let (path, kind) = (unescape(words.next()?), words.next()?);
        (kind == b"partition" && path.is_absolute()).then_some(path)
    };
    lines.filter_map(device).collect()
}

/// What `/etc/fstab` uses for swap by its path, including partitions.
#[must_use]
pub fn of_fstab(table: &[u8]) -> Vec<PathBuf> {
    let swaps = fstab::read(table).into_iter().filter(Entry::is_swap);
    swaps.map(|entry| PathBuf::from(entry.device)).filter(|path| path.is_absolute()).collect()
}

/// The swap file or device of a systemd unit, `NAME.swap`, if it is a path.
#[must_use]
pub fn of_unit(unit: &[u8]) -> Option<PathBuf> {
    let lines = unit.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut what = lines.filter_map(|line| {
        let value = line.strip_prefix(b"What")?.trim_ascii_start().strip_prefix(b"=")?;
        Some(value.trim_ascii())
    });
    // The last value wins.
    let path = PathBuf::from(OsString::from_vec(what.next_back()?.to_vec()));
    path.is_absolute().then_some(path)
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{active, active_devices, of_fstab, of_unit};
    use std::path::PathBuf;

    fn paths<const N: usize>(paths: [&str; N]) -> Vec<PathBuf> {
        paths.map(PathBuf::from).into()
    }

    #[test]
    fn files_in_use_are_read() {
        let table = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/sda3                               partition\t1000\t0\t-2\n\
            /swap.img                               file\t\t2097148\t0\t-3\n\
            /var/a\\040b\\134c                         file\t\t1\t0\t-4\n\
            /old\\040(deleted) file 1 0 -5\n\nfile\n";
        assert_eq!(active(table), paths(["/swap.img", "/var/a b\\c", "/old (deleted)"]));
        assert_eq!(active(b""), paths([]));
        assert_eq!(active_devices(table), paths(["/dev/sda3"]));
    }

    #[test]
    fn lines_of_the_type_swap_are_read() {
        let table = b"# /gone none swap sw 0 0\n/swap.img\tnone\tswap\tsw\t0\t0\n  /var/a\\040b swap swap defaults 0 \
                      0\nUUID=1 none swap sw 0 0\n/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 none swap\n/swap none\n\n";
        assert_eq!(of_fstab(table), paths(["/swap.img", "/var/a b", "/dev/sda2"]));
    }

    #[test]
    fn the_unit_of_a_swap_names_it() {
        let unit = b"[Unit]\nDescription=What=/no\n[Swap]\nWhat = /var/swap file\n[Install]\n";
        assert_eq!(of_unit(unit), Some("/var/swap file".into()));
        assert_eq!(of_unit(b"[Swap]\nWhat=/a\nWhat=/b\n"), Some("/b".into()));
        assert_eq!(of_unit(b"[Swap]\nWhat=LABEL=x\n"), None);
        assert_eq!(of_unit(b""), None);
    }
}
