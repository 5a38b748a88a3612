//! Helpers for the tests of faults: slow transfers, the processes of a run, and what must remain.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::audit::{Options, What, assert_same, audit};
use crate::support::sandbox::{Finished, Sandbox, wait_until};
use crate::support::tree::{many_files, noise};

/// The real rsync.
pub const RSYNC: &str = "/usr/bin/rsync";

/// Puts `count` files of 256 KiB into the source.
pub fn quarter_megabytes(sandbox: &Sandbox, count: u64) {
    for number in 0..count {
        fs::write(sandbox.source.join(format!("{number:03}")), noise(number + 1, 256 * 1024)).unwrap();
    }
}

/// So few KiB per second that what happens during the transfer does so on a busy machine too. What cannot be read takes as
/// long, and is tried twice.
pub const SLOWLY: u32 = 500;

/// Limits the transfer itself, and nothing else that rsync does, to this many KiB per second.
pub fn slow_down(sandbox: &Sandbox, kib_per_second: u32) {
    on_transfer(sandbox, &format!("exec {RSYNC} --bwlimit={kib_per_second} \"$@\""));
}

/// Runs `body` instead of the transfer; everything else is done by the real rsync.
pub fn on_transfer(sandbox: &Sandbox, body: &str) {
    sandbox.rsync(&format!("case \" $* \" in *' --stats '*) {body} ;; esac\nexec {RSYNC} \"$@\""));
}

/// A command for the body of [`on_transfer`] that runs in the machine's mount namespace: rsync itself sees no disks
/// other than source and destination.
pub fn beside(sandbox: &Sandbox, body: &str) -> String {
    let script = sandbox.script("beside", body);
    format!("nsenter -t $PPID -m '{}'", text(&script))
}

/// Waits until files begin to arrive at the destination.
pub fn wait_for_files(sandbox: &Sandbox) {
    let has_some = || sandbox.names().iter().any(|name| name != "lost+found");
    assert!(wait_until(has_some), "nothing arrives at the destination");
}

/// Waits until a file exists.
pub fn wait_for(path: &Path) {
    assert!(wait_until(|| path.exists()), "{} does not appear", path.display());
}

/// A run in the background that does not outlive its test.
#[derive(Debug)]
pub struct Running(Option<Child>);

impl Running {
    /// Starts a clone.
    pub fn start(sandbox: &Sandbox, more: &[&str]) -> Self {
        Self(Some(sandbox.start(more)))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    /// Its process ID.
    pub fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.as_ref().unwrap().id()).unwrap())
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits for its end, for up to five minutes: a busy machine needs its time.
    pub fn finish(mut self) -> Finished {
        let child = self.0.take().unwrap();
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let (done, is_done) = std::sync::mpsc::channel();
        let watchdog = std::thread::spawn(move || {
            if is_done.recv_timeout(Duration::from_secs(300)).is_err() {
                let _ = kill(id, Signal::SIGKILL);
            }
        });
        let output = child.wait_with_output().unwrap();
        let _ = done.send(());
        watchdog.join().unwrap();
        Finished::from(output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The process IDs with this as an argument, with or without a trailing slash.
pub fn processes_with(argument: &Path) -> Vec<Pid> {
    let wanted = argument.as_os_str().as_bytes();
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let number: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = fs::read(format!("/proc/{number}/cmdline")).ok()?;
        let has = line.split(|byte| *byte == 0).any(|part| part.strip_suffix(b"/").unwrap_or(part) == wanted);
        has.then_some(Pid::from_raw(number))
    });
    numbers.collect()
}

/// The destination's path in the private view.
pub fn in_view(sandbox: &Sandbox) -> PathBuf {
    sandbox.host().join("lock/destination")
}

/// The process IDs of a run's rsyncs, the one it started first.
pub fn rsyncs(sandbox: &Sandbox) -> Vec<Pid> {
    // Most are given the destination's path in the view.
    let mut found = processes_with(&in_view(sandbox));
    found.extend(processes_with(&sandbox.destination));
    found
        .retain(|id| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "rsync"));
    found.sort();
    found
}

/// Does something while the rsyncs of a run are stopped, however long it takes.
pub fn meanwhile(sandbox: &Sandbox, happening: impl FnOnce()) {
    let stopped = rsyncs(sandbox);
    for id in &stopped {
        kill(*id, Signal::SIGSTOP).unwrap();
    }
    happening();
    for id in &stopped {
        kill(*id, Signal::SIGCONT).unwrap();
    }
}

/// Asserts that no rsync of this sandbox remains, allowing a moment for it to end.
#[track_caller]
pub fn assert_no_rsync(sandbox: &Sandbox) {
    assert!(wait_until(|| rsyncs(sandbox).is_empty()), "rsync is still running: {:?}", rsyncs(sandbox));
}

/// Asserts that the destination has nothing that the source lacks, such as rsync's temporary files.
#[track_caller]
pub fn assert_nothing_extra(sandbox: &Sandbox) {
    let extra: Vec<_> = audit(&sandbox.source, &sandbox.destination, &Options::default())
        .into_iter()
        .filter(|difference| difference.what == What::Extra)
        .map(|difference| difference.to_string())
        .collect();
    assert!(extra.is_empty(), "{extra:?}");
}

/// Asserts that the destination is the exact clone.
#[track_caller]
pub fn assert_clone(sandbox: &Sandbox) {
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

/// Asserts a failure everywhere it shows: the code, all of standard error, the log, the markers.
#[track_caller]
pub fn assert_failure(sandbox: &Sandbox, run: &Finished, code: i32, sentence: &str, markers: &[&str]) {
    run.assert_code(code).assert_err(&format!("counterpart: {sentence}\n"));
    run.assert_log(&format!(": Error: {sentence}\n"));
    assert_eq!(sandbox.markers(), markers, "{run}");
    if markers.contains(&"error") {
        assert_eq!(sandbox.read_marker("error"), format!("{sentence}\n"));
    }
}

/// The message on standard error.
pub fn sentence(run: &Finished) -> &str {
    run.err.strip_prefix("counterpart: ").and_then(|text| text.strip_suffix('\n')).unwrap_or(&run.err)
}

/// A source of several thousand small files.
pub fn thousands(sandbox: &Sandbox, count: usize) {
    many_files(&sandbox.source, count, 300);
}

/// Runs a tool that must succeed within ten minutes: a busy machine needs its time.
#[track_caller]
pub fn tool(name: &str, arguments: &[&OsStr]) -> String {
    let output =
        Command::new("/usr/bin/timeout").args(["-k", "5", "600", name]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A path as text.
pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A directory made below another.
pub fn dir(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    fs::create_dir(&path).unwrap();
    path
}
