//! What the guest's consoles show, and what that means when nothing changes any more.

use std::collections::VecDeque;
use std::time::Duration;

/// How many lines of a console are kept.
const LINES: usize = 200;

/// How much of each, in characters.
const LENGTH: usize = 500;

/// A serial console: its last lines, without what controls a terminal.
#[derive(Debug, Default)]
pub struct Console {
    lines: VecDeque<String>,
    current: String,
    escape: Escape,
    rest: Vec<u8>,
    /// How many bytes have come.
    pub count: u64,
}

/// Where in a control sequence the console is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    /// Not in one.
    #[default]
    None,
    /// After ESC.
    Begun,
    /// In a sequence that ends with a letter.
    Sequence,
    /// In a string that ends with BEL or ESC \.
    String,
}

impl Console {
    /// Takes what the guest has printed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.count = self.count.wrapping_add(bytes.len() as u64);
        let mut pending = std::mem::take(&mut self.rest);
        pending.extend_from_slice(bytes);
        for chunk in pending.utf8_chunks() {
            chunk.valid().chars().for_each(|character| self.show(character));
            // A character may come in two pieces, and may just as well be none.
            if chunk.invalid().len() < 4 && pending.ends_with(chunk.invalid()) {
                self.rest = chunk.invalid().to_vec();
            }
        }
    }

    fn show(&mut self, character: char) {
        self.escape = match (self.escape, character) {
            (Escape::None | Escape::String, '\x1b') => Escape::Begun,
            (Escape::None, '\n') => {
                self.end_line();
                Escape::None
            }
            (Escape::None, '\r') => Escape::None,
            (Escape::None, character) => {
                if !character.is_control() && self.current.len() < LENGTH {
                    self.current.push(character);
                }
                Escape::None
            }
            (Escape::Begun, '[') => Escape::Sequence,
            (Escape::Begun, ']' | 'P' | 'X' | '^' | '_') => Escape::String,
            (Escape::Begun, _) | (Escape::String, '\x07') => Escape::None,
            (Escape::Sequence, character) => {
                // Firmware and boot loaders place the cursor where others end a line.
                if matches!(character, 'H' | 'f' | 'J' | 'd') {
                    self.end_line();
                }
                if ('@'..='~').contains(&character) { Escape::None } else { Escape::Sequence }
            }
            (Escape::String, _) => Escape::String,
        };
    }

    fn end_line(&mut self) {
        if self.current.trim().is_empty() {
            self.current.clear();
            return;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(std::mem::take(&mut self.current));
    }

    /// The last lines that are not empty, the unfinished one included.
    #[must_use]
    pub fn last(&self, most: usize) -> Vec<&str> {
        let unfinished = Some(self.current.as_str()).filter(|line| !line.trim().is_empty());
        let mut last: Vec<&str> =
            unfinished.into_iter().chain(self.lines.iter().rev().map(String::as_str)).take(most).collect();
        last.reverse();
        last
    }
}

/// Something a guest says before it waits forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The kernel has panicked.
    Panic,
    /// The initramfs has found no root and started a shell.
    InitramfsShell,
    /// systemd has started its emergency mode.
    Emergency,
    /// A disk is encrypted and its passphrase is asked for.
    Passphrase,
    /// GRUB has not found its own modules.
    GrubRescue,
    /// GRUB has found no configuration.
    GrubPrompt,
    /// The firmware has found nothing to start.
    NothingToStart,
    /// The firmware's own shell.
    FirmwareShell,
    /// The BIOS has jumped to the disk, and nothing has come of it.
    BootSector,
    /// Somebody may log in.
    Login,
}

impl Hint {
    /// How long nothing may have changed before it counts.
    #[must_use]
    pub fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Self::Panic | Self::NothingToStart | Self::GrubRescue => 3,
            Self::GrubPrompt | Self::FirmwareShell => 5,
            Self::InitramfsShell | Self::Passphrase => 8,
            Self::BootSector => 15,
            // The probe says more, if it comes.
            Self::Emergency | Self::Login => 30,
        })
    }
}

impl Hint {
    /// What the line has that says why.
    #[must_use]
    pub fn explained_by(self) -> &'static [&'static str] {
        match self {
            Self::Panic => &["Kernel panic - not syncing"],
            Self::InitramfsShell => &["ALERT!", "does not exist", "Could not boot"],
            Self::GrubRescue | Self::GrubPrompt => &["error:"],
            Self::NothingToStart => &["BdsDxe: failed", "Boot failed", "No bootable"],
            Self::Passphrase => &["unlock disk", "passphrase for"],
            Self::Emergency | Self::FirmwareShell | Self::BootSector | Self::Login => &[],
        }
    }
}

