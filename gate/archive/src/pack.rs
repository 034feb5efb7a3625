//! A tree → an archive and its manifest.
//!
//! Invariant: entries are reached by descriptor from the pinned directory and no link is followed; every entry that
//! changed while it was read, or that cannot be stored, is named.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Display, Path};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};
use serde::{Deserialize, Serialize};

use super::digest::{Digest, Hasher, Hashing};
use super::entry::{Attributes, Entry, Kind, Moment};
use super::estimate::kind;
use super::gzip::ParallelGzip;
use super::links::{Links, Seen, state};
use super::listing::{Budget, Listing};
use super::manifest::{self, Record, Totals};
use super::sparse::Map;
use super::write::TarWriter;
use super::{MAX_DEPTH, Named, ROOT, Watch, attributes, too_deep};
use base::dirfd::{Found, Identity, PinnedDir, enter, find, reopen};
use base::error::Failure;

/// Bytes of one read.
const CHUNK: usize = 256 << 10;

/// The content of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its totals, which stand in the manifest, too.
    pub totals: Totals,
    /// Notes for the caller.
    pub notes: Notes,
}

/// Entries that an archive lacks, or holds in a changed form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// Entries that changed while they were read.
    pub changed: Named,
    /// Sockets and devices, which an archive cannot bring back.
    pub skipped: Named,
    /// Mount points: they belong to another file system, or to another place of this one.
    pub mounted: Named,
    /// Files with too many attributes.
    pub cut: Named,
    /// Files with further names that may be stored as copies, because there were too many such files.
    pub copied: Named,
}

/// Writes an archive of a directory, and the manifest of that; `name` is the archive's.
///
/// # Errors
/// When something cannot be read or written, or `watch` says so.
pub fn pack(
    source: &PinnedDir,
    name: &str,
    archive: &File,
    manifest: &File,
    watch: Watch<'_>,
) -> Result<Packed, Failure> {
    let out = Hashing::new(BufWriter::with_capacity(CHUNK, archive));
    let gzip = ParallelGzip::new(out).map_err(Failure::io("starting the threads that pack"))?;
    let root = enter(source.fd()).map_err(Failure::errno("opening the source"))?;
    let stat = fstat(&root).map_err(Failure::errno("reading the source"))?;
    let mut packer = Packer {
        tar: TarWriter::new(gzip),
        manifest: manifest::Writer::new(manifest, name).map_err(spooling())?,
        entries: 0,
        bytes: 0,
        notes: Notes::default(),
        links: Links::default(),
        budget: Budget::default(),
        path: ROOT.as_bytes().to_vec(),
        buffer: vec![0; CHUNK],
        watch,
    };
    packer.directory(root, &stat, 0)?;
    let gzip = packer.tar.finish().map_err(spooling())?;
    let (out, members) = gzip.finish().map_err(spooling())?;
    let (_, archive_bytes, digest) = out.finish();
    for member in members.starts() {
        packer.manifest.member(member).map_err(spooling())?;
    }
    let totals = Totals {
        entries: packer.entries,
        bytes: packer.bytes,
        archive_bytes,
        archive: digest,
    };
    packer.manifest.finish(&totals).map_err(spooling())?;
    for file in [archive, manifest] {
        file.sync_all().map_err(spooling())?;
    }
    Ok(Packed {
        totals,
        notes: packer.notes,
    })
}

type Spool<'f> = ParallelGzip<Hashing<BufWriter<&'f File>>>;

struct Packer<'a, 'f> {
    tar: TarWriter<Spool<'f>>,
    manifest: manifest::Writer<&'f File>,
    entries: u64,
    /// Bytes of content read so far.
    bytes: u64,
    notes: Notes,
    links: Links,
    budget: Budget,
    /// Path of the current entry.
    path: Vec<u8>,
    buffer: Vec<u8>,
    watch: Watch<'a>,
}

