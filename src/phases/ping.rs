//! Tells a monitoring service that a run starts and how it ended, in the style of healthchecks.io. Nothing that happens
//! here affects the run.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::display;
use crate::failure::Failure;
use crate::fs::private_file;
use crate::logging::warning;
use crate::plan::Ping;
use crate::plan::ping_url::Address;
use crate::record::{Record, Status};
use crate::run::Run;

/// The time limit for one request, from name resolution to the response.
const LIMIT: Duration = Duration::from_secs(10);

/// The maximum number of redirects followed.
const REDIRECTS: u32 = 5;

/// The most that is sent of the log, in bytes: the services store no more.
const MOST: usize = 10_000;

/// The largest file that holds an address, in bytes.
const LONGEST: u64 = 4096;

/// How often signals are checked while waiting for a response.
const TICK: Duration = Duration::from_millis(50);

/// A request in progress.
#[derive(Debug)]
pub struct Request {
    answer: Receiver<Result<(), String>>,
    deadline: Instant,
}

impl Request {
    /// Sends the request on a thread of its own: whatever the network does, the clone does not wait for it.
    fn send(address: &Address, more: &str, body: Option<String>) -> Self {
        let (sender, answer) = mpsc::channel();
        let (url, encrypted) = (address.with(more), address.is_encrypted());
        std::thread::spawn(move || {
            // The receiver is gone if the run is already over.
            let _ = sender.send(request(&url, encrypted, body.as_deref()));
        });
        Self { answer, deadline: Instant::now() + LIMIT }
    }

    /// Waits for the response until the time limit or a signal.
    fn wait(&self, run: &Run<'_>) -> Result<(), String> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.answer.recv_timeout(left.min(TICK)) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err("the request was broken off".to_owned()),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(too_late()),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(signal) = run.machine.interrupts.received() {
                        return Err(format!("{signal} arrived while waiting for the answer"));
                    }
                }
            }
        }
    }
}

/// The service to report to: none without an address, or with one that cannot be read.
#[derive(Debug)]
pub struct Service {
    address: Result<Option<Address>, String>,
}

impl Service {
    /// Reads the address from its file, if it is in one: once, so that beginning and end go to the same.
    #[must_use]
    pub fn find(run: &Run<'_>) -> Self {
        let address = match &run.plan.ping {
            None => Ok(None),
            Some(Ping::Address(address)) => Ok(Some(address.clone())),
            Some(Ping::File(path)) => read(path, run.machine.host.effective_uid).map(Some),
        };
        Self { address }
    }

    /// Fails if the address cannot be read from its file.
    pub fn check(&self, run: &Run<'_>) -> Result<(), Failure> {
        let path = run.plan.ping.as_ref().and_then(Ping::file).unwrap_or(Path::new(""));
        match &self.address {
            Ok(_) => Ok(()),
            Err(why) => Err(Failure::PingFile { path: path.to_owned(), why: why.clone() }),
        }
    }

    /// The address; none if there is none, or none that can be read.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        self.address.as_ref().ok()?.as_ref()
    }
}

/// The address in a file. Errors with the end of a sentence about the file, which holds nothing of its contents.
fn read(path: &Path, account: u32) -> Result<Address, String> {
    let content = private_file::read(path, account, LONGEST)?;
    let text = std::str::from_utf8(&content).map_err(|_| "is not UTF-8".to_owned())?.trim();
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.contains(['\n', '\r']) {
        return Err("has more than one line".to_owned());
    }
    text.parse().map_err(|why| format!("holds no address to ping: {why}"))
}

/// Reports that the run starts. The response is awaited at the end.
#[must_use]
pub fn announce(run: &Run<'_>, service: &Service) -> Option<Request> {
    let address = service.address().filter(|_| run.mode.writes())?;
    Some(Request::send(address, "/start", None))
}

