//! Splits a stream of bytes into lines with bounded memory.

/// The longest piece that is kept together, in bytes; rsync's longest message holds two escaped paths of 4,096 bytes.
const LONGEST: usize = 64 * 1024;

/// Holds the unfinished line.
#[derive(Debug, Default)]
pub struct Splitter {
    pending: Vec<u8>,
}

impl Splitter {
    /// Takes more bytes and emits each finished piece; `true` beside it when a carriage return ended it.
    pub fn push(&mut self, mut bytes: &[u8], emit: &mut dyn FnMut(&[u8], bool)) {
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let transient = bytes[at] == b'\r';
            self.extend(&bytes[..at], emit);
            // A line that ends in "\r\n" was emitted at the carriage return.
            if transient || at > 0 || !self.pending.is_empty() {
                emit(&self.pending, transient);
            }
            self.pending.clear();
            bytes = &bytes[at + 1..];
        }
        self.extend(bytes, emit);
    }

    /// Emits what is left when the stream has ended.
    pub fn finish(&mut self, emit: &mut dyn FnMut(&[u8], bool)) {
        if !self.pending.is_empty() {
            emit(&self.pending, false);
            self.pending.clear();
        }
    }

    fn extend(&mut self, mut bytes: &[u8], emit: &mut dyn FnMut(&[u8], bool)) {
        while self.pending.len() + bytes.len() > LONGEST {
            let (fits, rest) = bytes.split_at(LONGEST - self.pending.len());
            self.pending.extend_from_slice(fits);
            emit(&self.pending, false);
            self.pending.clear();
            bytes = rest;
        }
        self.pending.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Splitter};

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut pieces = Vec::new();
        let mut splitter = Splitter::default();
        let mut emit = |bytes: &[u8], transient: bool| pieces.push((bytes.to_vec(), transient));
        for chunk in chunks {
            splitter.push(chunk, &mut emit);
        }
        splitter.finish(&mut emit);
        pieces
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let expected = vec![(b"one".to_vec(), false), (b" 5%".to_vec(), true), (b"two".to_vec(), false)];
        assert_eq!(split(&[b"one\n 5%\rtwo"]), expected);
        assert_eq!(split(&[b"o", b"ne", b"\n 5", b"%\r", b"tw", b"o"]), expected);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let pieces = split(&[&vec![b'x'; 2 * LONGEST + 1]]);
        assert_eq!(pieces.iter().map(|(bytes, _)| bytes.len()).collect::<Vec<_>>(), [LONGEST, LONGEST, 1]);
    }
}
