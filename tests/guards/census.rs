//! What is counted, and what is not.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::disk::LoopDisk;
use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::{FAKE_HOST, Finished, Sandbox, wait_until};
use crate::support::scene::Running;
use crate::support::tree::many_files;

/// The line of the census: whether it is exact, its entries, its inodes, those with several names, and what is in use.
fn census(run: &Finished) -> (bool, u64, u64, u64, String) {
    let messages = run.messages();
    let line = messages.iter().find_map(|line| line.strip_prefix("The source holds "));
    let line = line.unwrap_or_else(|| panic!("no census: {run}"));
    let (entries, rest) = line.split_once(" entries: ").unwrap();
    let (inodes, rest) = rest.split_once(" inodes, ").unwrap();
    let (linked, bytes) = rest.split_once(" hard-linked, ").unwrap();
    let exact = entries.strip_prefix("at most ");
    let number = |text: &str| text.parse().unwrap();
    let bytes = bytes.strip_suffix(" in use.").unwrap().to_owned();
    (exact.is_none(), number(exact.unwrap_or(entries)), number(inodes), number(linked), bytes)
}

/// What rsync has counted.
fn rsyncs_number(sandbox: &Sandbox) -> u64 {
    let text = sandbox.read_marker("stats");
    text.lines().find_map(|line| line.strip_prefix("Number of files: ")).unwrap().parse().unwrap()
}

#[test]
fn the_census_is_rsyncs_number_whatever_the_source_holds() {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 300, 100);
    sandbox.write("directory/plain", "content");
    sandbox.write(".org.example.counterpart.id", "of another prefix");
    sandbox.write(".me.jedda.counterpart.anything", "ours");
    sandbox.write("directory/.me.jedda.counterpart.id", "not at the root");
    for name in ["directory/one", "directory/two"] {
        fs::hard_link(sandbox.source.join("directory/plain"), sandbox.source.join(name)).unwrap();
    }
    symlink("/", sandbox.source.join("root")).unwrap();
    symlink("/nowhere", sandbox.source.join("broken")).unwrap();
    mkfifo(&sandbox.source.join("fifo"), Mode::S_IRWXU).unwrap();
    // A mounted filesystem is one entry, its directory; the image beside it is part of the source.
    let _disk = LoopDisk::inside(&sandbox.source, "ext4", 8, &[], "");
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("");
    let (exact, entries, inodes, linked, _) = census(&run);
    assert_eq!((exact, entries, linked), (true, rsyncs_number(&sandbox), 1), "{run}");
    assert_eq!(inodes, entries - 2, "three names of one file");
}

#[test]
fn exclusions_are_left_out_as_rsync_leaves_them_out() {
    // rsync skips a line that is too long for it, and which is depends on its version.
    let long = format!("/{}b\n/a/**\n", "*".repeat(4200));
    for (patterns, exact) in [
        ("/a/*\n/b\n/c/\n", true),
        ("*.iso\n.hidden*\n", true),
        ("/*/b/c\nname\n", true),
        ("# /a\n; /b\n\n- /d\n-e\n", true),
        ("/a/*/\n/b/*.iso\n", true),
        ("/a\r/b/\r\n", true),
        ("/d\n!\n/a\n", true),
        ("*\n", true),
        ("/\n", true),
        ("/a/**\n", true),
        ("b/c\n", true),
        ("[ab]\n/c\n", true),
        ("/a\n+ /b/c\n/b/*\n", true),
        (&*long, false),
    ] {
        let sandbox = Sandbox::new();
        for name in
            ["a/1", "a/b/c/1", "a/x.iso", "b/c/1", "b/y.iso", "c", "d/c/1", "name/1", "-e", ".hidden/1"]
        {
            sandbox.write(name, name);
            sandbox.write(format!("sub/{name}"), name);
        }
        let file = sandbox.path().join("patterns");
        fs::write(&file, patterns).unwrap();
        let run = sandbox.clone(&["-e", file.to_str().unwrap()]);
        run.assert_code(0);
        let (is_exact, entries, ..) = census(&run);
        let number = rsyncs_number(&sandbox);
        assert_eq!(is_exact, exact, "{patterns:?}: {run}");
        if exact {
            assert_eq!(entries, number, "{patterns:?}: {run}");
        } else {
            assert!(entries >= number, "{patterns:?}: {run}");
        }
    }
}

#[test]
fn a_destination_inside_the_source_is_not_counted() {
    let mut sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.destination = sandbox.source.join("a*/clone");
    fs::create_dir_all(&sandbox.destination).unwrap();
    for _ in 0..2 {
        let run = sandbox.clone(&[]);
        run.assert_code(0);
        assert_eq!((census(&run).1, rsyncs_number(&sandbox)), (3, 3), "{run}");
    }
}

#[test]
fn holes_are_not_in_use_and_several_names_are_counted_once() {
    let sandbox = Sandbox::new();
    let holes = fs::File::create(sandbox.source.join("holes")).unwrap();
    holes.set_len(1 << 40).unwrap();
    holes.write_all_at(&[b'x'; 4096], 1 << 30).unwrap();
    fs::write(sandbox.source.join("names"), vec![b'x'; 8 << 20]).unwrap();
    for number in 0..20 {
        fs::hard_link(sandbox.source.join("names"), sandbox.source.join(format!("name {number}"))).unwrap();
    }
    let run = sandbox.clone(&["-t"]);
    run.assert_code(70);
    let (exact, entries, inodes, linked, bytes) = census(&run);
    assert_eq!((exact, entries, inodes, linked), (true, 23, 3, 1), "{run}");
    assert!(bytes.starts_with("8.0") && bytes.ends_with(" MiB"), "{run}");
}

