//! Entries of a tree that no manifest knows → the owner of the nearest directory that one knows.
//!
//! A database that runs under a sub-uid makes files every day. After a restore from a mirror it can read those that are
//! newer than the archive only when they belong to it, as their folder does.
//!
//! The unknown entries are marked by an owner that occurs in no line of the manifest. A list of them would take memory
//! for each file.
//!
//! Invariant: everything is reached by descriptor below the tree and no link is followed; an entry with another owner
//! than the mark stays as it is.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::{Gid, Uid, fchownat};

use super::adopt::Owner;
use super::listing::{Budget, Listing};
use super::manifest::Reader;
use super::{MAX_DEPTH, ROOT, Watch, too_deep};
use base::dirfd::{enter, find};
use base::error::Failure;

/// Owners that may serve as a mark: the highest that there are, without the one that chown(2) does not take.
const MARKS: std::ops::Range<u32> = u32::MAX - 4096..u32::MAX;

/// An owner that no line of a manifest names.
///
/// # Errors
/// When the manifest is damaged, or names all that may serve.
pub fn mark(manifest: &mut Reader<'_>, watch: Watch<'_>) -> Result<u32, Failure> {
    let mut taken = vec![false; MARKS.len()];
    while let Some(record) = manifest.record()? {
        watch(0)?;
        let at = record.uid.checked_sub(MARKS.start);
        let slot = at.and_then(|at| taken.get_mut(usize::try_from(at).unwrap_or(usize::MAX)));
        if let Some(slot) = slot {
            *slot = true;
        }
    }
    MARKS
        .zip(taken)
        .find_map(|(owner, taken)| (!taken).then_some(owner))
        .ok_or_else(|| Failure::Verification("the manifest names every owner".to_owned()))
}

/// Gives each entry that belongs to `mark` to the owner of the directory that it lies in, from the root down. `root` is
/// for the root itself.
///
/// # Errors
/// When something cannot be given away, or `watch` says so.
pub fn inherit(tree: &OwnedFd, mark: u32, root: Owner, watch: Watch<'_>) -> Result<(), Failure> {
    let opened = enter(tree).map_err(Failure::errno("opening the restored tree"))?;
    let mut walk = Inheriting {
        mark,
        budget: Budget::default(),
        watch,
    };
    let path = PathBuf::from(ROOT);
    let stat = fstat(&opened).map_err(at(&path))?;
    let owner = walk.settle(&opened, &stat, root).map_err(at(&path))?;
    walk.directory(&opened, owner, &mut path.clone(), 0)
}

struct Inheriting<'w> {
    mark: u32,
    budget: Budget,
    watch: Watch<'w>,
}

impl Inheriting<'_> {
    /// Gives a marked entry away; returns the owner that it has then.
    fn settle(&self, fd: impl AsFd, stat: &FileStat, above: Owner) -> nix::Result<Owner> {
        if stat.st_uid != self.mark {
            return Ok((stat.st_uid, stat.st_gid));
        }
        let (uid, gid) = (Uid::from_raw(above.0), Gid::from_raw(above.1));
        // An empty name is the descriptor itself, which may be one of O_PATH, or a link.
        fchownat(fd, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
        Ok(above)
    }

    fn directory(
        &mut self,
        directory: &OwnedFd,
        owner: Owner,
        path: &mut PathBuf,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(too_deep(path));
        }
        let mut listing = Listing::open(directory, &self.budget).map_err(at(path))?;
        while let Some(name) = listing.next(self.watch)? {
            path.push(&name);
            self.entry(directory, &name, owner, path, depth)?;
            path.pop();
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        above: Owner,
        path: &mut PathBuf,
        depth: usize,
    ) -> Result<(), Failure> {
        let found = find(directory, name).map_err(at(path))?;
        let owner = self
            .settle(&found.fd, &found.stat, above)
            .map_err(at(path))?;
        if found.stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() {
            return Ok(());
        }
        let below = enter(&found.fd).map_err(at(path))?;
        self.directory(&below, owner, path, depth + 1)
    }
}

fn at(path: &Path) -> impl FnOnce(Errno) -> Failure + use<> {
    let path = path.to_owned();
    move |errno| Failure::errno(format!("{} of the mirror", path.display()))(errno)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Hasher;
    use crate::entry::{Attributes, Moment};
    use crate::manifest::{NotedAttributes, Record, Totals, Writer};

    fn marked(owners: impl Iterator<Item = u32>) -> Result<u32, Failure> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, "n8n-2026-11-22.tar.gz").unwrap();
        for uid in owners {
            let record = Record {
                letter: 'd',
                mode: 0o755,
                uid,
                gid: 0,
                modified: Moment::default(),
                size: 0,
                content: None,
                attributes: NotedAttributes::All(Attributes::default()),
                path: b"data".to_vec(),
                target: None,
                at: None,
                hash: None,
            };
            writer.record(&record).unwrap();
        }
        let totals = Totals {
            entries: 0,
            bytes: 0,
            archive_bytes: 0,
            archive: Hasher::default().finish(),
        };
        writer.finish(&totals).unwrap();
        mark(&mut Reader::new(out.as_slice()).unwrap(), &mut |_| Ok(()))
    }

    #[test]
    fn a_mark_is_no_owner_of_the_manifest() {
        let first = MARKS.start;
        assert_eq!(marked([0, 1000].into_iter()).unwrap(), first);
        assert_eq!(marked([first + 1, first].into_iter()).unwrap(), first + 2);
        assert!(marked(MARKS).is_err());
    }
}
