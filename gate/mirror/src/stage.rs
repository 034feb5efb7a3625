//! Contents on their way to the remote: copied into a folder of the gate's own, and hashed on the way.
//!
//! rclone reads these copies and not the tree: their names fit every remote, and a copy is exactly the content of its
//! digest, also when the tree changes meanwhile.
//!
//! Invariant: a content stands in the folder under the name of its digest, or under its path, and is complete there. At
//! no time more is taken than the limits allow.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use archive::digest::{Digest, Hasher};
use archive::entry::Moment;
use archive::links::state;
use archive::manifest::{Record, RemoteHash};
use archive::{ROOT, Watch};
use base::dirfd::{Found, reopen};
use base::error::Failure;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, ftruncate, unlinkat};

use crate::changes::{Item, ItemReader, Work};
use crate::compose::Incoming;
use crate::fits::LINK;
use crate::portion::{Direct, Form, Limits, Numbers, StageFiles, Staged};
use crate::quickxor::{HASH, hash_of};
use crate::reach::Reach;
use crate::scan::{describe, kind, shown};

/// Bytes of one read, and the grain of holes in a copy.
const CHUNK: usize = 256 << 10;

/// Tries to read a file that changes meanwhile.
const TRIES: u8 = 3;

/// The name of a copy that has no digest yet.
const FRESH: &str = ".fresh";

/// Copies the next contents of the list, from the byte `at`.
///
/// # Errors
/// When something cannot be read or written, or `watch` ends it.
pub fn stage(
    mut files: StageFiles<'_>,
    at: u64,
    form: Form,
    limits: Limits,
    have: &Incoming,
    watch: Watch<'_>,
) -> Result<Staged, Failure> {
    let listing = || Failure::io("reading the list of changes");
    let mut numbers = Numbers::default();
    // Other forms have no numbers, and a first upload would read its whole list with each portion.
    if form == Form::Flat {
        files.staged.rewind().map_err(listing())?;
        let mut before = ItemReader::new(BufReader::new(&files.staged), 0);
        while let Some(item) = before.item()? {
            if let Some(name) = &item.incoming {
                numbers.saw(name);
            }
        }
    }
    files.staged.seek(SeekFrom::End(0)).map_err(listing())?;
    files.list.seek(SeekFrom::Start(at)).map_err(listing())?;
    let mut reader = ItemReader::new(BufReader::new(files.list), at);
    let mut stage = Stage {
        reach: Reach::new(files.source).map_err(Failure::errno("opening the source"))?,
        out: BufWriter::new(files.staged),
        folder: files.folder,
        form,
        limits,
        have,
        numbers,
        buffer: vec![0; CHUNK],
        result: Staged {
            at,
            ..Staged::default()
        },
        watch,
    };
    loop {
        let Some(item) = reader.item()? else {
            stage.result.is_done = true;
            break;
        };
        let is_late = limits.until.is_some_and(|until| Instant::now() >= until);
        let is_full = (is_late && stage.result.files > 0)
            || stage.result.files >= limits.files
            || (stage.result.files > 0
                && stage.result.bytes.saturating_add(item.record.size) > limits.bytes);
        if form != Form::Digests && form.copies(item.work) && is_full {
            break;
        }
        stage.item(item)?;
        stage.result.at = reader.at;
        if stage.result.direct.is_some() {
            break;
        }
    }
    let writing = || Failure::io("writing the list of contents");
    stage.out.flush().map_err(writing())?;
    Ok(stage.result)
}

struct Stage<'a> {
    reach: Reach,
    out: BufWriter<File>,
    folder: OwnedFd,
    form: Form,
    limits: Limits,
    have: &'a Incoming,
    numbers: Numbers,
    buffer: Vec<u8>,
    result: Staged,
    watch: Watch<'a>,
}

