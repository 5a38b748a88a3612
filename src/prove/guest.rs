//! One boot: starts QEMU, keeps its sockets empty, and watches until nothing more can come.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ChildStderr;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::random_hex;
use crate::process::Command;
use crate::process::beside::Beside;
use crate::process::interrupts::Interrupts;
use crate::prove::console::{Console, Hint, hint};
use crate::prove::disk::Disk;
use crate::prove::evidence;
use crate::prove::evidence::Evidence;
use crate::prove::probe;
use crate::prove::probe::Reader;
use crate::prove::qemu::{Bus, Lines, VirtualMachine, arguments};
use crate::prove::qmp::{Event, Monitor};
use crate::prove::screen;
use crate::prove::trial::Qemu;
use crate::prove::verdict::{Ending, Limits, Sight, ending};

/// The longest that QEMU may take to answer at its start, and later.
const START: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(20);

/// How much of QEMU's complaints is kept, in bytes.
const LONGEST_COMPLAINT: usize = 4096;

/// How often the guest is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// How many last lines of a console are searched for hints, and kept.
const LAST: usize = 30;
const KEPT: usize = 100;

/// The picture's name in the private directory.
const PICTURE: &str = "screen.png";

/// How one boot went.
#[derive(Debug)]
pub struct Boot {
    /// How it ended.
    pub ending: Ending,
    /// What the guest said of itself.
    pub report: probe::Report,
    /// What was on its screen.
    pub evidence: Evidence,
    /// How long it took.
    pub took: Duration,
}

/// A running guest.
struct Guest<'a> {
    process: Beside<'a>,
    errors: Option<File>,
    complaint: Vec<u8>,
    serial: [UnixStream; 2],
    console: Console,
    other: Console,
    reader: Reader,
    monitor: Monitor,
    began: Instant,
    screen: Vec<String>,
    work: i64,
    moved: Instant,
    seen: u64,
    is_off: bool,
    restarts: u32,
}

fn broken(why: impl std::fmt::Display) -> Refusal {
    Refusal(ExitCode::NOT_ROOT_OR_INTERNAL, format!("QEMU cannot be used: {why}."))
}

fn of_io(error: &io::Error) -> Refusal {
    broken(display::reason(error))
}

/// Boots the disk once.
pub fn boot(
    qemu: &Qemu<'_>,
    vm: &VirtualMachine,
    disk: &Disk,
    bus: Bus,
    limits: &Limits,
    interrupts: &Interrupts,
) -> Result<Boot, Refusal> {
    let booted = watch(qemu, vm, disk, bus, limits, interrupts);
    // The signal has reached QEMU as well, and that it has ended is not the news.
    match interrupts.received() {
        Some(signal) => {
            let sentence = format!("Interrupted ({signal}): nothing is proven.");
            Err(Refusal(ExitCode::from_interruption(signal), sentence))
        }
        None => booted,
    }
}

fn watch(
    qemu: &Qemu<'_>,
    vm: &VirtualMachine,
    disk: &Disk,
    bus: Bus,
    limits: &Limits,
    interrupts: &Interrupts,
) -> Result<Boot, Refusal> {
    let mut guest = start(qemu, vm, disk, bus, interrupts)?;
    let ending = loop {
        guest.listen(PAUSE)?;
        guest.look()?;
        if let Some(ending) = guest.ending(limits) {
            break ending;
        }
    };
    let took = guest.began.elapsed();
    let evidence = guest.evidence(qemu);
    Ok(Boot { ending, report: std::mem::take(&mut guest.reader.report), evidence, took })
}

