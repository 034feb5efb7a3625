//! The content of one file → another file, by shared blocks or by a copy.
//!
//! Invariant: the copy has the size and the holes of its original, and a file system without shared blocks is told from
//! every other failure.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::sparse::Map;
use base::error::Failure;

/// Bytes of one read.
const CHUNK: usize = 1 << 20;

/// The kinds of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Files share their blocks with their originals. The file system must offer this.
    Reflinks,
    /// Files have blocks of their own.
    Copies,
}

/// The reason that a file has no reflink; callers choose another way then, see [`needs_copies`].
const NO_REFLINKS: &str = "this file system cannot share the blocks of files";

/// Copies the content of one file, with its holes, into a new file.
pub(super) fn content(
    original: &File,
    copy: &File,
    way: Way,
    buffer: &mut Vec<u8>,
    watch: &mut dyn FnMut(u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if way == Way::Reflinks {
        return rustix::fs::ioctl_ficlone(copy, original)
            .map_err(|errno| reflink(Errno::from_raw(errno.raw_os_error())));
    }
    let reading = || Failure::io("reading the original");
    let writing = || Failure::io("writing the copy");
    let size = original.metadata().map_err(reading())?.len();
    let map = Map::of(original, size).map_err(|errno| reading()(errno.into()))?;
    let all = [(0, size)];
    let parts: Vec<(u64, u64)> = match &map {
        None => all.into(),
        Some(map) => map
            .segments()
            .iter()
            .map(|s| (s.offset, s.length))
            .collect(),
    };
    buffer.resize(CHUNK, 0);
    for (mut offset, mut length) in parts {
        while length > 0 {
            let want = CHUNK.min(usize::try_from(length).unwrap_or(CHUNK));
            let piece = buffer.get_mut(..want).unwrap_or_default();
            let read = match original.read_at(piece, offset) {
                // It became shorter.
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(reading()(error)),
            };
            let piece = buffer.get(..read).unwrap_or_default();
            copy.write_all_at(piece, offset).map_err(writing())?;
            offset += read as u64;
            length -= read as u64;
            watch(read as u64)?;
        }
    }
    // No write covers a hole at its end.
    copy.set_len(size).map_err(writing())
}

fn reflink(errno: Errno) -> Failure {
    match errno {
        Errno::EOPNOTSUPP | Errno::ENOTTY | Errno::EXDEV | Errno::EINVAL | Errno::ETXTBSY => {
            Failure::Tool {
                what: "sharing blocks".into(),
                detail: NO_REFLINKS.into(),
            }
        }
        errno => Failure::errno("sharing the blocks of a file")(errno),
    }
}

/// True if this failure means that another way of copying is needed.
#[must_use]
pub fn needs_copies(failure: &Failure) -> bool {
    matches!(failure, Failure::Tool { detail, .. } if detail == NO_REFLINKS)
}
