//! Compresses on every core: each chunk of the input becomes a bzip2 stream of its own, and any bunzip2 reads the
//! concatenated streams as one file.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use bzip2::Compression;
use bzip2::write::BzEncoder;

/// The size of a chunk, in bytes: nine blocks of bzip2's largest size, so that little is lost between streams.
const PIECE: usize = 9 * 900_000;

/// The maximum number of threads: with more, the dumper is the bottleneck.
const MOST_THREADS: usize = 8;

type Compressed = Receiver<io::Result<Vec<u8>>>;

/// A writer that compresses what it is given.
#[derive(Debug)]
pub struct ParallelBzip2<W: Write> {
    sink: W,
    piece: Vec<u8>,
    /// The chunks being compressed, in order.
    pending: std::collections::VecDeque<(Compressed, JoinHandle<()>)>,
    threads: usize,
    is_empty: bool,
}

impl<W: Write> ParallelBzip2<W> {
    /// Creates a writer to `sink`. Memory is limited to two chunks per core.
    pub fn new(sink: W) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        Self { sink, piece: Vec::new(), pending: std::collections::VecDeque::new(), threads, is_empty: true }
    }

    /// Writes everything that remains and returns the sink.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.piece.is_empty() || self.is_empty {
            self.start()?;
        }
        while !self.pending.is_empty() {
            self.take_one()?;
        }
        self.sink.flush()?;
        Ok(self.sink)
    }

    fn start(&mut self) -> io::Result<()> {
        if self.pending.len() >= self.threads {
            self.take_one()?;
        }
        self.is_empty = false;
        let piece = std::mem::take(&mut self.piece);
        let (send, receive): (SyncSender<_>, _) = sync_channel(1);
        let thread = std::thread::Builder::new().name("bzip2".into()).spawn(move || {
            // The receiver is gone if the dump has failed meanwhile.
            let _ = send.send(compress(&piece));
        })?;
        self.pending.push_back((receive, thread));
        Ok(())
    }

    fn take_one(&mut self) -> io::Result<()> {
        let Some((receive, thread)) = self.pending.pop_front() else { return Ok(()) };
        let compressed = receive.recv().map_err(io::Error::other)?;
        thread.join().map_err(|_| io::Error::other("compression failed"))?;
        self.sink.write_all(&compressed?)
    }
}

fn compress(piece: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(piece)?;
    encoder.finish()
}

impl<W: Write> Write for ParallelBzip2<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.start()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE, ParallelBzip2};
    use bzip2::read::MultiBzDecoder;
    use std::io::{Read as _, Write as _};

    #[test]
    fn any_size_comes_out_the_same() {
        // A pseudo-random generator: bzip2 is slow on repetitive data.
        let noise = |size: usize| {
            let mut state = 1_u32;
            (0..size).map(move |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
        };
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 17] {
            let data: Vec<u8> = noise(size).collect();
            let mut writer = ParallelBzip2::new(Vec::new());
            writer.write_all(&data).unwrap();
            let mut back = Vec::new();
            MultiBzDecoder::new(writer.finish().unwrap().as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == data, "{size} bytes");
        }
    }
}
