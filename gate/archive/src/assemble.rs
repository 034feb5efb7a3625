//! Entries of a list, and contents that are on this disk already → a tree below one directory.
//!
//! Contents are renamed to their places, and their digests computed there. So a tree from a mirror takes the room of
//! one copy, and nothing in it is older or younger than its list says.
//!
//! Invariant: everything is made by descriptor below the target and nothing there is replaced; a link is made and never
//! followed. An entry with another content than its list says is named.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FallocateFlags, OFlag, fallocate, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{LinkatFlags, linkat, mkfifoat, symlinkat, syncfs};

use super::digest::{Digest, Hasher};
use super::entry::{Attributes, Entry, Kind};
use super::maker::{Maker, Options, making};
use super::manifest::{NotedAttributes, Record};
use super::place::{Places, components};
use super::{Named, Watch, damaged};
use base::error::Failure;

/// The unit in which zeros become holes.
const BLOCK: usize = 4096;

/// Bytes that are read at once.
const PIECE: usize = 64 * BLOCK;

/// The place of a content: a name in a directory on the file system of the target.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// The directory.
    pub folder: BorrowedFd<'s>,
    /// The name in it.
    pub name: &'s OsStr,
}

/// Contents that lie below a directory under their paths in the list.
pub struct Tree(Places<()>);

impl Tree {
    /// Below this directory, which is the root.
    #[must_use]
    pub fn new(root: OwnedFd) -> Self {
        Self(Places::new(root))
    }

    /// The place of a content; `None` if its directory is not there.
    ///
    /// # Errors
    /// When a directory cannot be opened for another reason.
    pub fn source<'s>(&'s mut self, path: &'s [u8]) -> Result<Option<Source<'s>>, Failure> {
        let parts = components(path)?;
        let Some(&name) = parts.last() else {
            return Ok(None);
        };
        match self.0.parent(&parts, |_, ()| Ok(())) {
            Ok(folder) => Ok(Some(Source { folder, name })),
            Err(Failure::Verification(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// The result so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// Entries of all kinds that were made.
    pub entries: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Files with the digest of their list.
    pub same: u64,
    /// Files without a digest in their list.
    pub unknown: u64,
    /// Entries whose content is nowhere.
    pub missing: Named,
    /// Files with another content than their list says.
    pub different: Named,
    /// Programs that lost their powers.
    pub powerless: Named,
    /// Entries, each with the attributes that could not be set.
    pub attributes: Named,
}

/// A tree in the making.
pub struct Assembly {
    maker: Maker,
    places: Places<Entry>,
    root: Option<Entry>,
    made: Assembled,
}

/// The entry that a line of a list describes.
fn entry_of(record: &Record) -> Entry {
    let target = || record.target.clone().unwrap_or_default();
    let size = record.size;
    let kind = match record.letter {
        'd' => Kind::Directory,
        's' => Kind::Sparse { size, stored: size },
        'l' => Kind::Symlink { target: target() },
        'h' => Kind::HardLink { target: target() },
        'p' => Kind::Fifo,
        _ => Kind::File { size },
    };
    Entry {
        path: record.path.clone(),
        kind,
        mode: record.mode,
        uid: record.uid,
        gid: record.gid,
        modified: record.modified,
        attributes: match &record.attributes {
            NotedAttributes::All(attributes) => attributes.clone(),
            NotedAttributes::Digest(_) => Attributes::default(),
        },
    }
}

impl Assembly {
    /// Begins a tree below an empty directory, which becomes its root.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn new(target: &OwnedFd, options: Options) -> Result<Self, Failure> {
        let maker = Maker::new(target, options)?;
        let places = Places::new(maker.target()?);
        Ok(Self {
            maker,
            places,
            root: None,
            made: Assembled::default(),
        })
    }

    /// Makes one entry; its directory was made before. `source` is the place of a file's content, if it is anywhere.
    ///
    /// # Errors
    /// When the entry cannot be made, or `watch` says so. A content that is missing or another one is no error.
    pub fn put(
        &mut self,
        record: &Record,
        source: Option<Source<'_>>,
        watch: Watch<'_>,
    ) -> Result<(), Failure> {
        let entry = entry_of(record);
        let parts = components(&entry.path)?;
        let Some((&name, _)) = parts.split_last() else {
            if entry.kind != Kind::Directory || self.root.is_some() {
                return Err(damaged("its root is no directory, or comes twice"));
            }
            self.made.entries += 1;
            self.root = Some(entry);
            return Ok(());
        };
        self.maker.has_room(0)?;
        let maker = &mut self.maker;
        let parent = self
            .places
            .parent(&parts, |fd, entry| maker.complete(&fd, &entry))?;
        let made = match &entry.kind {
            Kind::File { .. } | Kind::Sparse { .. } => {
                match source.map(|source| take(source, parent, name)).transpose() {
                    Ok(Some(Some(mut file))) => {
                        let (bytes, digest) = digest(&mut file, &entry, watch)?;
                        self.made.bytes += bytes;
                        match record.content {
                            _ if bytes != record.size => self.made.different.push(entry.display()),
                            None => self.made.unknown += 1,
                            Some(noted) if noted == digest => self.made.same += 1,
                            Some(_) => self.made.different.push(entry.display()),
                        }
                        self.maker.complete(&file, &entry)?;
                        true
                    }
                    Ok(None | Some(None)) => false,
                    Err(errno) => return Err(making(&entry)(errno)),
                }
            }
            Kind::Directory => {
                mkdirat(parent, name, Mode::S_IRWXU).map_err(making(&entry))?;
                self.places
                    .descend(name, entry.clone())
                    .map_err(making(&entry))?;
                true
            }
            Kind::Symlink { target } => {
                symlinkat(OsStr::from_bytes(target), parent, name).map_err(making(&entry))?;
                self.maker.complete_link(parent, name, &entry)?;
                true
            }
            Kind::HardLink { target } => self.link(&parts, name, target, &entry)?,
            Kind::Fifo => {
                mkfifoat(parent, name, Mode::S_IRUSR | Mode::S_IWUSR).map_err(making(&entry))?;
                let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let fifo = openat(parent, name, flags, Mode::empty()).map_err(making(&entry))?;
                self.maker.complete(&fifo, &entry)?;
                true
            }
            Kind::Other { .. } => false,
        };
        if made {
            self.made.entries += 1;
        } else {
            self.made.missing.push(entry.display());
        }
        Ok(())
    }

    /// Makes another name of a file that came before; false if that file is missing.
    fn link(
        &mut self,
        parts: &[&OsStr],
        name: &OsStr,
        target: &[u8],
        entry: &Entry,
    ) -> Result<bool, Failure> {
        let from = components(target)?;
        let Some(&last) = from.last() else {
            return Err(damaged("a link leads to the root"));
        };
        let missing =
            |errno: &Errno| matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP);
        let above = match self.places.aside(&from) {
            Err(errno) if missing(&errno) => return Ok(false),
            other => other.map_err(making(entry))?,
        };
        let stat = match fstatat(&above, last, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(errno) if missing(&errno) => return Ok(false),
            other => other.map_err(making(entry))?,
        };
        if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(damaged(&format!(
                "{} is another name of what is no file",
                entry.display()
            )));
        }
        let to = self.places.parent(parts, |_, _| Ok(()))?;
        linkat(&above, last, to, name, LinkatFlags::empty()).map_err(making(entry))?;
        Ok(true)
    }

    /// Completes the directories, and writes the tree to its disk.
    ///
    /// # Errors
    /// When there was no root, or something cannot be completed.
    pub fn finish(mut self) -> Result<Assembled, Failure> {
        let maker = &mut self.maker;
        // One that lies in none leaves all of them.
        self.places
            .parent(&[], |fd, entry| maker.complete(&fd, &entry))?;
        let root = self.root.ok_or_else(|| damaged("it has no root"))?;
        let target = maker.target()?;
        maker.complete(&target, &root)?;
        syncfs(&target).map_err(Failure::errno("writing the tree to its disk"))?;
        Ok(Assembled {
            powerless: self.maker.powerless,
            attributes: self.maker.attributes,
            ..self.made
        })
    }
}

/// Moves a content to its place, and opens it there; `None` if it is not there, or is no plain file.
fn take(source: Source<'_>, parent: BorrowedFd<'_>, name: &OsStr) -> nix::Result<Option<File>> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match openat(source.folder, source.name, flags, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EISDIR | Errno::ENXIO) => {
            return Ok(None);
        }
        other => other?,
    };
    let stat = fstat(&file)?;
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() || stat.st_nlink != 1 {
        return Ok(None);
    }
    renameat(source.folder, source.name, parent, name)?;
    Ok(Some(File::from(file)))
}