impl Stage<'_> {
    fn item(&mut self, item: Item) -> Result<(), Failure> {
        (self.watch)(self.result.bytes)?;
        let reads = match (self.form, item.work) {
            (Form::Bundle, Work::Bundle) | (Form::Digests, Work::Compare) => true,
            (Form::Bundle | Form::Digests, _) => false,
            (_, work) => matches!(work, Work::Send | Work::Compare | Work::Hash),
        };
        // Entries of the bundle have a list of their own.
        let written = match (self.form, item.work) {
            (Form::Bundle, work) => work == Work::Bundle,
            (Form::Flat | Form::Tree, work) => work != Work::Bundle,
            (Form::Digests, _) => true,
        };
        let item = if reads { self.read(item)? } else { Some(item) };
        match item.filter(|_| written) {
            Some(item) => item
                .write(&mut self.out)
                .map_err(Failure::io("writing the list of contents")),
            None => Ok(()),
        }
    }

    /// Reads a content. `None` if the entry is gone meanwhile: then the mirror keeps its former state.
    fn read(&mut self, mut item: Item) -> Result<Option<Item>, Failure> {
        let path = item.record.path.clone();
        let before = match item.work {
            Work::Compare => item.record.content,
            _ => None,
        };
        for tried in 1..=TRIES {
            let found = match self.reach.find(&path) {
                Ok(found) => found,
                Err(Errno::ENOENT | Errno::ENOTDIR) => break,
                Err(errno) => return Err(unread(&path, errno)),
            };
            let told = item.record.hash.take().filter(|_| item.work == Work::Hash);
            if let Some(told) = &told
                && !self.has_hash(&found, &path, told)?
            {
                // Size and time agree by chance.
                item.work = Work::Send;
            }
            let Some(content) = self.content(&found, &item, before)? else {
                break;
            };
            let after = fstat(&found.fd).map_err(|errno| unread(&path, errno))?;
            let stable = state(&after) == state(&found.stat);
            if !stable && tried < TRIES {
                continue;
            }
            if !stable {
                self.result.notes.changed.push(shown(&path));
            }
            item.record = describe(&found, &item.record)?;
            item.record.size = content.size;
            item.record.content = Some(content.digest);
            item.record.hash = told.filter(|_| item.work == Work::Hash);
            if item.record.letter == 'l' {
                item.record.size = 0;
                item.record.content = None;
            }
            return self.keep(item, before, &content).map(Some);
        }
        self.result.notes.changed.push(shown(&path));
        Ok(None)
    }

    /// True if the file has the hash that the remote tells, as far as that hash is known here.
    fn has_hash(&mut self, found: &Found, path: &[u8], told: &RemoteHash) -> Result<bool, Failure> {
        if told.kind != HASH {
            return Ok(true);
        }
        let file = reopen(&found.fd).map_err(|errno| unread(path, errno))?;
        let done = self.result.bytes;
        Ok(hash_of(&file, path, &mut || (self.watch)(done))? == told.value)
    }

    /// Copies or hashes the content behind a descriptor. `None` if it is of another type now.
    fn content(
        &mut self,
        found: &Found,
        item: &Item,
        before: Option<Digest>,
    ) -> Result<Option<Content>, Failure> {
        let path = &item.record.path;
        let is_link = item.record.letter == 'l';
        let (expected, size) = if is_link {
            (SFlag::S_IFLNK, 0)
        } else {
            (
                SFlag::S_IFREG,
                u64::try_from(found.stat.st_size).unwrap_or(0),
            )
        };
        if kind(&found.stat) != expected {
            return Ok(None);
        }
        if is_link {
            let target = readlinkat(&found.fd, "").map_err(|errno| unread(path, errno))?;
            let file = self.fresh()?;
            file.write_all_at(target.as_bytes(), 0)
                .map_err(spooling())?;
            let mut hasher = Hasher::default();
            hasher.update(target.as_bytes());
            let modified = Moment::modified(&found.stat);
            set_time(&file, modified).map_err(spooling_errno())?;
            return Ok(Some(Content {
                digest: hasher.finish(),
                size: target.as_bytes().len() as u64,
                is_copied: true,
            }));
        }
        let file = reopen(&found.fd).map_err(|errno| unread(path, errno))?;
        let copies = self.form.copies(item.work) && self.form != Form::Digests;
        if copies && size > self.limits.room {
            let (digest, size) = self.pass(path, &file, None)?;
            return Ok(Some(Content {
                digest,
                size,
                is_copied: false,
            }));
        }
        if before.is_some() || !copies {
            // The same content is not copied.
            let (digest, size) = self.pass(path, &file, None)?;
            if before == Some(digest) || !copies {
                return Ok(Some(Content {
                    digest,
                    size,
                    is_copied: false,
                }));
            }
        }
        let copy = self.fresh()?;
        let (digest, size) = if rustix::fs::ioctl_ficlone(&copy, &file).is_ok() {
            self.pass(path, &copy, None)?
        } else {
            self.pass(path, &file, Some(&copy))?
        };
        set_time(&copy, Moment::modified(&found.stat)).map_err(spooling_errno())?;
        Ok(Some(Content {
            digest,
            size,
            is_copied: true,
        }))
    }

    /// Reads a file from its beginning to its end, and writes it to `copy`; zeros become holes.
    fn pass(
        &mut self,
        path: &[u8],
        file: &File,
        copy: Option<&File>,
    ) -> Result<(Digest, u64), Failure> {
        let mut hasher = Hasher::default();
        let mut at = 0_u64;
        loop {
            (self.watch)(self.result.bytes.saturating_add(at))?;
            let read = match file.read_at(&mut self.buffer, at) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::io(format!("reading {}", shown(path)))(error)),
            };
            if read == 0 {
                break;
            }
            let bytes = self.buffer.get(..read).unwrap_or_default();
            hasher.update(bytes);
            if let Some(copy) = copy
                && bytes.iter().any(|&byte| byte != 0)
            {
                copy.write_all_at(bytes, at).map_err(spooling())?;
            }
            at += read as u64;
        }
        if let Some(copy) = copy {
            let length = i64::try_from(at).unwrap_or(i64::MAX);
            ftruncate(copy, length).map_err(spooling_errno())?;
        }
        Ok((hasher.finish(), at))
    }

    /// Gives the copy its name, or removes it.
    fn keep(
        &mut self,
        mut item: Item,
        before: Option<Digest>,
        content: &Content,
    ) -> Result<Item, Failure> {
        if item.work == Work::Compare && before == Some(content.digest) {
            item.work = Work::Describe;
            self.result.same += 1;
            self.result.same_bytes += content.size;
            return Ok(item);
        }
        if item.work == Work::Hash {
            item.work = Work::Describe;
            return Ok(item);
        }
        if item.work == Work::Compare {
            item.work = Work::Send;
        }
        match self.form {
            Form::Digests => {
                // The next look at the content sees that it is another one.
                item.record.content = None;
            }
            Form::Flat => {
                let name = self.numbers.next(content.digest);
                item.incoming = Some(name.clone());
                if self.have.holds(&name, content.size) {
                    self.result.there += 1;
                    self.result.there_bytes += content.size;
                    if content.is_copied {
                        self.discard()?;
                    }
                } else if content.is_copied {
                    renameat(&self.folder, FRESH, &self.folder, name.as_str())
                        .map_err(spooling_errno())?;
                    self.count(content.size);
                } else {
                    self.direct(&item, content);
                }
            }
            Form::Tree if !content.is_copied => self.direct(&item, content),
            Form::Tree | Form::Bundle => {
                self.put(&item.record)?;
                self.count(content.size);
            }
        }
        Ok(item)
    }

    fn direct(&mut self, item: &Item, content: &Content) {
        self.result.direct = Some(Direct::of(item, content.size));
    }

    fn count(&mut self, size: u64) {
        self.result.files += 1;
        self.result.bytes += size;
    }

    fn fresh(&self) -> Result<File, Failure> {
        self.discard()?;
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.folder, FRESH, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map(File::from)
            .map_err(spooling_errno())
    }

    fn discard(&self) -> Result<(), Failure> {
        match unlinkat(&self.folder, FRESH, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(spooling_errno()(errno)),
        }
    }

    /// Moves the copy to its path.
    fn put(&self, record: &Record) -> Result<(), Failure> {
        let mut rest = record
            .path
            .strip_prefix(ROOT.as_bytes())
            .unwrap_or_default()
            .to_vec();
        if record.letter == 'l' && self.form == Form::Tree {
            rest.extend(LINK);
        }
        let parts: Vec<&[u8]> = rest
            .split(|&b| b == b'/')
            .filter(|part| !part.is_empty())
            .collect();
        let Some((name, folders)) = parts.split_last() else {
            return Ok(());
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let open = |from: &OwnedFd, name: &OsStr| openat(from, name, flags, Mode::empty());
        let mut folder = open(&self.folder, OsStr::new(".")).map_err(spooling_errno())?;
        for part in folders {
            let part = OsStr::from_bytes(part);
            match mkdirat(&folder, part, Mode::S_IRWXU) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(spooling_errno()(errno)),
            }
            folder = open(&folder, part).map_err(spooling_errno())?;
        }
        renameat(&self.folder, FRESH, &folder, OsStr::from_bytes(name)).map_err(spooling_errno())
    }
}

struct Content {
    digest: Digest,
    size: u64,
    is_copied: bool,
}

fn set_time(file: &File, modified: Moment) -> nix::Result<()> {
    let time = TimeSpec::new(modified.seconds, i64::from(modified.nanoseconds));
    futimens(file, &time, &time)
}

fn unread(path: &[u8], errno: Errno) -> Failure {
    Failure::errno(format!("reading {}", shown(path)))(errno)
}

const SPOOLING: &str = "copying the data into the spool";

fn spooling() -> impl FnOnce(std::io::Error) -> Failure {
    Failure::io(SPOOLING)
}

fn spooling_errno() -> impl FnOnce(Errno) -> Failure {
    Failure::errno(SPOOLING)
}
