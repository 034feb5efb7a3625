//! A tree on this host → its records, in the order of all lists of a mirror.
//!
//! Invariant: entries are reached by descriptor from the pinned directory, no link is followed, and no mount is entered.
//! Of the tree only the names of the open folders are in memory.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Display, Path};

use archive::entry::{Attributes, Moment};
use archive::links::{Links, Seen};
use archive::manifest::{NotedAttributes, Record};
use archive::{MAX_DEPTH, Named, ROOT, Watch, attributes};
use base::dirfd::{Found, PinnedDir, enter, find};
use base::error::Failure;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use serde::{Deserialize, Serialize};

/// Entries that a mirror lacks, or holds in a changed form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Entries that changed while they were read.
    pub changed: Named,
    /// Sockets and devices, which a mirror cannot bring back.
    pub skipped: Named,
    /// Mount points: they belong to another file system, or to another place of this one.
    pub mounted: Named,
    /// Files with too many attributes.
    pub cut: Named,
}

impl Notes {
    /// Adds the notes of a later look.
    pub fn add(&mut self, later: &Self) {
        for (all, more) in [
            (&mut self.changed, &later.changed),
            (&mut self.skipped, &later.skipped),
            (&mut self.mounted, &later.mounted),
            (&mut self.cut, &later.cut),
        ] {
            more.lines().for_each(|line| all.push(line));
        }
    }
}

/// The type of an entry.
#[must_use]
pub fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// The path as people read it.
#[must_use]
pub fn shown(path: &[u8]) -> Display<'_> {
    Path::new(OsStr::from_bytes(path)).display()
}

/// Takes the records one by one.
pub type Visit<'v> = &'v mut dyn FnMut(Record) -> Result<(), Failure>;

/// Walks over a tree.
///
/// # Errors
/// When it cannot be read, or `visit` or `watch` ends it.
pub fn scan(source: &PinnedDir, visit: Visit<'_>, watch: Watch<'_>) -> Result<Notes, Failure> {
    let root = enter(source.fd()).map_err(Failure::errno("opening the source"))?;
    let stat = fstat(&root).map_err(Failure::errno("reading the source"))?;
    let mut scan = Scan {
        notes: Notes::default(),
        links: Links::default(),
        path: ROOT.as_bytes().to_vec(),
        visit,
        watch,
    };
    scan.directory(root, &stat, 0)?;
    Ok(scan.notes)
}

struct Scan<'a> {
    notes: Notes,
    links: Links,
    path: Vec<u8>,
    visit: Visit<'a>,
    watch: Watch<'a>,
}

impl Scan<'_> {
    fn directory(
        &mut self,
        directory: OwnedFd,
        stat: &FileStat,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::Tool {
                what: "reading the data".to_owned(),
                detail: format!(
                    "{} lies more than {MAX_DEPTH} directories deep; flatten it, or leave it out of the data directory",
                    shown(&self.path)
                ),
            });
        }
        self.describe(&directory, stat, 'd', None)?;
        let names = Names::of(&directory).map_err(|errno| self.unread(errno))?;
        for at in 0..names.ends.len() {
            (self.watch)(0)?;
            let name = names.get(at);
            let length = self.path.len();
            self.path.push(b'/');
            self.path.extend(name);
            self.entry(&directory, OsStr::from_bytes(name), depth)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn entry(&mut self, directory: &OwnedFd, name: &OsStr, depth: usize) -> Result<(), Failure> {
        let Found {
            fd,
            stat,
            mounted,
            foreign,
        } = match find(directory, name) {
            Ok(found) => found,
            Err(Errno::ENOENT) => {
                self.notes.changed.push(shown(&self.path));
                return Ok(());
            }
            Err(errno) => return Err(self.unread(errno)),
        };
        if mounted {
            self.notes.mounted.push(shown(&self.path));
            if kind(&stat) != SFlag::S_IFDIR {
                return Ok(());
            }
            // The place where it is mounted, so that it can be mounted there again. A file system that may not answer
            // is not asked: then the entry has the owner of the directory around the mount point.
            let _ = foreign;
            let record = record(&self.path, &stat, 'd', None, Attributes::default());
            return (self.visit)(record);
        }
        match kind(&stat) {
            SFlag::S_IFDIR => {
                let inner = enter(&fd).map_err(|errno| self.unread(errno))?;
                self.directory(inner, &stat, depth + 1)
            }
            SFlag::S_IFREG => self.file(&fd, &stat),
            SFlag::S_IFLNK => {
                let target = readlinkat(&fd, "").map_err(|errno| self.unread(errno))?;
                self.describe(&fd, &stat, 'l', Some(target.as_bytes().to_vec()))
            }
            SFlag::S_IFIFO => self.describe(&fd, &stat, 'p', None),
            _ => {
                self.notes.skipped.push(shown(&self.path));
                Ok(())
            }
        }
    }

    fn file(&mut self, fd: &OwnedFd, stat: &FileStat) -> Result<(), Failure> {
        if stat.st_nlink > 1 {
            match self.links.look(stat) {
                Seen::Under(target) => {
                    // Its attributes are those of its first name.
                    let none = Attributes::default();
                    let record = record(&self.path, stat, 'h', Some(target), none);
                    return (self.visit)(record);
                }
                Seen::Changed => self.notes.changed.push(shown(&self.path)),
                Seen::New => {
                    self.links.remember(stat, &self.path);
                }
            }
        }
        self.describe(fd, stat, file_letter(stat), None)
    }

    fn describe(
        &mut self,
        fd: &impl AsFd,
        stat: &FileStat,
        letter: char,
        target: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        let found = attributes::read(fd).map_err(|errno| {
            Failure::io(format!("the attributes of {}", shown(&self.path)))(errno.into())
        })?;
        if found.cut {
            self.notes.cut.push(shown(&self.path));
        }
        (self.visit)(record(&self.path, stat, letter, target, found.attributes))
    }

    fn unread(&self, errno: Errno) -> Failure {
        Failure::errno(format!("reading {}", shown(&self.path)))(errno)
    }
}

