//! The files in a working copy's folder: the configuration that rclone left, and the gate's own notes.
//!
//! Invariant: the gate follows no link, reads at most the size limit of a configuration, and creates files atomically.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use base::dirfd::entries;

/// The copy's name in its folder.
pub(super) const COPY: &str = "rclone.conf";

/// The size limit of a configuration in bytes.
pub(super) const LIMIT: u64 = 1 << 20;

/// The largest number of files read beside the one in place.
const MOST: usize = 16;

/// The number of attempts to read a file that rclone is replacing.
const LOOKS: u32 = 10;

/// The pause between two attempts.
const AGAIN: Duration = Duration::from_millis(10);

/// The texts that rclone left. While rclone runs, only the file in place is known to be complete.
pub(super) fn found(conf: &OwnedFd, idle: bool) -> Vec<String> {
    let mut in_place = read(conf, COPY);
    for _ in 0..LOOKS {
        if idle || in_place.is_ok() {
            break;
        }
        // rclone is between its two renames, or was killed there.
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

/// Reads the text of one of rclone's files.
pub(super) fn read(folder: &OwnedFd, name: &str) -> io::Result<String> {
    read_within(folder, name, LIMIT)
}

/// Reads a text file. A file larger than `limit`, or one that is not text, is an error of the kind `InvalidData`.
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
