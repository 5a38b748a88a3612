//! Where each partition goes: a pure computation.

use std::path::Path;

use crate::prepare::wanted::{MIB, Role, Wanted};

/// A partition with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its number in the table.
    pub number: u32,
    /// Where it begins, in MiB.
    pub start: u64,
    /// Its size in MiB.
    pub size: u64,
    /// What it is for.
    pub wanted: Wanted,
}

/// Why there is no layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLayout {
    /// The disk is too small.
    Small {
        /// How many bytes it would need.
        needed: u64,
    },
    /// An MBR has four partitions at most.
    Many(usize),
    /// An MBR reaches 2 TiB far.
    Large,
}

/// What the table takes at either end, in MiB.
const ENDS: u64 = 1;

/// How far an MBR reaches, in sectors.
const MBR_REACH: u64 = 1 << 32;

/// Places the partitions on a disk of `size` bytes with sectors of `sector`: what keeps its size gets it if there is
/// room; all else shares the rest in proportion to the source, none below its least size.
pub fn place(mut wanted: Vec<Wanted>, size: u64, sector: u64, is_mbr: bool) -> Result<Vec<Placed>, NoLayout> {
    wanted.sort_by_key(order);
    if is_mbr && wanted.len() > 4 {
        return Err(NoLayout::Many(wanted.len()));
    }
    if is_mbr && size / sector > MBR_REACH {
        return Err(NoLayout::Large);
    }
    let room = (size / MIB).saturating_sub(2 * ENDS);
    let least: u64 = wanted.iter().map(Wanted::least).fold(0, u64::saturating_add);
    if least > room {
        return Err(NoLayout::Small { needed: least.saturating_add(2 * ENDS).saturating_mul(MIB) });
    }
    let sizes = sizes(&wanted, room);
    let mut start = ENDS;
    let mut placed = Vec::new();
    for ((number, wanted), size) in (1..).zip(wanted).zip(sizes) {
        placed.push(Placed { number, start, size, wanted });
        start += size;
    }
    Ok(placed)
}

/// What firmware and loaders read comes first; swap, which is easily given up, last.
fn order(wanted: &Wanted) -> (u8, Option<std::path::PathBuf>) {
    let rank = match wanted.role {
        Role::BiosBoot => 0,
        Role::Efi | Role::Firmware => 1,
        Role::Data if wanted.point.as_deref() == Some(Path::new("/boot")) => 2,
        Role::Data => 3,
        Role::Swap => 4,
    };
    (rank, wanted.point.clone())
}

