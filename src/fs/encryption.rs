//! Directories encrypted by the kernel (fscrypt): without the key they list encoded names instead of real ones.

use std::os::fd::OwnedFd;

/// Whether the directory is encrypted and its key is missing.
///
/// The kernel then lists names that the directory does not really have, and their files cannot be opened.
#[cfg(target_os = "linux")]
#[must_use]
pub fn is_locked(directory: &OwnedFd) -> bool {
    linux::is_encrypted(directory) && linux::lacks_key(directory)
}

/// On other systems an unreadable directory reports an error.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn is_locked(_directory: &OwnedFd) -> bool {
    false
}

/// Whether the kernel could have made this name from an encrypted one: base64 of at least 16 bytes.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the kernel of Linux does that"))]
fn looks_encrypted(name: &[u8]) -> bool {
    name.len() >= 22 && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_+,".contains(byte))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;

    use nix::dir::{Dir as Entries, Type};
    use nix::errno::Errno;
    use nix::fcntl::{OFlag, openat};
    use nix::sys::stat::Mode;
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, ioctl_getflags, statx};

    use super::looks_encrypted;
    use crate::fs::dir::open_subdir;
    use crate::sys::{Key, encryption_key};

    /// `FS_ENCRYPT_FL`, for when `statx` is not available.
    const ENCRYPTED: u32 = 0x800;

    /// How many files are probed at most if the kernel does not know about the key.
    const TRIED: usize = 64;

    pub fn is_encrypted(directory: &OwnedFd) -> bool {
        match statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::empty()) {
            Ok(found) => found.stx_attributes.contains(StatxAttributes::ENCRYPTED),
            Err(_) => ioctl_getflags(directory).is_ok_and(|flags| flags.bits() & ENCRYPTED != 0),
        }
    }

    pub fn lacks_key(directory: &OwnedFd) -> bool {
        match encryption_key(directory) {
            Ok(Key::Present) => false,
            Ok(Key::Absent) => true,
            // Kernels before 5.4, old-style keys, and filesystems that use the flag for another kind of encryption.
            Ok(Key::Unknown) | Err(_) => tried(directory),
        }
    }

    /// Opening a file without its key gives a distinctive error; without any file, the names decide.
    fn tried(directory: &OwnedFd) -> bool {
        let Ok(entries) = open_subdir(directory, c".").and_then(|copy| Ok(Entries::from_fd(copy)?)) else {
            return false;
        };
        let mut only_strange_names = false;
        for entry in
            entries.into_iter().flatten().filter(|entry| entry.file_type() != Some(Type::Fifo)).take(TRIED)
        {
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            if entry.file_type() == Some(Type::File) {
                let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
                match openat(directory, name, flags, Mode::empty()) {
                    Ok(_) => return false,
                    Err(Errno::ENOKEY) => return true,
                    Err(_) => {}
                }
            }
            if !looks_encrypted(name.to_bytes()) {
                return false;
            }
            only_strange_names = true;
        }
        only_strange_names
    }
}

#[cfg(test)]
mod tests {
    use super::looks_encrypted;

    #[test]
    fn names_without_a_key_are_told_from_others() {
        for name in
            ["TBKtY0azY7oQUsl7yGKcGrgM9gM8KtFt", "eMty1wUjyUXkk-Mv2WvSmwKfch2QBCML", "+ZxTbVpfvNYCKZkkqmTF1B"]
        {
            assert!(looks_encrypted(name.as_bytes()), "{name}");
        }
        for name in [
            "letters",
            "a-name-of-some-length.txt",
            "TBKtY0azY7oQUsl7yGKc",
            "TBKtY0azY7oQUsl7yGKc rgM9gM8KtFt",
        ] {
            assert!(!looks_encrypted(name.as_bytes()), "{name}");
        }
    }
}
