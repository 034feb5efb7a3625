//! What lies on this host: in the spool, beside the data, and promised.
//!
//! Invariant: only names and sizes are read, and nothing is made where it is missing.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use crate::action::Context;
use crate::action::unusable::{self, Unusable};
use crate::host::clock;
use crate::host::dirfd::{PinnedDir, entries};
use crate::host::lock::ServiceLock;
use crate::lease::Lease;
use crate::names::{PlainPath, ServiceName};

/// A file or folder of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Where.
    pub(super) path: String,
    /// Its size, where it is a file.
    pub(super) bytes: Option<u64>,
    /// Since it was last written.
    pub(super) age: TimeDelta,
}

/// What lies here of one service.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// Files in its folder of the spool.
    pub(super) spool: Vec<Found>,
    /// What restores have put beside its data.
    pub(super) beside: Vec<Found>,
    /// That the gate has stopped it.
    pub(super) stopped: Option<Lease>,
    /// Which action works on it.
    pub(super) busy: Option<String>,
}

/// What lies here.
#[derive(Debug)]
pub(super) struct Here {
    /// Of each service of which there is something.
    pub(super) services: BTreeMap<ServiceName, Local>,
    /// Names that cannot be those of services.
    pub(super) unusable: Vec<Unusable>,
    /// When it was looked at.
    pub(super) now: DateTime<Utc>,
}

impl Here {
    pub(super) fn look(context: &Context<'_>, only: Option<&ServiceName>) -> Self {
        let config = context.config;
        let now = clock::utc();
        let leases = context.leases().ok();
        let mut services = BTreeMap::new();
        for service in config.services.keys() {
            if only.is_some_and(|only| only != service) {
                continue;
            }
            let name = service.as_str();
            let beside = |entry: &str| {
                entry.starts_with("restored-") || entry.starts_with("data.before-restore-")
            };
            let local = Local {
                spool: look(&config.spool_dir.below(&[name]), now, |_| true),
                beside: look(&config.data_root.below(&[name]), now, beside),
                stopped: leases
                    .as_ref()
                    .and_then(|leases| leases.load(service).ok()?),
                busy: ServiceLock::busy(&config.lock_dir, service),
            };
            if !local.spool.is_empty()
                || !local.beside.is_empty()
                || local.stopped.is_some()
                || local.busy.is_some()
            {
                services.insert(service.clone(), local);
            }
        }
        let mut unusable = Vec::new();
        if only.is_none() {
            unusable.extend(unusable::tables(config));
            unusable.extend(unusable::folders(config));
        }
        Self {
            services,
            unusable,
            now,
        }
    }
}

/// The entries of a directory that fit; none where it cannot be read.
fn look(directory: &PlainPath, now: DateTime<Utc>, fits: impl Fn(&str) -> bool) -> Vec<Found> {
    let Ok(opened) = PinnedDir::open(directory) else {
        return Vec::new();
    };
    entries(opened.fd())
        .unwrap_or_default()
        .iter()
        .filter(|name| name.to_str().is_some_and(&fits))
        .filter_map(|name| {
            let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
            let stat = fstatat(opened.fd(), name.as_os_str(), flags).ok()?;
            let regular = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
            Some(Found {
                path: format!("{directory}/{}", name.display()),
                bytes: regular.then(|| u64::try_from(stat.st_size).unwrap_or(0)),
                age: now - DateTime::from_timestamp(stat.st_mtime, 0)?,
            })
        })
        .collect()
}
