//! Two directories that change places: the data of a service and a restored tree.
//!
//! A record on disk describes the plan before it starts, so that a later process can find the point of interruption.
//! The kernel exchanges two names in one step if the file system can do that. Otherwise there is a moment without the
//! name, and the record leads on from there.
//!
//! Invariant: `data` is the old tree or the new one, whole, at every moment but that one; [`heal`] ends it there as well.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use nix::unistd::{fsync, geteuid};
use rustix::fs::{RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use base::dirfd::{entries, private_dir};
use base::durable;
use base::names::{PlainPath, ServiceName};

/// The name of a service's data in its folder.
pub const DATA: &str = "data";

/// A record is a few lines.
const LIMIT: u64 = 64 << 10;

/// The plan for a service's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// The name of the restored tree.
    pub fresh: String,
    /// The name that the old tree is to have.
    pub kept: String,
    /// The inode of the old tree; `None` without one. Not the device: its number may change at a boot.
    pub old: Option<u64>,
    /// The inode of the restored tree.
    pub new: u64,
}

/// State of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// `data` is the old tree.
    Old,
    /// `data` is the restored tree.
    New,
    /// `data` is neither: another process interfered.
    Unknown,
}

/// The records.
#[derive(Debug)]
pub struct Records(OwnedFd);

impl Records {
    /// Opens their folder, and makes it where it is missing.
    ///
    /// # Errors
    /// When it is not ours alone.
    pub fn open(state_dir: &PlainPath) -> io::Result<Self> {
        private_dir(&state_dir.below(&["restores"]), geteuid().as_raw()).map(Self)
    }

    /// The services that have one.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn services(&self) -> io::Result<Vec<ServiceName>> {
        Ok(entries(&self.0)?
            .iter()
            .filter_map(|name| ServiceName::parse(name.to_str()?.strip_suffix(".json")?).ok())
            .collect())
    }

    /// That of a service.
    ///
    /// # Errors
    /// When there is one that cannot be read, or makes no sense.
    pub fn load(&self, service: &ServiceName) -> io::Result<Option<Replacement>> {
        let bytes = durable::read(&self.0, &name(service), LIMIT)?;
        Ok(bytes
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()?)
    }

    /// Puts one in place, durably.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn save(&self, service: &ServiceName, record: &Replacement) -> io::Result<()> {
        durable::replace(&self.0, &name(service), &serde_json::to_vec(record)?)
    }

    /// Removes one.
    ///
    /// # Errors
    /// When it is still there.
    pub fn clear(&self, service: &ServiceName) -> io::Result<()> {
        durable::remove(&self.0, &name(service))
    }
}

fn name(service: &ServiceName) -> String {
    format!("{service}.json")
}

/// The inode behind a name.
///
/// # Errors
/// As fstatat(2), but for a name that nothing bears.
pub fn inode(folder: &OwnedFd, name: &str) -> nix::Result<Option<u64>> {
    match fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat.st_ino)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Does it. `exchanges` is false to do without the kernel's exchange, as on file systems that have none.
///
/// # Errors
/// A step failed; [`heal`] finds the state.
pub fn carry_out(folder: &OwnedFd, record: &Replacement, exchanges: bool) -> io::Result<()> {
    if record.old.is_none() {
        return rename(folder, &record.fresh, DATA);
    }
    let exchanged = if exchanges {
        renameat_with(
            folder,
            record.fresh.as_str(),
            folder,
            DATA,
            RenameFlags::EXCHANGE,
        )
    } else {
        Err(rustix::io::Errno::INVAL)
    };
    match exchanged {
        Ok(()) => {
            fsync(folder)?;
            rename(folder, &record.fresh, &record.kept)
        }
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            rename(folder, DATA, &record.kept)?;
            rename(folder, &record.fresh, DATA)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Gives a directory a name that nothing bears, durably.
///
/// # Errors
/// When something bears it, or the disk does not take it.
pub fn rename(folder: &OwnedFd, from: &str, to: &str) -> io::Result<()> {
    match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // Others can take the name then, but a directory only replaces an empty one.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            nix::fcntl::renameat(folder, from, folder, to)?;
        }
        other => other?,
    }
    Ok(fsync(folder)?)
}

