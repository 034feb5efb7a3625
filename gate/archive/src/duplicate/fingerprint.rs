//! The state of an original, as a time that its copy carries.
//!
//! Invariant: a file that may still change without a new change time has no fingerprint.

use nix::sys::stat::FileStat;

use crate::digest::Hasher;

/// A file that changed less than this number of seconds ago may change again without a new change time.
const UNSETTLED: i64 = 2;

/// True if each further change of a file has another change time.
pub(super) fn is_settled(stat: &FileStat) -> bool {
    stat.st_ctime <= now() && now() - stat.st_ctime > UNSETTLED
}

/// The present second, to compare with change times.
fn now() -> i64 {
    base::clock::utc().timestamp()
}

/// A time that stands for the state of a file: its inode, size and times.
pub(super) fn fingerprint(stat: &FileStat) -> (i64, i64) {
    let mut hasher = Hasher::default();
    for number in [
        i64::from_ne_bytes(stat.st_dev.to_ne_bytes()),
        i64::from_ne_bytes(stat.st_ino.to_ne_bytes()),
        stat.st_size,
        stat.st_mtime,
        stat.st_mtime_nsec,
        stat.st_ctime,
        stat.st_ctime_nsec,
    ] {
        hasher.update(&number.to_ne_bytes());
    }
    let digest = hasher.finish();
    let mut bytes = digest.to_string().bytes().fold(0_u64, |sum, byte| {
        (sum << 4) ^ (sum >> 60) ^ u64::from(byte & 0xf)
    });
    // Every file system keeps times up to 2038, and never the beginning of time for a copy.
    let seconds = i64::try_from(bytes % 0x7fff_ff00).unwrap_or(0) + 1;
    bytes /= 0x7fff_ff00;
    let nanoseconds = i64::try_from(bytes % 1_000_000_000).unwrap_or(0);
    (seconds, nanoseconds)
}
