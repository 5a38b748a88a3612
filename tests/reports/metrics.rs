//! `--metrics-file`, read by the programs it is for: promtool and prometheus-node-exporter.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::fakes;
use crate::support::killed::Killed;
use crate::support::nobody;
use crate::support::sandbox::{Finished, Sandbox, names_of, wait_until};

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A sandbox with a directory for metrics.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    fs::create_dir(dir(&sandbox)).unwrap();
    sandbox
}

fn dir(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("metrics")
}

fn file(sandbox: &Sandbox) -> PathBuf {
    dir(sandbox).join("clone.prom")
}

/// Clones with the metrics file and more options.
fn clone(sandbox: &Sandbox, more: &[&str]) -> Finished {
    let file = file(sandbox);
    // Some of the fake rsyncs count more than there is.
    sandbox.clone(&[&["--allow-shrink", "--metrics-file", file.to_str().unwrap()], more].concat())
}

/// What promtool says of a text: nothing, if it is as Prometheus wants it.
fn promtool(text: &str) -> String {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    format!("{}{}", if output.status.success() { "" } else { "failed: " }, String::from_utf8(said).unwrap())
}

/// The checked text of the metrics file; nothing else is in its directory.
#[track_caller]
fn text(sandbox: &Sandbox) -> String {
    assert_eq!(names_of(&dir(sandbox)), ["clone.prom"]);
    let text = fs::read_to_string(file(sandbox)).unwrap();
    assert_eq!(promtool(&text), "", "{text}");
    assert_eq!(fs::metadata(file(sandbox)).unwrap().permissions().mode() & 0o7777, 0o644);
    text
}

/// The value of a metric that has no label but the destination.
fn value(text: &str, name: &str, destination: &Path) -> Option<f64> {
    let start = format!("{name}{{destination=\"{}\"}} ", destination.display());
    text.lines().find_map(|line| line.strip_prefix(&start)).map(|value| value.parse().unwrap())
}

/// Asserts how the last run ended, and when the last success was.
#[track_caller]
fn assert_end(sandbox: &Sandbox, code: u8, outcome: &str, last_success: Option<f64>) {
    let text = text(sandbox);
    let of = |name: &str| value(&text, name, &sandbox.destination);
    assert_eq!(of("counterpart_exit_code"), Some(f64::from(code)), "{text}");
    let is_true: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("counterpart_outcome{") && line.ends_with(" 1"))
        .collect();
    assert_eq!(is_true.len(), 1, "{text}");
    assert!(is_true[0].contains(&format!(",outcome=\"{outcome}\"}} ")), "{text}");
    assert_eq!(of("counterpart_last_success_timestamp_seconds"), last_success, "{text}");
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 have 31 bits")]
    let now = now() as f64;
    let run = of("counterpart_last_run_timestamp_seconds").unwrap();
    assert!((now - 60.0..=now).contains(&run), "{text}");
    assert!((0.0..60.0).contains(&of("counterpart_duration_seconds").unwrap()), "{text}");
}

fn last_success(sandbox: &Sandbox) -> Option<f64> {
    value(&text(sandbox), "counterpart_last_success_timestamp_seconds", &sandbox.destination)
}

#[test]
fn every_end_leaves_metrics_and_the_last_success_outlives_failures() {
    let sandbox = sandbox();
    // Refused before anything was known.
    sandbox.write_destination("precious", "x");
    clone(&sandbox, &[]).assert_code(76);
    assert_end(&sandbox, 76, "failed", None);
    clone(&sandbox, &["--adopt"]).assert_code(0).assert_err("");
    let success = last_success(&sandbox);
    let stats = fs::metadata(sandbox.marker("completed")).unwrap().modified().unwrap();
    let completed = stats.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((success.unwrap() - completed).abs() <= 2.0, "{success:?} {completed}");
    assert_end(&sandbox, 0, "success", success);
    clone(&sandbox, &["-e", "/nonexistent"]).assert_code(67);
    assert_end(&sandbox, 67, "failed", success);
    clone(&sandbox, &["--rsync", "/nonexistent"]).assert_code(85);
    assert_end(&sandbox, 85, "failed", success);
    let kept = sandbox.path().join("kept");
    fs::rename(&sandbox.destination, &kept).unwrap();
    clone(&sandbox, &[]).assert_code(66);
    assert_end(&sandbox, 66, "failed", success);
    clone(&sandbox, &["--skip-if-missing"]).assert_code(0);
    assert_end(&sandbox, 0, "skipped", success);
    fs::rename(&kept, &sandbox.destination).unwrap();
    // A warning is a success, and counts.
    let post = sandbox.script("post", "exit 1");
    clone(&sandbox, &["-o", post.to_str().unwrap()]).assert_code(0);
    let later = last_success(&sandbox);
    assert!(later >= success);
    assert_end(&sandbox, 0, "warning", later);
    assert_eq!(value(&text(&sandbox), "counterpart_warnings", &sandbox.destination), Some(1.0));
    fakes::rsync(&sandbox, "kill -TERM $PPID; sleep 20");
    clone(&sandbox, &[]).assert_code(20);
    assert_end(&sandbox, 20, "failed", later);
}