/// The sizes in MiB, whose sum is `room` if anything may grow.
fn sizes(wanted: &[Wanted], room: u64) -> Vec<u64> {
    let all = || (0..wanted.len()).collect::<Vec<_>>();
    let fixed: Vec<usize> = all().into_iter().filter(|at| wanted[*at].keeps_size()).collect();
    let mut open: Vec<usize> = all().into_iter().filter(|at| !wanted[*at].keeps_size()).collect();
    let mut sizes: Vec<u64> = wanted.iter().map(Wanted::least).collect();
    // One after the other gets its usual size as long as all others have their least.
    for at in fixed {
        let others: u64 = sizes.iter().sum::<u64>() - sizes[at];
        sizes[at] = wanted[at].usual().min(room - others);
    }
    let taken: u64 = all().into_iter().filter(|at| !open.contains(at)).map(|at| sizes[at]).sum();
    let mut rest = room - taken;
    loop {
        let total: u128 = open.iter().map(|at| u128::from(wanted[*at].size.max(1))).sum();
        let share = |at: usize| {
            let share = u128::from(rest) * u128::from(wanted[at].size.max(1)) / total.max(1);
            u64::try_from(share).unwrap_or(rest)
        };
        let short: Vec<usize> = open.iter().copied().filter(|at| share(*at) < wanted[*at].least()).collect();
        if short.is_empty() {
            for at in &open {
                sizes[*at] = share(*at);
            }
            break;
        }
        rest -= short.iter().map(|at| wanted[*at].least()).sum::<u64>();
        open.retain(|at| !short.contains(at));
    }
    // What rounding has left goes to the root.
    let left = room - sizes.iter().sum::<u64>();
    let is_root = |wanted: &Wanted| wanted.point.as_deref() == Some(Path::new("/"));
    if let Some(at) = wanted.iter().position(is_root) {
        sizes[at] += left;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::{NoLayout, Placed, place};
    use crate::prepare::wanted::{Kind, MIB, Role, Wanted};
    use std::path::Path;

    const GIB: u64 = 1 << 30;

    fn data(point: &str, size: u64, used: u64) -> Wanted {
        Wanted { used, ..Wanted::new(Role::Data, Kind::Ext4, Some(Path::new(point)), size) }
    }

    fn sizes(placed: &[Placed]) -> Vec<u64> {
        placed.iter().map(|placed| placed.size).collect()
    }

    #[test]
    fn sizes_are_in_proportion_and_fill_the_disk() {
        let wanted = vec![
            data("/home", 30 * GIB, 2 * GIB),
            data("/", 10 * GIB, 2 * GIB),
            Wanted::new(Role::Efi, Kind::Vfat, Some(Path::new("/boot/efi")), 100 * MIB),
            Wanted::bios_boot(),
            Wanted::new(Role::Swap, Kind::Swap, None, GIB),
        ];
        let placed = place(wanted, 80 * GIB + 2 * MIB, 512, false).unwrap();
        // 80 GiB less 1 + 100 + 1024 MiB: a quarter and three quarters.
        assert_eq!(sizes(&placed), [1, 100, 20199, 60596, 1024]);
        let starts: Vec<u64> = placed.iter().map(|placed| placed.start).collect();
        assert_eq!(starts, [1, 2, 102, 20301, 80897]);
        assert_eq!(placed[4].start + placed[4].size, 80 * 1024 + 1);
        let numbers: Vec<u32> = placed.iter().map(|placed| placed.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn nothing_is_smaller_than_what_the_source_uses_and_a_tenth_more() {
        // By proportion /home would have 15 of 20 GiB, but / uses 9 of its 10.
        let wanted = vec![data("/", 10 * GIB, 9 * GIB), data("/home", 30 * GIB, GIB)];
        let placed = place(wanted, 20 * GIB, 512, false).unwrap();
        assert!(placed[0].size * MIB >= 9 * GIB * 11 / 10, "{placed:?}");
        assert_eq!(placed[0].size + placed[1].size, 20 * 1024 - 2);
        assert_eq!(placed[0].size, placed[0].wanted.least());
    }

    #[test]
    fn what_keeps_its_size_gives_way_on_a_small_disk() {
        let wanted = || vec![data("/", 10 * GIB, GIB), Wanted::new(Role::Swap, Kind::Swap, None, 8 * GIB)];
        let placed = place(wanted(), 4 * GIB, 512, false).unwrap();
        assert_eq!(placed[0].size, placed[0].wanted.least());
        assert_eq!(placed[0].size + placed[1].size, 4 * 1024 - 2);
        let placed = place(wanted(), 16 * GIB, 512, false).unwrap();
        assert_eq!(placed[1].size, 8 * 1024);
    }

    #[test]
    fn a_disk_that_is_too_small_is_refused_and_one_that_is_just_large_enough_is_not() {
        let wanted = || vec![data("/", 10 * GIB, 3 * GIB), data("/var", GIB, 100 * MIB)];
        let Err(NoLayout::Small { needed }) = place(wanted(), 3 * GIB, 512, false) else {
            panic!("it was not refused")
        };
        assert!(needed > 3 * GIB * 11 / 10);
        assert_eq!(place(wanted(), needed - 1, 512, false), Err(NoLayout::Small { needed }));
        let placed = place(wanted(), needed, 512, false).unwrap();
        assert_eq!(sizes(&placed), [placed[0].wanted.least(), placed[1].wanted.least()]);
        assert!(place(wanted(), 0, 512, false).is_err());
        assert!(place(vec![data("/", u64::MAX, u64::MAX)], u64::MAX, 512, false).is_err());
    }

    #[test]
    fn an_mbr_has_four_partitions_and_reaches_two_tebibytes() {
        let wanted = |count: u8| (0..count).map(|at| data(&format!("/{at}"), GIB, 0)).collect::<Vec<_>>();
        assert_eq!(place(wanted(5), 9 * GIB, 512, true), Err(NoLayout::Many(5)));
        assert!(place(wanted(4), 9 * GIB, 512, true).is_ok());
        assert_eq!(place(wanted(1), (2 << 40) + 512, 512, true), Err(NoLayout::Large));
        assert!(place(wanted(1), 2 << 40, 512, true).is_ok());
        assert!(place(wanted(1), 16 << 40, 4096, true).is_ok());
        assert!(place(wanted(1), 16 << 40, 512, false).is_ok());
    }
}