fn start<'a>(
    qemu: &Qemu<'_>,
    vm: &VirtualMachine,
    disk: &Disk,
    bus: Bus,
    interrupts: &'a Interrupts,
) -> Result<Guest<'a>, Refusal> {
    let failed = |error: io::Error| of_io(&error);
    let nonce = random_hex(8).map_err(failed)?;
    let pairs = [(); 3].map(|()| UnixStream::pair());
    let [monitor, console, report] = pairs;
    let (monitor, console, report) =
        (monitor.map_err(failed)?, console.map_err(failed)?, report.map_err(failed)?);
    let theirs = [monitor.1, console.1, report.1].map(OwnedFd::from);
    let [ref a, ref b, ref c] = theirs;
    let lines = Lines { monitor: a.as_raw_fd(), serial: [b.as_raw_fd(), c.as_raw_fd()] };
    let shared = disk.share().map_err(failed)?;
    let mut guest_disk = disk.for_guest();
    guest_disk.descriptor = shared.as_raw_fd();
    let words = arguments(vm, guest_disk, bus, lines, &probe::smbios_string(&nonce));
    let mut command: Command = qemu.command(words);
    command.inherit.extend(theirs);
    command.inherit.push(shared.into());
    let (process, errors) = Beside::start(&command, interrupts).map_err(failed)?;
    qemu.limit(process.id());
    // Only QEMU holds them from now on: their end is its end.
    drop(command);
    for socket in [&console.0, &report.0] {
        socket.set_nonblocking(true).map_err(failed)?;
    }
    let mut errors = errors.map(nonblocking).transpose().map_err(failed)?;
    let monitor = Monitor::connect(monitor.0, START).map_err(|error| {
        let mut complaint = Vec::new();
        drain_errors(&mut errors, &mut complaint);
        broken(explained(&error, &complaint))
    })?;
    let now = Instant::now();
    Ok(Guest {
        process,
        errors,
        complaint: Vec::new(),
        serial: [console.0, report.0],
        console: Console::default(),
        other: Console::default(),
        reader: Reader::new(&nonce),
        monitor,
        began: now,
        screen: Vec::new(),
        work: 0,
        moved: now,
        seen: 0,
        is_off: false,
        restarts: 0,
    })
}

fn nonblocking(errors: ChildStderr) -> io::Result<File> {
    let file = File::from(OwnedFd::from(errors));
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(file)
}

fn explained(error: &io::Error, complaint: &[u8]) -> String {
    let said = String::from_utf8_lossy(complaint);
    match said.lines().next_back() {
        Some(line) => display::line(line.as_bytes()).to_string(),
        None => display::reason(error),
    }
}

