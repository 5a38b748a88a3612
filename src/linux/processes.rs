//! A process's users and parent, from `/proc/PID/status`.

/// The owner of a process (its real, effective, saved and filesystem user ID) and its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The four user IDs.
    pub users: [u32; 4],
    /// The process ID of its parent.
    pub parent: u32,
}

impl Identity {
    /// Parses the file. It also contains the process's name, but line ends in that are escaped.
    #[must_use]
    pub fn read(status: &str) -> Option<Self> {
        let rest = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        let mut numbers = rest("Uid:")?.split_ascii_whitespace().map_while(|word| word.parse().ok());
        let mut number = || numbers.next();
        let users = [number()?, number()?, number()?, number()?];
        Some(Self { users, parent: rest("PPid:")?.trim().parse().ok()? })
    }

    /// The user, if all four IDs are the same.
    #[must_use]
    pub fn user(&self) -> Option<u32> {
        let first = self.users[0];
        self.users.iter().all(|user| *user == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn one_who_has_borrowed_rights_is_nobody() {
        let of = |users: &str| Identity::read(&format!("Name:\tUid:\\n0\nPPid:\t1\nUid:\t{users}\n"));
        assert_eq!(of("103\t103\t103\t103").and_then(|found| found.user()), Some(103));
        for users in ["1000\t0\t0\t0", "0\t1000\t0\t1000", "0\t0\t1000\t0", "0\t0\t0\t1000"] {
            assert_eq!(of(users).unwrap().user(), None, "{users}");
        }
        assert_eq!(of("0\t0\t0"), None);
        assert_eq!(Identity::read("Uid:\t0\t0\t0\t0\n"), None);
    }
}
