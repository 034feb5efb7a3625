//! The databases in an archive: copied out while the archive is read, then checked one by one.
//!
//! A database that was in use has a log or a journal beside it. Without that file, SQLite would not see the data that
//! the program sees, so the gate copies it as well. The copies lie in a folder of the gate's own until they were
//! checked.
//!
//! Invariant: SQLite sees a folder with one database and its log or journal, under names of the gate's own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;

use super::Context;
use super::spool::fetched_folder;
use archive::check::Inspector;
use archive::entry::{Entry, Kind};
use archive::extract::free;
use base::dirfd::private_dir;
use base::error::Failure;
use base::measure;
use base::names::PlainPath;
use base::scratch::Scratch;
use config::Landlock;
use database::{BESIDE, Inspection, Integrity, MAGIC, NAME};
use host::Patience;
use host::handover::{SETUP, open_beside, path_of};
use host::program::{Output, Profile, Program, Tether};

/// The limit for remembered paths, in bytes. No real service has that many databases, but an archive may claim it.
const MAX_PATHS: usize = 4 << 20;

/// The folder in which SQLite works.
const DESK: &str = "look";

/// A file that was copied out; its number is its name.
#[derive(Debug)]
struct Copied {
    number: u64,
    bytes: u64,
}

/// The copies.
pub(super) struct Databases {
    scratch: Scratch,
    reserve: u64,
    found: Vec<(Vec<u8>, Copied)>,
    beside: BTreeMap<Vec<u8>, Copied>,
    numbers: u64,
    paths: usize,
    /// The program that contains SQLite, once there is a database for it.
    program: Option<Rc<OwnedFd>>,
    /// The number of databases left out because there were too many.
    pub(super) left_out: u64,
}

/// A database that was checked.
pub(super) struct Looked {
    /// The path in the archive.
    pub(super) path: Vec<u8>,
    /// The answer of SQLite.
    pub(super) answer: Integrity,
}

impl Looked {
    /// The path, for messages.
    pub(super) fn display(&self) -> std::path::Display<'_> {
        Path::new(OsStr::from_bytes(&self.path)).display()
    }
}

impl Databases {
    /// Starts without copies, in a temporary folder of the spool.
    pub(super) fn new(context: &Context<'_>) -> Result<Self, Failure> {
        let folder = fetched_folder(&context.config.spool_dir);
        let scratch = Scratch::take(&folder)
            .map_err(Failure::io(format!("a temporary folder in {folder}")))?;
        Ok(Self {
            scratch,
            reserve: context.config.limits.spool_reserve,
            found: Vec::new(),
            beside: BTreeMap::new(),
            numbers: 0,
            paths: 0,
            program: None,
            left_out: 0,
        })
    }

    /// The program that contains SQLite, opened for the first database that is found: so a missing one is reported early.
    fn program(&mut self) -> Result<Rc<OwnedFd>, Failure> {
        if let Some(program) = &self.program {
            return Ok(Rc::clone(program));
        }
        let opened = Rc::new(open_beside(SETUP)?);
        self.program = Some(Rc::clone(&opened));
        Ok(opened)
    }

    /// Checks that `bytes` more fit beside the reserve.
    pub(super) fn has_room(&self, bytes: u64) -> Result<(), Failure> {
        has_room(self.scratch.fd(), self.scratch.path(), bytes, self.reserve)
    }

    /// The folder.
    pub(super) fn path(&self) -> &PlainPath {
        self.scratch.path()
    }