#[test]
fn the_numbers_are_rsyncs() {
    let sandbox = sandbox();
    fakes::rsync(&sandbox, "statistics");
    clone(&sandbox, &[]).assert_code(0);
    let told = text(&sandbox);
    for (name, number) in [
        ("counterpart_files", 1507.0),
        ("counterpart_created_files", 1506.0),
        ("counterpart_deleted_files", 1.0),
        ("counterpart_transferred_files", 1501.0),
        ("counterpart_size_bytes", 24_697_752.0),
        ("counterpart_transferred_bytes", 12_352_071.0),
        ("counterpart_literal_bytes", 12_352_071.0),
        ("counterpart_matched_bytes", 0.0),
        ("counterpart_warnings", 0.0),
    ] {
        assert_eq!(value(&told, name, &sandbox.destination), Some(number), "{name}: {told}");
    }
    // What was not counted is not told, least of all as yesterday's number.
    fakes::rsync(&sandbox, "exit 11");
    clone(&sandbox, &[]).assert_code(11);
    assert_eq!(value(&text(&sandbox), "counterpart_files", &sandbox.destination), None);
}

#[test]
fn another_run_that_is_refused_for_the_lock_leaves_its_own() {
    let sandbox = sandbox();
    let go = sandbox.path().join("go");
    let pre = sandbox.script(
        "pre",
        &format!("touch '{0}-began'; while [ ! -e '{0}' ]; do sleep 0.05; done", go.display()),
    );
    let first = sandbox.start(&["-p", pre.to_str().unwrap()]);
    assert!(wait_until(|| go.with_file_name("go-began").exists()));
    clone(&sandbox, &[]).assert_code(80);
    assert_end(&sandbox, 80, "failed", None);
    fs::write(go, "").unwrap();
    Finished::from(first.wait_with_output().unwrap()).assert_code(0);
}

#[test]
fn without_the_machines_memory_the_file_remembers_itself() {
    let sandbox = sandbox();
    clone(&sandbox, &[]).assert_code(0);
    let success = last_success(&sandbox);
    let state = sandbox.host().join("state");
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "a file is in the way").unwrap();
    clone(&sandbox, &["--adopt", "-e", "/nonexistent"]).assert_code(67);
    assert_end(&sandbox, 67, "failed", success);
    // Nor is a damaged or strange file any harm.
    fs::write(file(&sandbox), b"\xff\0{}{counterpart_last_success_timestamp_seconds").unwrap();
    clone(&sandbox, &["--adopt", "-e", "/nonexistent"]).assert_code(67);
    assert_end(&sandbox, 67, "failed", None);
}

