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
    writeln!(text, "{RESTORE}")?;
    writeln!(text, "{CHECK}")?;
    writeln!(text, "{SCHEDULE}")?;
    writeln!(text, ".SH EXIT STATUS")?;
    for row in exit_code::TABLE {
        writeln!(text, ".TP\n\\fB{}\\fR\n{}: {}.", roff(row.code), roff(row.meaning), roff(row.remedy))?;
    }
    writeln!(text, "{}", FILES.trim_end())?;
    page.render_version_section(text)
}

/// A line of text for roff: its escape character and a leading dot or quote mean something there.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\u{2013}', "\\(en")
        .replace('\u{2026}', "\\[u2026]")
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
.B counterpart check
[\fB\-d\fR \fIDESTINATION\fR] [\fB\-w\fR \fIAGE\fR] [\fB\-c\fR \fIAGE\fR] [\fB\-g\fR \fIPREFIX\fR]
[\fB\-t\fR \fITIME\fR]
.br
.B counterpart schedule install
[\fB\-\-daily\fR \fIHH:MM\fR | \fB\-\-weekly\fR \fIDAY HH:MM\fR | \fB\-\-every\fR \fIINTERVAL\fR]
[\fB\-\-name\fR \fINAME\fR] [\fB\-\-replace\fR] [\fB\-\-print\fR]
\fB\-\- \-s\fR \fISOURCE\fR \fB\-d\fR \fIDESTINATION\fR [\fIoptions\fR]
.br
.B counterpart schedule
\fBlist\fR | \fBshow\fR [\fINAME\fR] | \fBrun\fR \fINAME\fR | \fBremove\fR \fINAME\fR
.br
.B counterpart restore
\fB\-d\fR \fIDESTINATION\fR
[\fB\-g\fR \fIPREFIX\fR] [\fB\-\-list\fR | [\fB\-\-at\fR \fITIME\fR] [\fB\-\-to\fR \fIDIR\fR]] [\fIPATH\fR ...]
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
const RESTORE: &str = r".SH BRINGING FILES BACK
.B counterpart restore
copies what a clone with \fB\-\-safety\-net\fR has deleted or overwritten, with all its properties, to the current
folder. A path counts from the top of the clone. Nothing that exists is overwritten.
.TP
.B \-\-list
Only list the nets, or those that hold the given paths.
.TP
\fB\-\-at\fR \fITIME\fR
Take it from the net of this time, YYYY\-MM\-DD or more of it, or \fBlatest\fR; otherwise from the newest that holds it.
.TP
\fB\-\-to\fR \fIDIR\fR
Where to, instead of the current folder; must exist.
.TP
\fB\-\-rsync\fR \fIFILE\fR
The rsync to use, instead of searching.";

/// What the plugin does.
const CHECK: &str = r".SH MONITORING
.B counterpart check
is a plugin for Nagios, Icinga and their like. It says on one line how a clone stands, with performance data, and ends
with 0 (OK), 1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN). It writes nothing and needs no root. A link to the program whose name
is \fBcheck_counterpart_clone\fR is the same.
.TP
.BR \-d ,\  \-\-destination \ \fIDIR\fR
The destination of the clone; without it, every destination that this machine remembers.
.TP
.BR \-w ,\  \-\-warning \ \fIAGE\fR
Warn when the last success is older: minutes, or 26h, 2d, 90min. 26h without it.
.TP
.BR \-c ,\  \-\-critical \ \fIAGE\fR
Be critical when the last success is older. 50h without it.
.TP
.BR \-g ,\  \-\-organisation\-prefix \ \fIPREFIX\fR
The prefix that the clone is run with.
.TP
.BR \-t ,\  \-\-timeout \ \fITIME\fR
Give up after so long, with UNKNOWN. 10s without it.";

/// What `schedule` does.
const SCHEDULE: &str = r".SH SCHEDULING
.B counterpart schedule
has launchd or systemd make a clone by itself.
.TP
.B install
Checks the arguments behind the two hyphens as a clone would, writes a job of launchd or a service and a timer of systemd,
and loads it. Every day at 03:30, or as
.BR \-\-daily ,
.B \-\-weekly
or
.B \-\-every
says; an interval must divide a day or an hour evenly, such as 2h or 15m. The name is clone, or that of
.BR \-\-name .
A schedule of that name gives way with
.BR \-\-replace .
With
.B \-\-print
the files are only printed.
.TP
.B list
Tells of each schedule when it runs next and how the last run ended.
.TP
.B show
Shows the same of one of them, and its files.
.TP
.B run
Starts a clone now and does not wait for its end.
.TP
.B remove
Removes a schedule. Clones and logs stay.";

/// What the doctor does.
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
.I .PREFIX.counterpart.stats.json
At the destination's root: all that is known of the last run, for programs.
.TP
.I .PREFIX.counterpart.id
At the destination's root: says that this destination is a clone of ours.
.TP
.I .PREFIX.counterpart.safety\-net/
At the destination's root: what clones with \fB\-\-safety\-net\fR have deleted or overwritten.
.TP
.I /var/lib/counterpart/
What this machine remembers of each destination; in /var/db/counterpart on macOS.
.TP
.I /var/log/counterpart/Counterpart_YY\-MM\-DD_HH\-MM\-SS
The log of a run; in /Library/Logs/Counterpart on macOS.
.SH SEE ALSO
.BR rsync (1)
";
