//! A source that has lost most of its contents.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::disk::LoopDisk;
use crate::support::sandbox::{STEM, Sandbox};
use crate::support::scene::{RSYNC, assert_clone, assert_failure, on_transfer, text};
use crate::support::tree::{assert_unchanged, many_files, snapshot_with_ctime};

/// A source of 2,000 files in 4 directories, 2,005 entries with the root, and its clone.
fn cloned() -> Sandbox {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 2000, 10);
    sandbox.clone(&[]).assert_code(0);
    sandbox
}

/// Removes so many files of the source.
fn lose(sandbox: &Sandbox, count: usize) {
    let mut left = count;
    for dir in fs::read_dir(&sandbox.source).unwrap() {
        let Ok(files) = fs::read_dir(dir.unwrap().path()) else { continue };
        for file in files {
            if left == 0 {
                return;
            }
            fs::remove_file(file.unwrap().path()).unwrap();
            left -= 1;
        }
    }
    assert_eq!(left, 0);
}

fn sentence(sandbox: &Sandbox, now: u64, before: u64) -> String {
    format!(
        "The source {} holds {now} entries, and the last complete clone to {} had {before}: this clone would delete \
         most of it. Is everything mounted? If the source is right, run once with --allow-shrink.",
        text(&sandbox.source),
        text(&sandbox.destination)
    )
}

#[test]
fn less_than_half_is_refused_and_nothing_is_touched() {
    let sandbox = cloned();
    lose(&sandbox, 1003);
    for _ in 0..2 {
        let before = snapshot_with_ctime(&sandbox.destination);
        let run = sandbox.clone(&[]);
        assert_failure(&sandbox, &run, 76, &sentence(&sandbox, 1002, 2005), &["completed", "id", "stats"]);
        assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    }
    // A leave to adopt is none to shrink.
    sandbox.clone(&["--adopt"]).assert_code(76);
    sandbox.clone(&["--allow-shrink"]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
    // From then on this is how large it is.
    sandbox.clone(&[]).assert_code(0);
    lose(&sandbox, 500);
    sandbox.clone(&[]).assert_code(0);
    assert_clone(&sandbox);
}

#[test]
fn half_is_allowed() {
    let sandbox = cloned();
    lose(&sandbox, 1002);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
}

#[test]
fn less_than_a_hundred_are_allowed() {
    let left = |files: usize| {
        let sandbox = Sandbox::new();
        many_files(&sandbox.source, 105, 10);
        sandbox.clone(&[]).assert_code(0);
        fs::remove_dir_all(sandbox.source.join("0000")).unwrap();
        many_files(&sandbox.source, files, 10);
        sandbox.clone(&[])
    };
    // 107 entries become 8; one more would have been too many.
    left(6).assert_code(0).assert_err("");
    left(5).assert_code(76).assert_log(" holds 7 entries, ").assert_log(" had 107: ");
}

#[test]
fn a_photo_collection_behind_a_stray_file_is_not_let_go() {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 900, 60_000);
    sandbox.clone(&[]).assert_code(0);
    for dir in ["0000", "0001"] {
        fs::remove_dir_all(sandbox.source.join(dir)).unwrap();
    }
    sandbox.write("README", "the disk belongs here");
    let run = sandbox.clone(&[]);
    assert_failure(&sandbox, &run, 76, &sentence(&sandbox, 2, 903), &["completed", "id", "stats"]);
    assert!(sandbox.destination.join("0001/00000899").exists());
}

