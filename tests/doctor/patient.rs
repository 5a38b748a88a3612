//! A machine to examine, and the doctor's report on it.

use std::ffi::{OsStr, OsString};

use nix::sched::{CloneFlags, unshare};

use crate::support::sandbox::{Finished, Sandbox};

/// The version line of a recent rsync.
pub const RECENT: &str = "rsync  version 3.5.1  protocol version 33";

/// A Linux machine on which nothing is wrong and nobody else's servers are seen.
pub fn healthy() -> Sandbox {
    made_healthy(Sandbox::new())
}

/// The same, where servers are looked for.
pub fn healthy_server() -> Sandbox {
    made_healthy(Sandbox::of_servers())
}

fn made_healthy(sandbox: Sandbox) -> Sandbox {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    sandbox.write("file", "content");
    answering(&sandbox, RECENT);
    sandbox
}

/// Makes the sandbox's rsync the real one, but for its version.
pub fn answering(sandbox: &Sandbox, version: &str) {
    sandbox.rsync(&format!(
        "case \"$*\" in *--version) /usr/bin/rsync \"$@\" >/dev/null 2>&1 && echo '{version}'; exit ;; esac\nexec /usr/bin/rsync \"$@\""
    ));
}

/// What the doctor said; the sandbox's directory is `@` in it.
#[derive(Debug)]
pub struct Told {
    /// The exit code.
    pub code: i32,
    /// The lines, without those of the exclusion patterns that every clone has.
    pub lines: Vec<String>,
}

impl Told {
    /// Of the run of a doctor, of which standard error must be empty.
    #[track_caller]
    pub fn of(sandbox: &Sandbox, finished: &Finished) -> Self {
        assert_eq!(finished.err, "", "{finished}");
        let text = finished.out.replace(&sandbox.path().display().to_string(), "@");
        Self { code: finished.code, lines: text.lines().map(str::to_owned).collect() }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}", self.lines.join("\n"));
        self
    }

    /// Everything that is told of a topic: its lines, their details and remedies.
    pub fn of_topic(&self, topic: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut is_meant = false;
        for line in &self.lines {
            if !line.starts_with("      ") {
                is_meant = line.get(6..).is_some_and(|rest| rest.starts_with(&format!("{topic}: ")));
            }
            if is_meant {
                found.push(line.as_str());
            }
        }
        found
    }

    /// Asserts everything that is told of a topic.
    #[track_caller]
    pub fn assert(&self, topic: &str, lines: &[&str]) -> &Self {
        assert_eq!(self.of_topic(topic), lines, "{}", self.lines.join("\n"));
        self
    }

    /// Asserts that no line warns or fails but those of these topics.
    #[track_caller]
    pub fn assert_well_but_for(&self, topics: &[&str]) -> &Self {
        for line in self.lines.iter().filter(|line| line.starts_with("WARN") || line.starts_with("FAIL")) {
            let is_expected = topics.iter().any(|topic| line[6..].starts_with(&format!("{topic}: ")));
            assert!(is_expected, "{line}");
        }
        self
    }
}

/// Asks the doctor about a clone from the sandbox's source to its destination.
#[track_caller]
pub fn ask(sandbox: &Sandbox, more: &[&str]) -> Told {
    ask_for(sandbox, sandbox.arguments(more))
}

/// Asks the doctor with exactly these arguments.
#[track_caller]
pub fn ask_for(sandbox: &Sandbox, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Told {
    Told::of(sandbox, &sandbox.run(doctor(arguments)))
}

/// The arguments behind the subcommand.
pub fn doctor(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Vec<OsString> {
    let rest = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
    [OsString::from("doctor")].into_iter().chain(rest).collect()
}

/// Asserts that the doctor's first FAIL is the end of a clone with the same arguments: the same code, the same words.
#[track_caller]
pub fn assert_foretold(sandbox: &Sandbox, more: &[&str], code: i32) -> Told {
    let told = ask(sandbox, more);
    told.assert_code(code);
    let failed = told.lines.iter().find(|line| line.starts_with("FAIL")).expect("no FAIL");
    let finished = sandbox.clone(more);
    assert_eq!(finished.code, code, "{finished}");
    let words = finished.err.lines().last().unwrap_or_default().strip_prefix("counterpart: ").unwrap();
    let words = words.replace(&sandbox.path().display().to_string(), "@");
    assert!(failed.ends_with(&format!(": {words} ({code})")), "{failed}\n{words}");
    told
}
