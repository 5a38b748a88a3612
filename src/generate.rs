//! The man page and the shells' completions, made from the definition of the command line.

use std::io::{self, Write as _};

use clap_complete::Shell;

use crate::cli::{self, Generated};
use crate::exit_code;

/// Prints one of them on standard output.
pub fn run(what: Generated) -> anyhow::Result<()> {
    let mut text = Vec::new();
    match what {
        Generated::Man => man_page(&mut text)?,
        Generated::Bash => complete(Shell::Bash, &mut text),
        Generated::Zsh => complete(Shell::Zsh, &mut text),
        Generated::Fish => complete(Shell::Fish, &mut text),
    }
    Ok(io::stdout().lock().write_all(&text)?)
}

fn complete(shell: Shell, text: &mut Vec<u8>) {
    clap_complete::generate(shell, &mut cli::definition(), "counterpart", text);
}

fn man_page(text: &mut Vec<u8>) -> io::Result<()> {
    // The exit codes get a section of their own, with what to do about each.
    let definition = cli::definition().after_help(None::<&str>).after_long_help(None::<&str>);
    let page = clap_mangen::Man::new(definition).section("8").manual("Counterpart").date("");
    page.render_title(text)?;
    page.render_name_section(text)?;
    // The generated synopsis leaves out the options' values and speaks of subcommands, of which none is for people.
    writeln!(text, "{SYNOPSIS}")?;
    page.render_description_section(text)?;
    page.render_options_section(text)?;
    writeln!(text, "{SETPASS}")?;
    writeln!(text, "{DOCTOR}")?;
    writeln!(text, ".SH EXIT STATUS")?;
    for row in exit_code::TABLE {
        writeln!(text, ".TP\n\\fB{}\\fR\n{}: {}.", roff(row.code), roff(row.meaning), roff(row.remedy))?;
    }
    writeln!(text, "{}", FILES.trim_end())?;
    page.render_version_section(text)
}

/// A line of text for roff: its escape character and a leading dot or quote mean something there.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\u{2013}', "\\(en")
}

/// How it is called.
const SYNOPSIS: &str = r".SH SYNOPSIS
.B counterpart
\fB\-s\fR \fISOURCE\fR
\fB\-d\fR \fIDESTINATION\fR
[\fIoptions\fR]
.br
.B counterpart setpass
[\fB\-\-stdin\fR | \fB\-\-delete\fR | \fB\-\-check\fR] [\fB\-g\fR \fIPREFIX\fR]
.br
.B counterpart doctor
[\fB\-s\fR \fISOURCE\fR] [\fB\-d\fR \fIDESTINATION\fR] [\fB\-\-json\fR] [\fIoptions\fR]";

/// What the subcommand does.
const SETPASS: &str = r".SH STORING THE PASSWORD
.B counterpart setpass
asks twice for the password of the server backup and stores it, on a Mac in the System keychain, on Linux in systemd's
encrypted credential store. From then on \fB\-B\fR finds it. The same \fB\-g\fR has to be given to both.
.TP
.B \-\-stdin
Take the password, one line, from standard input.
.TP
.B \-\-delete
Delete the stored password.
.TP
.B \-\-check
Only tell whether a password is stored and can be read: 0 or 92.";

/// What the other subcommand does.
const DOCTOR: &str = r".SH ASKING THE DOCTOR
.B counterpart doctor
takes the options of a clone and tells, changing nothing, what a clone with them would meet. Each line is OK, WARN or FAIL,
with what to do about it. It ends with 0 when there is no FAIL, and else with the code of the first FAIL, which is the one
that the clone would end with. Without \fB\-s\fR or \fB\-d\fR it tells only of the rest.
.TP
.B \-\-json
Print the same as JSON.";

/// The files that a run leaves.
const FILES: &str = r"
.SH FILES
.TP
.I .PREFIX.counterpart.completed
At the destination's root: exists while the clone is complete; its modification time is the completion.
.TP
.I .PREFIX.counterpart.error
At the destination's root: the reason of the last failure, in one line.
.TP
.I .PREFIX.counterpart.stats
At the destination's root: the statistics of the last run.
.TP
.I .PREFIX.counterpart.id
At the destination's root: says that this destination is a clone of ours.
.TP
.I /var/log/counterpart/Counterpart_YY\-MM\-DD_HH\-MM\-SS
The log of a run; in /Library/Logs/Counterpart on macOS.
.SH SEE ALSO
.BR rsync (1)
";
