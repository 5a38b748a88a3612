//! What a guest's report and its consoles mean: whether the clone has booted, and what is wrong with it.

use std::fmt;
use std::time::Duration;

use crate::display;
use crate::prove::console::Hint;
use crate::prove::probe::{FstabLine, Report};

/// The most units, lines or devices named in one sentence.
const MOST_NAMED: usize = 5;

/// What the report is compared with.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The UUID of the filesystem that was named: it must be the guest's root.
    pub root: Option<String>,
    /// Units that may have failed.
    pub allowed: Vec<String>,
}

/// Something that is wrong with a system that has come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is in emergency or rescue mode.
    Emergency,
    /// Its default target is not reached: the target, its state.
    Target(String, String),
    /// Its root is not the filesystem that was to be proven: found, expected.
    Root(Option<String>, String),
    /// What fstab names for a mount point is not on the clone's disk: what is named, where.
    Missing(String, String),
    /// It is there, and something else or nothing is mounted: what is named, where.
    NotMounted(String, String),
    /// The root stays read-only.
    ReadOnly,
    /// These units have failed.
    Failed(Vec<String>),
    /// It is degraded, and it is not known why.
    Degraded,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| display::line(text.as_bytes()).to_string();
        match self {
            Self::Emergency => write!(formatter, "it ends in emergency mode"),
            Self::Target(target, state) => {
                write!(formatter, "its default target {} is {}", shown(target), shown(state))
            }
            Self::Root(Some(found), expected) => write!(
                formatter,
                "its root is the filesystem with UUID {}, not the one with UUID {}",
                shown(found),
                shown(expected)
            ),
            Self::Root(None, expected) => {
                write!(formatter, "its root is not the filesystem with UUID {}", shown(expected))
            }
            Self::Missing(spec, target) => write!(
                formatter,
                "fstab names {} for {}, which is not on the clone's disk",
                shown(spec),
                shown(target)
            ),
            Self::NotMounted(spec, target) => {
                write!(
                    formatter,
                    "{}, which fstab names for {}, is not in use there",
                    shown(spec),
                    shown(target)
                )
            }
            Self::ReadOnly => write!(formatter, "its root stays mounted read-only"),
            Self::Failed(units) => {
                let count = units.len();
                let named: Vec<String> = units.iter().take(MOST_NAMED).map(|unit| shown(unit)).collect();
                let more = if count > MOST_NAMED {
                    format!(" and {} more", count - MOST_NAMED)
                } else {
                    String::new()
                };
                write!(
                    formatter,
                    "{} failed: {}{more}",
                    if count == 1 { "1 unit has".to_owned() } else { format!("{count} units have") },
                    named.join(", ")
                )
            }
            Self::Degraded => write!(formatter, "systemd calls it degraded"),
        }
    }
}

/// Everything that is wrong with the system that sent this report.
#[must_use]
pub fn problems(report: &Report, expected: &Expected) -> Vec<Problem> {
    let mut problems = Vec::new();
    let root = report.mounted_at("/");
    let root_uuid = root.and_then(|root| report.uuid(&root.device));
    if let Some(wanted) = &expected.root
        && !root_uuid.is_some_and(|found| found.eq_ignore_ascii_case(wanted))
    {
        problems.push(Problem::Root(root_uuid.map(str::to_owned), wanted.clone()));
    }
    problems.extend(report.fstab.iter().filter_map(|line| of_line(report, line)));
    let may_stay = |line: &FstabLine| line.target == "/" && has_option(&line.options, "ro");
    if root.is_some_and(|root| has_option(&root.options, "ro")) && !report.fstab.iter().any(may_stay) {
        problems.push(Problem::ReadOnly);
    }
    let failed: Vec<String> =
        report.failed.iter().filter(|unit| !expected.allowed.contains(unit)).cloned().collect();
    let is_explained = !report.failed.is_empty();
    if !failed.is_empty() {
        problems.push(Problem::Failed(failed));
    }
    match report.state.as_deref() {
        Some("maintenance") => problems.push(Problem::Emergency),
        Some("degraded") if !is_explained => problems.push(Problem::Degraded),
        _ => {}
    }
    match &report.target {
        Some((target, state)) if state != "active" => {
            problems.push(Problem::Target(target.clone(), state.clone()));
        }
        _ => {}
    }
    problems
}

