//! What a filesystem can hold.

use crate::phases::census::Needs;

use crate::phases::capacity::names::{Folds, Unusual};

/// What a filesystem can hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Between which names it sees no difference.
    pub folds: Folds,
    /// It stores names in another Unicode form than they were given in.
    pub changes_form: bool,
    /// The kinds of names of which it refuses some.
    pub refuses: Vec<Unusual>,
    /// Up to this length in bytes every name is taken; `None` where it is not known.
    pub name: Option<u64>,
    /// The earliest and the latest time, in seconds since 1970; `None` where it keeps all, or that is not known.
    pub times: Option<(i64, i64)>,
    /// The size of the largest file.
    pub size: Option<u64>,
    /// How many names a file can have.
    pub links: Option<u64>,
    /// The length of the longest target of a symbolic link.
    pub target: Option<u64>,
    /// Up to this many bytes of attributes are always taken.
    pub attributes: Option<u64>,
}

impl Capacity {
    /// Whether something may be too much for it.
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
