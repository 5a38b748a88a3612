//! The files in `examples/` are promises: each one is parsed, checked or run here, with real tools where available.

#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]
mod dashboard;
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]
mod notify;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

/// The binary that the examples are about.
const COUNTERPART: &str = env!("CARGO_BIN_EXE_counterpart");

/// Where the examples expect that binary.
const INSTALLED: &str = "/usr/local/sbin/counterpart";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// All examples whose names end in this.
fn examples_ending_in(suffix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(example(""))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "no example ends in {suffix}");
    Ok(found)
}

fn run(command: &mut Command) -> Result<Output> {
    command.env("LC_ALL", "C").output().with_context(|| format!("cannot run {command:?}"))
}

/// Runs a command that must succeed and returns its standard output.
fn succeed(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn write_executable(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn sorted_names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Every option, short and long, that `counterpart --help` speaks of.
fn known_options() -> Result<BTreeSet<String>> {
    let help = succeed(Command::new(COUNTERPART).arg("--help"))?;
    let options: BTreeSet<String> = help
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with('-') && !word.trim_start_matches('-').is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(options.contains("--source") && options.contains("-d"), "this is no help: {help:?}");
    Ok(options)
}

/// Holds a command line from an example against what the binary offers.
fn assert_command_line(from: &Path, arguments: &[String]) -> Result<()> {
    let known = known_options()?;
    let (program, rest) = arguments.split_first().context("an empty command line")?;
    assert_eq!(program, INSTALLED, "{}", from.display());
    let options: Vec<_> = rest.iter().filter(|argument| argument.starts_with('-')).collect();
    for option in &options {
        assert!(known.contains(option.as_str()), "{}: {option} is unknown", from.display());
    }
    for needed in [["-s", "--source"], ["-d", "--destination"]] {
        assert!(
            options.iter().any(|option| needed.contains(&option.as_str())),
            "{}: {needed:?} is missing",
            from.display(),
        );
    }
    Ok(())
}

struct Job {
    path: PathBuf,
    dictionary: plist::Dictionary,
    arguments: Vec<String>,
}

fn jobs() -> Result<Vec<Job>> {
    examples_ending_in(".plist")?.into_iter().map(read_job).collect()
}

fn read_job(path: PathBuf) -> Result<Job> {
    let value = plist::Value::from_file(&path)?;
    let dictionary = value.into_dictionary().context("not a dictionary")?;
    let mut arguments = Vec::new();
    for argument in
        dictionary.get("ProgramArguments").and_then(plist::Value::as_array).context("no arguments")?
    {
        arguments.push(argument.as_string().context("an argument is no string")?.to_owned());
    }
    Ok(Job { path, dictionary, arguments })
}

/// The values of a key in a systemd unit, in order.
fn unit_values(unit: &str, key: &str) -> Vec<String> {
    unit.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
        .collect()
}

#[test]
fn launchd_jobs_are_labelled_as_their_files_and_start_counterpart() -> Result<()> {
    let jobs = jobs()?;
    assert_eq!(jobs.len(), 2);
    for Job { path, dictionary, arguments } in jobs {
        let label = dictionary.get("Label").and_then(plist::Value::as_string);
        assert_eq!(label, path.file_stem().and_then(OsStr::to_str));
        assert_command_line(&path, &arguments)?;
    }
    Ok(())
}

#[test]
fn launchd_jobs_start_at_valid_times() -> Result<()> {
    for Job { path, dictionary, .. } in jobs()? {
        let times = dictionary.get("StartCalendarInterval").context("no StartCalendarInterval")?;
        let times = times.as_array().cloned().unwrap_or_else(|| vec![times.clone()]);
        assert!(!times.is_empty());
        for time in &times {
            let time = time.as_dictionary().context("a time is no dictionary")?;
            // A job that leaves out the hour or the minute starts at every one of them.
            assert!(time.contains_key("Hour") && time.contains_key("Minute"), "{}", path.display());
            for (key, number) in time {
                let number = number.as_unsigned_integer().context("not a number")?;
                let limit = match key.as_str() {
                    "Minute" => 59,
                    "Hour" => 23,
                    "Weekday" => 7,
                    other => anyhow::bail!("{}: unexpected {other}", path.display()),
                };
                assert!(number <= limit, "{}: {key} {number}", path.display());
            }
        }
    }
    Ok(())
}

#[test]
fn the_complex_launchd_job_shows_every_setting() -> Result<()> {
    let job = read_job(example("me.jedda.counterpart.complex.plist"))?;
    let options: Vec<_> = job.arguments.iter().filter(|argument| argument.starts_with('-')).collect();
    assert_eq!(
        options,
        [
            "--source",
            "--destination",
            "--exclude-from",
            "--pre-script",
            "--post-script",
            "--organisation-prefix"
        ],
    );
    let dictionary = &job.dictionary;
    assert_eq!(dictionary.get("ProcessType").and_then(plist::Value::as_string), Some("Background"));
    assert_eq!(dictionary.get("LowPriorityIO").and_then(plist::Value::as_boolean), Some(true));
    assert_eq!(dictionary.get("Nice").and_then(plist::Value::as_unsigned_integer), Some(10));
    for key in ["StandardOutPath", "StandardErrorPath"] {
        let path = dictionary.get(key).and_then(plist::Value::as_string).context(key)?;
        // launchd makes no directories, and a job whose output cannot be opened does not start.
        assert_eq!(Path::new(path).parent(), Some(Path::new("/var/log")));
    }
    // The files it names are examples, too.
    for file in
        job.arguments.iter().filter_map(|argument| argument.strip_prefix("/Library/Application Support/"))
    {
        let name = file.strip_prefix("Counterpart/").context("outside our own directory")?;
        assert!(example(name).is_file(), "{name}");
    }
    Ok(())
}

#[test]
fn python_reads_the_same_launchd_jobs() -> Result<()> {
    let script = "\
import plistlib, sys
with open(sys.argv[1], 'rb') as file:
    job = plistlib.load(file)
print(job['Label'], *sorted(job), *job['ProgramArguments'], sep='\\n')
";
    for Job { path, dictionary, arguments } in jobs()? {
        let read = succeed(Command::new("/usr/bin/python3").args(["-c", script]).arg(&path))?;
        let mut keys: Vec<_> = dictionary.keys().cloned().collect();
        keys.sort();
        let label = dictionary.get("Label").and_then(plist::Value::as_string).context("no label")?;
        let mut expected = vec![label.to_owned()];
        expected.extend(keys);
        expected.extend(arguments);
        assert_eq!(read.lines().collect::<Vec<_>>(), expected);
    }
    Ok(())
}

/// Has systemd read units, which it must do without a word about them.
fn assert_unit_is_accepted(units: &[PathBuf]) -> Result<()> {
    // The manual page is not installed here. What other units of this machine get wrong is not looked at.
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--recursive-errors=no"]).args(units);
    let output = run(&mut command)?;
    let complaints = String::from_utf8(output.stderr)?;
    assert!(output.status.success(), "{complaints}");
    assert!(!complaints.contains("counterpart"), "{complaints}");
    Ok(())
}

#[test]
fn systemd_accepts_the_units() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let service = fs::read_to_string(example("counterpart.service"))?;
    let copy = dir.path().join("counterpart.service");
    fs::write(&copy, service.replace(INSTALLED, COUNTERPART))?;
    let timer = dir.path().join("counterpart.timer");
    fs::copy(example("counterpart.timer"), &timer)?;

    assert_unit_is_accepted(&[copy, timer])
}

#[test]
fn the_systemd_service_starts_counterpart_on_a_mounted_disk_only() -> Result<()> {
    let path = example("counterpart.service");
    let unit = fs::read_to_string(&path)?;
    let commands = unit_values(&unit, "ExecStart");
    assert_eq!(commands.len(), 1);
    let arguments: Vec<_> =
        commands.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect();
    assert_command_line(&path, &arguments)?;

    let destination = arguments.last().context("no arguments")?;
    assert_eq!(unit_values(&unit, "RequiresMountsFor"), [destination.as_str()]);
    assert_eq!(unit_values(&unit, "ExecStartPre"), [format!("/usr/bin/mountpoint -q {destination}")]);
    // Any code but 0 is a failure, and a wall that hides files would make a wrong clone.
    for key in ["SuccessExitStatus", "PrivateTmp", "ProtectSystem", "ProtectHome", "RestrictSUIDSGID"] {
        assert_eq!(unit_values(&unit, key), Vec::<String>::new(), "{key}");
    }
    Ok(())
}

#[test]
fn the_systemd_timer_elapses_every_night() -> Result<()> {
    let unit = fs::read_to_string(example("counterpart.timer"))?;
    assert_eq!(unit_values(&unit, "Persistent"), ["true"]);
    let times = unit_values(&unit, "OnCalendar");
    assert_eq!(times.len(), 1);
    for time in times {
        let analysis = succeed(Command::new("systemd-analyze").args(["calendar", "--iterations=2", &time]))?;
        assert!(analysis.contains(&format!("Normalized form: {time}")), "{analysis}");
        // Newer ones say "Iteration #2".
        assert!(analysis.contains(" #2: "), "{analysis}");
    }
    Ok(())
}

#[test]
fn every_script_is_executable_and_parses() -> Result<()> {
    for script in examples_ending_in(".sh")? {
        let mode = fs::metadata(&script)?.permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{} is not executable", script.display());
        succeed(Command::new("bash").arg("-n").arg(&script))?;
        if fs::read_to_string(&script)?.starts_with("#!/bin/sh\n") {
            succeed(Command::new("sh").arg("-n").arg(&script))?;
        }
    }
    Ok(())
}

#[test]
fn the_first_clone_script_sees_all_the_codes_it_expects() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new(example("first-clone.sh"));
    command.args(["--allow-non-root", "--binary", COUNTERPART]).env("TMPDIR", dir.path());
    let told = succeed(&mut command)?;
    for line in [
        "First clone                          expected   0, got   0: right",
        "After adding, changing, deleting     expected   0, got   0: right",
        "Test run                             expected  70, got  70: right",
        "A source that does not exist         expected  65, got  65: right",
    ] {
        assert!(told.contains(line), "{told}");
    }
    assert!(told.ends_with("Everything went as it should.\n"), "{told}");
    assert_eq!(sorted_names(dir.path())?, Vec::<String>::new(), "it left something behind");
    // Nor does the machine remember a clone that is gone.
    let memory = Path::new("/var/lib/counterpart");
    for name in if memory.is_dir() { sorted_names(memory)? } else { Vec::new() } {
        let text = fs::read_to_string(memory.join(&name)).unwrap_or_default();
        assert!(!text.contains(&dir.path().display().to_string()), "{name}: {text}");
    }
    Ok(())
}