/// Lines of fstab that name a disk which the guest does not have, and need not have.
#[must_use]
pub fn absent(report: &Report) -> Vec<&FstabLine> {
    let may_lack = |line: &&FstabLine| {
        is_of_disk(line) && line.device.is_none() && has_option(&line.options, "nofail") && line.target != "/"
    };
    report.fstab.iter().filter(may_lack).collect()
}

fn is_of_disk(line: &FstabLine) -> bool {
    const TAGS: [&str; 6] = ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=", "/dev/"];
    TAGS.iter().any(|tag| line.spec.starts_with(tag))
}

fn has_option(options: &str, wanted: &str) -> bool {
    options.split(',').any(|option| option == wanted)
}

fn of_line(report: &Report, line: &FstabLine) -> Option<Problem> {
    let is_root = line.target == "/";
    let is_left_out =
        ["noauto", "x-systemd.automount"].iter().any(|option| has_option(&line.options, option));
    if !is_of_disk(line) || (is_left_out && !is_root) {
        return None;
    }
    let is_swap = line.kind == "swap";
    let target = if is_swap { "swap".to_owned() } else { line.target.clone() };
    let Some(device) = &line.device else {
        let may_lack = has_option(&line.options, "nofail") && !is_root;
        return (!may_lack).then(|| Problem::Missing(line.spec.clone(), target));
    };
    let plain = match line.target.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    };
    let is_used = if is_swap {
        report.swaps.contains(device)
    } else {
        report.mounts.iter().any(|mount| mount.target == plain && mount.device == *device)
            // btrfs shows one of its devices only.
            || report.mounted_at(plain).is_some_and(|mount| {
                report.uuid(device).is_some() && report.uuid(device) == report.uuid(&mount.device)
            })
    };
    (!is_used).then(|| Problem::NotMounted(line.spec.clone(), target))
}

/// Why a clone has not booted.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// It waits at this place, and this is its last line.
    Waits(Hint, Option<String>),
    /// It came up, with these problems.
    Problems(Vec<Problem>),
    /// Nothing moved for so long.
    Stalled(Duration),
    /// It took longer than this.
    TimedOut(Duration, Option<String>),
    /// It switched itself off.
    PoweredOff,
    /// It restarted itself again and again.
    Restarts(u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits(hint, line) => {
                let what = match hint {
                    Hint::Panic => "its kernel panics",
                    Hint::InitramfsShell => "its initramfs finds no root and starts a shell",
                    Hint::Emergency => "it ends in emergency mode",
                    Hint::Passphrase => "it asks for a passphrase, and nobody can type one",
                    Hint::GrubRescue => "GRUB does not find its own files (grub rescue)",
                    Hint::GrubPrompt => "GRUB finds no configuration and shows its prompt",
                    Hint::NothingToStart => "the firmware finds no boot loader",
                    Hint::FirmwareShell => "the firmware finds no boot loader and starts its own shell",
                    Hint::BootSector => "the disk has no boot loader that a BIOS could start",
                    Hint::Login => "it shows a login prompt, and its probe reports nothing",
                };
                formatter.write_str(what)?;
                match line {
                    Some(line) => write!(formatter, ": {}", display::line(line.as_bytes())),
                    None => Ok(()),
                }
            }
            Self::Problems(problems) => {
                for (at, problem) in problems.iter().take(MOST_NAMED).enumerate() {
                    write!(formatter, "{}{problem}", if at == 0 { "" } else { "; " })?;
                }
                match problems.len().saturating_sub(MOST_NAMED) {
                    0 => Ok(()),
                    more => write!(formatter, "; and {more} more problems"),
                }
            }
            Self::Stalled(limit) => {
                write!(formatter, "nothing has moved for {}", humantime::format_duration(*limit))
            }
            Self::TimedOut(limit, state) => {
                write!(formatter, "it was not up within {}", humantime::format_duration(*limit))?;
                match state {
                    Some(state) => {
                        write!(formatter, "; systemd calls it {}", display::line(state.as_bytes()))
                    }
                    None => Ok(()),
                }
            }
            Self::PoweredOff => formatter.write_str("it switched itself off"),
            Self::Restarts(count) => write!(formatter, "it restarted itself {count} times"),
        }
    }
}

