//! Small files that are there completely or not at all, also after a power cut.
//!
//! Invariant: a file that was replaced holds either the former bytes or the new ones, whenever the machine stops; once
//! [`replace`] or [`remove`] has returned, the change stays.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

/// The bytes of a file, if it exists. Bytes beyond `limit` are not read.
///
/// # Errors
/// When there is one that cannot be read.
pub fn read(directory: impl AsFd, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    // A pipe in the place of the file would make the gate wait for a writer.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    match openat(directory, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
        Ok(fd) => {
            let file = File::from(fd);
            if !file.metadata()?.is_file() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut bytes = Vec::new();
            file.take(limit).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
    }
}

/// Makes a file, readable by its owner alone; one that was left under this name is removed.
///
/// # Errors
/// When the disk does not take it.
pub fn create(directory: impl AsFd, name: &str, bytes: &[u8]) -> io::Result<File> {
    match unlinkat(directory.as_fd(), name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let mut file = File::from(openat(directory, name, flags, mode)?);
    file.write_all(bytes)?;
    Ok(file)
}

/// A file that is complete and not in its place yet.
#[derive(Debug)]
pub struct Staged<'d> {
    directory: BorrowedFd<'d>,
    fresh: OsString,
    file: File,
}

impl<'d> Staged<'d> {
    /// Writes the bytes beside the place, under the name `fresh`.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn write(directory: BorrowedFd<'d>, fresh: String, bytes: &[u8]) -> io::Result<Self> {
        let file = create(directory, &fresh, bytes)?;
        Ok(Self::written(directory, fresh.into(), file))
    }

    /// A file that another library wrote beside the place, under the name `fresh`.
    #[must_use]
    pub fn written(directory: BorrowedFd<'d>, fresh: OsString, file: File) -> Self {
        Self {
            directory,
            fresh,
            file,
        }
    }

    /// The file, whose owner and mode may still change.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When the disk does not take it; then the former one, if any, is as it was.
    pub fn place(self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.file.sync_all()?;
        rename(self.directory, self.fresh, name)
    }
}

/// Puts a file in place, readable by its owner alone.
///
/// # Errors
/// When the disk does not take it; then the former one, if any, is as it was.
pub fn replace(directory: impl AsFd, name: &str, bytes: &[u8]) -> io::Result<()> {
    Staged::write(directory.as_fd(), format!("{name}.new"), bytes)?.place(name)
}

/// Gives a file that is completely on the disk another name, in place of the file that had this name.
///
/// # Errors
/// When the disk does not take it; then both are as they were.
pub fn rename(
    directory: impl AsFd,
    from: impl AsRef<OsStr>,
    to: impl AsRef<OsStr>,
) -> io::Result<()> {
    let directory = directory.as_fd();
    renameat(directory, from.as_ref(), directory, to.as_ref())?;
    Ok(fsync(directory)?)
}

/// Makes the folder itself last, which may be new.
///
/// # Errors
/// When the disk does not take it.
pub fn keep_folder(directory: impl AsFd) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(fsync(openat(directory, "..", flags, Mode::empty())?)?)
}

/// Removes a file, if there is one.
///
/// # Errors
/// When it is still there.
pub fn remove(directory: impl AsFd, name: &str) -> io::Result<()> {
    match unlinkat(directory.as_fd(), name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(fsync(directory)?),
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_elsewhere_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let fd = File::open(folder.path()).unwrap();
        std::fs::write(folder.path().join("copy"), "new").unwrap();
        replace(&fd, "a", b"old").unwrap();
        let copy = File::open(folder.path().join("copy")).unwrap();
        Staged::written(fd.as_fd(), "copy".into(), copy)
            .place("a")
            .unwrap();
        assert_eq!(read(&fd, "a", 10).unwrap().unwrap(), b"new");
        assert_eq!(read(&fd, "copy", 10).unwrap(), None);
        let missing = rename(&fd, "copy", "a").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(read(&fd, "a", 10).unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let fd = File::open(folder.path()).unwrap();
        assert_eq!(read(&fd, "a", 10).unwrap(), None);
        replace(&fd, "a", b"first").unwrap();
        replace(&fd, "a", b"second").unwrap();
        assert_eq!(read(&fd, "a", 10).unwrap().unwrap(), b"second");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
        assert!(read(&fd, "link", 10).is_err());
        nix::unistd::mkfifo(&folder.path().join("pipe"), Mode::S_IRWXU).unwrap();
        assert!(read(&fd, "pipe", 10).is_err());
        remove(&fd, "a").unwrap();
        remove(&fd, "a").unwrap();
        assert_eq!(read(&fd, "a", 10).unwrap(), None);
    }
}
