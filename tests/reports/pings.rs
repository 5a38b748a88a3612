//! `--ping`: what a monitoring service receives, and that nothing it does or fails to do affects a run.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::reports::server::{Answer, Server};
use crate::support::fakes;
use crate::support::sandbox::{Finished, Sandbox, wait_until};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// Clones with more options, and without what the machine of the tests has for a proxy.
pub fn clone(sandbox: &Sandbox, more: &[&str]) -> Finished {
    // Some of the fake rsyncs count more than there is.
    let mut command = sandbox.command(sandbox.arguments([&["--allow-shrink"], more].concat()));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    Finished::from(command.output().unwrap())
}

fn warnings(finished: &Finished) -> Vec<&str> {
    finished.messages().into_iter().filter(|line| line.contains("could not be pinged at")).collect()
}

#[test]
fn the_beginning_and_the_success_are_told_in_this_order() {
    let sandbox = sandbox();
    let server = Server::kind();
    let finished = clone(&sandbox, &["--ping", &server.url("/secret-uuid")]);
    finished.assert_code(0).assert_err("").assert_no_log("secret-uuid");
    assert_eq!(warnings(&finished), [] as [&str; 0]);
    let asked = server.asked();
    assert_eq!(server.whats(), ["GET /secret-uuid/start", "POST /secret-uuid"]);
    assert_eq!(asked[0].body, "");
    let agent = format!("user-agent: counterpart/{}", env!("CARGO_PKG_VERSION"));
    assert!(asked.iter().all(|asked| asked.head.contains(&agent)), "{asked:?}");
    // The code, then the last lines of the log as they are in the log.
    let mut lines = asked[1].body.lines();
    assert_eq!(lines.next(), Some("Exit code 0, success."));
    let told: Vec<&str> = lines.collect();
    assert!(told.len() > 5, "{told:?}");
    let [.., complete, listed] = &told[..] else { panic!("{told:?}") };
    assert!(complete.ends_with(": The clone is complete.") && listed.contains(" is listed in "), "{told:?}");
    let logged: Vec<&str> = finished.out.lines().collect();
    assert!(logged.windows(told.len()).any(|window| window == told), "{told:?}");
}

#[test]
fn the_start_is_told_before_rsync_runs() {
    let sandbox = sandbox();
    let server = Server::kind();
    let go = sandbox.path().join("go");
    let pre = sandbox.script("pre", &format!("while [ ! -e '{}' ]; do sleep 0.05; done", go.display()));
    let child = sandbox.start(&["-p", pre.to_str().unwrap(), "--ping", &server.url("/x")]);
    assert!(wait_until(|| server.whats() == ["GET /x/start"]));
    fs::write(go, "").unwrap();
    Finished::from(child.wait_with_output().unwrap()).assert_code(0);
    assert_eq!(server.whats(), ["GET /x/start", "POST /x"]);
}

#[test]
fn a_failure_is_told_with_its_reason() {
    let sandbox = fakes::sandbox(
        "i=0; while [ $i -lt 200 ]; do echo \"line $i $(printf %0800d 0)\"; i=$((i+1)); done; statistics; exit 23",
    );
    let server = Server::kind();
    let finished = clone(&sandbox, &["--ping", &server.url("/a/b/?create=1")]);
    finished.assert_code(23);
    assert_eq!(server.whats(), ["GET /a/b/start?create=1", "POST /a/b/fail?create=1"]);
    let body = &server.asked()[1].body;
    let mut lines = body.lines();
    assert_eq!(lines.next(), Some("Exit code 23, failed."));
    assert_eq!(lines.next(), Some(sandbox.read_marker("error").trim_end()));
    assert!(body.len() <= 10_000, "{}", body.len());
    assert!(body.contains("Error: rsync ended with code 23"), "{body}");
    assert!(lines.all(|line| line.contains(" Counterpart[")), "{body}");
}

