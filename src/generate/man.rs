//! The man pages: one for each command, from its definition, and one about files, from `docs/files.md`.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use clap::{Arg, Command, Id};

use crate::cli;
use crate::exit_code;
use crate::generate::roff;

/// The document about files, which is also read by itself.
const FILES: &str = include_str!("../../docs/files.md");

/// A command with more options than this lists them under OPTIONS only, not in its synopsis as well.
const FEW: usize = 9;

/// A man page.
pub struct Page {
    name: String,
    section: &'static str,
    /// In roff.
    pub text: Vec<u8>,
}

impl Page {
    /// Its path below a man directory.
    pub fn path(&self) -> PathBuf {
        format!("man{}/{}.{}", self.section, self.name, self.section).into()
    }
}

/// `counterpart(8)`.
pub fn main_page() -> io::Result<Page> {
    let top = built();
    let mut text = start(&top)?;
    commands(&mut text, &top);
    text.extend(b".SH EXIT STATUS\n");
    for row in exit_code::TABLE {
        let (code, meaning, remedy) =
            (roff::text(row.code), roff::inline(row.meaning), roff::inline(row.remedy));
        let end = if remedy.ends_with('?') { "" } else { "." };
        text.extend(format!(".TP\n\\fB{code}\\fR\n{meaning}: {remedy}{end}\n").bytes());
    }
    text.extend(roff::sections(cli::help::MORE).bytes());
    Ok(page(&top, text, "rsync(1)"))
}

/// All of them.
pub fn pages() -> io::Result<Vec<Page>> {
    let top = built();
    let mut pages = vec![main_page()?];
    for command in visible(&top) {
        let command = without_options_of(command, &top);
        let mut text = start(&command)?;
        for sub in visible(&command) {
            // --help is documented once, on the main page.
            let shown = sub.clone().mut_arg("help", |argument| argument.hide(true));
            let options = section_of(&shown, |page, text| page.render_options_section(text))?;
            let call = sub.get_bin_name().unwrap_or_else(|| sub.get_name());
            text.extend(format!(".SS {}\n{}\n", roff::text(call), about(sub)).bytes());
            text.extend(options.strip_prefix(".SH OPTIONS\n").unwrap_or_default().bytes());
        }
        let more = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        text.extend(roff::sections(&more).bytes());
        pages.push(page(&command, text, "counterpart(8)"));
    }
    let mut text = roff::title("counterpart-files", "5", &source()).into_bytes();
    text.extend(roff::document(FILES, "counterpart-files").bytes());
    text.extend(b".SH SEE ALSO\n.BR counterpart (8)\n");
    pages.push(Page { name: "counterpart-files".to_owned(), section: "5", text });
    Ok(pages)
}

fn built() -> Command {
    let mut definition = cli::definition();
    definition.build();
    definition
}

fn source() -> String {
    format!("counterpart {}", env!("CARGO_PKG_VERSION"))
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

/// A command that takes the options of a clone documents only its own; its description refers to the others.
fn without_options_of(command: &Command, top: &Command) -> Command {
    let all: Vec<_> = arguments(top).map(|argument| argument.get_id().clone()).collect();
    let takes_all = all.iter().all(|id| command.get_arguments().any(|argument| argument.get_id() == id));
    // What is said of it elsewhere, of --json for one, would not be true here.
    let help = |of: &Command, id: &Id| {
        let found = of.get_arguments().find(|argument| argument.get_id() == id);
        found.and_then(Arg::get_help).map(ToString::to_string)
    };
    let mut command = command.clone();
    let others: Vec<_> = all.iter().filter(|id| help(&command, id) == help(top, id)).collect();
    for id in others.into_iter().filter(|_| takes_all) {
        command = command.mut_arg(id, |argument| argument.hide(true));
    }
    command
}

/// Title, name, synopsis, description and options.
fn start(command: &Command) -> io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut text = roff::title(name, "8", &source());
    let _ = writeln!(text, ".SH NAME\n{} \\- {}\n.SH SYNOPSIS", roff::text(name), about(command));
    text += &synopsis(command);
    let description = section_of(command, |page, text| page.render_description_section(text))?;
    // The first paragraph repeats the NAME line.
    match description.split_once(".PP\n") {
        Some((_, rest)) => text = text + ".SH DESCRIPTION\n" + rest,
        None => text += &description,
    }
    if arguments(command).next().is_some() {
        text += &section_of(command, |page, text| page.render_options_section(text))?;
    }
    Ok(text.into_bytes())
}

