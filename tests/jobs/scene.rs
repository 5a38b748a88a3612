//! A machine with job files, in a place that only root can have arranged.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::sandbox::{Finished, Sandbox};

/// A machine with something to clone.
pub struct Scene {
    /// The machine.
    pub sandbox: Sandbox,
}

impl Scene {
    /// Without a job.
    pub fn new() -> Self {
        let sandbox = Sandbox::of_servers();
        sandbox.write("file", "content");
        fs::create_dir(sandbox.host().join("job-files")).unwrap();
        Self { sandbox }
    }

    /// With one that says this. `SOURCE`, `DESTINATION` and `HERE` stand for the paths.
    pub fn with(name: &str, text: &str) -> Self {
        let scene = Self::new();
        scene.job(name, text);
        scene
    }

    /// Writes a job's file.
    pub fn job(&self, name: &str, text: &str) {
        fs::write(self.file(name), self.filled(text)).unwrap();
    }

    /// The path of a job's file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir().join(format!("{name}.toml"))
    }

    /// The directory of job files.
    pub fn dir(&self) -> PathBuf {
        self.sandbox.host().join("job-files")
    }

    /// A further destination.
    pub fn destination(&self, name: &str) -> PathBuf {
        let path = self.sandbox.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// A text with the paths of this machine.
    pub fn filled(&self, text: &str) -> String {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        text.replace("SOURCE", &path(&self.sandbox.source))
            .replace("DESTINATION", &path(&self.sandbox.destination))
            .replace("HERE", &path(self.sandbox.path()))
    }

    /// `counterpart run` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.sandbox.run(["run"].iter().chain(arguments))
    }

    /// Asserts that a job is refused with 84 and exactly this message, and that nothing was cloned.
    #[track_caller]
    pub fn refused(&self, name: &str, message: &str) {
        let finished = self.run(&[name]);
        let message = message.replace("FILE", self.file(name).to_str().unwrap());
        assert_eq!(
            (finished.code, finished.out.as_str(), finished.err),
            (84, "", format!("counterpart: {message}\n"))
        );
        assert_eq!(self.sandbox.names(), [] as [&str; 0]);
        assert_eq!(self.sandbox.logs().len(), 0);
    }
}

/// The ends, which nearly every job has.
pub const ENDS: &str = "source = \"SOURCE\"\ndestination = \"DESTINATION\"\n";

/// The lines that end the output of several clones.
pub fn summary(finished: &Finished) -> Vec<&str> {
    finished.out.lines().filter(|line| !line.contains(" Counterpart[") && !line.ends_with(':')).collect()
}
