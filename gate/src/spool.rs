//! A directory → one checked `.tar.gz` in the spool.
//!
//! `tar | gzip | rclone rcat` takes the end of a tar that died for success, and cannot be tried again. So the
//! archive is written to a file of our own first, and read back before a byte of it is uploaded.
//!
//! Invariant: entries are reached by descriptor from the pinned directory and no link is followed; a file
//! that changed while it was read is named, never passed over.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};
use tar::{EntryType, Header};

use crate::error::Failure;
use crate::host::dirfd::{Identity, PinnedDir, entries, open_entry};

/// The directory that everything in an archive lies in.
pub const ROOT: &str = "data";

/// Called every megabyte or so with the bytes read so far; an error ends the work.
pub type Watch<'a> = &'a mut dyn FnMut(u64) -> Result<(), Failure>;

/// What went into an archive.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Entries: files, directories, links.
    pub entries: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Sockets and devices, which an archive cannot bring back.
    pub skipped: Named,
    /// What changed while it was read.
    pub changed: Named,
}

/// Paths that are worth a word: how many, and the names of the first few. A service may have millions.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Named {
    /// How many there are.
    pub count: u64,
    first: Vec<PathBuf>,
}

impl Named {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn push(&mut self, path: PathBuf) {
        self.count += 1;
        if self.first.len() < 10 {
            self.first.push(path);
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<String> = self
            .first
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        f.write_str(&first.join(", "))?;
        match self.count - first.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Deepest tree that is walked; each level holds a descriptor and a frame of the stack.
const MAX_DEPTH: usize = 200;

fn too_deep(name: &Path) -> Failure {
    Failure::Tool {
        what: "packing".to_owned(),
        detail: format!(
            "{} lies more than {MAX_DEPTH} directories deep; flatten it, or leave it out of the data directory",
            name.display()
        ),
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// The bytes of file content below a directory: an upper bound for the archive's size, nearly.
///
/// # Errors
/// When it cannot be read.
pub fn measure(source: &PinnedDir, watch: Watch<'_>) -> Result<u64, Failure> {
    fn walk(directory: impl AsFd, depth: usize, watch: Watch<'_>) -> Result<u64, Failure> {
        let mut total = 0_u64;
        watch(0)?;
        let listing = entries(&directory).map_err(Failure::errno("listing the source"))?;
        for name in listing {
            let Ok(stat) = fstatat(&directory, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
            else {
                continue;
            };
            // A header of 512 bytes, and content in blocks of 512.
            total = total.saturating_add(1024);
            if kind(&stat) == SFlag::S_IFDIR {
                match open_entry(&directory, &name) {
                    Ok(_) if depth == MAX_DEPTH => return Err(too_deep(Path::new(&name))),
                    Ok(inner) => total = total.saturating_add(walk(inner, depth + 1, watch)?),
                    Err(Errno::ENOENT | Errno::ELOOP) => {}
                    Err(errno) => {
                        return Err(Failure::errno(format!("opening {}", name.display()))(errno));
                    }
                }
            } else if kind(&stat) == SFlag::S_IFREG {
                total = total.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
            }
        }
        Ok(total)
    }
    walk(source.fd(), 0, watch)
}

/// Writes the archive.
///
/// # Errors
/// When something cannot be read or written, or `watch` says so.
pub fn pack(source: &PinnedDir, file: File, watch: Watch<'_>) -> Result<(Packed, File), Failure> {
    let encoder = GzEncoder::new(
        BufWriter::with_capacity(256 << 10, file),
        Compression::new(6),
    );
    let mut packer = Packer {
        tar: tar::Builder::new(encoder),
        packed: Packed::default(),
        watch,
    };
    let stat = fstat(source.fd()).map_err(Failure::errno("reading the source"))?;
    packer.directory(source.fd(), &stat, Path::new(ROOT))?;
    let Packer { tar, packed, .. } = packer;
    let spooling = || Failure::io("writing the spool");
    let encoder = tar.into_inner().map_err(spooling())?;
    let mut buffered = encoder.finish().map_err(spooling())?;
    buffered.flush().map_err(spooling())?;
    let file = buffered
        .into_inner()
        .map_err(|e| spooling()(e.into_error()))?;
    file.sync_all().map_err(spooling())?;
    Ok((packed, file))
}

/// Reads the archive back: checksum, number of entries, number of bytes.
///
/// # Errors
/// When they are not what was packed.
pub fn verify(mut file: File, packed: &Packed, watch: Watch<'_>) -> Result<(), Failure> {
    let wrong = |error: io::Error| Failure::Verification(format!("the spooled archive: {error}"));
    file.rewind().map_err(Failure::io("reading the spool"))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::with_capacity(256 << 10, file)));
    let mut found = Packed::default();
    let mut buffer = vec![0; 256 << 10];
    for entry in archive.entries().map_err(wrong)? {
        let mut entry = entry.map_err(wrong)?;
        found.entries += 1;
        loop {
            let read = entry.read(&mut buffer).map_err(wrong)?;
            if read == 0 {
                break;
            }
            found.bytes += read as u64;
            watch(found.bytes)?;
        }
    }
    // The checksum stands at the end of the stream, behind the last entry.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(wrong)?;
    if (found.entries, found.bytes) == (packed.entries, packed.bytes) {
        Ok(())
    } else {
        Err(Failure::Verification(format!(
            "the spooled archive holds {} entries and {} bytes instead of {} and {}",
            found.entries, found.bytes, packed.entries, packed.bytes
        )))
    }
}

struct Packer<'a, W: Write> {
    tar: tar::Builder<W>,
    packed: Packed,
    watch: Watch<'a>,
}

impl<W: Write> Packer<'_, W> {
    fn directory(
        &mut self,
        directory: impl AsFd,
        stat: &FileStat,
        path: &Path,
    ) -> Result<(), Failure> {
        let mut header = header(stat, EntryType::Directory, 0);
        self.tar
            .append_data(&mut header, path, io::empty())
            .map_err(spooling(path))?;
        self.packed.entries += 1;
        (self.watch)(self.packed.bytes)?;
        if path.components().count() > MAX_DEPTH + 1 {
            return Err(too_deep(path));
        }
        let listing = entries(&directory).map_err(reading(path))?;
        for name in listing {
            self.entry(directory.as_fd(), &name, &path.join(&name))?;
        }
        let after = fstat(&directory).map_err(reading(path))?;
        if (after.st_mtime, after.st_mtime_nsec) != (stat.st_mtime, stat.st_mtime_nsec) {
            self.packed.changed.push(path.to_owned());
        }
        Ok(())
    }

    fn entry(&mut self, directory: impl AsFd, name: &OsStr, path: &Path) -> Result<(), Failure> {
        let stat = match fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => {
                self.packed.changed.push(path.to_owned());
                return Ok(());
            }
            Err(errno) => return Err(reading(path)(errno)),
        };
        match kind(&stat) {
            SFlag::S_IFDIR | SFlag::S_IFREG => {
                let fd = match open_entry(&directory, name) {
                    Ok(fd) => fd,
                    Err(Errno::ENOENT | Errno::ELOOP) => {
                        self.packed.changed.push(path.to_owned());
                        return Ok(());
                    }
                    Err(errno) => return Err(reading(path)(errno)),
                };
                let opened = fstat(&fd).map_err(reading(path))?;
                if Identity::from(&opened) != Identity::from(&stat) || kind(&opened) != kind(&stat)
                {
                    self.packed.changed.push(path.to_owned());
                    return Ok(());
                }
                if kind(&opened) == SFlag::S_IFDIR {
                    return self.directory(fd, &opened, path);
                }
                self.file(File::from(fd), &opened, path)
            }
            SFlag::S_IFLNK => {
                let target = readlinkat(&directory, name).map_err(reading(path))?;
                let mut header = header(&stat, EntryType::Symlink, 0);
                self.tar
                    .append_link(&mut header, path, Path::new(&target))
                    .map_err(spooling(path))?;
                self.packed.entries += 1;
                Ok(())
            }
            SFlag::S_IFIFO => {
                let mut header = header(&stat, EntryType::Fifo, 0);
                self.tar
                    .append_data(&mut header, path, io::empty())
                    .map_err(spooling(path))?;
                self.packed.entries += 1;
                Ok(())
            }
            _ => {
                self.packed.skipped.push(path.to_owned());
                Ok(())
            }
        }
    }

