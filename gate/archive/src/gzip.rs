//! Bytes → one `.tar.gz`, packed on all cores.
//!
//! The input is cut into blocks of half a mebibyte, each of which becomes a gzip member of its own. A file of several
//! members is an ordinary gzip file (RFC 1952, 2.2): gzip, tar, bsdtar and Python read it as one.
//!
//! libdeflate's level 5 was measured on 120 MB of a Debian system: 93 MB/s for each core and 0.3 % smaller than `gzip
//! -6` (22 MB/s). Level 4 does 107 MB/s and is 2.4 % larger, level 6 does 75 MB/s and is 1.1 % smaller; zlib-rs was
//! slower than any of them and larger than gzip. Compressed data is stored.
//!
//! Invariant: the output depends on the input alone, not on the number of threads. At most `AHEAD` blocks for each
//! thread, and one more, are in memory, at any speed of either side.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use libdeflater::{CompressionLvl, Compressor};

use super::dense::Probe;
use super::manifest::Member;
use privilege::syscalls;

/// Bytes of input in a member: large enough that starting anew costs a thousandth of the size.
const BLOCK: usize = 512 << 10;

/// Of libdeflate; see above.
const LEVEL: i32 = 5;

/// More threads than this would cost more memory than they are worth.
const MAX_WORKERS: usize = 8;

/// Blocks on their way for each thread. A stored block takes less time than a compressed one, and writing may wait for
/// the disk: with fewer blocks, threads could stand idle behind the block that is next.
const AHEAD: usize = 3;

/// A block on its way: to a worker with its input, and back with its output. The buffers go round.
struct Block {
    number: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    packed: io::Result<usize>,
}

/// A writer that compresses its input.
pub struct ParallelGzip<W> {
    out: W,
    filling: Vec<u8>,
    /// `None` once all has been handed out.
    jobs: Option<Sender<Block>>,
    done: Receiver<Block>,
    workers: Vec<JoinHandle<()>>,
    spare: Vec<Block>,
    /// Packed before those that come earlier in the file.
    waiting: BTreeMap<u64, Block>,
    handed_out: u64,
    written: u64,
    members: Members,
}

/// The compressed length of each member: four bytes for each half mebibyte of input.
#[derive(Debug, Default, Clone)]
pub struct Members(Vec<u32>);

impl Members {
    /// Start of each member: in the compressed file, and in the input.
    pub fn starts(&self) -> impl Iterator<Item = Member> {
        self.0
            .iter()
            .zip(0_u64..)
            .scan(0, |next, (&length, number)| {
                let offset = *next;
                *next += u64::from(length);
                Some(Member {
                    offset,
                    at: number * BLOCK as u64,
                })
            })
    }
}

impl<W: Write> ParallelGzip<W> {
    /// With a thread for each core, eight at most.
    ///
    /// # Errors
    /// When not a single thread can be started.
    pub fn new(out: W) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_workers(out, cores.min(MAX_WORKERS))
    }

    fn with_workers(out: W, count: usize) -> io::Result<Self> {
        let (jobs, queue) = channel::<Block>();
        let (finished, done) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut workers = Vec::new();
        for _ in 0..count.max(1) {
            let (queue, finished) = (Arc::clone(&queue), finished.clone());
            let worker = thread::Builder::new()
                .name("gzip".into())
                .stack_size(512 << 10)
                .spawn(move || work(&queue, &finished));
            match worker {
                Ok(worker) => workers.push(worker),
                // A limit on processes: fewer of them do the same, only later.
                Err(_) if !workers.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            out,
            filling: Vec::with_capacity(BLOCK),
            jobs: Some(jobs),
            done,
            workers,
            spare: Vec::new(),
            waiting: BTreeMap::new(),
            handed_out: 0,
            written: 0,
            members: Members::default(),
        })
    }

    /// Packs the rest, and returns the writer below and the index of all members.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn finish(mut self) -> io::Result<(W, Members)> {
        // An empty file is one member, too.
        if !self.filling.is_empty() || self.handed_out == 0 {
            self.hand_out()?;
        }
        self.jobs = None;
        while self.written < self.handed_out {
            self.take_back()?;
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        self.out.flush()?;
        Ok((self.out, self.members))
    }

    fn in_flight(&self) -> u64 {
        self.handed_out - self.written
    }

    fn hand_out(&mut self) -> io::Result<()> {
        while self.in_flight() >= (AHEAD * self.workers.len()) as u64 {
            self.take_back()?;
        }
        let mut block = self.spare.pop().unwrap_or_else(|| Block {
            number: 0,
            input: Vec::with_capacity(BLOCK),
            output: Vec::new(),
            packed: Ok(0),
        });
        block.input.clear();
        std::mem::swap(&mut block.input, &mut self.filling);
        block.number = self.handed_out;
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(block));
        if !matches!(sent, Some(Ok(()))) {
            return Err(io::Error::other("the threads that pack are gone"));
        }
        self.handed_out += 1;
        Ok(())
    }

    /// Waits for one block, and writes the blocks that are next.
    fn take_back(&mut self) -> io::Result<()> {
        let gone = |_| io::Error::other("the threads that pack are gone");
        let block = self.done.recv().map_err(gone)?;
        self.waiting.insert(block.number, block);
        while let Some(mut block) = self.waiting.remove(&self.written) {
            let length = std::mem::replace(&mut block.packed, Ok(0))?;
            self.out
                .write_all(block.output.get(..length).unwrap_or_default())?;
            self.members
                .0
                .push(u32::try_from(length).unwrap_or(u32::MAX));
            self.written += 1;
            self.spare.push(block);
        }
        Ok(())
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.filling.len();
        let part = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.filling.extend_from_slice(part);
        if self.filling.len() == BLOCK {
            self.hand_out()?;
        }
        Ok(part.len())
    }

    /// Writes nothing: members end where blocks end, or the output would depend on who flushes when.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Life of a thread: it ends when no more blocks are handed out.
