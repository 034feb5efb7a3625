//! The files in the folder of a working copy: rclone's configuration as rclone left it, and what the gate notes beside.
//!
//! Invariant: no link is followed, no more is read than a configuration may have, and what the gate puts in place is
//! whole or was never there.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::host::dirfd::entries;

/// The copy's name in its folder.
pub(super) const COPY: &str = "rclone.conf";

/// Larger ones are no configurations.
pub(super) const LIMIT: u64 = 1 << 20;

/// Most files beside the one in place that are read.
const MOST: usize = 16;

/// How many times to look for a file that is being replaced.
const LOOKS: u32 = 10;

/// How long until the next look.
const AGAIN: Duration = Duration::from_millis(10);

/// The texts that rclone left. While one is at work, only the one in place is more than a beginning.
pub(super) fn found(conf: &OwnedFd, idle: bool) -> Vec<String> {
    let mut in_place = read(conf, COPY);
    for _ in 0..LOOKS {
        if idle || in_place.is_ok() {
            break;
        }
        // Between two renames; one that was killed there leaves it so.
        std::thread::sleep(AGAIN);
        in_place = read(conf, COPY);
    }
    let missing = in_place.is_err();
    let mut texts: Vec<String> = in_place.into_iter().collect();
    if idle || missing {
        let names = entries(conf).unwrap_or_default();
        texts.extend(
            names
                .iter()
                .filter_map(|name| name.to_str())
                .filter(|name| name.starts_with(COPY) && *name != COPY)
                .take(MOST)
                .filter_map(|name| read(conf, name).ok()),
        );
    }
    texts
}

/// The text of a file of rclone's.
pub(super) fn read(folder: &OwnedFd, name: &str) -> io::Result<String> {
    read_within(folder, name, LIMIT)
}

/// The text of a file; an error of the kind `InvalidData` for one that is larger than `limit`, or no text.
pub(super) fn read_within(folder: &OwnedFd, name: &str, limit: u64) -> io::Result<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = File::from(openat(folder, name, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(text)
}