#[test]
fn a_few_large_files_are_judged_by_their_bytes() {
    let sandbox = Sandbox::new();
    let film = |name: &str, megabytes: usize| {
        fs::write(sandbox.source.join(name), vec![b'x'; megabytes * 1_000_000]).unwrap();
    };
    film("a", 105);
    film("b", 4);
    // A hole is no loss, and neither is another name.
    fs::File::create(sandbox.source.join("hole")).unwrap().set_len(10 << 30).unwrap();
    fs::hard_link(sandbox.source.join("a"), sandbox.source.join("c")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    let told = sandbox.read_marker("stats");
    assert!(told.contains("\nExit Code: 0\nFile Contents: 109000000 bytes\n"), "{told}");
    for name in ["hole", "c"] {
        fs::remove_file(sandbox.source.join(name)).unwrap();
    }
    sandbox.clone(&[]).assert_code(0).assert_err("");
    film("a", 0);
    sandbox.clone(&[]).assert_code(76).assert_err(&format!(
        "counterpart: The source {} holds files of 4000000 bytes, and the last complete clone to {} had 109000000 bytes: \
         this clone would delete most of it. Is everything mounted? If the source is right, run once with \
         --allow-shrink.\n",
        text(&sandbox.source),
        text(&sandbox.destination)
    ));
    // A failure in between keeps the number.
    film("a", 60);
    on_transfer(&sandbox, &format!("{RSYNC} \"$@\"; exit 23"));
    sandbox.clone(&[]).assert_code(23);
    on_transfer(&sandbox, "");
    film("a", 0);
    sandbox.clone(&[]).assert_code(76).assert_log(" had 109000000 bytes: ");
    // Less than 100 MB are allowed.
    film("b", 10);
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn statistics_that_somebody_took_away_are_made_up_for_by_memory() {
    let sandbox = cloned();
    lose(&sandbox, 1500);
    fs::remove_file(sandbox.marker("stats")).unwrap();
    for planted in [false, true] {
        if planted {
            symlink("nowhere", sandbox.marker("stats")).unwrap();
        }
        sandbox
            .clone(&[])
            .assert_code(76)
            .assert_err(&format!("counterpart: {}\n", sentence(&sandbox, 505, 2005)));
    }
}

#[test]
fn a_disk_that_is_not_mounted_is_noticed_though_its_directory_holds_something() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.source = disk.path().to_owned();
    many_files(&sandbox.source, 1200, 10);
    sandbox.clone(&[]).assert_code(0);
    disk.unmount_lazily();
    sandbox.write("README", "the disk belongs here");
    let run = sandbox.clone(&[]);
    run.assert_code(76).assert_log(" has changed: ").assert_log(" was mounted at ");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    // Where nobody remembers where it lay, what is lost says enough; the clone had lost+found as well.
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    let id = sandbox.read_marker("id");
    fs::write(sandbox.marker("id"), id.lines().next().unwrap()).unwrap();
    let run = sandbox.clone(&[]);
    assert_failure(&sandbox, &run, 76, &sentence(&sandbox, 2, 1205), &["completed", "id", "stats"]);
    disk.mount_again();
    sandbox.clone(&[]).assert_code(0);
}

#[test]
fn a_test_run_only_warns() {
    let sandbox = cloned();
    lose(&sandbox, 1500);
    let run = sandbox.clone(&["-t"]);
    run.assert_code(70).assert_err("").assert_log("Would delete ");
    run.assert_log(&format!(
        ": Warning: a real run would be refused with code 76. {}\n",
        sentence(&sandbox, 505, 2005)
    ));
    sandbox.clone(&["-t", "--allow-shrink"]).assert_code(70).assert_no_log("would be refused");
}

#[test]
fn failed_runs_in_between_do_not_lower_the_number() {
    let sandbox = cloned();
    let of_complete = sandbox.read_marker("stats");
    assert!(!of_complete.contains("Files In Last"), "{of_complete}");
    for left in [500, 400] {
        // Each of them is allowed by itself.
        lose(&sandbox, left);
        on_transfer(&sandbox, &format!("{RSYNC} \"$@\"; exit 23"));
        sandbox.clone(&[]).assert_code(23);
        let text = sandbox.read_marker("stats");
        assert!(
            text.ends_with(
                "\nExit Code: 23\nFiles In Last Complete Clone: 2005\n\
                 File Contents In Last Complete Clone: 20000 bytes\n"
            ),
            "{text}"
        );
    }
    lose(&sandbox, 200);
    on_transfer(&sandbox, "");
    let run = sandbox.clone(&[]);
    run.assert_code(76).assert_err(&format!("counterpart: {}\n", sentence(&sandbox, 905, 2005)));
    assert_eq!(sandbox.markers(), ["error", "id", "stats"], "those of the failed run");
    sandbox.clone(&["--allow-shrink"]).assert_code(0);
    assert!(!sandbox.read_marker("stats").contains("Files In Last"));
}

/// What the original has left after a clone of so many entries.
fn originals(sandbox: &Sandbox, files: u64) {
    let text = format!(
        "Clone Started: 1383206400\nNumber of files: {files}\nNumber of files transferred: 17\n\
         Total file size: 98765432100 bytes\nTotal transferred file size: 123 bytes\nClone Completed: 1383207000\n"
    );
    fs::write(sandbox.marker("stats"), text).unwrap();
}

#[test]
fn the_originals_statistics_count_if_its_clone_was_complete() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    originals(&sandbox, 500_000);
    // As after the original's exit 23: its lines are those of a success.
    sandbox.clone(&[]).assert_code(0);

    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    originals(&sandbox, 500_000);
    fs::write(sandbox.marker("completed"), "").unwrap();
    let run = sandbox.clone(&[]);
    assert_failure(&sandbox, &run, 76, &sentence(&sandbox, 2, 500_000), &["completed", "stats"]);
    // With another prefix as well, as long as that has no statistics of its own.
    sandbox.clone(&["-g", "org.example"]).assert_code(76);
    sandbox.clone(&["-g", "org.example", "--allow-shrink"]).assert_code(0);
    originals(&sandbox, 500_000);
    sandbox.clone(&["-g", "org.example"]).assert_code(0);
}