/// A directory with pretended `MySQL` tools and a dump of the night before.
struct MySql {
    dir: tempfile::TempDir,
}

impl MySql {
    /// Each tool insists on the options file as its first argument, and on getting no password in any. `dump` is
    /// what the dumper does once it has all that.
    fn new(databases: &str, dump: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = dir.path();
        fs::create_dir_all(at.join("bin"))?;
        fs::create_dir_all(at.join("out"))?;
        fs::write(at.join("options.cnf"), "[client]\npassword = open-sesame\n")?;
        fs::set_permissions(at.join("options.cnf"), fs::Permissions::from_mode(0o600))?;
        let guard = format!(
            "#!/bin/sh\n\
             [ \"$1\" = '--defaults-extra-file={}/options.cnf' ] || exit 90\n\
             case $* in *open-sesame* | *--password* | *' -p'*) exit 91 ;; esac\n",
            at.display(),
        );
        write_executable(
            &at.join("bin/mysql"),
            &format!("{guard}case $* in *'SHOW DATABASES'*) ;; *) exit 92 ;; esac\nprintf '{databases}'\n"),
        )?;
        let needed = "--all-databases --single-transaction --routines --events";
        write_executable(
            &at.join("bin/mysqldump"),
            &format!("{guard}case $* in *'{needed}'*) ;; *) exit 93 ;; esac\n{dump}\n"),
        )?;
        fs::write(at.join("out/mysql.sql"), "the old dump\n")?;
        Ok(Self { dir })
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("out/mysql.sql")
    }

