//! What `--stop` found before it stopped anything, kept on disk until `--start` has put it back.
//!
//! Invariant: a record is there completely or not at all, also after a power cut, and a second `--stop` does
//! not overwrite "it was up" by "it is down".

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use crate::host::dirfd::private_dir;
use crate::names::{PlainPath, ServiceName};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Whether the service was up.
    pub was_up: bool,
    /// When it was asked to stop.
    pub stopped_at: DateTime<Utc>,
}

/// The directory of the records.
#[derive(Debug)]
pub struct Records(OwnedFd);

impl Records {
    /// Opens it, and makes it where it is missing.
    ///
    /// # Errors
    /// When it is not ours alone.
    pub fn open(state_dir: &PlainPath) -> io::Result<Self> {
        private_dir(
            &state_dir.below(&["stopped"]),
            nix::unistd::geteuid().as_raw(),
        )
        .map(Self)
    }

    /// The record of a service.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn load(&self, service: &ServiceName) -> io::Result<Option<Record>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.0, name(service).as_str(), flags, Mode::empty()) {
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
            Ok(fd) => Ok(Some(serde_json::from_reader(File::from(fd))?)),
        }
    }

    /// Puts a record in place, durably.
    ///
    /// # Errors
    /// When the disk does not take it; then the former one, if any, is as it was.
    pub fn save(&self, service: &ServiceName, record: &Record) -> io::Result<()> {
        let fresh = format!("{}.new", name(service));
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_TRUNC
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(
            &self.0,
            fresh.as_str(),
            flags,
            Mode::S_IRUSR | Mode::S_IWUSR,
        )?);
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        renameat(&self.0, fresh.as_str(), &self.0, name(service).as_str())?;
        Ok(nix::unistd::fsync(&self.0)?)
    }

    /// Removes the record of a service.
    ///
    /// # Errors
    /// When it is still there.
    pub fn clear(&self, service: &ServiceName) -> io::Result<()> {
        match unlinkat(&self.0, name(service).as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(nix::unistd::fsync(&self.0)?),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn name(service: &ServiceName) -> String {
    format!("{service}.json")
}