    /// Opens a file in the folder that a program wrote.
    pub(super) fn open(&self, name: &str) -> Result<File, Failure> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(self.scratch.fd(), name, flags, Mode::empty())
            .map(File::from)
            .map_err(Failure::errno(format!(
                "opening {}/{name}",
                self.scratch.path()
            )))
    }

    /// Creates a file in the folder.
    pub(super) fn create(&self, name: &str) -> Result<File, Failure> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        openat(self.scratch.fd(), name, flags, mode)
            .map(File::from)
            .map_err(Failure::errno(format!(
                "creating {}/{name}",
                self.scratch.path()
            )))
    }

    /// Adds a copy of a database that already lies in a directory tree.
    pub(super) fn copy(&mut self, path: &[u8], from: &mut File) -> Result<(), Failure> {
        self.program()?;
        let copied = self.copied(from)?;
        self.found.push((path.to_vec(), copied));
        Ok(())
    }

    /// Adds a copy of the log or journal of such a database.
    pub(super) fn copy_beside(&mut self, path: &[u8], from: &mut File) -> Result<(), Failure> {
        let copied = self.copied(from)?;
        self.beside.insert(path.to_vec(), copied);
        Ok(())
    }

    fn copied(&mut self, from: &mut File) -> Result<Copied, Failure> {
        let copying = || Failure::io("copying a database to where it is looked at");
        let bytes = from.metadata().map_err(copying())?.len();
        self.has_room(bytes)?;
        self.numbers += 1;
        let number = self.numbers;
        let mut to = self.create(&number.to_string())?;
        std::io::copy(from, &mut to).map_err(copying())?;
        Ok(Copied { number, bytes })
    }

    /// Checks each database with SQLite.
    pub(super) fn look(
        &mut self,
        context: &mut Context<'_>,
        patience: &Patience<'_>,
    ) -> Result<Vec<Looked>, Failure> {
        let path = self.scratch.path().below(&[DESK]);
        let desk = private_dir(&path, nix::unistd::geteuid().as_raw())
            .map_err(Failure::io(format!("the folder {path}")))?;
        let mut looked = Vec::new();
        for (name, database) in std::mem::take(&mut self.found) {
            let mut bytes = database.bytes;
            self.place(&desk, &database, NAME)?;
            for (ending, _) in BESIDE {
                let beside = [name.as_slice(), ending.as_bytes()].concat();
                if let Some(copied) = self.beside.remove(&beside) {
                    let name = format!("{NAME}{ending}");
                    self.place(&desk, &copied, &name)?;
                    bytes += copied.bytes;
                }
            }
            let shown = Path::new(OsStr::from_bytes(&name)).display().to_string();
            let answer = ask(context, self.program()?, (&path, bytes), &shown, patience)?;
            looked.push(Looked { path: name, answer });
            base::scratch::empty(&desk).map_err(Failure::errno(format!("emptying {path}")))?;
        }
        Ok(looked)
    }

    fn place(&self, desk: &OwnedFd, copied: &Copied, name: &str) -> Result<(), Failure> {
        let number = copied.number.to_string();
        renameat(self.scratch.fd(), number.as_str(), desk, name)
            .map_err(Failure::errno("moving a database to where it is looked at"))
    }
}

/// Checks that `bytes` more fit on the disk of a folder, beside the reserve.
pub(super) fn has_room(
    folder: &OwnedFd,
    path: &PlainPath,
    bytes: u64,
    reserve: u64,
) -> Result<(), Failure> {
    let free = free(folder)?;
    if free >= bytes.saturating_add(reserve) {
        return Ok(());
    }
    Err(Failure::NoSpace(format!(
        "{path} has {free} bytes free ({}); {bytes} are needed there, and {reserve} are to stay free (limits.spool_reserve); make room there or set spool_dir to a larger disk",
        measure::size(free)
    )))
}

impl Inspector for Databases {
    fn wants(&mut self, entry: &Entry, head: &[u8]) -> Result<Option<File>, Failure> {
        let bytes = match entry.kind {
            Kind::File { size } | Kind::Sparse { size, .. } => size,
            _ => return Ok(None),
        };
        let is_database = head.starts_with(MAGIC);
        let belongs = BESIDE.iter().any(|(ending, magic)| {
            entry.path.ends_with(ending.as_bytes()) && head.starts_with(magic)
        });
        if !is_database && !belongs {
            return Ok(None);
        }
        self.paths += entry.path.len() + size_of::<(Vec<u8>, Copied)>();
        if self.paths > MAX_PATHS {
            self.left_out += u64::from(is_database);
            return Ok(None);
        }
        if is_database {
            self.program()?;
        }
        self.has_room(entry.kind.stored())?;
        self.numbers += 1;
        let copied = Copied {
            number: self.numbers,
            bytes,
        };
        let file = self.create(&copied.number.to_string())?;
        if is_database {
            self.found.push((entry.path.clone(), copied));
        } else {
            self.beside.insert(entry.path.clone(), copied);
        }
        Ok(Some(file))
    }

    fn received(&mut self, _: &Entry, _: File) -> Result<(), Failure> {
        // A log may come before its database; it waits here until all files have come.
        Ok(())
    }
}

/// Has SQLite check the database in the folder.
fn ask(
    context: &mut Context<'_>,
    program: Rc<OwnedFd>,
    (folder, bytes): (&PlainPath, u64),
    shown: &str,
    patience: &Patience<'_>,
) -> Result<Integrity, Failure> {
    let program = Program {
        what: format!("checking the database {shown}"),
        argv: vec![path_of(&program)],
        source: None,
        tether: Tether::Tied,
        output: Output::Silent,
        profile: Profile::Entry(Box::new(Inspection {
            program,
            folder: folder.clone(),
            bytes,
            confined: context.config.rclone.landlock != Landlock::Off,
        })),
        home: folder.clone(),
    };
    let ended = context.host.run(&program, patience)?;
    match Integrity::of(&ended) {
        Integrity::Failed(detail) => Err(Failure::Tool {
            what: program.what,
            detail,
        }),
        answer => Ok(answer),
    }
}