/// Reports how the run ended. A skipped run is not reported: neither success nor failure would be true.
pub fn finish(run: &Run<'_>, service: &Service, announcement: Option<Request>, record: &Record) {
    let Some(address) = service.address() else { return };
    let more = match record.outcome {
        Status::Success | Status::Warning if record.reason.is_none() => "",
        // A clone that is complete but does not start has a reason too.
        Status::Success | Status::Warning | Status::Failed => "/fail",
        Status::Skipped => return,
    };
    // The service must not receive the end before the start.
    if let Some(announcement) = announcement {
        complain(address, "the beginning", announcement.wait(run));
    }
    let body = body(record, &run.log_tail());
    complain(address, "the end", Request::send(address, more, Some(body)).wait(run));
}

fn complain(address: &Address, of: &str, answer: Result<(), String>) {
    if let Err(why) = answer {
        warning(format_args!("{address} could not be pinged at {of} of the run: {why}."));
    }
}

/// The exit code and the reason, then as many of the last lines as fit.
fn body(record: &Record, lines: &[String]) -> String {
    let mut head = format!("Exit code {}, {}.\n", record.exit_code, record.outcome.word());
    if let Some(reason) = &record.reason {
        head = head + reason + "\n";
    }
    let mut room = MOST.saturating_sub(head.len());
    let fitting = lines.iter().rev().take_while(|line| {
        let fits = line.len() < room;
        room = room.saturating_sub(line.len() + 1);
        fits
    });
    let count = fitting.count();
    lines[lines.len() - count..].iter().fold(head, |text, line| text + line.trim_end() + "\n")
}

fn request(url: &str, encrypted: bool, body: Option<&str>) -> Result<(), String> {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .max_redirects(REDIRECTS)
        .https_only(encrypted)
        .user_agent(concat!("counterpart/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .into();
    let answer = match body {
        None => agent.get(url).call(),
        // A 307 or 308 requires the body to be sent again elsewhere: reaching the address matters more than the body.
        Some(body) => match agent.post(url).content_type("text/plain; charset=utf-8").send(body) {
            Err(Error::RedirectFailed) => agent.get(url).call(),
            answer => answer,
        },
    };
    answer.map(|_| ()).map_err(|error| explain(&error))
}

fn too_late() -> String {
    format!("there was no answer within {} seconds", LIMIT.as_secs())
}

/// Uses our own words: the library's could contain the address.
fn explain(error: &Error) -> String {
    let words = match error {
        Error::StatusCode(code) => return format!("it answered with status {code}"),
        Error::Io(error) => return display::line(display::reason(error).as_bytes()).to_string(),
        Error::Rustls(error) => return display::line(error.to_string().as_bytes()).to_string(),
        Error::Timeout(_) => return too_late(),
        Error::Tls(why) => why,
        Error::HostNotFound => "the host name is unknown",
        Error::ConnectionFailed => "no connection",
        Error::TooManyRedirects => "it redirects too many times",
        Error::RequireHttpsOnly(_) => "it redirects to an unencrypted address",
        Error::InvalidProxyUrl | Error::ConnectProxyFailed(_) => "the proxy cannot be used",
        Error::Http(_)
        | Error::BadUri(_)
        | Error::Protocol(_)
        | Error::RedirectFailed
        | Error::BodyExceedsLimit(_)
        | Error::Pem(_)
        | Error::LargeResponseHeader(..)
        | Error::TlsRequired
        | Error::Other(_)
        | _ => "its answer cannot be understood",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::MOST;

    #[test]
    fn a_long_log_is_cut_at_its_beginning() {
        let record = crate::record::tests::record();
        let lines: Vec<String> = (0..50).map(|number| format!("{number} {}\n", "x".repeat(900))).collect();
        let body = super::body(&record, &lines);
        assert!(body.len() <= MOST, "{}", body.len());
        assert!(body.starts_with("Exit code 74, failed.\nThe destination is full.\n"), "{body}");
        let kept: Vec<&str> = body.lines().skip(2).map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(kept, ["40", "41", "42", "43", "44", "45", "46", "47", "48", "49"]);
        let short = super::body(&record, &["one\n".to_owned(), "two\n".to_owned()]);
        assert!(short.ends_with("full.\none\ntwo\n"), "{short}");
    }
}
