//! The caller, and its way in.
//!
//! Invariant: everything here is only for the audit line, except the door; a door decides which verbs exist.

use base::wire::printable;
use privilege::hardening::Surroundings;

/// The way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `--ssh-gate`: a forced command.
    Ssh,
    /// The host's own command line.
    Host,
}

/// The caller.
#[derive(Debug, Clone)]
pub struct Caller {
    door: Door,
    uid: u32,
    sudo_user: Option<String>,
    peer: Option<String>,
}

impl Caller {
    /// Takes the caller from the environment that the process was started with.
    #[must_use]
    pub fn new(door: Door, surroundings: &Surroundings) -> Self {
        let text = |value: &Option<Vec<u8>>| value.as_deref().map(printable);
        Self {
            door,
            uid: nix::unistd::getuid().as_raw(),
            sudo_user: text(&surroundings.sudo_user),
            peer: text(&surroundings.ssh_connection),
        }
    }

    /// Any caller behind the forced command; `--explain` decides for this caller.
    #[must_use]
    pub fn over_ssh() -> Self {
        Self {
            door: Door::Ssh,
            uid: 0,
            sudo_user: None,
            peer: None,
        }
    }

    /// The way in.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door
    }

    /// Name and value pairs for the audit line.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let door = match self.door {
            Door::Ssh => "ssh",
            Door::Host => "host",
        };
        let mut facts = vec![("door", door.to_owned()), ("uid", self.uid.to_string())];
        facts.extend(self.sudo_user.clone().map(|user| ("sudo_user", user)));
        facts.extend(self.peer.clone().map(|peer| ("peer", peer)));
        facts
    }
}
