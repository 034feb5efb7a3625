//! Upper bound for the size of an archive, before anything is packed.
//!
//! Invariant: nothing is read but directories and the maps of files with holes; the result is an upper bound as long as
//! nothing changes and the attributes of a file take no more than half a kilobyte on average. While an archive is
//! packed, the reserve of the spool is watched as well.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag};
use serde::{Deserialize, Serialize};

use super::listing::{Budget, Listing};
use super::sparse::Map;
use super::{MAX_DEPTH, ROOT, Watch, too_deep};
use base::dirfd::{Found, PinnedDir, enter, find, reopen};
use base::error::Failure;

/// Headers with a PAX header of a usual length, and a line of the manifest, of which the digest does not compress.
const ENTRY: u64 = 4 * 512 + 150;

/// The content below a directory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Entries of all kinds.
    pub entries: u64,
    /// Bytes of content, without holes.
    pub content: u64,
    /// Limit for the archive with its manifest.
    pub bound: u64,
}

impl Estimate {
    fn add(&mut self, name: usize, content: u64) {
        self.entries += 1;
        self.content = self.content.saturating_add(content);
        // Incompressible data grows by a few bytes for every block.
        let packed = content.saturating_add(512 + content / 1000);
        // A name stands in up to three places.
        let names = 3 * name as u64;
        self.bound = self.bound.saturating_add(ENTRY + names + packed);
    }
}

pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// Looks at everything below a directory.
///
/// # Errors
/// When it cannot be read, or `watch` says so.
pub fn estimate(source: &PinnedDir, watch: Watch<'_>) -> Result<Estimate, Failure> {
    let mut look = Look {
        found: Estimate::default(),
        budget: Budget::default(),
        path: PathBuf::from(ROOT),
    };
    let root = enter(source.fd()).map_err(Failure::errno("opening the source"))?;
    look.found.add(ROOT.len(), 0);
    look.directory(root, 0, watch)?;
    Ok(look.found)
}

struct Look {
    found: Estimate,
    budget: Budget,
    path: PathBuf,
}

impl Look {
    fn directory(
        &mut self,
        directory: OwnedFd,
        depth: usize,
        watch: Watch<'_>,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(too_deep(&self.path));
        }
        let mut listing = Listing::open(&directory, &self.budget)
            .map_err(|errno| self.failure("listing", errno))?;
        while listing.fill(watch, 0)? {
            for at in 0..listing.len() {
                let name = listing.name(at);
                // A mount is seen before the file system behind it is asked for anything.
                if let Ok(found) = find(&directory, name) {
                    self.path.push(name);
                    self.entry(&found, depth, watch)?;
                    self.path.pop();
                }
                if at % 1000 == 999 {
                    watch(0)?;
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, found: &Found, depth: usize, watch: Watch<'_>) -> Result<(), Failure> {
        let stat = &found.stat;
        if found.mounted {
            // Of a mount an empty directory is stored, or nothing.
            self.found.add(self.path.as_os_str().len(), 0);
            return Ok(());
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let allocated = u64::try_from(stat.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512);
        let mut length = self.path.as_os_str().len();
        let mut content = 0;
        match kind(stat) {
            SFlag::S_IFREG if allocated >= size => content = size,
            SFlag::S_IFREG => content = data(found).unwrap_or(size).min(size),
            SFlag::S_IFLNK => length += usize::try_from(size).unwrap_or(0),
            _ => {}
        }
        self.found.add(length, content);
        if kind(stat) != SFlag::S_IFDIR {
            return Ok(());
        }
        let inner = enter(&found.fd).map_err(|errno| self.failure("opening", errno))?;
        self.directory(inner, depth + 1, watch)
    }

    fn failure(&self, what: &str, errno: Errno) -> Failure {
        Failure::errno(format!("{what} {}", self.path.display()))(errno)
    }
}

/// Size of a file without its holes. A file system that compresses allocates less than there is to read, so the number
/// of blocks is no measure.
fn data(found: &Found) -> nix::Result<u64> {
    let size = u64::try_from(found.stat.st_size).unwrap_or(0);
    let map = Map::of(reopen(&found.fd)?, size)?;
    Ok(map.map_or(size, |map| map.data() + map.text(size).len() as u64))
}
