//! `--inplace`: what is written into a copy, and what is replaced.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::audit::{Options, assert_same};
use crate::support::other_rsyncs::with_each;
use crate::support::sandbox::{Finished, Sandbox, wait_until};
use crate::support::tree::noise;
use crate::systems::streaming::which_rsync;

const SIZE: usize = 2 << 20;

fn inode(sandbox: &Sandbox, name: &str) -> u64 {
    fs::symlink_metadata(sandbox.destination.join(name)).unwrap().ino()
}

/// Changes a few bytes of a file.
fn touch_up(path: &Path, at: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"changed", at).unwrap();
}

fn big(sandbox: &Sandbox, name: &str, seed: u64) {
    fs::write(sandbox.source.join(name), noise(seed, SIZE)).unwrap();
}

#[track_caller]
fn assert_exact(sandbox: &Sandbox) {
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

fn zeros(count: usize) -> Vec<u8> {
    vec![0; count]
}

/// What of a file may become what, as a function of its old contents.
type Change = fn(&[u8]) -> Vec<u8>;

#[test]
fn every_change_arrives_exactly_with_every_rsync() {
    let changes: [(&str, Change); 9] = [
        ("data becomes zeros", |old| [&old[..SIZE / 2], &zeros(SIZE / 2)].concat()),
        ("zeros become data", |old| [&noise(7, SIZE / 2)[..], &old[SIZE / 2..]].concat()),
        ("zeros are inserted", |old| [&old[..70_000], &zeros(300_000), &old[70_000..]].concat()),
        ("the start is cut off", |old| old[123_457..].to_vec()),
        ("the end is cut off", |old| old[..SIZE - 400_001].to_vec()),
        ("it grows by zeros", |old| [old, &zeros(500_000)].concat()),
        ("it grows by data", |old| [old, &noise(8, 500_000)].concat()),
        ("the halves change places", |old| [&old[SIZE / 2..], &old[..SIZE / 2]].concat()),
        ("blocks are zeros", |old| {
            let blocks = old.chunks(4096).enumerate();
            blocks
                .flat_map(|(at, block)| if at % 3 == 0 { vec![0; block.len()] } else { block.to_vec() })
                .collect()
        }),
    ];
    with_each(|sandbox, version| {
        for (number, (name, _)) in changes.iter().enumerate() {
            let mut content = noise(number as u64, SIZE);
            content[SIZE / 4..SIZE / 4 + 200_000].fill(0);
            fs::write(sandbox.source.join(name), content).unwrap();
        }
        sandbox.clone(&["--inplace"]).assert_code(0).assert_err("").assert_no_log("Writing in place");
        let inodes: Vec<u64> = changes.iter().map(|(name, _)| inode(sandbox, name)).collect();
        for more in [&["--inplace"][..], &["--inplace", "--whole-file"]] {
            for (name, change) in changes {
                let path = sandbox.source.join(name);
                let mut old = fs::read(&path).unwrap();
                old.resize(SIZE, 1);
                fs::write(&path, change(&old)).unwrap();
            }
            sandbox.clone(more).assert_code(0).assert_err("").assert_log("Writing in place: 9 files.\n");
            for ((name, _), before) in changes.iter().zip(&inodes) {
                let read = |dir: &Path| fs::read(dir.join(name)).unwrap();
                assert!(read(&sandbox.source) == read(&sandbox.destination), "{version}: {name}");
                assert_eq!(inode(sandbox, name), *before, "{version}: {name}");
            }
            let again = sandbox.clone(&["--inplace"]);
            again.assert_code(0).assert_no_log("Writing in place");
            again.assert_log("regular files transferred: 0");
        }
    });
}

#[test]
fn only_the_contents_of_a_large_file_that_nobody_else_sees_are_written_in_place() {
    let sandbox = Sandbox::new();
    let names = ["plain", "rights", "owner", "attribute", "elsewhere", "linked", "other name"];
    for (seed, name) in names.iter().enumerate() {
        big(&sandbox, name, seed as u64);
    }
    sandbox.write("small", "content");
    fs::remove_file(sandbox.source.join("other name")).unwrap();
    fs::hard_link(sandbox.source.join("linked"), sandbox.source.join("other name")).unwrap();
    sandbox.clone(&["--inplace"]).assert_code(0);
    let snapshot = sandbox.path().join("a snapshot of links");
    fs::hard_link(sandbox.destination.join("elsewhere"), &snapshot).unwrap();
    let before: Vec<u64> = names.iter().map(|name| inode(&sandbox, name)).collect();
    for name in names {
        touch_up(&sandbox.source.join(name), 1_000_000);
    }
    sandbox.write("small", "changed");
    let path = |name| sandbox.source.join(name);
    fs::set_permissions(path("rights"), fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(path("owner"), Some(1234), None).unwrap();
    let status = Command::new("setfattr").args(["-n", "user.x", "-v", "y"]).arg(path("attribute")).status();
    assert!(status.unwrap().success());
    fs::File::create(path("new")).unwrap().set_len(50 << 20).unwrap();
    sandbox.clone(&["--inplace"]).assert_code(0).assert_err("").assert_log("Writing in place: 1 files.\n");
    assert_exact(&sandbox);
    let kept: Vec<&str> = names
        .iter()
        .zip(before)
        .filter(|(name, before)| inode(&sandbox, name) == *before)
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(kept, ["plain"]);
    assert!(fs::read(snapshot).unwrap() == noise(4, SIZE), "another name shows the change");
    assert!(fs::metadata(sandbox.destination.join("new")).unwrap().blocks() < 1000, "holes were filled");
}

#[test]
fn a_program_that_is_run_from_the_clone_is_replaced() {
    let sandbox = Sandbox::new();
    let program = [fs::read("/usr/bin/sleep").unwrap(), vec![0; SIZE]].concat();
    fs::write(sandbox.source.join("program"), program).unwrap();
    fs::set_permissions(sandbox.source.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.clone(&[]).assert_code(0);
    let copy = sandbox.destination.join("program");
    let mut running = Command::new(&copy).arg("600").stdin(Stdio::null()).spawn().unwrap();
    let exe = format!("/proc/{}/exe", running.id());
    assert!(wait_until(|| fs::read_link(&exe).is_ok_and(|path| path == copy)));
    touch_up(&sandbox.source.join("program"), 1_500_000);
    let run = sandbox.clone(&["--inplace"]);
    running.kill().unwrap();
    running.wait().unwrap();
    run.assert_code(0).assert_err("");
    run.assert_log("Not all of them could be written in place: what is left is replaced.\n");
    assert_exact(&sandbox);
}

#[test]
fn what_an_interrupted_rsync_has_half_written_is_made_good() {
    let sandbox = Sandbox::new();
    big(&sandbox, "big", 1);
    sandbox.clone(&[]).assert_code(0);
    touch_up(&sandbox.source.join("big"), 1_000_000);
    let half = "case \" $* \" in *' --inplace '*) for last; do :; done\n\
        echo garbage | dd of=\"$last/big\" conv=notrunc status=none; kill -9 $$;; esac\n";
    sandbox.rsync(&format!("{half}exec {} \"$@\"", which_rsync()));
    let run = sandbox.clone(&["--inplace"]);
    run.assert_code(0).assert_err("").assert_log("what is left is replaced.\n");
    assert_exact(&sandbox);
    // The same, and the run ends with it: the next one finds the file whatever its options.
    touch_up(&sandbox.source.join("big"), 1_100_000);
    let failing = half.replace("kill -9 $$", "touch \"$0.failed\"; exit 12");
    let rest = format!(
        "[ ! -e \"$0.failed\" ] || case \" $* \" in *' --stats '*) exit 12;; esac\nexec {} \"$@\"",
        which_rsync()
    );
    sandbox.rsync(&(failing + &rest));
    assert_eq!(sandbox.clone(&["--inplace"]).code, 12);
    assert!(fs::read(sandbox.destination.join("big")).unwrap().starts_with(b"garbage\n"));
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    sandbox.rsync(&format!("exec {} \"$@\"", which_rsync()));
    sandbox.clone(&[]).assert_code(0);
    assert_exact(&sandbox);
}

#[test]
fn it_is_refused_where_it_would_not_be_exact() {
    let sandbox = Sandbox::new();
    big(&sandbox, "big", 1);
    for with in [&["--safety-net"][..], &["--allow-non-root"]] {
        let refused = sandbox.clone(&[&["--inplace"][..], with].concat());
        assert_eq!((refused.code, &*refused.out), (2, ""), "{refused}");
        assert!(refused.err.contains("cannot be used with"), "{refused}");
    }
    sandbox.clone(&[]).assert_code(0);
    sandbox.rsync(&format!(
        "case \" $* \" in *' --modify-window=-1 '*) exit 1;; esac\nexec {} \"$@\"",
        which_rsync()
    ));
    touch_up(&sandbox.source.join("big"), 1_000_000);
    let before = fs::read(sandbox.destination.join("big")).unwrap();
    for test in [&[][..], &["-t"]] {
        let refused = sandbox.clone(&[&["--inplace"][..], test].concat());
        refused.assert_code(2);
        assert!(
            refused.err.starts_with(
                "counterpart: Files cannot be written in place here: with an rsync before 3.1.3"
            ),
            "{refused}"
        );
        assert!(refused.err.ends_with("Leave out --inplace.\n"), "{refused}");
    }
    assert!(fs::read(sandbox.destination.join("big")).unwrap() == before);
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    let (source, destination) = (sandbox.source.to_str().unwrap(), sandbox.destination.to_str().unwrap());
    let doctor = sandbox.run(["doctor", "-s", source, "-d", destination, "--inplace"]);
    assert_eq!(doctor.code, 2, "{doctor}");
    assert!(doctor.out.contains("FAIL  writing in place: "), "{doctor}");
}

/// Where a user may link a file that is not theirs, the link could be put in the place of a copy.
#[test]
fn it_is_refused_where_users_may_link_the_files_of_others() {
    let sandbox = Sandbox::new();
    big(&sandbox, "big", 1);
    sandbox.clone(&[]).assert_code(0);
    touch_up(&sandbox.source.join("big"), 1_000_000);
    let setting = sandbox.path().join("setting");
    let plain = sandbox.command(sandbox.arguments(["--inplace"]));
    let script = "mount --bind \"$1\" /proc/sys/fs/protected_hardlinks && shift && exec \"$@\"";
    for (value, code) in [("0\n", 2), ("\n", 2), ("1\n", 0)] {
        fs::write(&setting, value).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", script, "sh"]).arg(&setting);
        command.arg(plain.get_program()).args(plain.get_args()).env("COUNTERPART_FAKE_HOST", sandbox.host());
        let run = Finished::from(command.output().unwrap());
        run.assert_code(code);
        let why = "counterpart: Files cannot be written in place here: users may make hard links to files that are not theirs";
        assert_eq!(run.err.starts_with(why), code == 2, "{run}");
    }
    assert_exact(&sandbox);
}

#[test]
fn whole_files_are_what_rsync_is_told_to_write() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let record = sandbox.path().join("record");
    sandbox.rsync(&format!("printf '%s\\n' \"$@\" >>'{}'\nexec {} \"$@\"", record.display(), which_rsync()));
    sandbox.clone(&["--whole-file"]).assert_code(0).assert_err("");
    let arguments = fs::read_to_string(record).unwrap();
    assert!(arguments.contains("\n--whole-file\n") && arguments.contains("\n--sparse\n"), "{arguments}");
    assert_exact(&sandbox);
}