impl Reason {
    /// Whether the guest got nowhere, as on a virtual processor that does not really work.
    #[must_use]
    pub fn got_nowhere(&self) -> bool {
        matches!(self, Self::Stalled(_) | Self::TimedOut(_, None))
    }

    /// Whether the root was not found, as when the initramfs has no driver for the disk's bus.
    #[must_use]
    pub fn lacks_root(&self) -> bool {
        match self {
            Self::Waits(hint, _) => matches!(hint, Hint::InitramfsShell | Hint::Panic),
            Self::Restarts(_) => true,
            Self::Problems(_) | Self::Stalled(_) | Self::TimedOut(..) | Self::PoweredOff => false,
        }
    }
}

/// What a guest that may be finished is known by.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// What it has reported.
    pub report: &'a Report,
    /// What its consoles show.
    pub hint: Option<Hint>,
    /// How long nothing has moved.
    pub quiet: Duration,
    /// How long it has run.
    pub age: Duration,
    /// It has switched itself off.
    pub is_off: bool,
    /// How often it has restarted itself.
    pub restarts: u32,
}

/// The limits of a proof.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest that it may take.
    pub timeout: Duration,
    /// The longest that nothing may move.
    pub stall: Duration,
}

/// The most restarts: some systems restart once, as after labelling every file for `SELinux`.
const MOST_RESTARTS: u32 = 2;

/// How a boot has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// It has reported everything.
    Reported,
    /// It shows a login prompt, and is not one that could report.
    Login,
    /// It has failed.
    Failed(Reason),
}

