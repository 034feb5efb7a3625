//! Records of each service's last stop, on disk.
//!
//! Invariant: it is there before anything is stopped, and until everything is back.

use std::io;
use std::os::fd::OwnedFd;

use crate::Memory;
use base::dirfd::{entries, private_dir};
use base::durable;
use base::names::{PlainPath, ServiceName};

/// Far more than a stack of [`super::find::MOST_MEMBERS`] needs.
const MAX_BYTES: u64 = 1 << 20;

/// The directory.
#[derive(Debug)]
pub(super) struct Memories(OwnedFd);

impl Memories {
    /// Opens it, and makes it where it is missing.
    pub(super) fn open(state_dir: &PlainPath) -> io::Result<Self> {
        let owner = nix::unistd::geteuid().as_raw();
        private_dir(&state_dir.below(&["stacks"]), owner).map(Self)
    }

    /// The record of a service.
    pub(super) fn load(&self, service: &ServiceName) -> io::Result<Option<Memory>> {
        let bytes = durable::read(&self.0, &file(service), MAX_BYTES)?;
        Ok(bytes
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()?)
    }

    /// Every service of which something is remembered.
    pub(super) fn services(&self) -> io::Result<Vec<ServiceName>> {
        let names = entries(&self.0)?;
        let services = names
            .iter()
            .filter_map(|name| ServiceName::parse(name.to_str()?.strip_suffix(".json")?).ok());
        Ok(services.collect())
    }

    /// Remembers.
    pub(super) fn save(&self, service: &ServiceName, memory: &Memory) -> io::Result<()> {
        durable::replace(&self.0, &file(service), &serde_json::to_vec(memory)?)
    }
}

fn file(service: &ServiceName) -> String {
    format!("{service}.json")
}