/// `s` for a file with holes, `f` for another one.
#[must_use]
pub fn file_letter(stat: &FileStat) -> char {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let allocated = u64::try_from(stat.st_blocks).unwrap_or(0);
    if allocated.saturating_mul(512) < size {
        's'
    } else {
        'f'
    }
}

/// The record of an entry, without the digest of its content.
#[must_use]
pub fn record(
    path: &[u8],
    stat: &FileStat,
    letter: char,
    target: Option<Vec<u8>>,
    attributes: Attributes,
) -> Record {
    Record {
        letter,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        modified: Moment::modified(stat),
        size: match letter {
            'f' | 's' => u64::try_from(stat.st_size).unwrap_or(0),
            _ => 0,
        },
        content: None,
        attributes: NotedAttributes::All(attributes),
        path: path.to_vec(),
        target,
        at: None,
        hash: None,
    }
}

/// The record of a file or a link as it is now, without the digest of its content.
///
/// # Errors
/// When it cannot be read.
pub fn describe(found: &Found, old: &Record) -> Result<Record, Failure> {
    let attributes = attributes::read(&found.fd).map_err(|errno| {
        Failure::io(format!("the attributes of {}", shown(&old.path)))(errno.into())
    })?;
    let letter = if old.letter == 'l' {
        'l'
    } else {
        file_letter(&found.stat)
    };
    let target = match letter {
        'l' => Some(
            readlinkat(&found.fd, "")
                .map_err(|errno| Failure::errno(format!("reading {}", shown(&old.path)))(errno))?
                .as_bytes()
                .to_vec(),
        ),
        _ => None,
    };
    Ok(record(
        &old.path,
        &found.stat,
        letter,
        target,
        attributes.attributes,
    ))
}

/// The names in a folder, sorted, in two allocations: a folder may hold a million.
struct Names {
    bytes: Vec<u8>,
    /// Begin and end of each in `bytes`.
    ends: Vec<(u32, u32)>,
}

impl Names {
    fn of(directory: &OwnedFd) -> nix::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut stream = Dir::openat(directory, ".", flags, Mode::empty())?;
        let mut names = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        for entry in stream.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let begin = names.bytes.len();
            names.bytes.extend(name);
            let place = |at: usize| u32::try_from(at).map_err(|_| Errno::ENOMEM);
            names.ends.push((place(begin)?, place(names.bytes.len())?));
        }
        let bytes = &names.bytes;
        let text = |&(begin, end): &(u32, u32)| bytes.get(begin as usize..end as usize);
        names.ends.sort_unstable_by(|a, b| text(a).cmp(&text(b)));
        Ok(names)
    }

    fn get(&self, at: usize) -> &[u8] {
        let range = self.ends.get(at).copied().unwrap_or((0, 0));
        let range = range.0 as usize..range.1 as usize;
        self.bytes.get(range).unwrap_or_default()
    }
}
