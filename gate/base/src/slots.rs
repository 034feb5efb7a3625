//! A bounded number of processes that do one thing at a time: a byte range of one file for each.
//!
//! A slot is an open file description lock (`F_OFD_SETLK`, fcntl(2)) on one byte. The kernel takes it back when its holder
//! ends, also by SIGKILL, so a killed gate leaves no slot taken and no file behind.
//!
//! Invariant: at most `count` slots of one name are taken.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::libc;
use nix::sys::stat::Mode;

use crate::dirfd::private_dir;
use crate::names::PlainPath;

/// A slot, taken until this is dropped.
#[derive(Debug)]
pub struct Slot {
    _file: File,
}

impl Slot {
    /// Takes one of `count` slots; `None` when all are taken. No lock of a service has a name like theirs: `name` is behind
    /// a dot.
    ///
    /// # Errors
    /// When the lock directory is not ours alone or the file cannot be made.
    pub fn take(directory: &PlainPath, name: &str, count: u32) -> io::Result<Option<Self>> {
        let directory = private_dir(directory, nix::unistd::geteuid().as_raw())?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = File::from(openat(
            &directory,
            format!(".{name}").as_str(),
            flags,
            mode,
        )?);
        for number in 0..count {
            match fcntl(&file, FcntlArg::F_OFD_SETLK(&one_byte(number))) {
                Ok(_) => return Ok(Some(Self { _file: file })),
                Err(Errno::EAGAIN | Errno::EACCES) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(None)
    }
}

/// A lock for writing on one byte; the file may be shorter.
fn one_byte(number: u32) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: number.into(),
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_slots_than_there_are() {
        let base = std::fs::canonicalize(std::env::temp_dir()).unwrap();
        let folder = tempfile::Builder::new()
            .prefix("slots")
            .tempdir_in(base)
            .unwrap();
        let path = PlainPath::parse(folder.path().to_str().unwrap()).unwrap();
        let take = |name: &str| Slot::take(&path, name, 3).unwrap();
        let mut taken: Vec<Slot> = (0..3).map(|_| take("waiting").unwrap()).collect();
        assert!(take("waiting").is_none());
        assert!(take("other").is_some());
        drop(taken.remove(1));
        let again = take("waiting");
        assert!(again.is_some() && take("waiting").is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
