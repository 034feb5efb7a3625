//! A tree from a mirror → the former tree as far as possible: owners, modes and links.
//!
//! A mirror holds names, content and times. The manifest of an archive knows the rest, as of the day of the archive.
//! Links are text files in a mirror, with a name that ends with `LINK`.
//!
//! Invariant: everything is reached by descriptor below the tree and no link is followed; nothing is made but links,
//! and nothing is removed but the text files that they were made of.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};

use super::attributes::{self, CAPABILITY};
use super::digest::Hasher;
use super::entry::Moment;
use super::extract::Options;
use super::listing::{Budget, Listing};
use super::manifest::{NotedAttributes, Reader, Record};
use super::place::{Places, components};
use super::{MAX_DEPTH, Named, Watch, too_deep};
use base::dirfd::{Found, enter, find, reopen};
use base::error::Failure;

/// The suffix that rclone adds to the name of a link, which it stores as text.
const LINK: &[u8] = b".rclonelink";

/// No link leads further.
const LONGEST: u64 = 4096;

/// An owner and a group.
pub type Owner = (u32, u32);

/// The result.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Files and directories with an owner and mode in the manifest.
    pub known: u64,
    /// Files with the content of the archive.
    pub same: u64,
    /// Links that were made of text files.
    pub links: u64,
    /// Files of the size and time that the manifest has, and of other content.
    pub doubtful: Named,
    /// In the archive, and not in the mirror.
    pub absent: Named,
    /// Programs without their set-user-ID, set-group-ID or capabilities.
    pub powerless: Named,
    /// Entries, each with the attributes that could not be set.
    pub attributes: Named,
}

/// Gives a tree to one owner, and makes links of the text files that stand for them.
///
/// # Errors
/// When something cannot be read or given away, or `watch` says so.
pub fn settle(
    tree: &OwnedFd,
    owner: Option<Owner>,
    adopted: &mut Adopted,
    watch: Watch<'_>,
) -> Result<(), Failure> {
    let mut walk = Settling {
        owner,
        adopted,
        budget: Budget::default(),
        watch,
    };
    let root = enter(tree).map_err(Failure::errno("opening what came from the mirror"))?;
    walk.directory(&root, &mut PathBuf::from(super::ROOT), 0)
}

struct Settling<'a, 'w> {
    owner: Option<Owner>,
    adopted: &'a mut Adopted,
    budget: Budget,
    watch: Watch<'w>,
}

impl Settling<'_, '_> {
    fn directory(
        &mut self,
        directory: &OwnedFd,
        path: &mut PathBuf,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(too_deep(path));
        }
        let mut listing = Listing::open(directory, &self.budget).map_err(at(path))?;
        while let Some(name) = listing.next(self.watch)? {
            path.push(&name);
            self.entry(directory, &name, path, depth)?;
            path.pop();
        }
        give(directory, self.owner).map_err(at(path))
    }

    fn entry(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        path: &mut PathBuf,
        depth: usize,
    ) -> Result<(), Failure> {
        let found = match find(directory, name) {
            // A text file that has become a link meanwhile.
            Err(Errno::ENOENT) => return Ok(()),
            other => other.map_err(at(path))?,
        };
        match kind(&found.stat) {
            SFlag::S_IFDIR => {
                let below = enter(&found.fd).map_err(at(path))?;
                self.directory(&below, path, depth + 1)
            }
            SFlag::S_IFREG if name.as_bytes().ends_with(LINK) => {
                self.link(directory, name, &found).map_err(at(path))
            }
            SFlag::S_IFREG => give(&found.fd, self.owner).map_err(at(path)),
            // One that was made just now.
            _ => Ok(()),
        }
    }

    fn link(&mut self, directory: &OwnedFd, name: &OsStr, found: &Found) -> nix::Result<()> {
        let mut target = Vec::new();
        let read = reopen(&found.fd)?
            .take(LONGEST + 1)
            .read_to_end(&mut target);
        let plain = name.as_bytes().strip_suffix(LINK).unwrap_or_default();
        let fits = read.is_ok_and(|read| read > 0 && read as u64 <= LONGEST)
            && !plain.is_empty()
            && !target.contains(&0);
        let link = OsStr::from_bytes(plain);
        let made = fits
            .then(|| symlinkat(OsStr::from_bytes(&target), directory, link))
            .is_some_and(|made| made.is_ok());
        if !made {
            // Then it stays a file.
            return give(&found.fd, self.owner);
        }
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            fchownat(
                directory,
                link,
                Some(uid),
                Some(gid),
                AtFlags::AT_SYMLINK_NOFOLLOW,
            )?;
        }
        let time = TimeSpec::new(found.stat.st_mtime, found.stat.st_mtime_nsec);
        let flag = UtimensatFlags::NoFollowSymlink;
        utimensat(directory, link, &TimeSpec::UTIME_OMIT, &time, flag)?;
        unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)?;
        self.adopted.links += 1;
        Ok(())
    }
}