/// Reads what has come; the beginning is kept.
fn drain_errors(errors: &mut Option<File>, complaint: &mut Vec<u8>) {
    let Some(file) = errors else { return };
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break *errors = None,
            Ok(count) => {
                let room = LONGEST_COMPLAINT.saturating_sub(complaint.len());
                complaint.extend_from_slice(&buffer[..count.min(room)]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
}

impl Guest<'_> {
    /// Takes whatever comes during `time`: a socket that is not read stops the guest.
    fn listen(&mut self, time: Duration) -> Result<(), Refusal> {
        let end = Instant::now() + time;
        loop {
            self.take();
            if self.process.has_ended().map_err(|error| of_io(&error))? {
                drain_errors(&mut self.errors, &mut self.complaint);
                let ended = io::Error::other("it ended unexpectedly");
                return Err(broken(explained(&ended, &self.complaint)));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.reader.report.is_complete {
                return Ok(());
            }
            let [console, report] = &self.serial;
            let mut polled: Vec<PollFd<'_>> = [console.as_fd(), report.as_fd(), self.monitor.socket()]
                .into_iter()
                .chain(self.errors.as_ref().map(|file| file.as_fd()))
                .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
                .collect();
            // A signal ends it early, which is as well.
            let _ = poll(&mut polled, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        }
    }

    fn take(&mut self) {
        let mut buffer = vec![0; 1 << 16];
        let [console, report] = &mut self.serial;
        // The end of a socket is the end of QEMU, which is noticed by its process.
        while let Ok(count @ 1..) = console.read(&mut buffer) {
            self.console.push(&buffer[..count]);
        }
        while let Ok(count @ 1..) = report.read(&mut buffer) {
            let other = self.reader.push(&buffer[..count]);
            self.other.push(&other);
            self.other.count = self.other.count.wrapping_add(count as u64);
        }
        drain_errors(&mut self.errors, &mut self.complaint);
        while let Some(event) = self.monitor.event() {
            match event {
                Event::Restarted => self.restarts += 1,
                Event::Off => self.is_off = true,
            }
        }
    }

    /// Notices whether anything has moved: the disk, the consoles, the screen.
    fn look(&mut self) -> Result<(), Refusal> {
        let work = self.disk_work().map_err(|error| self.lost(&error))?;
        let seen = self.console.count.wrapping_add(self.other.count);
        let mut has_moved = (work, seen) != (self.work, self.seen);
        (self.work, self.seen) = (work, seen);
        if !has_moved {
            let screen = self.text_screen().map_err(|error| self.lost(&error))?;
            has_moved = screen != self.screen;
            self.screen = screen;
        }
        if has_moved {
            self.moved = Instant::now();
        }
        Ok(())
    }

    fn lost(&mut self, error: &io::Error) -> Refusal {
        drain_errors(&mut self.errors, &mut self.complaint);
        broken(explained(error, &self.complaint))
    }

    /// How often the guest has read or written.
    fn disk_work(&mut self) -> io::Result<i64> {
        let answer = self.monitor.command("query-blockstats", &json!({}), ANSWER)?;
        let of = |device: &Value, name: &str| device.pointer(name).and_then(Value::as_i64).unwrap_or(0);
        let devices = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let counted = devices
            .iter()
            .flat_map(|device| ["/stats/rd_operations", "/stats/wr_operations"].map(|name| of(device, name)));
        Ok(counted.fold(0, i64::wrapping_add))
    }

    /// The text screen. Linux scrolls it by moving its start, which is asked from the card with the guest stopped: its
    /// driver uses the same two ports.
    fn text_screen(&mut self) -> io::Result<Vec<String>> {
        self.monitor.command("stop", &json!({}), ANSWER)?;
        let read = self.read_screen();
        if !self.is_off {
            self.monitor.command("cont", &json!({}), ANSWER)?;
        }
        read
    }

    fn read_screen(&mut self) -> io::Result<Vec<String>> {
        let monitor = &mut self.monitor;
        let index = screen::port(&monitor.ask("i /b 0x3d4", ANSWER)?).unwrap_or(0);
        let mut start = 0;
        for register in [0x0c, 0x0d] {
            monitor.ask(&format!("o /b 0x3d4 {register:#x}"), ANSWER)?;
            let value = screen::port(&monitor.ask("i /b 0x3d5", ANSWER)?).unwrap_or(0);
            start = start << 8 | u64::from(value);
        }
        monitor.ask(&format!("o /b 0x3d4 {index:#x}"), ANSWER)?;
        let start = start * 2 % screen::MEMORY;
        let mut bytes = Vec::new();
        // What lies beyond the end begins again at the start.
        let first = (screen::MEMORY - start).min(screen::SIZE as u64);
        for (from, size) in [(start, first), (0, screen::SIZE as u64 - first)] {
            if size > 0 {
                let line = format!("xp /{}wx {:#x}", size / 4, screen::BASE + from);
                bytes.extend(screen::memory(&monitor.ask(&line, ANSWER)?));
            }
        }
        Ok(screen::lines(&bytes))
    }

    fn ending(&self, limits: &Limits) -> Option<Ending> {
        let sight = Sight {
            report: &self.reader.report,
            hint: self.hint(),
            quiet: self.moved.elapsed(),
            age: self.began.elapsed(),
            is_off: self.is_off,
            restarts: self.restarts,
        };
        ending(&sight, limits)
    }

    /// What the consoles say: the serial one first, where firmware, boot loader and kernel usually write as well.
    fn hint(&self) -> Option<Hint> {
        let screen: Vec<&str> =
            self.screen.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
        let from = screen.len().saturating_sub(LAST);
        [self.console.last(LAST), screen.get(from..).unwrap_or_default().to_vec(), self.other.last(LAST)]
            .iter()
            .find_map(|lines| hint(lines))
    }

    /// Stops the guest and keeps what it shows.
    fn evidence(&mut self, qemu: &Qemu<'_>) -> Evidence {
        self.is_off = true;
        // What cannot be read is left out: the verdict stands without it.
        if let Ok(screen) = self.text_screen() {
            self.screen = screen;
        }
        let mut path = OsString::from(qemu.work.path());
        path.push("/");
        path.push(PICTURE);
        let how = json!({ "filename": path.to_string_lossy(), "format": "png" });
        let picture = self.monitor.command("screendump", &how, ANSWER);
        Evidence {
            screen: std::mem::take(&mut self.screen),
            console: self.console.last(KEPT).into_iter().map(str::to_owned).collect(),
            picture: picture.ok().and_then(|_| evidence::picture(qemu.work.dir(), PICTURE.as_ref())),
        }
    }
}
