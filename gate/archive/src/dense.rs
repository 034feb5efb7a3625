//! Detects compressed bytes by looking at a sample.
//!
//! Photos, films and packed files are most of a home server's data, and deflate takes as long over them as over any:
//! 57 MB/s for each core, for a third of a percent. Stored as they are they cost a checksum.
//!
//! Invariant: the answer follows from the bytes alone; a wrong one costs size or time, and never content.

use libdeflater::{CompressionLvl, Compressor};

/// Number and size of the sampled stretches, evenly spread, so that a compressible part is rarely missed.
const STRETCHES: usize = 8;
const STRETCH: usize = 4 << 10;

/// With fewer bytes than this there is nothing to be gained by asking.
const FEW: usize = 2 * STRETCHES * STRETCH;

/// The sampler; it keeps its memory between calls.
pub(super) struct Probe {
    quick: Compressor,
    sample: Vec<u8>,
    packed: Vec<u8>,
}

impl Probe {
    pub(super) fn new() -> Self {
        let level = CompressionLvl::new(1).unwrap_or_default();
        let mut quick = Compressor::new(level);
        let bound = quick.deflate_compress_bound(STRETCHES * STRETCH);
        Self {
            quick,
            sample: Vec::with_capacity(STRETCHES * STRETCH),
            packed: vec![0; bound],
        }
    }

    /// True if compressing would save next to nothing.
    pub(super) fn is_dense(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < FEW {
            return false;
        }
        self.sample.clear();
        for part in bytes.chunks_exact(bytes.len() / STRETCHES) {
            let stretch = part.get(..STRETCH).unwrap_or_default();
            self.sample.extend_from_slice(stretch);
        }
        // This alone identifies text and records; only bytes that look dense are worth a trial.
        is_even(&self.sample) && self.saves_nothing()
    }

    /// Less than a hundredth.
    fn saves_nothing(&mut self) -> bool {
        self.quick
            .deflate_compress(&self.sample, &mut self.packed)
            .is_ok_and(|packed| packed >= self.sample.len() / 100 * 99)
    }
}

/// True if all values of a byte are nearly equally frequent: the chance that two bytes are equal is 1/256 then, and
/// 1/15 in English text.
fn is_even(bytes: &[u8]) -> bool {
    let mut counts = [0_u64; 256];
    for &byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let pairs: u64 = counts.iter().map(|count| count * count).sum();
    let all = bytes.len() as u64;
    pairs * 200 < all * all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect()
    }

    #[test]
    fn noise_is_dense_and_text_is_not() {
        let mut probe = Probe::new();
        assert!(probe.is_dense(&noise(512 << 10)));
        assert!(probe.is_dense(&noise(FEW)));
        let text = "so many words of one language ".repeat(20_000);
        assert!(!probe.is_dense(text.as_bytes()));
        assert!(!probe.is_dense(&vec![0; 512 << 10]));
    }

    #[test]
    fn every_value_as_often_as_every_other_is_not_enough() {
        let counting: Vec<u8> = (0..512_u32 << 10).map(|at| at as u8).collect();
        assert!(!Probe::new().is_dense(&counting));
    }

    #[test]
    fn a_part_that_is_not_dense_is_seen_wherever_it_is() {
        let mut probe = Probe::new();
        let quarter = 128 << 10;
        for at in (0..=3 * quarter).step_by(quarter / 4) {
            let mut bytes = noise(4 * quarter);
            bytes[at..at + quarter].fill(b' ');
            assert!(!probe.is_dense(&bytes), "{at}");
        }
    }

    #[test]
    fn of_little_nothing_is_asked() {
        for length in [0, 1, STRETCHES, FEW - 1] {
            assert!(!Probe::new().is_dense(&noise(length)), "{length}");
        }
    }
}
