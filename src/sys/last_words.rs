//! The log's last line when the process is aborted: by then nothing may be allocated and no lock taken.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicUsize, Ordering};

/// The longest line prefix, in bytes.
const LONGEST: usize = 64;

/// The current prefix of each log line.
static START: [AtomicU8; LONGEST] = [const { AtomicU8::new(0) }; LONGEST];

/// Its length.
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// The log's descriptor.
static LOG: AtomicI32 = AtomicI32::new(-1);

/// Remembers where the log is written, or that it is closed.
pub fn set_log(log: Option<BorrowedFd<'_>>) {
    LOG.store(log.map_or(-1, |log| log.as_raw_fd()), Ordering::SeqCst);
}

/// Remembers the current line prefix.
pub fn set_start(text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(LONGEST)];
    for (place, byte) in START.iter().zip(bytes) {
        place.store(*byte, Ordering::Relaxed);
    }
    LENGTH.store(bytes.len(), Ordering::SeqCst);
}

/// Reports that this signal ends the process, using no memory but the stack.
pub(super) fn say(signal: i32, write: &mut dyn FnMut(i32, &[u8])) {
    let mut start = [0; LONGEST];
    for (byte, place) in start.iter_mut().zip(&START) {
        *byte = place.load(Ordering::Relaxed);
    }
    let start = &start[..LENGTH.load(Ordering::SeqCst).min(LONGEST)];
    let code = 128_u8.wrapping_add(signal.to_le_bytes()[0]);
    let digits = [b'0' + code / 100, b'0' + code / 10 % 10, b'0' + code % 10];
    for descriptor in [1, LOG.load(Ordering::SeqCst)] {
        if descriptor < 0 {
            continue;
        }
        for text in [
            start,
            b"Error: Counterpart was aborted: it ran out of memory or has a bug; see standard error.\n",
            start,
            b"Counterpart exited with code ",
            &digits,
            b".\n",
        ] {
            write(descriptor, text);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_line_tells_the_code() {
        super::set_start("Oct 01 00:00:00 Counterpart[7]: ");
        let mut said = Vec::new();
        super::say(6, &mut |descriptor, text| {
            assert_eq!(descriptor, 1);
            said.extend_from_slice(text);
        });
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.ends_with("\nOct 01 00:00:00 Counterpart[7]: Counterpart exited with code 134.\n"),
            "{said}"
        );
    }
}