#[test]
fn the_last_lines_are_told_when_the_log_cannot_be_written() {
    let sandbox = sandbox();
    let server = Server::kind();
    let finished = clone(&sandbox, &["--log-dir", "/proc/nothing", "--ping", &server.url("/x")]);
    finished.assert_code(0);
    assert!(server.asked()[1].body.contains("The clone is complete."), "{:?}", server.asked());
}

#[test]
fn refusals_are_told_and_complete_clones_with_warnings_are_no_failures() {
    let sandbox = sandbox();
    let server = Server::kind();
    sandbox.write_destination("precious", "x");
    clone(&sandbox, &["--ping", &server.url("/76")]).assert_code(76);
    assert_eq!(server.whats(), ["GET /76/start", "POST /76/fail"]);
    // A failure before the destination is known has no beginning.
    clone(&sandbox, &["--rsync", "/nonexistent", "--ping", &server.url("/85")]).assert_code(85);
    assert_eq!(server.whats()[2..], ["POST /85/fail"]);
    fakes::rsync(&sandbox, "echo \"file has vanished: \\\"${source}gone\\\"\" >&2; statistics; exit 24");
    clone(&sandbox, &["--adopt", "--ping", &server.url("/24")]).assert_code(24);
    assert_eq!(server.whats()[3..], ["GET /24/start", "POST /24"]);
    assert!(server.asked()[4].body.starts_with("Exit code 24, warning.\n"), "{:?}", server.asked()[4]);
}

#[test]
fn test_runs_and_skipped_runs_say_nothing() {
    let sandbox = sandbox();
    let server = Server::kind();
    clone(&sandbox, &["-t", "--ping", &server.url("/x")]).assert_code(70);
    fs::remove_dir(&sandbox.destination).unwrap();
    clone(&sandbox, &["--skip-if-missing", "--ping", &server.url("/x")]).assert_code(0);
    assert_eq!(server.whats(), [] as [&str; 0]);
}

/// Clones with a service that behaves so, successfully and with a failure, and compares with runs without a service.
#[track_caller]
fn changes_nothing(url: &str, why: &str) {
    for (body, code, markers) in [
        ("statistics", 0, ["completed", "id", "stats"]),
        ("statistics; exit 23", 23, ["error", "id", "stats"]),
    ] {
        let sandbox = fakes::sandbox(body);
        let began = Instant::now();
        let finished = clone(&sandbox, &["--ping", url]);
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        finished.assert_code(code);
        assert_eq!(sandbox.markers(), markers);
        let quiet = clone(&sandbox, &[]);
        quiet.assert_code(code);
        assert_eq!(quiet.err, finished.err);
        let host = url.rsplit_once(':').unwrap().0;
        let expected = ["the beginning", "the end"]
            .map(|of| format!("Warning: {host} could not be pinged at {of} of the run: {why}."));
        assert_eq!(warnings(&finished), expected);
        let record = sandbox.record().unwrap();
        assert_eq!(record["warnings"]["first"], serde_json::json!([]), "{record:#}");
    }
}

#[test]
fn a_service_that_refuses_changes_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    changes_nothing(&format!("http://127.0.0.1:{closed}/x"), "Connection refused");
}

#[test]
fn a_service_that_answers_with_an_error_changes_nothing() {
    let server = Server::start(|_| Answer::status("500 Internal Server Error"));
    changes_nothing(&server.url("/x"), "it answered with status 500");
    let server = Server::start(|_| Answer::status("404 Not Found"));
    changes_nothing(&server.url("/x"), "it answered with status 404");
}

#[test]
fn a_service_that_talks_nonsense_changes_nothing() {
    let server = Server::start(|_| Answer::With("no status at all", "\r\n\u{0}\r\n".to_owned(), ""));
    changes_nothing(&server.url("/x"), "its answer cannot be understood");
}

#[test]
fn a_service_that_hangs_changes_nothing() {
    let server = Server::start(|_| Answer::Never);
    changes_nothing(&server.url("/x"), "there was no answer within 10 seconds");
}

