//! What a process is waiting for, from `/proc/PID/syscall`.

/// The system call that a process is blocked in, from `/proc/PID/syscall`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedCall {
    /// The call's number, which differs by architecture.
    pub number: i64,
    /// Its six arguments.
    pub arguments: [u64; 6],
}

impl BlockedCall {
    /// Parses `257 0xffffff9c 0x7ffd1c3d 0x0 0x0 0x0 0x0 0x7ffd1b10 0x7f0a2c`; a running process shows `running`.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let number = words.next()?.parse().ok()?;
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        }
        Some(Self { number, arguments })
    }
}

#[cfg(test)]
mod tests {
    use super::BlockedCall;

    #[test]
    fn a_blocked_call_is_read() {
        let call = BlockedCall::read("257 0xffffff9c 0x10 0x0 0x1b6 0x0 0x0 0x7ffd 0x7f0a\n").unwrap();
        assert_eq!((call.number, call.arguments), (257, [0xffff_ff9c, 0x10, 0, 0x1b6, 0, 0]));
        assert_eq!(BlockedCall::read("running\n"), None);
        assert_eq!(BlockedCall::read("-1 0x7ffd 0x7f0a\n"), None);
    }
}