/// Gives each entry that a manifest knows its owner and its mode, and a directory its time; compares the content of
/// files that are of its size and time. `options` are those of an extraction.
///
/// # Errors
/// When the manifest is damaged, something cannot be changed, or `watch` says so.
pub fn adopt(
    tree: &OwnedFd,
    manifest: &mut Reader<'_>,
    first: Record,
    options: Options,
    adopted: &mut Adopted,
    watch: Watch<'_>,
) -> Result<(), Failure> {
    let root = tree
        .try_clone()
        .map_err(Failure::io("the target directory"))?;
    let places: Places<()> = Places::new(root);
    let mut next = Some(first);
    while let Some(record) = next {
        watch(0)?;
        one(tree, &places, &record, options, adopted)?;
        next = manifest.record()?;
    }
    Ok(())
}

fn one(
    tree: &OwnedFd,
    places: &Places<()>,
    record: &Record,
    options: Options,
    adopted: &mut Adopted,
) -> Result<(), Failure> {
    let parts = components(&record.path)?;
    let shown = || Path::new(OsStr::from_bytes(&record.path)).to_owned();
    let found = match parts.last() {
        None => find(tree, ".".as_ref()),
        Some(name) => places.aside(&parts).and_then(|above| find(&above, name)),
    };
    let found = match found {
        Ok(found) => found,
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {
            // A named pipe is in no mirror.
            adopted.absent.push(record.display());
            return Ok(());
        }
        Err(errno) => return Err(at(&shown())(errno)),
    };
    let fits = match record.letter {
        'd' => kind(&found.stat) == SFlag::S_IFDIR,
        'f' | 's' | 'h' => kind(&found.stat) == SFlag::S_IFREG,
        'l' => kind(&found.stat) == SFlag::S_IFLNK,
        _ => false,
    };
    if !fits {
        adopted.absent.push(record.display());
        return Ok(());
    }
    restore(&found, record, options, adopted).map_err(at(&shown()))?;
    adopted.known += 1;
    compare(&found, record, adopted).map_err(at(&shown()))
}

fn restore(
    found: &Found,
    record: &Record,
    options: Options,
    adopted: &mut Adopted,
) -> nix::Result<()> {
    give(
        &found.fd,
        options.owners.then_some((record.uid, record.gid)),
    )?;
    if record.letter == 'l' {
        return Ok(());
    }
    let mut mode = record.mode & 0o7777;
    if record.letter != 'd' {
        let mut without = mode;
        if !options.owners || !options.powers {
            without &= 0o1777;
        }
        if without != mode {
            adopted.powerless.push(record.display());
        }
        mode = without;
    } else if !options.owners {
        mode &= 0o1777;
    }
    let path = format!("/proc/self/fd/{}", found.fd.as_raw_fd());
    let mode = Mode::from_bits_truncate(mode);
    fchmodat(AT_FDCWD, path.as_str(), mode, FchmodatFlags::FollowSymlink)?;
    attribute(found, record, options, adopted);
    if record.letter == 'd' {
        let Moment {
            seconds,
            nanoseconds,
        } = record.modified;
        let time = TimeSpec::new(seconds, nanoseconds.into());
        let flag = UtimensatFlags::FollowSymlink;
        utimensat(AT_FDCWD, path.as_str(), &TimeSpec::UTIME_OMIT, &time, flag)?;
    }
    Ok(())
}

/// Sets the attributes and ACLs that a manifest of version 2 holds.
fn attribute(found: &Found, record: &Record, options: Options, adopted: &mut Adopted) {
    let NotedAttributes::All(attributes) = &record.attributes else {
        return;
    };
    let mut attributes = attributes.clone();
    let before = attributes.0.len();
    attributes
        .0
        .retain(|(name, _)| options.powers || name != CAPABILITY);
    if attributes.0.len() < before {
        adopted.powerless.push(record.display());
    }
    let refused = attributes::write(&found.fd, &attributes);
    if !refused.is_empty() {
        let names = refused.join(", ");
        adopted
            .attributes
            .push(format!("{} ({names})", record.display()));
    }
}

/// Content can be compared with that of plain files alone: of one with holes the manifest knows another digest.
fn compare(found: &Found, record: &Record, adopted: &mut Adopted) -> nix::Result<()> {
    let (Some(noted), 'f') = (record.content, record.letter) else {
        return Ok(());
    };
    let seen = Moment::modified(&found.stat);
    // Remotes keep whole seconds, or less.
    if u64::try_from(found.stat.st_size) != Ok(record.size)
        || seen.seconds != record.modified.seconds
    {
        return Ok(());
    }
    let mut file = reopen(&found.fd)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(_) => return Err(Errno::EIO),
        }
    }
    if hasher.finish() == noted {
        adopted.same += 1;
    } else {
        adopted.doubtful.push(record.display());
    }
    Ok(())
}

fn give(fd: &OwnedFd, owner: Option<Owner>) -> nix::Result<()> {
    let Some((uid, gid)) = owner else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    // An empty name is the descriptor itself, which may be one of O_PATH, or a link.
    fchownat(fd, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn at(path: &Path) -> impl FnOnce(Errno) -> Failure + use<> {
    let path = OsString::from_vec(path.as_os_str().as_bytes().to_vec());
    move |errno| Failure::errno(format!("{} of the mirror", path.display()))(errno)
}
