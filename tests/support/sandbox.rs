//! A separate machine for each test: a fake host, a source and a destination in a temporary directory.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The default prefix of our files at a destination's root.
pub const STEM: &str = ".me.jedda.counterpart.";

/// The suffix of the record of the last run.
pub const RECORD: &str = "stats.json";

/// The test executable: the product on a fake host.
pub const FAKE_HOST: &str = env!("CARGO_BIN_EXE_counterpart-fake-host");

/// The product itself.
pub const PRODUCT: &str = env!("CARGO_BIN_EXE_counterpart");

/// A temporary directory with everything a run needs.
#[derive(Debug)]
pub struct Sandbox {
    dir: TempDir,
    /// What is cloned.
    pub source: PathBuf,
    /// What becomes the clone.
    pub destination: PathBuf,
}

impl Sandbox {
    /// A Linux host, an empty source and an empty destination.
    pub fn new() -> Self {
        Self::on("linux")
    }

    /// The same in a place that only root can have arranged, as the search for servers requires.
    pub fn of_servers() -> Self {
        Self::made("linux", Path::new("/var/lib"))
    }

    /// A Mac of this version with ownership enabled everywhere.
    pub fn mac(version: &str) -> Self {
        Self::mac_in(version, &std::env::temp_dir())
    }

    /// The same in a place that only root can have arranged.
    pub fn mac_of_root(version: &str) -> Self {
        Self::mac_in(version, Path::new("/var/lib"))
    }

    fn mac_in(version: &str, place: &Path) -> Self {
        let sandbox = Self::made("macos", place);
        sandbox.tool("sw_vers", &format!("echo '{version}'"));
        sandbox.tool("vsdbutil", "echo \"Permissions on '$2' are enabled.\"");
        sandbox.tool("diskutil", "echo 'Could not find disk' >&2; exit 1");
        sandbox
    }

    fn on(system: &str) -> Self {
        Self::made(system, &std::env::temp_dir())
    }

    fn made(system: &str, place: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("counterpart-test-").tempdir_in(place).unwrap();
        for name in ["host/tools", "host/rsync", "source", "destination"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        // Only root writes above a destination, as on a real machine.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("host/system"), system).unwrap();
        let (source, destination) = (dir.path().join("source"), dir.path().join("destination"));
        Self { dir, source, destination }
    }

    /// The temporary directory itself.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The fake host's directory, with `tools/`, `rsync/`, `log/` and `lock/`.
    pub fn host(&self) -> PathBuf {
        self.path().join("host")
    }

    /// The file with this extension in the state of this host's only clone.
    pub fn state_file(&self, extension: &str) -> PathBuf {
        let mut files = fs::read_dir(self.host().join("state")).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|it| it == extension)).unwrap()
    }

    /// Creates an executable POSIX sh script.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path().join(name);
        write_script(&path, body);
        path
    }

    /// Creates a fake system tool.
    pub fn tool(&self, name: &str, body: &str) {
        write_script(&self.host().join("tools").join(name), body);
    }

    /// Creates a fake rsync, which is found before the real one.
    pub fn rsync(&self, body: &str) -> PathBuf {
        let path = self.host().join("rsync/rsync");
        write_script(&path, body);
        path
    }

    /// Puts a file into the source.
    pub fn write(&self, name: impl AsRef<Path>, content: &str) {
        write_below(&self.source, name.as_ref(), content);
    }

    /// Puts a file into the destination.
    pub fn write_destination(&self, name: impl AsRef<Path>, content: &str) {
        write_below(&self.destination, name.as_ref(), content);
    }

    /// The product with these arguments, on the fake host.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        // The test runner may have a signal ignored, as nohup and a shell's `&` do; env becomes the product.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal").arg(FAKE_HOST).args(arguments);
        command.env("COUNTERPART_FAKE_HOST", self.host()).stdin(Stdio::null());
        command
    }

    /// `-s SOURCE -d DESTINATION` and more.
    pub fn arguments(&self, more: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Vec<OsString> {
        let ends =
            [OsStr::new("-s"), self.source.as_os_str(), OsStr::new("-d"), self.destination.as_os_str()];
        let mut arguments: Vec<OsString> = ends.map(OsString::from).into();
        arguments.extend(more.into_iter().map(|argument| argument.as_ref().to_owned()));
        arguments
    }

    /// Clones source to destination, with additional options, and waits for the end.
    pub fn clone(&self, more: &[&str]) -> Finished {
        self.run(self.arguments(more))
    }

    /// Runs the product with exactly these arguments and waits for the end.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Finished {
        Finished::from(self.command(arguments).output().unwrap())
    }

    /// Starts a clone without waiting.
    pub fn start(&self, more: &[&str]) -> Child {
        let arguments = self.arguments(more);
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The path of a marker at the destination, for example `completed`.
    pub fn marker(&self, suffix: &str) -> PathBuf {
        self.destination.join(format!("{STEM}{suffix}"))
    }

    /// The text of a marker.
    pub fn read_marker(&self, suffix: &str) -> String {
        fs::read_to_string(self.marker(suffix)).unwrap()
    }

    /// The suffixes of the markers at the destination, sorted. Leftover temporary files would show here too.
    pub fn markers(&self) -> Vec<String> {
        marks_of(&self.destination)
    }

    /// The record of the last run at the destination, if there is one: it is not among the [`Sandbox::markers`].
    pub fn record(&self) -> Option<serde_json::Value> {
        let text = fs::read_to_string(self.marker(RECORD)).ok()?;
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The paths of all logs, sorted.
    pub fn logs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.host().join("log")) else { return Vec::new() };
        let mut logs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        logs.retain(|path| path.extension().is_none_or(|extension| extension != "changes"));
        logs.sort();
        logs
    }

    /// The path of the list of changes that belongs to the last log, whether or not there is one.
    pub fn changes(&self) -> PathBuf {
        let mut path = self.logs().pop().unwrap().into_os_string();
        path.push(".changes");
        path.into()
    }

    /// The names at the destination's root without our markers, sorted.
    pub fn names(&self) -> Vec<OsString> {
        names_of(&self.destination)
            .into_iter()
            .filter(|name| !name.to_string_lossy().starts_with(STEM))
            .collect()
    }
}