/// Whether the boot has ended, and how.
#[must_use]
pub fn ending(sight: &Sight<'_>, limits: &Limits) -> Option<Ending> {
    if sight.report.is_complete {
        return Some(Ending::Reported);
    }
    let failed = |reason| Some(Ending::Failed(reason));
    if sight.is_off {
        return failed(Reason::PoweredOff);
    }
    if sight.restarts > MOST_RESTARTS {
        let has_panicked = sight.hint == Some(Hint::Panic);
        return failed(if has_panicked {
            Reason::Waits(Hint::Panic, None)
        } else {
            Reason::Restarts(sight.restarts)
        });
    }
    if let Some(hint) = sight.hint.filter(|hint| sight.quiet >= hint.patience()) {
        let probe_says_more = sight.report.is_begun && matches!(hint, Hint::Login | Hint::Emergency);
        match (probe_says_more, hint == Hint::Login) {
            (true, _) => {}
            (false, true) => return Some(Ending::Login),
            (false, false) => return failed(Reason::Waits(hint, None)),
        }
    }
    if sight.age >= limits.timeout {
        return failed(Reason::TimedOut(limits.timeout, sight.report.state.clone()));
    }
    if sight.quiet >= limits.stall {
        return failed(Reason::Stalled(limits.stall));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Ending, Expected, Limits, Problem, Reason, Sight, absent, ending, problems};
    use crate::prove::console::Hint;
    use crate::prove::probe::{FstabLine, GuestMount, Report};

    fn line(device: Option<&str>, spec: &str, target: &str, kind: &str, options: &str) -> FstabLine {
        FstabLine {
            device: device.map(str::to_owned),
            spec: spec.to_owned(),
            target: target.to_owned(),
            kind: kind.to_owned(),
            options: options.to_owned(),
        }
    }

    fn mount(device: &str, target: &str, options: &str) -> GuestMount {
        GuestMount { device: device.to_owned(), target: target.to_owned(), options: options.to_owned() }
    }

    fn good() -> Report {
        Report {
            is_begun: true,
            is_complete: true,
            state: Some("running".to_owned()),
            target: Some(("graphical.target".to_owned(), "active".to_owned())),
            mounts: vec![mount("/dev/vda2", "/", "rw,relatime"), mount("/dev/vda1", "/boot/efi", "rw")],
            swaps: vec!["/dev/vda3".to_owned()],
            fstab: vec![
                line(Some("/dev/vda2"), "UUID=aa-1", "/", "ext4", "errors=remount-ro"),
                line(Some("/dev/vda1"), "UUID=AB-CD", "/boot/efi/", "vfat", "umask=0077"),
                line(Some("/dev/vda3"), "UUID=55", "none", "swap", "sw"),
                line(None, "/dev/sr0", "/media/cdrom", "iso9660", "noauto,user"),
                line(None, "UUID=old", "/srv", "ext4", "nofail"),
                line(None, "server:/export", "/net", "nfs", "defaults"),
                line(None, "tmpfs", "/tmp", "tmpfs", "defaults"),
            ],
            uuids: vec![
                ("/dev/vda2".to_owned(), "aa-1".to_owned()),
                ("/dev/vda1".to_owned(), "AB-CD".to_owned()),
            ],
            ..Report::default()
        }
    }

    fn of(change: impl FnOnce(&mut Report), expected: &Expected) -> Vec<String> {
        let mut report = good();
        change(&mut report);
        problems(&report, expected).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_good_report_has_no_problems() {
        let expected = Expected { root: Some("AA-1".to_owned()), allowed: Vec::new() };
        assert_eq!(of(|_| {}, &expected), [""; 0]);
        let report = good();
        assert_eq!(absent(&report), [&report.fstab[4]]);
    }

    #[test]
    fn each_problem_is_found() {
        let any = Expected::default();
        let other = Expected { root: Some("bb".to_owned()), ..Expected::default() };
        assert_eq!(
            of(|_| {}, &other),
            ["its root is the filesystem with UUID aa-1, not the one with UUID bb"]
        );
        assert_eq!(
            of(|report| report.uuids.clear(), &other),
            ["its root is not the filesystem with UUID bb"]
        );
        assert_eq!(
            of(|report| report.fstab[0].device = None, &any),
            ["fstab names UUID=aa-1 for /, which is not on the clone's disk"]
        );
        // An option that lets others be missing does not for the root.
        assert_eq!(
            of(
                |report| {
                    report.fstab[0].device = None;
                    report.fstab[0].options = "nofail".to_owned();
                },
                &any
            )
            .len(),
            1
        );
        assert_eq!(
            of(|report| drop(report.mounts.remove(1)), &any),
            ["UUID=AB-CD, which fstab names for /boot/efi/, is not in use there"]
        );
        assert_eq!(
            of(|report| report.mounts[1].device = "/dev/vda9".to_owned(), &any),
            ["UUID=AB-CD, which fstab names for /boot/efi/, is not in use there"]
        );
        assert_eq!(
            of(|report| report.swaps.clear(), &any),
            ["UUID=55, which fstab names for swap, is not in use there"]
        );
        assert_eq!(
            of(|report| report.mounts[0].options = "ro,relatime".to_owned(), &any),
            ["its root stays mounted read-only"]
        );
        assert_eq!(
            of(|report| report.state = Some("maintenance".to_owned()), &any),
            ["it ends in emergency mode"]
        );
        assert_eq!(
            of(|report| report.state = Some("degraded".to_owned()), &any),
            ["systemd calls it degraded"]
        );
        assert_eq!(
            of(|report| report.target = Some(("a.target".to_owned(), "inactive".to_owned())), &any),
            ["its default target a.target is inactive"]
        );
    }

    #[test]
    fn failed_units_are_named_unless_they_may_fail() {
        let fail = |report: &mut Report| {
            report.state = Some("degraded".to_owned());
            report.failed = vec!["a\u{1b}.service".to_owned(), "wait.service".to_owned()];
        };
        let some = Expected { root: None, allowed: vec!["wait.service".to_owned()] };
        assert_eq!(of(fail, &Expected::default()), ["2 units have failed: a\\#033.service, wait.service"]);
        assert_eq!(of(fail, &some), ["1 unit has failed: a\\#033.service"]);
        let all = Expected { allowed: vec!["a\u{1b}.service".to_owned(), "wait.service".to_owned()], ..some };
        assert_eq!(of(fail, &all), [""; 0]);
    }

    #[test]
    fn a_btrfs_of_several_devices_is_mounted_by_any() {
        let report = |report: &mut Report| {
            report.mounts[0].device = "/dev/vdb".to_owned();
            report.uuids.push(("/dev/vdb".to_owned(), "aa-1".to_owned()));
        };
        assert_eq!(of(report, &Expected::default()), [""; 0]);
    }

    const LIMITS: Limits = Limits { timeout: Duration::from_secs(600), stall: Duration::from_secs(90) };

    fn end(hint: Option<Hint>, quiet: u64, age: u64, change: impl FnOnce(&mut Report)) -> Option<Ending> {
        let mut report = Report::default();
        change(&mut report);
        let seconds = Duration::from_secs;
        let sight = Sight {
            report: &report,
            hint,
            quiet: seconds(quiet),
            age: seconds(age),
            is_off: false,
            restarts: 0,
        };
        ending(&sight, &LIMITS)
    }

    #[test]
    fn a_boot_ends_when_nothing_more_can_come() {
        let none = |_: &mut Report| {};
        let waits = |hint| Some(Ending::Failed(Reason::Waits(hint, None)));
        assert_eq!(end(None, 89, 599, none), None);
        assert_eq!(end(Some(Hint::BootSector), 14, 20, none), None);
        assert_eq!(end(Some(Hint::BootSector), 15, 20, none), waits(Hint::BootSector));
        assert_eq!(end(Some(Hint::GrubRescue), 3, 5, none), waits(Hint::GrubRescue));
        assert_eq!(end(Some(Hint::Login), 29, 60, none), None);
        assert_eq!(end(Some(Hint::Login), 30, 60, none), Some(Ending::Login));
        let begun = |report: &mut Report| report.is_begun = true;
        assert_eq!(end(Some(Hint::Login), 80, 90, begun), None, "the probe will say more");
        assert_eq!(end(None, 90, 100, none), Some(Ending::Failed(Reason::Stalled(Duration::from_secs(90)))));
        let starting = |report: &mut Report| report.state = Some("starting".to_owned());
        let Some(Ending::Failed(late)) = end(None, 1, 600, starting) else { panic!() };
        assert_eq!(late.to_string(), "it was not up within 10m; systemd calls it starting");
        assert_eq!(
            end(Some(Hint::Panic), 99, 999, |report| report.is_complete = true),
            Some(Ending::Reported)
        );
    }

    #[test]
    fn restarts_are_counted() {
        let report = Report::default();
        let sight = Sight {
            report: &report,
            hint: None,
            quiet: Duration::ZERO,
            age: Duration::ZERO,
            is_off: false,
            restarts: 3,
        };
        assert_eq!(ending(&sight, &LIMITS), Some(Ending::Failed(Reason::Restarts(3))));
        assert_eq!(ending(&Sight { restarts: 2, ..sight }, &LIMITS), None);
        let panics = Sight { hint: Some(Hint::Panic), ..sight };
        assert_eq!(ending(&panics, &LIMITS), Some(Ending::Failed(Reason::Waits(Hint::Panic, None))));
        let off = Sight { is_off: true, ..sight };
        assert_eq!(ending(&off, &LIMITS), Some(Ending::Failed(Reason::PoweredOff)));
    }
}
