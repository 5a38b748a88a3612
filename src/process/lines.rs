//! Splits a stream of bytes into lines with bounded memory.

/// The longest piece kept together, in bytes; rsync's longest message contains two escaped paths of 4,096 bytes.
const LONGEST: usize = 64 * 1024;

/// Buffers the unfinished line.
#[derive(Debug, Default)]
pub struct Splitter {
    pending: Vec<u8>,
    /// A piece of the current line was already emitted.
    is_cut: bool,
}

/// The position of a piece in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// It is the beginning of the line.
    pub begins: bool,
    /// It is the end of the line.
    pub ends: bool,
    /// It ended with a carriage return: a progress display that the next piece overwrites.
    pub transient: bool,
}

impl Piece {
    /// A whole line.
    pub const LINE: Self = Self { begins: true, ends: true, transient: false };
}

impl Splitter {
    /// Takes more bytes and emits each finished piece.
    pub fn push(&mut self, mut bytes: &[u8], emit: &mut dyn FnMut(&[u8], Piece)) {
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let transient = bytes[at] == b'\r';
            self.extend(&bytes[..at], emit);
            // A line ending in "\r\n" was emitted at the carriage return.
            if transient || at > 0 || !self.pending.is_empty() || self.is_cut {
                emit(&self.pending, Piece { begins: !self.is_cut, ends: true, transient });
            }
            self.pending.clear();
            self.is_cut = false;
            bytes = &bytes[at + 1..];
        }
        self.extend(bytes, emit);
    }

    /// Emits the rest at the end of the stream.
    pub fn finish(&mut self, emit: &mut dyn FnMut(&[u8], Piece)) {
        if !self.pending.is_empty() || self.is_cut {
            emit(&self.pending, Piece { begins: !self.is_cut, ends: true, transient: false });
            self.pending.clear();
            self.is_cut = false;
        }
    }

    fn extend(&mut self, mut bytes: &[u8], emit: &mut dyn FnMut(&[u8], Piece)) {
        while self.pending.len() + bytes.len() > LONGEST {
            let (fits, rest) = bytes.split_at(LONGEST - self.pending.len());
            self.pending.extend_from_slice(fits);
            emit(&self.pending, Piece { begins: !self.is_cut, ends: false, transient: false });
            self.is_cut = true;
            self.pending.clear();
            bytes = rest;
        }
        self.pending.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Piece, Splitter};

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, Piece)> {
        let mut pieces = Vec::new();
        let mut splitter = Splitter::default();
        let mut emit = |bytes: &[u8], piece: Piece| pieces.push((bytes.to_vec(), piece));
        for chunk in chunks {
            splitter.push(chunk, &mut emit);
        }
        splitter.finish(&mut emit);
        pieces
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let transient = Piece { transient: true, ..Piece::LINE };
        let expected =
            [(b"one".to_vec(), Piece::LINE), (b" 5%".to_vec(), transient), (b"two".to_vec(), Piece::LINE)];
        assert_eq!(split(&[b"one\n 5%\rtwo"]), expected);
        assert_eq!(split(&[b"o", b"ne", b"\n 5", b"%\r", b"tw", b"o"]), expected);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let pieces = split(&[&vec![b'x'; 2 * LONGEST + 1], b"\nnext"]);
        let passed_on: Vec<_> =
            pieces.iter().map(|(bytes, piece)| (bytes.len(), piece.begins, piece.ends)).collect();
        let expected = [(LONGEST, true, false), (LONGEST, false, false), (1, false, true), (4, true, true)];
        assert_eq!(passed_on, expected);
    }

    #[test]
    fn the_end_of_a_line_that_was_cut_is_told_though_nothing_is_left_of_it() {
        for end in [&b""[..], b"\n"] {
            let pieces = split(&[&vec![b'x'; LONGEST], b"x", end]);
            assert!(pieces.last().unwrap().1.ends && !pieces.last().unwrap().1.begins, "{end:?}");
        }
    }
}
