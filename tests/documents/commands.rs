//! The documents mention no option that the program does not have.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;

use counterpart::cli::definition;
use counterpart::rsync::version::Version;

use crate::documents::{DOCUMENTS, code, files_below, product, read, root};
use crate::support::sandbox::{PRODUCT, Sandbox};

/// Every option of the program, with its hyphens.
fn options() -> BTreeSet<String> {
    let mut definition = definition();
    definition.build();
    let mut commands = vec![&definition];
    let mut arguments = Vec::new();
    while let Some(command) = commands.pop() {
        arguments.extend(command.get_arguments());
        commands.extend(command.get_subcommands());
    }
    arguments
        .into_iter()
        .flat_map(|argument| {
            let short = argument.get_short().map(|short| format!("-{short}"));
            let long = argument.get_long_and_visible_aliases().unwrap_or_default();
            short.into_iter().chain(long.into_iter().map(|long| format!("--{long}")))
        })
        .collect()
}

/// Options that the documents name and that belong to other programs.
const OF_OTHERS: [&str; 35] = [
    // rsync
    "--acls",
    "--archive",
    "--crtimes",
    "--delete",
    "--delete-excluded",
    "--fileflags",
    "--hard-links",
    "--hfs-compression",
    "--itemize-changes",
    "--max-delete",
    "--modify-window",
    "--numeric-ids",
    "--one-file-system",
    "--open-noatime",
    "--protect-decmpfs",
    "--sparse",
    "--no-inc-recursive",
    "--xattrs",
    // cargo, rpm, xcode-select
    "--release",
    "--locked",
    "--changelog",
    "--install",
    // systemctl, journalctl, systemd-run
    "--now",
    "--failed",
    "--no-pager",
    // mount, grub-install, bless
    "--bind",
    "--target",
    "--efi-directory",
    "--removable",
    "--folder",
    "--bootinfo",
    "--bootefi",
    "--fuzz-dir",
    "--test",
    // prometheus-node-exporter
    "--collector",
];

/// The words of a text that look like long options.
fn long_options(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| {
            word.starts_with("--") && word.trim_matches('-').starts_with(|c: char| c.is_ascii_lowercase())
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_long_option_is_known() {
    let known = options();
    let mut seen = BTreeSet::new();
    for document in DOCUMENTS {
        for option in long_options(&read(document)) {
            let of_others = OF_OTHERS.contains(&option.as_str());
            assert!(known.contains(&option) || of_others, "{document}: {option}");
            seen.insert(option);
        }
    }
    for option in OF_OTHERS {
        assert!(seen.contains(option), "no document speaks of {option} any more");
    }
}

/// The arguments of a command line that calls the program, if it is one.
fn arguments(line: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = line.split(" #").next()?.split_whitespace().collect();
    let is_program = |word: &&str| *word == "counterpart" || word.ends_with("/sbin/counterpart");
    let at = words.iter().position(is_program)?;
    // Only the program itself, under sudo or behind a condition: not a file that is installed or deleted.
    let before = words[..at].last().copied().unwrap_or("sudo");
    let is_called = ["sudo", "&&", "ionice"].contains(&before);
    is_called.then(|| words[at + 1..].iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let known = options();
    let mut seen = 0;
    for document in DOCUMENTS {
        for line in code(document) {
            let Some(arguments) = arguments(&line) else { continue };
            for option in arguments.iter().filter(|word| word.starts_with('-') && *word != "--") {
                let option = option.split('=').next().unwrap();
                assert!(known.contains(option), "{document}: {option} in {line}");
            }
            let ends = arguments
                .iter()
                .filter(|argument| ["-s", "-d", "--source", "--destination"].contains(&argument.as_str()));
            let needs_none = [
                "--version",
                "--help",
                "help",
                "generate",
                "prepare",
                "prove",
                "restore",
                "schedule",
                "setpass",
                "check",
                "doctor",
                "exclusions",
                "status",
                "verify",
                "forget",
                "run",
                "job",
            ];
            if ends.count() != 2 {
                let first = arguments.first().map(String::as_str);
                assert!(first.is_none_or(|first| needs_none.contains(&first)), "{document}: {line}");
            }
            seen += 1;
        }
    }
    assert!(seen > 6, "{seen}");
}

#[test]
fn the_table_of_rsyncs_lacks_is_in_the_order_of_versions() {
    let versions: Vec<Vec<u16>> = crate::documents::table(&read("docs/rsync-versions.md"))
        .iter()
        .map(|row| row[0].split('.').map(|part| part.parse().unwrap()).collect())
        .collect();
    assert!(versions.is_sorted(), "{versions:?}");
    for version in [Version::NANOSECONDS, Version::WITHOUT_KNOWN_HOLES] {
        assert!(versions.contains(&vec![version.major, version.minor, version.patch]), "{version}");
    }
    assert!(read("docs/rsync-versions.md").contains(&format!("from {} on", Version::OLDEST)));
}

#[test]
fn every_example_is_mentioned() {
    let documents = DOCUMENTS.map(read).concat();
    for file in files_below("examples") {
        // Man pages and completions are generated, all of them together.
        let is_page = file.strip_prefix(root()).unwrap().starts_with("examples/man");
        let is_completion = file.strip_prefix(root()).unwrap().starts_with("examples/completions");
        let name = match file.file_name().unwrap().to_string_lossy().into_owned() {
            _ if is_page => "examples/man".to_owned(),
            _ if is_completion => "examples/completions".to_owned(),
            name => name,
        };
        assert!(documents.contains(&name), "no document speaks of {name}");
    }
}

#[test]
fn a_path_without_its_quotes_is_told_as_such() {
    let output = Command::new(PRODUCT).args(["-s", "/", "-d", "/Volumes/My", "Clone"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    let expected = "error: unexpected argument 'Clone'; a path that holds blanks needs quotes\n";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn a_destination_that_is_not_there_is_told_as_such() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    let missing = sandbox.path().join("missing");
    let arguments = [OsStr::new("-s"), sandbox.source.as_os_str(), OsStr::new("-d"), missing.as_os_str()];
    sandbox.run(arguments).assert_code(66).assert_err(&format!(
        "counterpart: The destination {} cannot be written: it does not exist, and Counterpart does not create it. Perhaps its disk is not mounted.\n",
        missing.display()
    ));
    assert!(!missing.exists());
}

#[test]
fn the_man_page_shows_how_to_call_it() {
    let page = product(&["generate", "man"]);
    let synopsis = page.split_once(".SH SYNOPSIS\n").expect("no synopsis").1.split(".SH ").next().unwrap();
    let words = synopsis.replace("\\fB", "").replace("\\fI", "").replace("\\fR", "").replace("\\-", "-");
    let words: Vec<&str> = words.split_whitespace().collect();
    assert!(words.join(" ").starts_with(".B counterpart -s DIR -d DIR|TAG [options]"), "{synopsis}");
}
