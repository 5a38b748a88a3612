//! What this process may do: being user 0 is not enough in a container, or in a service with bounded capabilities.

use crate::host::platform::System;

/// The privileges that a complete clone needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// The effective user is root.
    pub root: bool,
    /// May give files to other users (`CAP_CHOWN`).
    pub owners: bool,
    /// May read everything (`CAP_DAC_READ_SEARCH` or `CAP_DAC_OVERRIDE`).
    pub read: bool,
    /// May write everywhere (`CAP_DAC_OVERRIDE`).
    pub write: bool,
    /// May act as the owner of any file (`CAP_FOWNER`).
    pub as_owner: bool,
    /// May create device nodes (`CAP_MKNOD`).
    pub devices: bool,
    /// May read and set extended attributes of the `trusted` class (`CAP_SYS_ADMIN`).
    pub trusted: bool,
    /// May set file capabilities (`CAP_SETFCAP`).
    pub file_capabilities: bool,
    /// Every user ID of the machine is mapped here, unlike in most containers' user namespaces.
    pub all_users: bool,
}

/// A privilege that root lacks, and the effect on the clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub what: &'static str,
    /// What is not cloned without it.
    pub effect: &'static str,
    /// rsync does not fail without it.
    pub is_silent: bool,
}

impl Rights {
    /// The privileges of a real root.
    pub const ALL: Self = Self {
        root: true,
        owners: true,
        read: true,
        write: true,
        as_owner: true,
        devices: true,
        trusted: true,
        file_capabilities: true,
        all_users: true,
    };

    /// The privileges of any other user.
    pub const NONE: Self = Self {
        root: false,
        owners: false,
        read: false,
        write: false,
        as_owner: false,
        devices: false,
        trusted: false,
        file_capabilities: false,
        all_users: false,
    };

    /// Asks the system what this process may do.
    #[must_use]
    pub fn native(system: System, effective_uid: u32) -> Self {
        match system {
            _ if effective_uid != 0 => Self::NONE,
            System::MacOs => Self::ALL,
            System::Linux => of_process(),
        }
    }

    /// Whether any file can be read without updating its access time: with `O_NOATIME` the kernel refuses to open a
    /// file that belongs to someone else, or whose owner is not mapped here.
    #[must_use]
    pub fn open_noatime(&self) -> bool {
        self.as_owner && self.all_users
    }

    /// The privileges that root lacks here, as sentence parts; empty for any other user.
    #[must_use]
    pub fn lacks(&self) -> Vec<Lack> {
        let silent =
            |is_there: bool, what, effect| (!is_there).then_some(Lack { what, effect, is_silent: true });
        let loud =
            |is_there: bool, what, effect| (!is_there).then_some(Lack { what, effect, is_silent: false });
        // In a user namespace these depend on the namespace, whatever the capabilities are.
        let own = |capability| {
            if self.all_users { capability } else { "the rights of the machine's own root" }
        };
        let all = [
            silent(self.owners, "CAP_CHOWN", "owners and groups are not kept"),
            loud(
                self.read,
                "CAP_DAC_READ_SEARCH",
                "files that only other users may read cannot be copied, which ends the run with 23",
            ),
            loud(
                self.write,
                "CAP_DAC_OVERRIDE",
                "directories of other users at the destination cannot be written, which ends the run with 23",
            ),
            loud(
                self.as_owner,
                "CAP_FOWNER",
                "times and permissions of files of other users cannot be set, which ends the run with 23 where they \
                 differ, and access times at the source change",
            ),
            silent(self.devices, own("CAP_MKNOD"), "device nodes are not copied"),
            silent(
                self.trusted,
                own("CAP_SYS_ADMIN"),
                "extended attributes in the trusted namespace are not copied",
            ),
            loud(
                self.file_capabilities,
                "CAP_SETFCAP",
                "file capabilities cannot be set, which ends the run with 23 if there are any",
            ),
            silent(
                self.all_users,
                "an ID for every user (this is a user namespace, as in a container)",
                "files of users unknown here get another owner in the copy or fail, and access times at the \
                 source change",
            ),
        ];
        if self.root { all.into_iter().flatten().collect() } else { Vec::new() }
    }
}

#[cfg(target_os = "linux")]
fn of_process() -> Rights {
    use rustix::thread::CapabilitySet as Set;
    let all_users = is_first_namespace();
    let Ok(sets) = rustix::thread::capabilities(None) else {
        // What must not be skipped silently is attempted, and rsync reports what fails.
        return Rights { as_owner: false, ..Rights::ALL };
    };
    let has = |set| sets.effective.contains(set);
    Rights {
        root: true,
        owners: has(Set::CHOWN),
        read: has(Set::DAC_READ_SEARCH) || has(Set::DAC_OVERRIDE),
        write: has(Set::DAC_OVERRIDE),
        as_owner: has(Set::FOWNER),
        devices: has(Set::MKNOD) && all_users,
        trusted: has(Set::SYS_ADMIN) && all_users,
        file_capabilities: has(Set::SETFCAP),
        all_users,
    }
}

/// Whether this is the machine's initial user namespace, in which capabilities apply to the whole machine.
#[cfg(target_os = "linux")]
fn is_first_namespace() -> bool {
    /// The inode number that the kernel gives it.
    const FIRST: &str = "user:[4026531837]";
    if let Ok(namespace) = std::fs::read_link("/proc/self/ns/user") {
        return namespace.as_os_str() == FIRST;
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(not(target_os = "linux"))]
fn of_process() -> Rights {
    Rights::ALL
}

#[cfg(test)]
mod tests {
    use super::Rights;

    #[test]
    fn what_is_missing_is_named_and_nothing_else() {
        assert!(Rights::ALL.lacks().is_empty() && Rights::NONE.lacks().is_empty());
        assert!(Rights::ALL.open_noatime() && !Rights::NONE.open_noatime());
        let bounded = Rights { as_owner: false, devices: false, ..Rights::ALL };
        let lacks: Vec<_> = bounded.lacks().iter().map(|lack| lack.what).collect();
        assert_eq!(lacks, ["CAP_FOWNER", "CAP_MKNOD"]);
        assert!(!bounded.open_noatime());
        assert!(!Rights { all_users: false, ..Rights::ALL }.open_noatime());
    }
}
