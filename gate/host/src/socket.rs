//! A listening socket without a name: only this process can connect to it.
//!
//! The gate binds and listens, so that the program needs no right to do either, and removes the name before the program
//! starts. It connects through its own descriptor of the socket's file.
//!
//! Invariant: from its first moment on, the socket can be reached by root alone, and from [`Socket::new`]'s end on by this
//! process alone.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// The name that it has for a moment.
const NAME: &str = "socket";

/// The file of the socket.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Makes a socket in a folder that only root can enter. Returns the end to connect to, and the one to listen on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(folder: impl AsFd) -> io::Result<(Self, OwnedFd)> {
        // The path of a socket is short; that of the folder need not be.
        let path = format!("/proc/self/fd/{}/{NAME}", folder.as_fd().as_raw_fd());
        let listener = UnixListener::bind(path)?;
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&folder, NAME, flags, Mode::empty());
        unlinkat(&folder, NAME, UnlinkatFlags::NoRemoveDir)?;
        Ok((Self(file?), listener.into()))
    }

    /// Connects, without waiting for the other end.
    ///
    /// # Errors
    /// When the other end no longer listens.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(format!("/proc/self/fd/{}", self.0.as_raw_fd()))?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn it_has_no_name_and_can_be_connected_to_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let opened = fs::File::open(folder.path()).unwrap();
        let (socket, listener) = Socket::new(&opened).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut ours = socket.connect().unwrap();
        let listener = UnixListener::from(listener);
        let (mut theirs, _) = listener.accept().unwrap();
        ours.write_all(b"hello").unwrap();
        let mut said = [0; 5];
        theirs.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hello");
        drop((listener, theirs));
        assert!(socket.connect().is_err());
    }
}