fn page(command: &Command, mut text: Vec<u8>, also: &str) -> Page {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let also = also.replace('(', " (");
    text.extend(format!(".SH SEE ALSO\n.BR {also},\n.BR counterpart\\-files (5)\n").bytes());
    Page { name, section: "8", text }
}

fn about(command: &Command) -> String {
    command.get_about().map(|about| roff::inline(&about.to_string())).unwrap_or_default()
}

/// A section from `clap_mangen`, without the definitions that it puts first.
fn section_of(
    command: &Command,
    render: impl FnOnce(&clap_mangen::Man, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<String> {
    let mut text = Vec::new();
    render(&clap_mangen::Man::new(command.clone()), &mut text)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    Ok(text.split_once(".SH ").map_or(String::new(), |(_, rest)| format!(".SH {rest}")))
}

/// The arguments, apart from help and version.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_ours = |argument: &&Arg| !["help", "version"].contains(&argument.get_id().as_str());
    command.get_arguments().filter(|argument| !argument.is_hide_set()).filter(is_ours)
}

fn synopsis(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let is_main = !name.contains(' ');
    let mut text = String::new();
    let subs: Vec<_> = visible(command).collect();
    if is_main || subs.is_empty() {
        text += &call(command, name);
    }
    if is_main {
        text += ".br\n.B counterpart\n\\fICOMMAND\\fR [\\fIoptions\\fR]\n";
    } else {
        let calls: Vec<_> =
            subs.iter().map(|sub| call(sub, sub.get_bin_name().unwrap_or_default())).collect();
        text += &calls.join(".br\n");
    }
    text
}

/// One line of the synopsis.
fn call(command: &Command, name: &str) -> String {
    let is_few = arguments(command).count() <= FEW;
    let hides = command.get_arguments().any(Arg::is_hide_set);
    let mut text = format!(".B {}\n", roff::text(name));
    for argument in arguments(command) {
        let values = argument.get_value_names().unwrap_or_default().join(" ");
        let value = format!("\\fI{}\\fR", roff::text(&values));
        let option = match (argument.get_short(), argument.get_long()) {
            (Some(short), _) => format!("\\fB\\-{short}\\fR"),
            (None, Some(long)) => format!("\\fB\\-\\-{}\\fR", roff::text(long)),
            (None, None) => String::new(),
        };
        let word = match (argument.is_positional(), argument.get_action().takes_values()) {
            (true, _) if argument.is_last_set() => format!("\\fB\\-\\-\\fR {value}"),
            (true, _) => value,
            (false, true) => format!("{option} {value}"),
            (false, false) => option,
        };
        let several = if argument.is_positional() && !argument.is_last_set() && may_repeat(argument) {
            " ..."
        } else {
            ""
        };
        if argument.is_required_set() {
            text = text + &word + several + "\n";
        } else if is_few {
            text = text + "[" + &word + several + "]\n";
        }
    }
    if !is_few || hides {
        text += "[\\fIoptions\\fR]\n";
    }
    text
}

fn may_repeat(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|range| range.max_values() > 1)
}

/// The other commands and their pages.
fn commands(text: &mut Vec<u8>, top: &Command) {
    text.extend(b".SH COMMANDS\n");
    for command in visible(top) {
        let name = roff::text(command.get_display_name().unwrap_or_else(|| command.get_name()));
        text.extend(format!(".TP\n.BR {name} (8)\n{}.\n", about(command)).bytes());
    }
}