#[test]
fn a_deep_tree_is_counted_with_few_open_files() {
    let sandbox = Sandbox::new();
    for chain in ["a", "b", "c"] {
        let mut dir = sandbox.source.clone();
        for level in 0..150 {
            dir.push(chain);
            fs::create_dir_all(dir.join("beside/below")).unwrap();
            fs::write(dir.join(format!("file {level}")), "").unwrap();
        }
    }
    let arguments = sandbox.arguments(["-t"]);
    let mut command = Command::new("/usr/bin/prlimit");
    command.arg("--nofile=256").arg(FAKE_HOST).args(arguments);
    command.env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(Stdio::null());
    let run = Finished::from(command.output().unwrap());
    run.assert_code(70).assert_err("").assert_no_log("cannot be examined");
    assert_eq!(census(&run).1, 1 + 3 * 150 * 4, "{run}");
}

#[test]
fn the_census_leaves_no_access_times() {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 2100, 0);
    sandbox.clone(&[]).assert_code(0);
    fs::remove_dir_all(sandbox.source.join("0000")).unwrap();
    fs::remove_dir_all(sandbox.source.join("0001")).unwrap();
    fs::remove_dir_all(sandbox.source.join("0002")).unwrap();
    let dir = sandbox.source.join("0003");
    // So old that any reading would renew it.
    let old = filetimes(1_000_000_000);
    fs::File::open(&dir).unwrap().set_times(old).unwrap();
    sandbox.clone(&[]).assert_code(76);
    assert_eq!(fs::metadata(&dir).unwrap().atime(), 1_000_000_000);
}

fn filetimes(seconds: u64) -> fs::FileTimes {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::FileTimes::new().set_accessed(time).set_modified(time)
}

#[test]
fn what_cannot_be_read_is_told_and_is_not_counted() {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    many_files(&sandbox.source, 2100, 0);
    sandbox.clone(&[]).assert_code(0);
    fuse.tell("fail /0000/\n");
    let run = sandbox.clone(&[]);
    run.assert_code(23);
    run.assert_log(
        ": Warning: 1 directories or files of the source cannot be examined and are not counted.\n",
    );
    assert_eq!(fs::read_dir(sandbox.destination.join("0000")).unwrap().count(), 500, "nothing was deleted");
    // What rsync would delete before it meets the first of them, nobody would bring back.
    fuse.tell("fail /0000/\nfail /0001/\nfail /0002/\n");
    let run = sandbox.clone(&[]);
    run.assert_code(76).assert_log(" holds 606 entries that can be read, and 3 that cannot, and the last ");
    assert_eq!(fs::read_dir(sandbox.destination.join("0001")).unwrap().count(), 500, "nothing was deleted");
    // The number of the complete clone is kept for the next run.
    fuse.tell("");
    assert!(sandbox.read_marker("stats").contains("\nExit Code: 23\nFiles In Last Complete Clone: 2106\n"));
    fs::remove_dir_all(sandbox.source.join("0000")).unwrap();
    fs::remove_dir_all(sandbox.source.join("0001")).unwrap();
    fs::remove_dir_all(sandbox.source.join("0002")).unwrap();
    sandbox.clone(&[]).assert_code(76).assert_log(" holds 603 entries, ").assert_log(" had 2106: ");
}

/// Threads that keep every processor busy.
struct Busy(Arc<AtomicBool>, Vec<JoinHandle<()>>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

/// Lets the thread that listens to signals have the processor only when nobody else wants it, and others want it.
fn starve_the_listener(run: &Running) -> Busy {
    let mut tasks =
        fs::read_dir(format!("/proc/{}/task", run.id())).unwrap().map(|task| task.unwrap().path());
    let is_listener =
        |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "signals\n");
    let listener = tasks.find(is_listener).expect("nobody listens to signals");
    let id = listener.file_name().unwrap();
    assert!(Command::new("chrt").args(["--idle", "--pid", "0"]).arg(id).status().unwrap().success());
    let stop = Arc::new(AtomicBool::new(false));
    let spin = |_| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
    };
    let threads = (0..2 * std::thread::available_parallelism().unwrap().get()).map(spin).collect();
    Busy(stop, threads)
}

#[test]
fn a_signal_ends_the_census() {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    sandbox.write("slow/below/file", "content");
    fuse.tell("hang /slow/\nhang /slow/below/\n");
    let mut run = Running::start(&sandbox, &[]);
    assert!(wait_until(|| fuse.is_hanging()), "the census has not begun");
    let starved = starve_the_listener(&run);
    run.signal(Signal::SIGTERM);
    // The system call itself cannot be left before it is answered; the next one is not made.
    fuse.tell("hang /slow/below/\n");
    let has_ended = wait_until(|| run.has_ended());
    // If it has not, it could not even be killed otherwise.
    fuse.tell("");
    drop(starved);
    let run = run.finish();
    assert!(has_ended, "{run}");
    run.assert_code(20).assert_err("counterpart: The clone was interrupted (SIGTERM).\n");
    run.assert_no_log("The source holds").assert_no_log("Cloning.");
    assert_eq!(sandbox.markers(), ["error"]);
}