#[test]
fn a_failure_after_the_originals_clone_carries_its_number_on() {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 2000, 10);
    originals(&sandbox, 2005);
    fs::write(sandbox.marker("completed"), "").unwrap();
    on_transfer(&sandbox, &format!("{RSYNC} \"$@\"; exit 24"));
    sandbox.clone(&[]).assert_code(24);
    assert!(sandbox.read_marker("stats").ends_with("\nFiles In Last Complete Clone: 2005\n"));
    lose(&sandbox, 1900);
    sandbox.clone(&[]).assert_code(76);
}

#[test]
fn planted_statistics_are_neither_followed_nor_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let planted = sandbox.path().join("planted");
    fs::write(&planted, "Number of files: 500000\nClone Completed: 1\nExit Code: 0\n").unwrap();
    let plant = |what: usize, marker: &Path| match what {
        0 => symlink(&planted, marker).unwrap(),
        1 => mkfifo(marker, Mode::S_IRWXU).unwrap(),
        _ => fs::create_dir(marker).unwrap(),
    };
    for what in 0..3 {
        plant(what, &sandbox.marker("stats"));
        sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
        fs::remove_file(sandbox.marker("stats")).unwrap();
    }
}

#[test]
fn statistics_of_any_size_and_content_do_no_harm() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let good = "Number of files: 500000\nClone Completed: 1\nExit Code: 0\n";
    for (content, code) in [
        (good.to_owned(), 76),
        (good.replace("Clone Completed", "Clone Ended"), 0),
        // Only the beginning is read.
        ("x".repeat(70_000) + "\n" + good, 0),
        (String::new(), 0),
        ("Number of files: 99999999999999999999\nClone Completed: 1\nExit Code: 0\n".to_owned(), 0),
        ("Number of files: 18446744073709551615\nClone Completed: 1\nExit Code: 0\n".to_owned(), 76),
    ] {
        fs::write(sandbox.marker("stats"), &content).unwrap();
        let run = sandbox.clone(&[]);
        assert_eq!(run.code, code, "{}: {run}", &content[..content.len().min(80)]);
    }
}

#[test]
fn added_exclusions_that_would_delete_most_are_noticed() {
    let sandbox = cloned();
    let file = sandbox.path().join("patterns");
    fs::write(&file, "/000[0-2]\n").unwrap();
    sandbox.clone(&["-t", "-e", &text(&file)]).assert_code(70).assert_log("would be refused with code 76");
    fs::write(&file, "/0000/*\n/0001\n/0002/\n").unwrap();
    let run = sandbox.clone(&["-e", &text(&file)]);
    assert_failure(&sandbox, &run, 76, &sentence(&sandbox, 503, 2005), &["completed", "id", "stats"]);
    assert!(sandbox.destination.join(format!("{STEM}completed")).exists());
    sandbox.clone(&["-e", &text(&file), "--allow-shrink"]).assert_code(0);
}
