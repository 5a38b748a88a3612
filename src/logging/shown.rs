//! What standard output shows of a run: every line in a file or a pipe, and on a terminal what matters to a person.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use log::Level;
use nix::sys::stat::fstat;

/// How much of a run is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings and errors only, on standard error.
    Quiet,
    /// Every line in a file or a pipe; on a terminal phases, warnings, errors and a summary.
    #[default]
    Normal,
    /// Every line.
    Verbose,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The form in which a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Every line as it is in the log.
    Lines,
    /// Every line with its priority; the journal has the time and the process.
    Journal,
    /// For a person.
    Terminal,
    /// For a person who wants every line.
    Verbose,
    /// Warnings, on standard error.
    Quiet,
}

/// What standard output shows, and how.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    form: Form,
    /// Standard error is the journal too.
    errors_to_journal: bool,
    colour: bool,
}

static SHOWN: OnceLock<Shown> = OnceLock::new();

/// Where a line goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// To standard output, with a line end.
    Out(Vec<u8>),
    /// To standard error, with a line end.
    Err(Vec<u8>),
    /// Only to the log.
    Nowhere,
}

impl Shown {
    /// What this process shows from now on. `wants_all` is for a run whose lines are its result.
    pub fn choose(verbosity: Verbosity, colour: Colour, wants_all: bool) -> Self {
        let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        let form = match verbosity {
            Verbosity::Quiet => Form::Quiet,
            Verbosity::Normal | Verbosity::Verbose if is_journal(io::stdout()) => Form::Journal,
            Verbosity::Verbose if is_terminal => Form::Verbose,
            Verbosity::Normal if is_terminal && wants_all => Form::Verbose,
            Verbosity::Normal if is_terminal => Form::Terminal,
            Verbosity::Normal | Verbosity::Verbose => Form::Lines,
        };
        let colour = has_colour(colour, is_terminal, |name| env::var_os(name));
        *SHOWN.get_or_init(|| Self { form, errors_to_journal: is_journal(io::stderr()), colour })
    }

    /// What was chosen, if anything was.
    #[must_use]
    pub fn chosen() -> Option<Self> {
        SHOWN.get().copied()
    }

    /// Whether a person sees phases and a summary.
    #[must_use]
    pub fn is_for_people(self) -> bool {
        self.form == Form::Terminal
    }

    /// Whether progress is drawn.
    #[must_use]
    pub fn draws(self) -> bool {
        matches!(self.form, Form::Terminal | Form::Verbose)
    }

    /// Where a line of this level goes. `start` is what it begins with in the log.
    #[must_use]
    pub fn place(self, level: Level, start: &[u8], text: &[u8]) -> Place {
        // What ends a run is said on standard error as its last word, and once.
        let is_said_elsewhere = level == Level::Error;
        let is_detail = matches!(level, Level::Info | Level::Debug | Level::Trace);
        match self.form {
            Form::Lines => Place::Out([start, text, b"\n"].concat()),
            Form::Journal if is_said_elsewhere && self.errors_to_journal => Place::Nowhere,
            Form::Journal => Place::Out([priority(level).as_bytes(), text, b"\n"].concat()),
            Form::Terminal | Form::Quiet | Form::Verbose if is_said_elsewhere => Place::Nowhere,
            Form::Terminal | Form::Quiet if is_detail => Place::Nowhere,
            Form::Quiet => {
                let start = if self.errors_to_journal { priority(level) } else { "" };
                Place::Err([start.as_bytes(), b"counterpart: ", &self.dyed(text), b"\n"].concat())
            }
            Form::Terminal | Form::Verbose => Place::Out([&*self.dyed(text), b"\n"].concat()),
        }
    }

    /// A warning with its first word in colour.
    fn dyed(self, text: &[u8]) -> Vec<u8> {
        match text.strip_prefix(WARNING) {
            Some(rest) if self.colour => [b"\x1b[33m", WARNING, b"\x1b[0m", rest].concat(),
            _ => text.to_vec(),
        }
    }

    /// What a message on standard error begins with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.errors_to_journal, self.colour) {
            (true, _) => "<3>counterpart:",
            (false, true) => "\x1b[1;31mcounterpart:\x1b[0m",
            (false, false) => "counterpart:",
        }
    }
}

/// What a warning begins with.
const WARNING: &[u8] = b"Warning:";

/// As sd-daemon(3) has them.
fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// Whether a stream is connected to systemd's journal: `JOURNAL_STREAM` has its device and inode, as systemd.exec(5) says.
fn is_journal(stream: impl AsFd) -> bool {
    let Some(named) = env::var_os("JOURNAL_STREAM") else { return false };
    fstat(stream).is_ok_and(|stat| named == OsStr::new(&format!("{}:{}", stat.st_dev, stat.st_ino)))
}

/// As <https://no-color.org> and <https://bixense.com/clicolors> say.
fn has_colour(wanted: Colour, is_terminal: bool, of: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    let is_set = |name| of(name).is_some_and(|value| !value.is_empty());
    let is_off = |name| of(name).is_some_and(|value| value == "0");
    match wanted {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if is_set("NO_COLOR") => false,
        Colour::Auto if is_set("CLICOLOR_FORCE") && !is_off("CLICOLOR_FORCE") => true,
        Colour::Auto => is_terminal && !is_off("CLICOLOR") && of("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::{Colour, Form, Place, Shown, has_colour};

    #[test]
    fn the_environment_decides_about_colour() {
        let with = |wanted, is_terminal, set: &[(&str, &str)]| {
            has_colour(wanted, is_terminal, |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            })
        };
        assert!(with(Colour::Auto, true, &[]));
        assert!(!with(Colour::Auto, false, &[]));
        assert!(!with(Colour::Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(with(Colour::Auto, true, &[("NO_COLOR", "")]));
        assert!(with(Colour::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!with(Colour::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!with(Colour::Auto, true, &[("CLICOLOR", "0")]));
        assert!(!with(Colour::Auto, true, &[("TERM", "dumb")]));
        assert!(with(Colour::Always, false, &[("NO_COLOR", "1")]));
        assert!(!with(Colour::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn each_form_has_its_lines() {
        let of = |form, level, colour| {
            let shown = Shown { form, errors_to_journal: true, colour };
            shown.place(level, b"Nov 27: ", b"Warning: x")
        };
        let out = |text: &str| Place::Out(text.into());
        for level in [Level::Info, Level::Warn, Level::Error] {
            assert_eq!(of(Form::Lines, level, false), out("Nov 27: Warning: x\n"));
        }
        assert_eq!(of(Form::Journal, Level::Info, true), out("<6>Warning: x\n"));
        assert_eq!(of(Form::Journal, Level::Warn, true), out("<4>Warning: x\n"));
        assert_eq!(of(Form::Journal, Level::Error, true), Place::Nowhere);
        assert_eq!(of(Form::Terminal, Level::Info, true), Place::Nowhere);
        assert_eq!(of(Form::Terminal, Level::Warn, true), out("\x1b[33mWarning:\x1b[0m x\n"));
        assert_eq!(of(Form::Terminal, Level::Error, true), Place::Nowhere);
        assert_eq!(of(Form::Verbose, Level::Info, false), out("Warning: x\n"));
        assert_eq!(of(Form::Quiet, Level::Info, false), Place::Nowhere);
        assert_eq!(of(Form::Quiet, Level::Warn, false), Place::Err(b"<4>counterpart: Warning: x\n".to_vec()));
    }
}
