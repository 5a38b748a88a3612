//! Random damages to a clone, each of which is found and repaired, and nothing else. `COUNTERPART_SEED` repeats a run, and
//! `COUNTERPART_ROUNDS` is the number of damages.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::dice::Dice;
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, noise, set_mtime, snapshot};
use crate::verify::scene::{Damages, cloned, damages, found, silently};

/// How many damages there are, unless `COUNTERPART_ROUNDS` says otherwise.
const DAMAGES: usize = 60;

/// How many there are in one clone at most.
const AT_ONCE: usize = 60;

/// How many files the source has; every fifth of as many directories has a link too.
const FILES: usize = 200;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.trim().parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn every_random_damage_is_found_and_nothing_else() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("COUNTERPART_SEED").unwrap_or(now.as_secs() * 1000 + u64::from(now.subsec_millis()));
    println!("COUNTERPART_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut left = number("COUNTERPART_ROUNDS").map_or(DAMAGES, |rounds| usize::try_from(rounds).unwrap());
    while left > 0 {
        let count = left.min(AT_ONCE);
        round(&mut dice, count);
        left -= count;
    }
}

fn round(dice: &mut Dice, count: usize) {
    let sandbox = Sandbox::new();
    for number in 0..FILES {
        let directory = sandbox.source.join(format!("{}", number / 5));
        fs::create_dir_all(&directory).unwrap();
        let length = 1 + dice.below(100_000);
        fs::write(directory.join(format!("file {number}")), noise(dice.any(), length)).unwrap();
        if number % 5 == 0 {
            symlink(format!("file {number}"), directory.join("link")).unwrap();
        }
    }
    cloned(&sandbox, &[]);
    let before = snapshot(&sandbox.destination);
    let mut expected = Damages::new();
    let mut used = BTreeSet::new();
    while expected.len() < count {
        let number = dice.below(FILES);
        let directory = PathBuf::from((number / 5).to_string());
        let is_link = dice.once_in(8);
        let name = if is_link { directory.join("link") } else { directory.join(format!("file {number}")) };
        if !used.insert(name.clone()) {
            continue;
        }
        let path = sandbox.destination.join(&name);
        let (name, flaws) =
            if is_link { (name, damage_link(dice, &path)) } else { damage_file(dice, &path, name) };
        let flaws = flaws.iter().map(ToString::to_string).collect();
        expected.insert(name.to_str().unwrap().to_owned(), flaws);
    }
    let document = found(&sandbox, &[]);
    assert_eq!(damages(&document), expected);
    assert_eq!((&document["exit_code"], &document["changed_since"]), (&75.into(), &0.into()), "{document:#}");
    let document = found(&sandbox, &["--repair"]);
    assert_eq!(
        (&document["exit_code"], &document["repair"]["damaged"]),
        (&83.into(), &0.into()),
        "{document:#}"
    );
    assert_unchanged(&before, &snapshot(&sandbox.destination));
    assert_eq!(found(&sandbox, &[])["exit_code"], 0);
}

fn damage_link(dice: &mut Dice, path: &Path) -> &'static [&'static str] {
    match dice.below(3) {
        0 => {
            silently(path, |path| {
                fs::remove_file(path).unwrap();
                symlink("elsewhere", path).unwrap();
            });
            &["target"]
        }
        1 => {
            silently(path, |path| lchown(path, Some(99), None).unwrap());
            &["owner"]
        }
        _ => {
            silently(path, |path| fs::remove_file(path).unwrap());
            &["missing"]
        }
    }
}

fn damage_file(dice: &mut Dice, path: &Path, name: PathBuf) -> (PathBuf, &'static [&'static str]) {
    let length = fs::metadata(path).unwrap().len();
    let write = |bytes: &[u8], at: u64| {
        silently(path, |path| {
            fs::File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
        });
    };
    let at = dice.any() % length;
    match dice.below(9) {
        0 | 1 => {
            let byte = fs::read(path).unwrap()[usize::try_from(at).unwrap()];
            write(&[byte ^ (1 << dice.below(8))], at);
            (name, &["contents"])
        }
        2 => {
            // Not one byte of this is as it was.
            let mut contents = fs::read(path).unwrap();
            contents.iter_mut().skip(usize::try_from(at).unwrap()).take(4096).for_each(|byte| *byte = !*byte);
            write(&contents, 0);
            (name, &["contents"])
        }
        3 => {
            silently(path, |path| fs::File::options().write(true).open(path).unwrap().set_len(at).unwrap());
            (name, &["contents", "size"])
        }
        4 => {
            write(b"appended", length);
            (name, &["contents", "size"])
        }
        5 => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            (name, &["mode"])
        }
        6 => {
            let found = fs::metadata(path).unwrap();
            set_mtime(path, found.mtime() - 1 - i64::try_from(dice.below(1000)).unwrap(), found.mtime_nsec());
            (name, &["modified"])
        }
        7 => {
            xattr::set(path, "user.damage", b"x").unwrap();
            (name, &["attributes"])
        }
        _ => {
            let extra = path.with_extension("extra");
            silently(&extra, |path| fs::write(path, "extra").unwrap());
            let name = name.with_extension("extra");
            (name, &["extra"])
        }
    }
}