#[test]
fn a_service_that_drips_changes_nothing() {
    let server = Server::start(|_| Answer::Drip);
    changes_nothing(&server.url("/x"), "there was no answer within 10 seconds");
}

#[test]
fn a_service_that_hangs_up_changes_nothing() {
    let server = Server::start(|_| Answer::HangUp);
    let sandbox = sandbox();
    let finished = clone(&sandbox, &["--ping", &server.url("/x")]);
    finished.assert_code(0).assert_err("");
    assert_eq!(warnings(&finished).len(), 2, "{finished}");
}

#[test]
fn a_body_without_end_is_not_read() {
    let server = Server::start(|_| Answer::With("200 OK", "X-Rest: follows\r\n".to_owned(), "OK"));
    let sandbox = sandbox();
    let finished = clone(&sandbox, &["--ping", &server.url("/x")]);
    finished.assert_code(0);
    assert_eq!(warnings(&finished), [] as [&str; 0]);
}

#[test]
fn redirects_are_followed() {
    for (status, then) in [
        ("301 Moved Permanently", "GET /there"),
        ("302 Found", "GET /there"),
        ("307 Temporary Redirect", "GET /there"),
        ("308 Permanent Redirect", "GET /there"),
    ] {
        let server = Server::start(move |asked| {
            if asked.what.contains("there") {
                Answer::status("200 OK")
            } else {
                Answer::With(status, "Location: /there\r\n".to_owned(), "")
            }
        });
        let sandbox = sandbox();
        let finished = clone(&sandbox, &["--ping", &server.url("/here")]);
        finished.assert_code(0);
        assert_eq!(warnings(&finished), [] as [&str; 0], "{status}");
        let whats = server.whats();
        assert_eq!(whats[..2], ["GET /here/start", "GET /there"], "{status}");
        assert_eq!((whats[2].as_str(), whats.last().unwrap().as_str()), ("POST /here", then), "{status}");
    }
    let server = Server::start(|_| Answer::With("302 Found", "Location: /round\r\n".to_owned(), ""));
    changes_nothing(&server.url("/x"), "it redirects too many times");
}

#[test]
fn a_signal_does_not_wait_for_a_service() {
    let server =
        Server::start(
            |asked| {
                if asked.what.ends_with("/start") { Answer::status("200 OK") } else { Answer::Never }
            },
        );
    let sandbox = sandbox();
    let child = sandbox.start(&["--ping", &server.url("/x")]);
    assert!(wait_until(|| server.whats().len() == 2), "{:?}", server.whats());
    let signalled = Instant::now();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let finished = Finished::from(child.wait_with_output().unwrap());
    assert!(signalled.elapsed() < Duration::from_secs(6), "{:?}", signalled.elapsed());
    // The clone was complete by then.
    finished.assert_code(0).assert_log("the end of the run: SIGINT arrived while waiting for the answer.");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn an_interrupted_clone_is_told_as_a_failure() {
    let server = Server::kind();
    let sandbox = fakes::sandbox("kill -TERM $PPID; sleep 20");
    clone(&sandbox, &["--ping", &server.url("/x")]).assert_code(20);
    assert_eq!(server.whats(), ["GET /x/start", "POST /x/fail"]);
    assert!(server.asked()[1].body.starts_with("Exit code 20, failed.\n"), "{:?}", server.asked());
}

#[test]
fn other_addresses_are_refused_before_anything_happens() {
    let sandbox = sandbox();
    for (url, why) in [
        ("ftp://h/x", "it does not begin with https:// or http://"),
        ("hc-ping.com/x", "it is not a URL: write https://HOST/PATH"),
        ("https://", "it is not a URL: write https://HOST/PATH"),
        ("", "it is not a URL: write https://HOST/PATH"),
    ] {
        let finished = sandbox.clone(&["--ping", url]);
        assert_eq!(finished.code, 2, "{finished}");
        assert!(finished.err.contains(why), "{url}: {finished}");
    }
    assert_eq!(sandbox.markers(), [] as [&str; 0]);
}