/// Reads a file to its end. In a file that had holes, blocks of zeros become holes.
fn digest(file: &mut File, entry: &Entry, watch: Watch<'_>) -> Result<(u64, Digest), Failure> {
    let holes = matches!(entry.kind, Kind::Sparse { .. });
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; PIECE];
    let mut at = 0_u64;
    let mut zeros = Zeros::default();
    loop {
        let mut filled = 0;
        // Whole pieces, so that blocks keep their place.
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Failure::io(format!("reading {}", entry.display()))(error));
                }
            }
        }
        let piece = buffer.get(..filled).unwrap_or_default();
        if piece.is_empty() {
            zeros.end(file);
            return Ok((at, hasher.finish()));
        }
        hasher.update(piece);
        if holes {
            zeros.see(file, at, piece);
        }
        at += piece.len() as u64;
        watch(at)?;
    }
}

/// A run of blocks that are all zeros.
#[derive(Default)]
struct Zeros(Option<(u64, u64)>);

impl Zeros {
    fn see(&mut self, file: &File, at: u64, piece: &[u8]) {
        for (number, block) in piece.chunks(BLOCK).enumerate() {
            let begin = at + (number * BLOCK) as u64;
            if block.iter().all(|&byte| byte == 0) {
                let run = self.0.get_or_insert((begin, 0));
                run.1 += block.len() as u64;
            } else {
                self.end(file);
            }
        }
    }

    /// Ends the run. A file system without holes keeps the zeros.
    fn end(&mut self, file: &File) {
        let Some((begin, length)) = self.0.take() else {
            return;
        };
        if let (Ok(begin), Ok(length)) = (begin.try_into(), length.try_into()) {
            let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let _ = fallocate(file.as_fd(), flags, begin, length);
        }
    }
}