fn work(queue: &Mutex<Receiver<Block>>, finished: &Sender<Block>) {
    // Other users wrote the input, and the compressor is foreign code: so the thread can reach only memory. If the
    // kernel cannot confine the thread, it compresses without.
    let _ = syscalls::for_thinking();
    let of_level = |level| Compressor::new(CompressionLvl::new(level).unwrap_or_default());
    let (mut packing, mut storing, mut probe) = (of_level(LEVEL), of_level(0), Probe::new());
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut block) = next else { return };
        let compressor = if probe.is_dense(&block.input) {
            &mut storing
        } else {
            &mut packing
        };
        let bound = compressor.gzip_compress_bound(block.input.len());
        if block.output.len() < bound {
            block.output.resize(bound, 0);
        }
        block.packed = compressor
            .gzip_compress(&block.input, &mut block.output)
            .map_err(|error| io::Error::other(error.to_string()));
        if finished.send(block).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn packed(input: &[u8], workers: usize) -> Vec<u8> {
        let mut gzip = ParallelGzip::with_workers(Vec::new(), workers).unwrap();
        for piece in input.chunks(70_001) {
            gzip.write_all(piece).unwrap();
        }
        gzip.finish().unwrap().0
    }

    fn unpacked(gzip: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        MultiGzDecoder::new(gzip).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn the_threads_that_pack_reach_nothing_but_memory() {
        let mut gzip = ParallelGzip::with_workers(Vec::new(), 2).unwrap();
        // A thread that gives a block back has come past its first statement.
        gzip.write_all(&noise(4 * BLOCK)).unwrap();
        while gzip.written < 3 {
            gzip.take_back().unwrap();
        }
        let filters = |status: &str| -> u32 {
            let line = status
                .lines()
                .find_map(|l| l.strip_prefix("Seccomp_filters:"));
            line.unwrap().trim().parse().unwrap()
        };
        let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let mut filtered = 0;
        for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
            let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            if status.starts_with("Name:\tgzip\n") {
                filtered += u32::from(filters(&status) > filters(&own));
            }
        }
        assert!(filtered > 0);
        gzip.finish().unwrap();
    }

    /// Bytes that neither repeat nor pack well.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u32;
        (0..length)
            .map(|at| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                if at % 3 == 0 { b'x' } else { state as u8 }
            })
            .collect()
    }

    #[test]
    fn blocks_come_out_in_order_whatever_the_number_of_threads() {
        let input = noise(5 * BLOCK + 17);
        let one = packed(&input, 1);
        assert!(unpacked(&one) == input);
        for workers in [2, 3, 8] {
            assert!(packed(&input, workers) == one, "{workers} threads");
        }
    }

    #[test]
    fn what_is_compressed_already_is_stored_and_hardly_grows() {
        let mut state = 1_u64;
        let dense: Vec<u8> = (0..3 * BLOCK + 5)
            .map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let gzip = packed(&dense, 2);
        assert!(unpacked(&gzip) == dense);
        // A stored block's content stands in the file as it is.
        let middle = &dense[BLOCK..BLOCK + 1000];
        assert!(gzip.windows(1000).any(|window| window == middle));
        assert!(gzip.len() < dense.len() + dense.len() / 1000);
        // Other data beside it is compressed.
        let mixed = [dense, vec![b'x'; 4 * BLOCK]].concat();
        let gzip = packed(&mixed, 2);
        assert!(unpacked(&gzip) == mixed);
        assert!(gzip.len() < 4 * BLOCK);
    }

    #[test]
    fn the_ends_of_blocks_are_nothing_special() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1] {
            let input = noise(length);
            assert!(unpacked(&packed(&input, 2)) == input, "{length}");
        }
    }

    #[test]
    fn a_writer_that_fails_ends_it() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gzip = ParallelGzip::with_workers(Full, 2).unwrap();
        let result = gzip
            .write_all(&noise(8 * BLOCK))
            .and_then(|()| gzip.finish().map(drop));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
