//! The need of a backup: the service whose data it reads, and the kind of the backup.
//!
//! Invariant: a backup of each kind holds one lock until its end.

use crate::action::circumstances::Circumstances;
use base::lock_name::LockName;
use base::names::{PlainPath, ServiceName};

/// The backup that needs the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::action) enum Wish {
    /// A mirror, which needs the changed files alone.
    Sync,
    /// An archive, which needs all files.
    Archive,
}

/// A request for the data of a service.
pub(in crate::action) struct Need<'a> {
    pub(in crate::action) wish: Wish,
    pub(in crate::action) service: &'a ServiceName,
    pub(in crate::action) hot: bool,
    pub(in crate::action) data: &'a PlainPath,
    pub(in crate::action) circumstances: &'a Circumstances,
}

impl Wish {
    /// The lock that a backup of this kind holds until its end.
    pub(super) fn held(self, service: &ServiceName) -> LockName {
        match self {
            Self::Sync => LockName::mirror(service),
            Self::Archive => LockName::archives(service),
        }
    }
}
