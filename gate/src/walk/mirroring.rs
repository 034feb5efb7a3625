//! The two works of the process for a mirror: compare the data with the last manifest, and copy contents for their upload.
//!
//! Invariant: the process writes to files of the gate's own alone, and leaves the reserve of their disk free.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use super::answer::Compared;
use super::orders::{Compare, Stage};
use super::report::watcher;
use crate::action::has_room;
use archive::extract::free;
use base::dirfd::{PinnedDir, private_dir};
use base::error::Failure;
use base::names::PlainPath;
use mirror::compose::Incoming;
use mirror::diff::{BundleLimit, Diff};
use mirror::fits::Fits;
use mirror::memory::Remembered;
use mirror::names::IncomingName;
use mirror::portion::{Limits, StageFiles, Staged};
use mirror::scan::scan;
use mirror::stage::stage;

/// A folder of the gate's own.
struct Folder {
    path: PlainPath,
    fd: OwnedFd,
}

impl Folder {
    fn open(path: &str) -> Result<Self, Failure> {
        let path = PlainPath::parse(path).map_err(|error| Failure::Tool {
            what: "a folder of the gate".into(),
            detail: error.to_string(),
        })?;
        let fd = private_dir(&path, geteuid().as_raw())
            .map_err(Failure::io(format!("the directory {path}")))?;
        Ok(Self { path, fd })
    }

    fn file(&self, name: &str, access: OFlag) -> Result<File, Failure> {
        let flags = access | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, name, flags, Mode::empty())
            .map(File::from)
            .map_err(Failure::errno(format!("opening {}/{name}", self.path)))
    }
}

/// Compares the data with the last manifest.
pub(super) fn compared(source: &PinnedDir, order: &Compare) -> Result<Compared, Failure> {
    let folder = Folder::open(&order.folder)?;
    let list = BufWriter::new(folder.file(&order.list, OFlag::O_WRONLY)?);
    let mut before = match &order.before {
        Some(name) => Some(Remembered::new(folder.file(name, OFlag::O_RDONLY)?)),
        None => None,
    };
    let mut next = || before.as_mut().map_or(Ok(None), Remembered::entry);
    let fits = Fits::new(order.rules.clone());
    let limit = BundleLimit {
        bytes: order.bundle_limit,
    };
    let mut diff = Diff::new(&mut next, fits, limit, list);
    let mut watch = watcher(|| Ok(()));
    let notes = scan(source, &mut |record| diff.see(record), &mut watch)?;
    Ok(Compared {
        summary: diff.finish()?,
        notes,
    })
}

/// Copies contents for their upload.
pub(super) fn staged(source: &PinnedDir, order: &Stage) -> Result<Staged, Failure> {
    let folder = Folder::open(&order.folder)?;
    let copies = Folder::open(&order.copies)?;
    let have = match &order.have {
        Some(name) => have(folder.file(name, OFlag::O_RDONLY)?)?,
        None => Incoming::default(),
    };
    let room = free(&copies.fd)?.saturating_sub(order.reserve);
    let limits = Limits {
        bytes: order.bytes.min(room),
        files: order.files,
        room,
        until: order
            .seconds
            .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds))),
    };
    let files = StageFiles {
        source,
        list: folder.file(&order.list, OFlag::O_RDONLY)?,
        staged: folder.file(&order.staged, OFlag::O_RDWR)?,
        folder: openat(
            &copies.fd,
            ".",
            OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map_err(Failure::errno(format!("opening {}", copies.path)))?,
    };
    // Without room nothing but links is copied, and the contents are read from the data.
    let reserve = if room == 0 { 0 } else { order.reserve };
    let mut watch = watcher(|| has_room(&copies.fd, &copies.path, 0, reserve));
    stage(files, order.at, order.form, limits, &have, &mut watch)
}

/// Reads the names in the incoming folder, one on each line before its size.
fn have(file: File) -> Result<Incoming, Failure> {
    let mut have = Incoming::default();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(Failure::io("reading the list of the incoming folder"))?;
        let entry = line
            .split_once(' ')
            .and_then(|(name, size)| Some((IncomingName::parse(name)?, size.parse().ok()?)));
        if let Some((name, size)) = entry {
            have.add(&name, size);
        }
    }
    have.sort();
    Ok(have)
}