#[test]
fn a_success_by_a_clock_that_was_ahead_is_not_carried_on() {
    let sandbox = sandbox();
    clone(&sandbox, &[]).assert_code(0);
    let ahead = now() + 10 * 365 * 86_400;
    let told: String = text(&sandbox)
        .lines()
        .map(|line| match line.rsplit_once(' ') {
            Some((start, _)) if start.starts_with("counterpart_last_success") => format!("{start} {ahead}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(told.contains(&ahead.to_string()));
    fs::write(file(&sandbox), told).unwrap();
    let state = sandbox.host().join("state");
    let memory = fs::read_dir(&state).unwrap().next().unwrap().unwrap().path();
    let mut known: serde_json::Value = serde_json::from_slice(&fs::read(&memory).unwrap()).unwrap();
    known["last_success"]["ended"]["epoch"] = ahead.into();
    fs::write(&memory, known.to_string()).unwrap();
    fs::remove_file(sandbox.source.join("file")).unwrap();
    for _ in 0..2 {
        clone(&sandbox, &[]).assert_code(65);
        assert_eq!(last_success(&sandbox), None);
        let _ = fs::remove_dir_all(&state);
    }
}

#[test]
fn a_run_without_root_leaves_metrics_too() {
    let sandbox = sandbox();
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    nobody::give(&dir(&sandbox));
    let file = file(&sandbox);
    let finished = nobody::run(&sandbox, sandbox.arguments(["--metrics-file", file.to_str().unwrap()]));
    assert_eq!(finished.code, 1, "{finished}");
    assert_end(&sandbox, 1, "failed", None);
}

#[test]
fn a_test_run_leaves_none() {
    let sandbox = sandbox();
    clone(&sandbox, &["-t"]).assert_code(70);
    assert_eq!(names_of(&dir(&sandbox)), [] as [&str; 0]);
}

#[test]
fn names_of_every_kind_are_a_label() {
    let mut sandbox = sandbox();
    sandbox.destination = sandbox.path().join("a\\b\"c\nd\u{fc}{}");
    fs::create_dir(&sandbox.destination).unwrap();
    for _ in 0..2 {
        clone(&sandbox, &[]).assert_code(0);
        let text = text(&sandbox);
        let label = "/a\\\\b\\\"c\\\\#012d\u{fc}{}\"} 0\n";
        assert!(text.contains(&format!("{label}# HELP counterpart_outcome ")), "{text}");
    }
    let success = |sandbox: &Sandbox| {
        let text = text(sandbox);
        text.lines()
            .find(|line| line.starts_with("counterpart_last_success_timestamp_seconds{"))
            .map(str::to_owned)
    };
    let before = success(&sandbox);
    assert!(before.is_some());
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    clone(&sandbox, &["--rsync", "/nonexistent"]).assert_code(85);
    assert_eq!(success(&sandbox), before);
}

#[test]
fn a_name_that_the_collector_does_not_read_is_refused() {
    let sandbox = sandbox();
    for name in ["clone.txt", "clone", "clone.prom.old", ".prom", "clone.PROM", ""] {
        let path =
            if name.is_empty() { String::new() } else { dir(&sandbox).join(name).display().to_string() };
        let finished = sandbox.clone(&["--metrics-file", &path]);
        assert_eq!(finished.code, 2, "{name}: {finished}");
        assert!(finished.err.contains("--metrics-file"), "{finished}");
    }
    assert_eq!(sandbox.markers(), [] as [&str; 0]);
    assert_eq!(names_of(&dir(&sandbox)), [] as [&str; 0]);
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning() {
    let sandbox = sandbox();
    let target = dir(&sandbox);
    fs::remove_dir(&target).unwrap();
    let warning = |why: &str| {
        format!("Warning: the metrics could not be written to {}: {why}.", file(&sandbox).display())
    };
    clone(&sandbox, &[]).assert_code(0).assert_err("").assert_log(&warning("No such file or directory"));
    fs::create_dir_all(file(&sandbox).join("precious")).unwrap();
    clone(&sandbox, &[]).assert_code(0).assert_log(&warning("it is a directory"));
    assert!(file(&sandbox).join("precious").exists());
    assert_eq!(sandbox.record().unwrap()["outcome"], "success");
}

#[test]
fn planted_links_are_replaced_and_leftovers_removed() {
    let sandbox = sandbox();
    let precious = sandbox.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, file(&sandbox)).unwrap();
    fs::write(dir(&sandbox).join("clone.prom.tmp-01234567"), "half").unwrap();
    clone(&sandbox, &["-e", "/nonexistent"]).assert_code(67);
    assert_end(&sandbox, 67, "failed", None);
    assert!(fs::symlink_metadata(file(&sandbox)).unwrap().is_file());
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
    // A link to the directory itself is the administrator's own.
    let link = sandbox.path().join("link");
    symlink(dir(&sandbox), &link).unwrap();
    let path = link.join("clone.prom");
    sandbox.clone(&["--metrics-file", path.to_str().unwrap()]).assert_code(0);
    assert_eq!(value(&text(&sandbox), "counterpart_exit_code", &sandbox.destination), Some(0.0));
}

/// A real exporter that reads the directory, killed at the end.
struct Exporter {
    _child: Killed,
    port: u16,
}

impl Exporter {
    fn start(dir: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus-node-exporter")
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .arg(format!("--collector.textfile.directory={}", dir.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let exporter = Self { _child: Killed(child), port };
        assert!(wait_until(|| exporter
            .scrape()
            .is_some_and(|page| page.contains("node_textfile_scrape_error"))));
        exporter
    }

    /// What Prometheus would get.
    fn scrape(&self) -> Option<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        connection.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut page = String::new();
        connection.read_to_string(&mut page).ok()?;
        Some(page)
    }
}

#[test]
fn a_real_exporter_serves_them() {
    let sandbox = sandbox();
    clone(&sandbox, &[]).assert_code(0);
    let exporter = Exporter::start(&dir(&sandbox));
    let written = text(&sandbox);
    let page = exporter.scrape().unwrap();
    assert!(page.contains("\nnode_textfile_scrape_error 0\n"), "{page}");
    let samples: Vec<&str> = written.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(samples.len() > 14, "{written}");
    for sample in samples {
        // The exporter writes large numbers with an exponent.
        let (name, number) = sample.rsplit_once(' ').unwrap();
        let served =
            page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {page}"));
        let (served, number): (f64, f64) = (served.trim().parse().unwrap(), number.parse().unwrap());
        assert!((served - number).abs() < 0.001, "{sample}: {served}");
    }
    clone(&sandbox, &["-e", "/nonexistent"]).assert_code(67);
    let page = exporter.scrape().unwrap();
    let line = format!("\ncounterpart_exit_code{{destination=\"{}\"}} 67\n", sandbox.destination.display());
    assert!(page.contains(&line), "{page}");
}
