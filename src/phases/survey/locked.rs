//! Encrypted directories of the source whose key is not loaded.
//!
//! The names listed in such a directory are not the real ones, and none of its files can be opened. A clone would
//! delete every real name at the destination. So the clone's copy is kept as it is, and the clone counts as incomplete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::display;
use crate::failure::Failure;
use crate::outcome::Completion;
use crate::rsync::filter::rules::{Rules, keep};
use crate::run::Run;

/// How many such directories get rules of their own: any user who may encrypt can create any number, and all must fit
/// into one command line.
const MOST: usize = 256;

/// The limit on the total length of their paths, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// A list of this length is shortened while it grows.
const SHORTENED_FROM: usize = 16 * MOST;

/// How many are named in a message.
const NAMED: usize = 5;

/// Protects the copies of these directories at the destination, and logs that.
pub fn keep_copies(run: &Run<'_>, rules: &mut Rules, mut locked: Vec<PathBuf>) {
    if locked.is_empty() {
        return;
    }
    shorten(&mut locked, MOST, MOST_BYTES);
    // An examination reports it itself, with what to do about it.
    if !run.mode.only_looks() {
        run.warn(sentence(run, &locked));
    }
    for path in &locked {
        rules.ours.extend(keep(path.as_os_str()));
    }
    rules.kept = locked;
}

/// The message about them.
#[must_use]
pub fn sentence(run: &Run<'_>, locked: &[PathBuf]) -> String {
    format!(
        "{} encrypted and the key is not available, so the contents cannot be read: {}. The copy in the clone is kept.",
        match locked.len() {
            1 => "1 directory of the source is".to_owned(),
            many => format!("{many} directories of the source are"),
        },
        examples(run, locked)
    )
}

/// A clone without their contents is incomplete.
pub fn check(run: &Run<'_>, rules: &Rules, completion: Completion) -> Result<Completion, Failure> {
    if rules.kept.is_empty() {
        return Ok(completion);
    }
    Err(Failure::Encrypted { count: rules.kept.len() as u64, examples: examples(run, &rules.kept) })
}

fn examples(run: &Run<'_>, locked: &[PathBuf]) -> String {
    let named = locked.iter().take(NAMED).map(|path| display::path(&run.plan.source.join(path)).to_string());
    let more = locked.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("{more} more"));
    named.chain(more).collect::<Vec<_>>().join(", ")
}

/// Keeps the list that a walk gathers from filling the memory.
pub fn bound(locked: &mut Vec<PathBuf>) {
    if locked.len() >= SHORTENED_FROM {
        shorten(locked, MOST, MOST_BYTES);
    }
}

/// Replaces directories by their parents, starting with the parent of the most, until few are left.
///
/// This protects more than necessary, but only close to where somebody created many of them.
fn shorten(locked: &mut Vec<PathBuf>, most: usize, most_bytes: usize) {
    let bytes = |paths: &[PathBuf]| paths.iter().map(|path| path.as_os_str().len()).sum::<usize>();
    while locked.len() > most || locked.len() > 1 && bytes(locked) > most_bytes {
        let mut below: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for path in locked.iter() {
            let above = path.parent().unwrap_or(Path::new("")).to_owned();
            *below.entry(above).or_default() += 1;
        }
        let depth = |path: &Path| path.components().count();
        let fullest = below.into_iter().max_by_key(|(above, count)| (*count, depth(above)));
        let Some((above, _)) = fullest else { return };
        locked.retain(|path| !path.starts_with(&above));
        locked.push(above);
    }
}

#[cfg(test)]
mod tests {
    use super::shorten;
    use std::path::PathBuf;

    fn paths(paths: impl IntoIterator<Item = String>) -> Vec<PathBuf> {
        paths.into_iter().map(PathBuf::from).collect()
    }

    #[test]
    fn few_stay_as_they_are() {
        let mut locked = paths((0..3).map(|number| format!("home/u{number}")));
        let before = locked.clone();
        shorten(&mut locked, 3, 1000);
        assert_eq!(locked, before);
    }

    #[test]
    fn many_of_one_user_do_not_reach_the_others() {
        let mut locked = paths((0..10_000).map(|number| format!("home/mallory/{number}")));
        locked.extend(paths(["home/alice/private".to_owned(), "srv/a/b/c".to_owned()]));
        shorten(&mut locked, 256, 1 << 20);
        locked.sort();
        assert_eq!(locked, paths(["home/alice/private", "home/mallory", "srv/a/b/c"].map(str::to_owned)));
    }

    #[test]
    fn long_paths_are_shortened_too() {
        let mut locked = paths((0..100).map(|number| format!("home/mallory/{number}/{}", "x".repeat(4000))));
        locked.push("home/alice".into());
        shorten(&mut locked, 256, 64 << 10);
        assert!(locked.iter().map(|path| path.as_os_str().len()).sum::<usize>() <= 64 << 10);
        assert!(locked.contains(&"home/alice".into()), "{locked:?}");
    }
}
