//! Hard links in a quick pass: rsync links only what it is given together.

use std::collections::HashSet;

use crate::phases::hard_links::groups::Original;
use crate::phases::survey::list::{List, Why};
use crate::process::interrupts::Interrupts;
use crate::tree::pair::{Entry, Here, Trees, Visitor, walk};

/// Lists every name of these inodes of the source. Fails if a root cannot be read.
#[allow(clippy::implicit_hasher, reason = "there is one set of this kind")]
pub fn names(
    trees: &Trees<'_>,
    interrupts: &Interrupts,
    inodes: &HashSet<Original>,
) -> std::io::Result<List> {
    let (_, lists) = walk(trees, interrupts, &Groups { inodes })?;
    let mut sum = List::default();
    for list in lists {
        sum.append(list);
    }
    Ok(sum)
}

struct Groups<'a> {
    inodes: &'a HashSet<Original>,
}

impl Visitor for Groups<'_> {
    type Kept = List;

    fn see(&self, here: &Here<'_>, entry: &Entry<'_>, list: &mut List) {
        if entry.stats.source.is_some_and(|stat| self.inodes.contains(&(stat.st_dev, stat.st_ino))) {
            list.add(Why::Changed, here, entry.name);
        }
    }
}
