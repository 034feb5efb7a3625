//! Tells the service manager that the server is ready, as in sd_notify(3).
//!
//! Invariant: nothing is sent before a request would be answered; and a manager that does not listen, or is none, is no
//! reason not to serve.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The state that is told to the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Requests are answered.
    Ready,
    /// It was told to end, and does.
    Stopping,
}

/// The manager's socket.
#[derive(Debug)]
pub(super) struct Manager(Option<OsString>);

impl Manager {
    /// The one that `NOTIFY_SOCKET` names, which systemd and Podman set.
    pub(super) fn from_env() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()))
    }

    /// Tells it.
    pub(super) fn tell(&self, state: State) {
        let Some(name) = &self.0 else { return };
        if let Err(error) = send(name, state) {
            tracing::warn!(
                "cannot tell the service manager how it is, through {}: {error}",
                name.display()
            );
        }
    }
}

fn send(name: &OsStr, state: State) -> io::Result<()> {
    let address = match name.as_bytes() {
        // systemd writes an abstract address with @ for its first byte, which is 0.
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let words: &[u8] = match state {
        State::Ready => b"READY=1",
        State::Stopping => b"STOPPING=1",
    };
    UnixDatagram::unbound()?
        .send_to_addr(words, &address)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[test]
    fn the_manager_hears_it_by_a_path_and_by_an_abstract_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager(Some(path.into())).tell(State::Ready);
        assert_eq!(heard(&socket), "READY=1");

        let name = format!("lightflow-readiness-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Manager(Some(format!("@{name}").into())).tell(State::Stopping);
        assert_eq!(heard(&socket), "STOPPING=1");
    }

    #[test]
    fn no_manager_and_one_that_is_gone_are_no_reason_to_fail() {
        Manager(None).tell(State::Ready);
        Manager(Some("/nonexistent/notify".into())).tell(State::Ready);
        assert!(send(OsStr::new("/nonexistent/notify"), State::Ready).is_err());
    }
}
