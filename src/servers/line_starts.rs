//! Reads the beginning of each line of a stream of any size, in bounded memory.

/// How much of each line is kept, in bytes.
const LONGEST: usize = 1024;

/// The current line.
#[derive(Debug, Default)]
pub struct LineStarts {
    start: Vec<u8>,
}

impl LineStarts {
    /// Takes the next piece of the stream and passes on the beginning of each finished line.
    pub fn read(&mut self, bytes: &[u8], see: &mut dyn FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if self.start.is_empty() {
                see(&rest[..end.min(LONGEST)]);
            } else {
                self.keep(&rest[..end]);
                see(&self.start);
                self.start.clear();
            }
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.start.len();
        self.start.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, LineStarts};

    #[test]
    fn lines_are_cut_and_put_together() {
        let text = format!("one\n\n{}\nlast", "x".repeat(3 * LONGEST));
        for size in [1, 100, 10_000] {
            let (mut lines, mut seen) = (LineStarts::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                lines.read(piece, &mut |line| seen.push(line.len()));
            }
            assert_eq!(seen, [3, 0, LONGEST], "in pieces of {size}");
        }
    }
}