    fn dump(&self) -> Result<Output> {
        let at = self.dir.path();
        run(Command::new(example("mysql-dump.sh"))
            .env("PATH", format!("{}/bin:/usr/bin:/bin", at.display()))
            .env("MYSQL_DUMP_TARGET", self.target())
            .env("MYSQL_DUMP_OPTIONS", at.join("options.cnf")))
    }

    /// Runs the script, which must fail with this message and leave the old dump, and nothing else, where it was.
    fn assert_refused(&self, message: &str) -> Result<()> {
        let output = self.dump()?;
        let told = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(message), "{told}");
        assert_eq!(fs::read_to_string(self.target())?, "the old dump\n");
        assert_eq!(sorted_names(&self.dir.path().join("out"))?, ["mysql.sql"]);
        Ok(())
    }
}

const DATABASES: &str = r"information_schema\nmysql\nperformance_schema\nsys\nshop\n";

const GOOD_DUMP: &str = "\
cat <<'DUMP'
-- MySQL dump
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql` /*!40100 DEFAULT CHARACTER SET latin1 */;
CREATE TABLE `user` (
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;
-- Dump completed on 2026-11-22  3:30:00
DUMP";

#[test]
fn a_complete_mysql_dump_replaces_the_old_one_for_root_alone() -> Result<()> {
    let mysql = MySql::new(DATABASES, GOOD_DUMP)?;
    let output = mysql.dump()?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stderr)?, "");
    assert!(String::from_utf8(output.stdout)?.starts_with("mysql-dump: 2 databases and "));
    assert!(fs::read_to_string(mysql.target())?.starts_with("-- MySQL dump\n"));
    assert_eq!(fs::metadata(mysql.target())?.permissions().mode() & 0o7777, 0o600);
    assert_eq!(sorted_names(&mysql.dir.path().join("out"))?, ["mysql.sql"]);
    Ok(())
}

#[test]
fn a_failed_mysql_dump_leaves_the_old_one() -> Result<()> {
    let dump = format!("{GOOD_DUMP}\nexit 2");
    MySql::new(DATABASES, &dump)?.assert_refused("the dump failed (code 2)")
}

#[test]
fn a_truncated_mysql_dump_leaves_the_old_one() -> Result<()> {
    let dump = GOOD_DUMP.replace("-- Dump completed on 2026-11-22  3:30:00\n", "");
    MySql::new(DATABASES, &dump)?.assert_refused("the dump is cut short")
}

#[test]
fn a_mysql_dump_without_one_of_the_databases_leaves_the_old_one() -> Result<()> {
    let databases = format!("{DATABASES}shop2\\n");
    MySql::new(&databases, GOOD_DUMP)?.assert_refused("the database \"shop2\" is not in the dump")
}

#[test]
fn a_mysql_account_without_privileges_leaves_the_old_dump() -> Result<()> {
    let empty = "echo '-- Dump completed on 2026-11-22  3:30:00'";
    MySql::new(r"information_schema\n", empty)?.assert_refused("does not see the database \"mysql\"")?;
    let no_tables = GOOD_DUMP.replace("CREATE TABLE `user` (\n", "");
    MySql::new(DATABASES, &no_tables)?.assert_refused("the dump holds no table at all")
}

#[test]
fn rsync_reads_the_exclusions_as_they_are_meant() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (source, clone) = (dir.path().join("source"), dir.path().join("clone"));
    let excluded = [
        ".DS_Store",
        ".TemporaryItems",
        "Users/anna/Library/Caches/safari",
        "Users/anna/film.mov.part",
        "core.1234",
        "home/bert/.cache/thumbnails/1",
        "private/var/db/systemstats/a",
        "root/.cache/b",
        "srv/deep/.DS_Store",
        "var/cache/apt/archives/rsync.deb",
        "var/cache/dnf/c",
        "var/tmp/d",
    ];
    let kept = [
        "Users/anna/Library/Mail",
        "core.c",
        "home/bert/.cache/keep/precious",
        "home/bert/letter",
        "srv/Users/anna/Library/Caches/not at the top",
        "var/cache/apt/archives/lock",
        "var/lib/mysql/ibdata1",
    ];
    for name in excluded.iter().chain(&kept) {
        let path = source.join(name);
        fs::create_dir_all(path.parent().context("no directory")?)?;
        fs::write(path, name)?;
    }
    succeed(
        Command::new("rsync").args(["--archive", "--delete", "--delete-excluded", "--exclude-from"]).args([
            &example("counterpart_exclude"),
            &source.join(""),
            &clone.join(""),
        ]),
    )?;
    for name in excluded {
        assert!(!clone.join(name).exists(), "{name} was cloned");
    }
    for name in kept {
        assert!(clone.join(name).exists(), "{name} was left out");
    }
    // What is left out with a star leaves its directory behind, as the comments say.
    for name in ["Users/anna/Library/Caches", "var/tmp", "root/.cache"] {
        assert!(clone.join(name).is_dir(), "{name} has no directory");
    }
    Ok(())
}

#[test]
fn no_exclusion_ends_in_a_blank() -> Result<()> {
    for line in fs::read_to_string(example("counterpart_exclude"))?.lines() {
        assert_eq!(line, line.trim_end());
    }
    Ok(())
}

#[test]
fn systemd_accepts_the_unit_in_the_scheduling_guide() -> Result<()> {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SCHEDULING.md"))?;
    let (_, after) = guide.split_once("counterpart-failed.service`:\n\n").context("no such unit")?;
    let unit: String = after
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .flat_map(|line| [line.trim_start(), "\n"])
        .collect();
    assert!(unit.starts_with("[Unit]\n") && unit.contains("[Service]\n"), "{unit}");
    let dir = tempfile::tempdir()?;
    let copy = dir.path().join("counterpart-failed.service");
    fs::write(&copy, unit)?;
    assert_unit_is_accepted(&[copy])
}

#[test]
fn the_cron_job_in_the_scheduling_guide_parses() -> Result<()> {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SCHEDULING.md"))?;
    let line =
        guide.lines().find_map(|line| line.trim().split_once(" * * * root ")).context("no cron job")?.1;
    // A percent sign would be a line break to cron.
    assert!(line.contains(INSTALLED) && !line.contains('%'), "{line}");
    succeed(Command::new("sh").args(["-n", "-c", line]))?;
    Ok(())
}