/// Finishes an interrupted replacement from any point; the lock of the service must be held.
///
/// # Errors
/// When a step failed.
pub fn heal(folder: &OwnedFd, record: &Replacement) -> io::Result<Standing> {
    let data = inode(folder, DATA)?;
    let fresh = inode(folder, &record.fresh)?;
    if data.is_none() && fresh == Some(record.new) {
        rename(folder, &record.fresh, DATA)?;
        return Ok(Standing::New);
    }
    if data == Some(record.new) {
        if fresh.is_some() && fresh == record.old {
            rename(folder, &record.fresh, &record.kept)?;
        }
        return Ok(Standing::New);
    }
    if data == record.old {
        return Ok(Standing::Old);
    }
    Ok(Standing::Unknown)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::*;

    fn world() -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        for name in [DATA, "restored-1"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("name"), name).unwrap();
        }
        let fd = File::open(folder.path()).unwrap().into();
        (folder, fd)
    }

    fn record(fd: &OwnedFd) -> Replacement {
        Replacement {
            fresh: "restored-1".into(),
            kept: "data.before-restore-1".into(),
            old: inode(fd, DATA).unwrap(),
            new: inode(fd, "restored-1").unwrap().unwrap(),
        }
    }

    fn content(folder: &Path, name: &str) -> Option<String> {
        fs::read_to_string(folder.join(name).join("name")).ok()
    }

    fn is_done(folder: &Path) -> bool {
        content(folder, DATA).as_deref() == Some("restored-1")
            && content(folder, "data.before-restore-1").as_deref() == Some(DATA)
            && fs::read_dir(folder).unwrap().count() == 2
    }

    #[test]
    fn two_directories_change_places_with_and_without_an_exchange() {
        for exchanges in [true, false] {
            let (folder, fd) = world();
            let record = record(&fd);
            assert_eq!(heal(&fd, &record).unwrap(), Standing::Old);
            carry_out(&fd, &record, exchanges).unwrap();
            assert!(is_done(folder.path()));
            assert_eq!(heal(&fd, &record).unwrap(), Standing::New);
            assert!(is_done(folder.path()));
        }
    }

    #[test]
    fn whatever_step_was_the_last_it_comes_to_its_end() {
        // After the exchange.
        let (folder, fd) = world();
        let one = record(&fd);
        renameat_with(&fd, "restored-1", &fd, DATA, RenameFlags::EXCHANGE).unwrap();
        assert_eq!(heal(&fd, &one).unwrap(), Standing::New);
        assert!(is_done(folder.path()));
        // Between two renames.
        let (folder, fd) = world();
        let one = record(&fd);
        rename(&fd, DATA, &one.kept).unwrap();
        assert_eq!(heal(&fd, &one).unwrap(), Standing::New);
        assert!(is_done(folder.path()));
    }

    #[test]
    fn a_place_that_was_empty_is_taken_and_a_stranger_is_left_alone() {
        let (folder, fd) = world();
        fs::remove_dir_all(folder.path().join(DATA)).unwrap();
        let one = record(&fd);
        carry_out(&fd, &one, true).unwrap();
        assert_eq!(content(folder.path(), DATA).as_deref(), Some("restored-1"));
        let (folder, fd) = world();
        let one = record(&fd);
        fs::rename(folder.path().join(DATA), folder.path().join("elsewhere")).unwrap();
        fs::create_dir(folder.path().join(DATA)).unwrap();
        assert_eq!(heal(&fd, &one).unwrap(), Standing::Unknown);
        assert!(folder.path().join("restored-1").exists());
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let base = fs::canonicalize(std::env::temp_dir()).unwrap();
        let folder = tempfile::tempdir_in(base).unwrap();
        let path = PlainPath::parse(folder.path().to_str().unwrap()).unwrap();
        let records = Records::open(&path).unwrap();
        let service = ServiceName::parse("app").unwrap();
        let (_world, fd) = world();
        let one = record(&fd);
        assert_eq!(records.load(&service).unwrap(), None);
        records.save(&service, &one).unwrap();
        assert_eq!(records.load(&service).unwrap(), Some(one));
        assert_eq!(records.services().unwrap(), std::slice::from_ref(&service));
        records.clear(&service).unwrap();
        assert_eq!(records.services().unwrap(), []);
    }
}
