//! QEMU's monitor: its answers and events, in bounded memory and time.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

/// The longest line of QEMU's that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// How many events are kept until they are taken.
const MOST_EVENTS: usize = 100;

/// A connection to QEMU's monitor.
#[derive(Debug)]
pub struct Monitor {
    stream: UnixStream,
    pending: Vec<u8>,
    events: VecDeque<Event>,
    last: u64,
}

/// An event that matters for a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The guest has restarted itself.
    Restarted,
    /// The guest has switched itself off.
    Off,
}

/// A message of QEMU's.
#[derive(Debug, Clone, PartialEq)]
enum Message {
    /// The answer to the command with this number.
    Answer(u64, Result<Value, String>),
    /// Something has happened.
    Event(Event),
    /// Anything else.
    Other,
}

impl Monitor {
    /// Takes over the socket and waits for QEMU to answer.
    pub fn connect(stream: UnixStream, limit: Duration) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let mut monitor = Self { stream, pending: Vec::new(), events: VecDeque::new(), last: 0 };
        monitor.command("qmp_capabilities", &json!({}), limit)?;
        Ok(monitor)
    }

    /// The socket, to wait for.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Reads what has come, and returns the next event.
    pub fn event(&mut self) -> Option<Event> {
        // The end of the connection is the end of QEMU, which is noticed by its process.
        while let Ok(true) = self.fill() {}
        while let Some(message) = self.next_message() {
            if let Message::Event(event) = message {
                self.note(event);
            }
        }
        self.events.pop_front()
    }

    /// Has a command carried out and returns its result. `TimedOut` if that takes longer than `limit`.
    pub fn command(&mut self, name: &str, arguments: &Value, limit: Duration) -> io::Result<Value> {
        let deadline = Instant::now() + limit;
        self.last += 1;
        let request = json!({ "execute": name, "arguments": arguments, "id": self.last });
        self.send(format!("{request}\n").as_bytes(), deadline)?;
        loop {
            while let Some(message) = self.next_message() {
                match message {
                    Message::Answer(number, answer) if number == self.last => {
                        return answer.map_err(io::Error::other);
                    }
                    Message::Answer(..) | Message::Other => {}
                    Message::Event(event) => self.note(event),
                }
            }
            wait(self.stream.as_fd(), PollFlags::POLLIN, deadline)?;
            self.fill()?;
        }
    }

    /// What the monitor for people answers to this line.
    pub fn ask(&mut self, line: &str, limit: Duration) -> io::Result<String> {
        let answer = self.command("human-monitor-command", &json!({ "command-line": line }), limit)?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    fn note(&mut self, event: Event) {
        if self.events.len() < MOST_EVENTS {
            self.events.push_back(event);
        }
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(self.stream.as_fd(), PollFlags::POLLOUT, deadline)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has come; returns whether there was anything. Errors at the end of the connection.
    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16384];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                if self.pending.len() + count > LONGEST {
                    return Err(io::Error::other("QEMU's monitor says more than it should"));
                }
                self.pending.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn next_message(&mut self) -> Option<Message> {
        let end = self.pending.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        Some(message(&line))
    }
}

fn message(line: &[u8]) -> Message {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return Message::Other };
    if let Some(id) = value.get("id").and_then(Value::as_u64) {
        let error = value.get("error").map(|error| {
            error.get("desc").and_then(Value::as_str).unwrap_or("QEMU refuses the command").to_owned()
        });
        let answer = value.get("return").cloned().unwrap_or_default();
        return Message::Answer(id, error.map_or(Ok(answer), Err));
    }
    let is_guests = value.pointer("/data/guest").and_then(Value::as_bool) == Some(true);
    match value.get("event").and_then(Value::as_str) {
        Some("RESET") if is_guests => Message::Event(Event::Restarted),
        Some("SHUTDOWN") if is_guests => Message::Event(Event::Off),
        _ => Message::Other,
    }
}

/// Waits until the socket is ready; `TimedOut` after the deadline.
fn wait(socket: BorrowedFd<'_>, flags: PollFlags, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(socket, flags)];
        match poll(&mut polled, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::{Event, Message, Monitor, message};

    #[test]
    fn messages_are_known() {
        // As QEMU 7.2 prints them.
        let greeting = br#"{"QMP": {"version": {"qemu": {"micro": 22}}, "capabilities": ["oob"]}}"#;
        assert_eq!(message(greeting), Message::Other);
        let reset = br#"{"timestamp": {"seconds": 1}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}"#;
        assert_eq!(message(reset), Message::Event(Event::Restarted));
        let off = br#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#;
        assert_eq!(message(off), Message::Event(Event::Off));
        assert_eq!(message(br#"{"event": "RESET", "data": {"guest": false}}"#), Message::Other);
        let error = br#"{"id": 4, "error": {"class": "GenericError", "desc": "no"}}"#;
        assert_eq!(message(error), Message::Answer(4, Err("no".to_owned())));
        assert_eq!(message(b"\xff{"), Message::Other);
    }

    #[test]
    fn an_answer_is_found_among_events_and_silence_has_an_end() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let qemu = std::thread::spawn(move || {
            theirs
                .write_all(b"{\"QMP\": {}}\r\n{\"event\": \"RESET\", \"data\": {\"guest\": true}}\r\n")
                .unwrap();
            theirs.write_all(b"{\"return\": {}, \"id\": 1}\r\n{\"return\": 1, \"id\": 7}\r\n").unwrap();
            let mut asked = [0; 200];
            let count = theirs.read(&mut asked).unwrap();
            assert!(String::from_utf8_lossy(&asked[..count]).contains("qmp_capabilities"));
            theirs
        });
        let mut monitor = Monitor::connect(ours, Duration::from_secs(10)).unwrap();
        assert_eq!(monitor.event(), Some(Event::Restarted));
        assert_eq!(monitor.event(), None);
        let silence = monitor.ask("info version", Duration::from_millis(50)).unwrap_err();
        assert_eq!(silence.kind(), std::io::ErrorKind::TimedOut);
        drop(qemu.join().unwrap());
        assert!(monitor.ask("info version", Duration::from_secs(10)).is_err());
    }
}
