//! A machine with a fake scheduler.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::sandbox::{Finished, Sandbox, names_of};

/// A sandbox whose scheduler keeps a ledger.
pub struct Machine {
    /// The machine.
    pub sandbox: Sandbox,
}

impl Machine {
    /// With systemd.
    pub fn linux() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        let script = format!("DIRECTORY='{}'\n{}", sandbox.path().display(), include_str!("systemctl.sh"));
        sandbox.tool("systemctl", &script);
        Self::of(sandbox)
    }

    /// With launchd.
    pub fn mac(version: &str) -> Self {
        let sandbox = Sandbox::mac(version);
        sandbox.write("file", "content");
        let fake = sandbox.path().join("launchctl.py");
        fs::write(&fake, include_str!("launchctl.py")).unwrap();
        let dir = sandbox.path().display();
        let script = format!("exec /usr/bin/python3 -IS '{}' '{dir}' '{version}' \"$@\"", fake.display());
        sandbox.tool("launchctl", &script);
        Self::of(sandbox)
    }

    fn of(sandbox: Sandbox) -> Self {
        fs::create_dir(sandbox.host().join("jobs")).unwrap();
        Self { sandbox }
    }

    /// Runs `schedule` with these arguments.
    pub fn schedule(&self, arguments: &[&str]) -> Finished {
        self.sandbox.run(["schedule"].iter().chain(arguments))
    }

    /// Installs a clone of the source to the destination, with options of the schedule and of the clone.
    pub fn install(&self, options: &[&str], clone: &[&str]) -> Finished {
        let ends = self.sandbox.arguments(clone);
        let options = options.iter().map(OsStr::new);
        let words = ["schedule", "install"].into_iter().map(OsStr::new).chain(options);
        self.sandbox.run(words.chain([OsStr::new("--")]).chain(ends.iter().map(|word| &**word)))
    }

    /// A path in the directory of jobs.
    pub fn job(&self, name: &str) -> PathBuf {
        self.sandbox.host().join("jobs").join(name)
    }

    /// The names in the directory of jobs; leftovers would show here.
    pub fn jobs(&self) -> Vec<String> {
        let names = names_of(&self.sandbox.host().join("jobs"));
        names.into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    /// What the scheduler was told since this was last asked, without the questions.
    pub fn ledger(&self) -> Vec<String> {
        let file = self.sandbox.path().join("ledger");
        let text = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, "").unwrap();
        let is_question =
            |line: &&str| ["show ", "print ", "list "].iter().any(|verb| line.starts_with(verb));
        text.lines().filter(|line| !is_question(line)).map(str::to_owned).collect()
    }

    /// Has the scheduler refuse a command, or none any more.
    pub fn refuse(&self, command: &str) {
        fs::write(self.sandbox.path().join("fail"), command).unwrap();
        self.set("fail", json!(command));
    }

    /// Changes what the fake launchd knows.
    pub fn set(&self, key: &str, value: Value) {
        let file = self.sandbox.path().join("launchd.json");
        let text = fs::read_to_string(&file).unwrap_or_else(|_| "{}".to_owned());
        let mut state: Value = serde_json::from_str(&text).unwrap();
        state[key] = value;
        fs::write(file, state.to_string()).unwrap();
    }
}

/// Asserts a success without anything on standard error but warnings about where the tests' own program lies.
#[track_caller]
pub fn done(finished: &Finished) -> &str {
    assert_eq!(finished.code, 0, "{finished}");
    for line in finished.err.lines() {
        assert!(
            line.ends_with("Keep it where only root can write.") || line.contains("no disk of its own"),
            "{finished}"
        );
    }
    &finished.out
}

/// Asserts a refusal: this code, this text, and nothing on standard output.
#[track_caller]
pub fn refused(finished: &Finished, code: i32, text: &str) {
    assert_eq!((finished.code, finished.out.as_str()), (code, ""), "{finished}");
    assert!(finished.err.contains(text), "{text:?} is not in {finished}");
}