    fn file(&mut self, file: File, stat: &FileStat, path: &Path) -> Result<(), Failure> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mut header = header(stat, EntryType::Regular, size);
        let mut content = Content {
            file,
            left: size,
            done: self.packed.bytes,
            short: false,
            failure: None,
            read_error: false,
            watch: self.watch,
        };
        let appended = self.tar.append_data(&mut header, path, &mut content);
        if let Some(failure) = content.failure {
            return Err(failure);
        }
        appended.map_err(if content.read_error {
            Failure::io(format!("reading {}", path.display()))
        } else {
            Failure::io(format!("writing {} to the spool", path.display()))
        })?;
        let after = fstat(&content.file).map_err(reading(path))?;
        // The change time too: a program may set the modification time back.
        let moment = |s: &FileStat| {
            (
                s.st_mtime,
                s.st_mtime_nsec,
                s.st_ctime,
                s.st_ctime_nsec,
                s.st_size,
            )
        };
        if content.short || moment(&after) != moment(stat) {
            self.packed.changed.push(path.to_owned());
        }
        self.packed.entries += 1;
        self.packed.bytes += size;
        Ok(())
    }
}

fn reading(path: &Path) -> impl FnOnce(nix::Error) -> Failure {
    Failure::errno(format!("reading {}", path.display()))
}

fn spooling(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    Failure::io(format!("writing {} to the spool", path.display()))
}

fn header(stat: &FileStat, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(size);
    header
}

/// Exactly as many bytes as the header promised: zeros for what is missing, so that the archive stays well
/// formed until the change is reported.
struct Content<'a, 'b> {
    file: File,
    left: u64,
    done: u64,
    short: bool,
    read_error: bool,
    failure: Option<Failure>,
    watch: &'a mut (dyn FnMut(u64) -> Result<(), Failure> + 'b),
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(part) = buffer.get_mut(..want).filter(|part| !part.is_empty()) else {
            return Ok(0);
        };
        if let Err(failure) = (self.watch)(self.done) {
            self.failure = Some(failure);
            return Err(io::Error::other("interrupted"));
        }
        let mut read = self
            .file
            .read(part)
            .inspect_err(|_| self.read_error = true)?;
        if read == 0 {
            part.fill(0);
            read = part.len();
            self.short = true;
        }
        self.left -= read as u64;
        self.done += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