/// What each hint is known by, and in how many last lines.
const HINTS: [(Hint, usize, &[&str]); 10] = [
    (Hint::Panic, 30, &["Kernel panic - not syncing", "end Kernel panic", "KERNEL PANIC"]),
    (
        Hint::InitramfsShell,
        4,
        &[
            "(initramfs)",
            "dracut:/#",
            "dracut:~#",
            "sh-5.1#",
            "sh-5.2#",
            "rootfs ]#",
            "Gave up waiting for root",
        ],
    ),
    (
        Hint::Emergency,
        6,
        &["You are in emergency mode", "Give root password for maintenance", "Press Enter for maintenance"],
    ),
    (Hint::Passphrase, 3, &["Please unlock disk", "Enter passphrase for", "passphrase for disk"]),
    (Hint::GrubRescue, 2, &["grub rescue>"]),
    (Hint::GrubPrompt, 2, &["grub>"]),
    (Hint::FirmwareShell, 6, &["UEFI Interactive Shell", "Shell>"]),
    (
        Hint::NothingToStart,
        4,
        &[
            "No bootable device",
            "BdsDxe: No bootable option",
            "not a bootable disk",
            "Boot failed:",
            "BdsDxe: failed to",
        ],
    ),
    (Hint::BootSector, 1, &["Booting from Hard Disk"]),
    (Hint::Login, 2, &["login:"]),
];

/// What the last lines of a console say.
#[must_use]
pub fn hint(lines: &[&str]) -> Option<Hint> {
    HINTS.iter().find_map(|(hint, last, words)| {
        let from = lines.len().saturating_sub(*last);
        let says = |line: &&str| words.iter().any(|word| line.contains(word));
        lines.get(from..)?.iter().any(says).then_some(*hint)
    })
}

#[cfg(test)]
mod tests {
    use super::{Console, Hint, LINES, hint};

    fn console(printed: &[u8]) -> Console {
        let mut console = Console::default();
        printed.chunks(3).for_each(|chunk| console.push(chunk));
        console
    }

    #[test]
    fn control_sequences_are_left_out() {
        let console = console(
            b"\x1b[2J\x1b[01;01HSeaBIOS\x1b[0m\r\n\r\n[\x1b[0;32m  OK  \x1b[0m] Gr\xc3\xbc\xc3\x9fe \xff!\r\n\
              \x1b]0;title\x07guest login: ",
        );
        assert_eq!(console.last(9), ["SeaBIOS", "[  OK  ] Grüße !", "guest login: "]);
        assert_eq!(console.last(1), ["guest login: "]);
        assert_eq!(hint(&console.last(30)), Some(Hint::Login));
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut long = vec![b'x'; 1 << 16];
        long.push(b'\n');
        let mut console = console(&long);
        (0..1000).for_each(|_| console.push(b"line\n"));
        assert_eq!(console.last(9999).len(), LINES);
        assert_eq!(console.count, (1 << 16) + 1 + 5000);
    }

    #[test]
    fn each_end_is_known() {
        for (expected, lines) in [
            (Hint::BootSector, &["SeaBIOS (version 1.16.2)", "Booting from Hard Disk..."][..]),
            (
                Hint::GrubRescue,
                &[
                    "GRUB loading.",
                    "error: no such device: 47099c75.",
                    "Entering rescue mode...",
                    "grub rescue> ",
                ],
            ),
            (Hint::GrubPrompt, &["   Minimal BASH-like line editing is supported.", "grub> "]),
            (
                Hint::Panic,
                &[
                    "[    3.7] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
                    "[    3.7] CPU: 0 PID: 1 Comm: swapper/0 Not tainted",
                    "[    3.9] ---[ end Kernel panic - not syncing: VFS ]---",
                ],
            ),
            (
                Hint::InitramfsShell,
                &["ALERT!  UUID=deadbeef does not exist.  Dropping to a shell!", "", "(initramfs) "],
            ),
            (
                Hint::Emergency,
                &["You are in emergency mode. After logging in", "Give root password for maintenance"],
            ),
            (Hint::NothingToStart, &["BdsDxe: failed to load Boot0001 \"UEFI Misc Device\": Not Found"]),
            (Hint::NothingToStart, &["Booting from Hard Disk...", "Boot failed: not a bootable disk"]),
            (Hint::Passphrase, &["Please unlock disk cproot: "]),
            (Hint::FirmwareShell, &["UEFI Interactive Shell v2.2", "Press ESC in 1 seconds", "Shell> "]),
        ] {
            assert_eq!(hint(lines), Some(expected), "{lines:?}");
        }
        for lines in
            [&["Booting from Hard Disk...", "GRUB loading."][..], &[], &["[    0.1] Linux version 6.1"]]
        {
            assert_eq!(hint(lines), None, "{lines:?}");
        }
    }
}
