//! Those who fill the clone cannot control how much memory a net takes.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use xattr::FileExt as _;

use crate::safety_net::scene::{only_net, restore};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::Sandbox;

/// The most memory that the product itself has had at a time, in kilobytes. rsync's own is not in it.
fn peak_of(mut command: Command) -> (i32, u64) {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut child, mut peak) = (child, 0);
    loop {
        // The kernel keeps the highest, so the last look tells it.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code().unwrap_or(-1), peak);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Many directories with an attribute that takes next to no room on the disk, since ext4 keeps what is the same once.
fn fill(dir: &Path, number: u32) {
    let value = vec![b'x'; 3000];
    for one in 0..number {
        let path = dir.join(format!("directory {one}"));
        fs::create_dir(&path).unwrap();
        fs::File::open(&path).unwrap().set_xattr("user.large", &value).unwrap();
    }
}

#[test]
fn attributes_of_many_directories_take_no_memory_and_come_back() {
    let (source, destination) = (LoopDisk::new("ext4", 128, &[], ""), LoopDisk::new("ext4", 192, &[], ""));
    let mut sandbox = Sandbox::new();
    (sandbox.source, sandbox.destination) = (source.path().join("s"), destination.path().into());
    fs::create_dir(&sandbox.source).unwrap();
    fill(&sandbox.source, 20_000);
    sandbox.write("gone/file", "content");
    fs::File::open(sandbox.source.join("gone")).unwrap().set_xattr("user.large", &[b'y'; 3000]).unwrap();
    sandbox.clone(&[]).assert_code(0);
    let plain = peak_of(sandbox.command(sandbox.arguments([] as [&str; 0])));
    fs::remove_dir_all(sandbox.source.join("gone")).unwrap();
    let with_net = peak_of(sandbox.command(sandbox.arguments(["--safety-net"])));
    assert_eq!((plain.0, with_net.0), (0, 0));
    assert!(plain.1 > 1000, "it was not seen: {plain:?}");
    // Two blocks of what is kept in memory, and nothing of the 60 MB that the attributes have.
    assert!(with_net.1 < plain.1 + 16_000, "{} kB with a net, {} without", with_net.1, plain.1);
    let net = only_net(&sandbox);
    let kept = fs::File::open(net.join("gone")).unwrap().get_xattr("user.large").unwrap();
    assert_eq!(kept.unwrap(), [b'y'; 3000]);
    assert_eq!(fs::read_dir(&net).unwrap().count(), 1);
}

#[test]
fn a_net_of_many_links_is_listed_in_little_memory() {
    let disk = LoopDisk::new("ext4", 96, &["-N", "60000"], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    let net = crate::safety_net::scene::make_net(&sandbox, "2026-01-02_03-04-05");
    for one in 0..200 {
        let dir = net.join(format!("directory {one}"));
        fs::create_dir(&dir).unwrap();
        for file in 0..100 {
            fs::write(dir.join(file.to_string()), "").unwrap();
            fs::hard_link(dir.join(file.to_string()), dir.join(format!("link {file}"))).unwrap();
        }
    }
    let mut command = sandbox.command(["restore", "--list", "-d"]);
    command.arg(&sandbox.destination);
    let (code, peak) = peak_of(command);
    assert_eq!(code, 0);
    assert!(peak < 30_000, "{peak} kB");
    let run = restore(&sandbox, ["--list"]);
    assert!(run.out.contains("40201 entries"), "{run}");
}

#[test]
fn a_directory_with_more_attributes_than_fit_in_memory_is_as_it_was() {
    // XFS keeps as many as there is room for.
    let (source, destination) = (LoopDisk::new("xfs", 320, &[], ""), LoopDisk::new("xfs", 320, &[], ""));
    let mut sandbox = Sandbox::new();
    (sandbox.source, sandbox.destination) = (source.path().join("s"), destination.path().into());
    fs::create_dir(&sandbox.source).unwrap();
    sandbox.write("gone/file", "content");
    sandbox.write("stays", "content");
    let dir = fs::File::open(sandbox.source.join("gone")).unwrap();
    let value = |number: u32| vec![u8::try_from(number).unwrap(); 60_000];
    for number in 0..120 {
        dir.set_xattr(format!("user.number {number}"), &value(number)).unwrap();
    }
    sandbox.clone(&[]).assert_code(0);
    fs::remove_dir_all(sandbox.source.join("gone")).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_no_log("did not get their properties back");
    let kept = fs::File::open(only_net(&sandbox).join("gone")).unwrap();
    for number in 0..120 {
        let found = kept.get_xattr(format!("user.number {number}")).unwrap();
        assert!(found.is_some_and(|found| found == value(number)), "{number}");
    }
}
