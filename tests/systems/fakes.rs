//! Fake tools that record how they are started, replay the output of the real ones, and refuse what those refuse.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::sandbox::{Sandbox, write_script};

/// A directory of captured output.
pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rsync");

/// The options that Samba's rsync has had from 3.0.9 on, as far as this program may use them.
const SINCE_3_0_9: &str = "--archive|--delete|--delete-excluded|--hard-links|--numeric-ids|--one-file-system|--sparse|\
    --no-inc-recursive|--no-h|--8-bit-output|--acls|--xattrs|--modify-window=*|--stats|--dry-run|--verbose|--itemize-changes|\
    --out-format=*|--ignore-errors|--filter=[HP]*|--filter=-\\ *|--exclude=*|--exclude-from=*|--no-owner|--no-group|--no-devices|\
    --no-specials";

/// The same from 3.1.0 on.
pub const SINCE_3_1_0: &[&str] = &["--info=*", "--outbuf=*"];

/// The same from 3.1.3 on.
pub const SINCE_3_1_3: &[&str] = &["--info=*", "--outbuf=*", "--filter=-x*"];

/// What 3.2.3 and later have on a Mac.
pub const SINCE_3_2_3: &[&str] = &["--info=*", "--outbuf=*", "--filter=-x*", "--open-noatime", "--crtimes"];

/// What only patched rsyncs have.
pub const PATCHES: &[&str] = &["--fileflags", "--hfs-compression", "--protect-decmpfs"];

/// An rsync that copies nothing.
#[derive(Debug)]
pub struct FakeRsync<'a> {
    /// Its version, such as `3.0.9`.
    pub version: &'a str,
    /// The options that it has beyond those of 3.0.9, as the patterns of a shell.
    pub options: Vec<&'a str>,
    /// What it prints on standard output instead of copying; a file's path.
    pub out: PathBuf,
    /// What it prints on standard error; a file's path.
    pub err: PathBuf,
    /// The code that it ends with instead of copying.
    pub code: i32,
}

impl<'a> FakeRsync<'a> {
    /// One that succeeds and prints the statistics of its own generation.
    pub fn new(version: &'a str, options: &[&[&'a str]]) -> Self {
        let generation = if version == "3.0.9" { "3.0.9" } else { "3.1.3" };
        Self {
            version,
            options: options.concat(),
            out: Path::new(FIXTURES).join(format!("{generation}/statistics.out")),
            err: PathBuf::from("/dev/null"),
            code: 0,
        }
    }

    /// Puts it at a path; what it is told is kept in `RECORD/argv.clone`, `argv.list` and `stdin`.
    pub fn install(&self, path: &Path, record: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::create_dir_all(record).unwrap();
        let Self { version, options, out, err, code } = self;
        let known = [&[SINCE_3_0_9], options.as_slice()].concat().join("|");
        let (record, out, err) = (record.display(), out.display(), err.display());
        write_script(
            path,
            &format!(
                r#"
kind=clone
ends=
for argument in "$@"; do
    if [ -n "$ends" ]; then ends="$ends+"; continue; fi
    case "$argument" in
        --) ends=- ;;
        --version) printf 'rsync  version %s  protocol version 31\nCopyright (C) 1996-2018 by others.\n' '{version}'; exit 0 ;;
        {known}) ;;
        *)  printf 'rsync: %s: unknown option\n' "$argument" >&2
            printf 'rsync error: syntax or usage error (code 1) at main.c(1572) [client=%s]\n' '{version}' >&2
            exit 1 ;;
    esac
    if [ "$argument" = --dry-run ]; then kind=list; fi
done
if [ "$ends" != '-++' ]; then exit 1; fi
printf '%s\n' "$@" >'{record}'/argv.$kind
env >'{record}'/environment
cat >'{record}'/stdin
if [ $kind = list ]; then exit 0; fi
cat '{out}'
cat '{err}' >&2
exit {code}"#
            ),
        );
    }

    /// Puts it where it is found first; returns what it was told later on.
    pub fn install_first(&self, sandbox: &Sandbox) -> Record {
        let record = Record(sandbox.path().join("record"));
        self.install(&sandbox.host().join("rsync/rsync"), &record.0);
        record
    }
}

/// What a fake tool was told.
#[derive(Debug)]
pub struct Record(pub PathBuf);

impl Record {
    /// The arguments of the clone.
    pub fn of_clone(&self) -> Vec<String> {
        self.lines("argv.clone")
    }

    /// The lines of one of the files.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// A `sw_vers` that takes what the real one takes and is deceived as the real one is.
pub fn sw_vers(sandbox: &Sandbox, version: &str) {
    sandbox.tool(
        "sw_vers",
        &format!(
            r#"if [ "$#" != 1 ] || [ "$1" != -productVersion ]; then echo 'Usage: sw_vers [--help|--productName]' >&2; exit 1; fi
if [ -n "$SYSTEM_VERSION_COMPAT" ]; then echo 10.16; else echo '{version}'; fi"#
        ),
    );
}

/// What `vsdbutil -c VOLUME` answers.
#[derive(Debug, Clone, Copy)]
pub enum Vsdbutil {
    Enabled,
    Disabled,
    NoEntry,
    NoUuid,
    /// The tool is gone, as in later systems.
    Missing,
}

/// A `vsdbutil` that takes what the real one takes and writes down each volume that it was asked for.
pub fn vsdbutil(sandbox: &Sandbox, answer: Vsdbutil) {
    let answer = match answer {
        Vsdbutil::Enabled => r#"echo "Permissions on '$2' are enabled.""#,
        Vsdbutil::Disabled => r#"echo "Permissions on '$2' are disabled.""#,
        Vsdbutil::NoEntry => r#"echo "No entry found for '$2'."; exit 1"#,
        Vsdbutil::NoUuid => r#"echo "vsdbutil: no UUID on '$2', permissions are disabled." >&2"#,
        Vsdbutil::Missing => {
            let _ = fs::remove_file(sandbox.host().join("tools/vsdbutil"));
            return;
        }
    };
    let asked = sandbox.path().join("vsdbutil.asked");
    sandbox.tool(
        "vsdbutil",
        &format!(
            r#"if [ "$#" != 2 ] || [ "$1" != -c ] || [ ! -d "$2" ]; then echo 'usage: vsdbutil [-acdi] [path]' >&2; exit 1; fi
printf '%s\n' "$2" >>'{}'
{answer}"#,
            asked.display()
        ),
    );
}

/// A `diskutil` that answers `info -plist VOLUME` with these keys, for mount points and devices only.
pub fn diskutil(sandbox: &Sandbox, keys: &str) {
    let list = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n\t<key>FilesystemType</key>\n\t<string>apfs</string>\n\
         \t<key>TotalSize</key>\n\t<integer>499963174912</integer>\n{keys}\n</dict>\n</plist>\n"
    );
    let answer = sandbox.path().join("diskutil.plist");
    fs::write(&answer, list).unwrap();
    sandbox.tool(
        "diskutil",
        &format!(
            r#"if [ "$#" != 3 ] || [ "$1" != info ] || [ "$2" != -plist ]; then echo 'Usage: diskutil info' >&2; exit 1; fi
if ! mountpoint -q "$3"; then echo "Could not find disk: $3" >&2; exit 1; fi
cat '{}'"#,
            answer.display()
        ),
    );
}