impl Packer<'_, '_> {
    fn directory(
        &mut self,
        directory: OwnedFd,
        stat: &FileStat,
        depth: usize,
    ) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return Err(too_deep(Path::new(OsStr::from_bytes(&self.path))));
        }
        let entry = self.describe(&directory, stat, Kind::Directory)?;
        self.without_content(&entry)?;
        let mut listing =
            Listing::open(&directory, &self.budget).map_err(|errno| self.unread(errno))?;
        while listing.fill(self.watch, self.bytes)? {
            for at in 0..listing.len() {
                let name = listing.name(at);
                let length = self.path.len();
                self.path.push(b'/');
                self.path.extend(name.as_bytes());
                self.entry(&directory, name, depth)?;
                self.path.truncate(length);
            }
        }
        let after = fstat(&directory).map_err(|errno| self.unread(errno))?;
        if state(&after) != state(stat) {
            self.changed();
        }
        Ok(())
    }

    fn entry(&mut self, directory: &OwnedFd, name: &OsStr, depth: usize) -> Result<(), Failure> {
        let found = match find(directory, name) {
            Ok(found) => found,
            Err(Errno::ENOENT) => {
                self.changed();
                return Ok(());
            }
            Err(errno) => return Err(self.unread(errno)),
        };
        let Found {
            fd,
            stat,
            mounted,
            foreign,
        } = &found;
        if *mounted {
            self.notes.mounted.push(shown(&self.path));
            if kind(stat) != SFlag::S_IFDIR {
                return Ok(());
            }
        }
        match kind(stat) {
            // The file system is not asked, so the entry has the owner of the directory around the mount point.
            SFlag::S_IFDIR if *foreign => self.without_content(&Entry {
                path: self.path.clone(),
                kind: Kind::Directory,
                mode: stat.st_mode & 0o7777,
                uid: stat.st_uid,
                gid: stat.st_gid,
                modified: Moment::modified(stat),
                attributes: Attributes::default(),
            }),
            SFlag::S_IFDIR if *mounted => {
                // The place where it is mounted, so that it can be mounted there again.
                let mut entry = self.describe(fd, stat, Kind::Directory)?;
                entry.attributes = Attributes::default();
                self.without_content(&entry)
            }
            SFlag::S_IFDIR => {
                let inner = enter(fd).map_err(|errno| self.unread(errno))?;
                self.directory(inner, stat, depth + 1)
            }
            SFlag::S_IFREG => self.file(directory, name, &found),
            SFlag::S_IFLNK => {
                // Of the opened file; an empty name means just that, readlinkat(2).
                let target = readlinkat(fd, "").map_err(|errno| self.unread(errno))?;
                let target = target.as_bytes().to_vec();
                let entry = self.describe(fd, stat, Kind::Symlink { target })?;
                self.without_content(&entry)
            }
            SFlag::S_IFIFO => {
                let entry = self.describe(fd, stat, Kind::Fifo)?;
                self.without_content(&entry)
            }
            _ => {
                self.notes.skipped.push(shown(&self.path));
                Ok(())
            }
        }
    }

    fn file(&mut self, directory: &OwnedFd, name: &OsStr, found: &Found) -> Result<(), Failure> {
        let Found { fd, stat, .. } = found;
        let mut fresh = stat.st_nlink > 1;
        if fresh {
            match self.links.look(stat) {
                Seen::New => {}
                Seen::Changed => {
                    fresh = false;
                    self.changed();
                }
                Seen::Under(target) => {
                    let mut entry = self.describe(fd, stat, Kind::HardLink { target })?;
                    // They came with the first name.
                    entry.attributes = Attributes::default();
                    return self.without_content(&entry);
                }
            }
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let file = reopen(fd).map_err(|errno| self.unread(errno))?;
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0);
        let map = if allocated.saturating_mul(512) < size {
            Map::of(&file, size).map_err(|errno| self.unread(errno))?
        } else {
            None
        };
        let (kind, text) = match &map {
            None => (Kind::File { size }, Vec::new()),
            Some(map) => {
                let text = map.text(size);
                let stored = text.len() as u64 + map.data();
                (Kind::Sparse { size, stored }, text)
            }
        };
        let entry = self.describe(fd, stat, kind)?;
        let at = self.tar.entry(&entry).map_err(spooling())?;
        let mut hasher = Hasher::default();
        hasher.update(&text);
        self.tar.content(&text).map_err(spooling())?;
        self.bytes += text.len() as u64;
        let mut short = false;
        match map {
            None => short |= self.data(&file, 0, size, &mut hasher)?,
            Some(map) => {
                for part in map.segments() {
                    short |= self.data(&file, part.offset, part.length, &mut hasher)?;
                }
            }
        }
        self.note(&entry, hasher.finish(), at)?;
        if fresh && !self.links.remember(stat, &self.path) {
            self.notes.copied.push(shown(&self.path));
        }
        // By its name: another file may have taken its place.
        let same = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|after| {
            Identity::from(&after) == Identity::from(stat) && state(&after) == state(stat)
        });
        if short || !same {
            self.changed();
        }
        Ok(())
    }

    /// Packs a stretch of a file; a missing part is filled with zeros, so that the archive stays well formed until the
    /// change is reported. Returns true if a part was missing.
    fn data(
        &mut self,
        file: &File,
        mut offset: u64,
        mut length: u64,
        hasher: &mut Hasher,
    ) -> Result<bool, Failure> {
        let mut short = false;
        while length > 0 {
            (self.watch)(self.bytes)?;
            let want = CHUNK.min(usize::try_from(length).unwrap_or(CHUNK));
            let buffer = self.buffer.get_mut(..want).unwrap_or_default();
            let read = match file.read_at(buffer, offset) {
                Ok(0) => {
                    short = true;
                    buffer.fill(0);
                    want
                }
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Failure::io(format!("reading {}", shown(&self.path)))(error));
                }
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            hasher.update(bytes);
            self.tar.content(bytes).map_err(spooling())?;
            offset += read as u64;
            length -= read as u64;
            self.bytes += read as u64;
        }
        Ok(short)
    }

    fn describe(&mut self, fd: &impl AsFd, stat: &FileStat, kind: Kind) -> Result<Entry, Failure> {
        let found = attributes::read(fd).map_err(|errno| {
            Failure::io(format!("the attributes of {}", shown(&self.path)))(errno.into())
        })?;
        if found.cut {
            self.notes.cut.push(shown(&self.path));
        }
        Ok(Entry {
            path: self.path.clone(),
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            modified: Moment::modified(stat),
            attributes: found.attributes,
        })
    }

    fn without_content(&mut self, entry: &Entry) -> Result<(), Failure> {
        let at = self.tar.entry(entry).map_err(spooling())?;
        self.note(entry, Hasher::default().finish(), at)
    }

    /// Writes the line of the manifest.
    fn note(&mut self, entry: &Entry, content: Digest, at: u64) -> Result<(), Failure> {
        let record = Record::of(entry, content, at);
        self.manifest.record(&record).map_err(spooling())?;
        self.entries += 1;
        (self.watch)(self.bytes)
    }

    fn changed(&mut self) {
        self.notes.changed.push(shown(&self.path));
    }

    fn unread(&self, errno: Errno) -> Failure {
        Failure::errno(format!("reading {}", shown(&self.path)))(errno)
    }
}

fn spooling() -> impl FnOnce(std::io::Error) -> Failure {
    Failure::io("writing the spool")
}

fn shown(path: &[u8]) -> Display<'_> {
    Path::new(OsStr::from_bytes(path)).display()
}
