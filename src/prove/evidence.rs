//! What is kept of a clone that did not boot: its last screen, as text and as a picture.

use std::ffi::{OsStr, OsString};
use std::io;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};

use crate::display;
use crate::fs::dir::Dir;
use crate::prove::verdict::Reason;

/// The largest picture that is kept, in bytes.
pub const LARGEST: u64 = 16 << 20;

/// Of `check_timer` in Linux (`arch/x86/kernel/apic/io_apic.c`), which counts the ticks of a tenth of a second.
const NO_TIMER: &str = "IO-APIC + timer doesn't work!";

/// How often a name is tried.
const ATTEMPTS: u32 = 100;

/// What was on the guest's screen and consoles at the end.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The lines of the text screen.
    pub screen: Vec<String>,
    /// The last lines of the serial console.
    pub console: Vec<String>,
    /// The screen as a picture (PNG).
    pub picture: Option<Vec<u8>>,
}

impl Evidence {
    /// The same reason, with the line on the screen that says most about it.
    #[must_use]
    pub fn explain(&self, reason: Reason) -> Reason {
        let Reason::Waits(hint, None) = reason else { return reason };
        let words = hint.explained_by();
        let all = self.console.iter().rev().chain(self.screen.iter().rev());
        let line = all.map(|line| line.trim()).find(|line| words.iter().any(|word| line.contains(word)));
        Reason::Waits(hint, line.map(|line| line.trim_end_matches('.').to_owned()))
    }

    /// Whether the guest's kernel found no timer that works: the host had no time for it, which says nothing of the clone.
    #[must_use]
    pub fn lacks_timer(&self) -> bool {
        self.console.iter().chain(&self.screen).any(|line| line.contains(NO_TIMER))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (title, lines) in [("Screen", &self.screen), ("Serial console", &self.console)] {
            text = text + title + ":\n\n";
            for line in lines {
                text = text + &display::line(line.as_bytes()).to_string() + "\n";
            }
            if lines.is_empty() {
                text += "(nothing)\n";
            }
            text += "\n";
        }
        text
    }

    /// Saves both below `directory` and returns their paths.
    pub fn save(&self, directory: &Path, now: DateTime<Local>) -> io::Result<Vec<PathBuf>> {
        let dir = Dir::open_or_create(directory, 0o755)?;
        let stem = now.format("Prove_%y-%m-%d_%H-%M-%S").to_string();
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for attempt in 1..=ATTEMPTS {
            let stem = if attempt == 1 { stem.clone() } else { format!("{stem}_{attempt}") };
            match save(&dir, &format!("{stem}.txt"), self.text().as_bytes()) {
                Ok(path) => {
                    let mut paths = vec![path];
                    if let Some(picture) = &self.picture {
                        paths.push(save(&dir, &format!("{stem}.png"), picture)?);
                    }
                    return Ok(paths);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

fn save(dir: &Dir, name: &str, content: &[u8]) -> io::Result<PathBuf> {
    let name = OsString::from(name);
    dir.create_new(&name, 0o600)?.write_all(content)?;
    Ok(dir.path().join(name))
}

/// The picture that QEMU has written; `None` if it is none.
#[must_use]
pub fn picture(dir: &Dir, name: &OsStr) -> Option<Vec<u8>> {
    let (_, content) = dir.read_file(name, LARGEST).ok()??;
    content.starts_with(b"\x89PNG\r\n\x1a\n").then_some(content)
}

#[cfg(test)]
mod tests {
    use chrono::Local;

    use super::Evidence;

    #[test]
    fn a_missing_timer_is_the_hosts() {
        let says = |line: &str| Evidence { console: vec![line.to_owned()], ..Evidence::default() };
        let line =
            "[    0.060000] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug";
        assert!(says(line).lacks_timer());
        assert!(!says("Kernel panic - not syncing: VFS: Unable to mount root fs").lacks_timer());
    }

    #[test]
    fn text_and_picture_are_saved_beside_earlier_ones() {
        let dir = tempfile::tempdir().unwrap();
        let evidence = Evidence {
            screen: vec!["error: \u{1b}[1m".to_owned()],
            console: Vec::new(),
            picture: Some(b"\x89PNG\r\n\x1a\n".to_vec()),
        };
        let now = Local::now();
        let first = evidence.save(dir.path(), now).unwrap();
        let second = evidence.save(dir.path(), now).unwrap();
        assert_eq!((first.len(), second.len()), (2, 2));
        assert_ne!(first, second);
        let text = std::fs::read_to_string(&first[0]).unwrap();
        assert_eq!(text, "Screen:\n\nerror: \\#033[1m\n\nSerial console:\n\n(nothing)\n\n");
    }
}
