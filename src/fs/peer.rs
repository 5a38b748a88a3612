//! Asks the kernel which process is listening on a socket.

use std::io;
use std::time::Duration;

use crate::fs::trusted::Entry;

/// The listening process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user it ran as when it began to listen.
    pub user: u32,
    /// Its process ID.
    pub process: u32,
}

/// Connects through an open directory, asks the kernel for the peer, and sends nothing.
///
/// Errors if nobody is listening, or if the queue stays full for `limit`.
#[cfg(target_os = "linux")]
pub fn listener(socket: &Entry, limit: Duration) -> io::Result<Peer> {
    use std::os::fd::AsRawFd as _;

    use nix::errno::Errno;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, sockopt};

    let directory = std::path::PathBuf::from(format!("/proc/self/fd/{}", socket.directory().as_raw_fd()));
    let address = UnixAddr::new(&directory.join(socket.name()))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let ours = nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let deadline = std::time::Instant::now() + limit;
    loop {
        match connect(ours.as_raw_fd(), &address) {
            Ok(()) => break,
            // The queue is full: many are connecting at the moment.
            Err(Errno::EAGAIN) if std::time::Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    }
    let peer = getsockopt(&ours, sockopt::PeerCredentials)?;
    Ok(Peer { user: peer.uid(), process: u32::try_from(peer.pid()).unwrap_or(0) })
}

/// On other systems a socket cannot be reached through an open directory.
#[cfg(not(target_os = "linux"))]
pub fn listener(_socket: &Entry, _limit: Duration) -> io::Result<Peer> {
    Err(io::ErrorKind::Unsupported.into())
}
