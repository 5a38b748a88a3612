//! The limits of a filesystem.

use crate::phases::survey::Needs;

use crate::phases::capacity::names::{Folds, Unusual};

/// What a filesystem can hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Which names it treats as equal.
    pub folds: Folds,
    /// It stores names in a Unicode form other than the given one.
    pub changes_form: bool,
    /// The kinds of names of which it rejects some.
    pub refuses: Vec<Unusual>,
    /// Names up to this length in bytes are always accepted; `None` if not known.
    pub name: Option<u64>,
    /// The earliest and latest time, in seconds since 1970; `None` if it stores any time, or if not known.
    pub times: Option<(i64, i64)>,
    /// The size of the largest file.
    pub size: Option<u64>,
    /// How many hard links a file can have.
    pub links: Option<u64>,
    /// The longest symbolic link target.
    pub target: Option<u64>,
    /// Attributes of up to this many bytes are always accepted.
    pub attributes: Option<u64>,
}

impl Capacity {
    /// Whether the source may exceed any of its limits.
    pub fn may_lack(&self, needs: &Needs) -> bool {
        let exceeds = |need: u64, most: Option<u64>| most.is_some_and(|most| need > most);
        let is_out_of_range = |(earliest, latest)| needs.earliest < earliest || needs.latest > latest;
        self.folds.any()
            || !self.refuses.is_empty()
            || self.times.is_some_and(is_out_of_range)
            || exceeds(needs.name, self.name)
            || exceeds(needs.size, self.size)
            || exceeds(needs.links, self.links)
            || exceeds(needs.target, self.target)
            || exceeds(needs.attributes, self.attributes)
    }
}