/// The suffixes of the markers in a directory, sorted. The record is omitted: nearly every run leaves one, and
/// `reports` tests it.
pub fn marks_of(dir: &Path) -> Vec<String> {
    let names = names_of(dir);
    let suffixes =
        names.iter().filter_map(|name| name.to_string_lossy().strip_prefix(STEM).map(str::to_owned));
    suffixes.filter(|suffix| suffix != RECORD).collect()
}

/// All names in a directory, sorted.
pub fn names_of(dir: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

fn write_below(dir: &Path, name: &Path, content: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Creates an executable POSIX sh script at a path.
pub fn write_script(path: &Path, body: &str) {
    // Renamed into place: a file that is still open for writing somewhere cannot be executed.
    let temporary = path.with_extension("new");
    fs::write(&temporary, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(temporary, path).unwrap();
}

/// A run that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; -1 when it was killed.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    /// Asserts the exit code, and that the last line reports it.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{self}");
        let last = self.out.lines().last().unwrap_or_default();
        assert!(last.ends_with(&format!(": Counterpart exited with code {code}.")), "the last line: {self}");
        self
    }

    /// Asserts that standard output, which is the log, contains a text.
    #[track_caller]
    pub fn assert_log(&self, text: &str) -> &Self {
        assert!(self.out.contains(text), "{text:?} is not in the log: {self}");
        self
    }

    /// Asserts that standard output does not contain a text.
    #[track_caller]
    pub fn assert_no_log(&self, text: &str) -> &Self {
        assert!(!self.out.contains(text), "{text:?} is in the log: {self}");
        self
    }

    /// Asserts that the log has no warning, except those about this machine's rsync itself.
    #[track_caller]
    pub fn assert_no_warning(&self) -> &Self {
        let of_rsync =
            |line: &&str| line.starts_with("Warning: rsync ") && line.contains(" has known holes ");
        let warnings: Vec<&str> = self
            .messages()
            .into_iter()
            .filter(|line| line.starts_with("Warning: ") && !of_rsync(line))
            .collect();
        assert!(warnings.is_empty(), "{warnings:?}: {self}");
        self
    }

    /// Asserts the whole of standard error: the failure in one sentence, or nothing.
    #[track_caller]
    pub fn assert_err(&self, text: &str) -> &Self {
        assert_eq!(self.err, text, "{self}");
        self
    }

    /// The log's messages, without time and process ID.
    pub fn messages(&self) -> Vec<&str> {
        self.out.lines().map(|line| line.split_once("]: ").map_or(line, |(_, message)| message)).collect()
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "code {}\n--- out\n{}--- err\n{}", self.code, self.out, self.err)
    }
}

/// Waits until something holds, for up to five minutes, as the machine may be busy; returns whether it did.
pub fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(300);
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
