//! What was granted, in terms of the configuration.
//!
//! Invariant: whatever policy resolves is resolved in here; an action looks nothing up that decides what it may do.

use std::fmt;

use crate::config::Bounds;
use crate::host::lock_name::LockName;
use crate::names::{Day, PlainPath, Remote, ServiceName};
use crate::request::Target;

/// What to do, in terms of the configuration.
#[derive(Debug)]
pub enum Order {
    /// Stop a service.
    Stop {
        /// The service.
        service: ServiceName,
        /// The remotes are asked first, and a definite no of all keeps it up.
        ask_remotes: bool,
    },
    /// Start a service.
    Start(ServiceName),
    /// Mirror a directory.
    Sync(Mirror),
    /// Pack, upload, prune.
    Archive(Archive),
    /// Bring back what nobody started.
    Recover {
        /// Whom; all of them when nobody is named.
        service: Option<ServiceName>,
        /// After a boot: also those that nobody keeps any more.
        boot: bool,
    },
    /// Let the next sync make the change that was refused.
    Approve {
        /// The name of the mirror's lock.
        lock: LockName,
    },
    /// Read an archive back and check all of it.
    Verify(Wanted),
    /// Bring data back.
    Restore(Restore),
    /// Tell what exists.
    List {
        /// Only of this service.
        service: Option<ServiceName>,
        /// For scripts.
        json: bool,
    },
    /// Tell how services are.
    Status {
        /// Only this one.
        service: Option<ServiceName>,
        /// For scripts.
        json: bool,
    },
}

/// A mirror: from where to where.
#[derive(Debug)]
pub struct Mirror {
    /// The name of its lock: the service, or the extra target.
    pub lock: LockName,
    /// The source.
    pub source: PlainPath,
    /// The copy.
    pub destination: String,
    /// Where replaced and deleted files go, without the date.
    pub versions: String,
    /// The source is in use while it is read.
    pub hot: bool,
    /// What may be changed without asking.
    pub bounds: Bounds,
    /// The command that approves of more.
    pub approve: String,
}

/// An archive: of what, to where, and what is kept.
#[derive(Debug)]
pub struct Archive {
    /// Whose.
    pub service: ServiceName,
    /// The source.
    pub source: PlainPath,
    /// The folder of its archives on the remote.
    pub folder: String,
    /// The folder for archives that retention has given up, without the date.
    pub pruned: String,
    /// Weeks to keep an archive of.
    pub keep_weekly: u32,
    /// Months to keep an archive of.
    pub keep_monthly: u32,
    /// Numbers that the request asked for and the configuration does not allow.
    pub raised: Vec<Raised>,
    /// The source is in use while it is read.
    pub hot: bool,
}

/// A number of a request that was raised to the configured one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// The option, as it is typed.
    pub option: &'static str,
    /// The number in the request.
    pub asked: u32,
    /// The number in force.
    pub kept: u32,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            option,
            asked,
            kept,
        } = self;
        let key = option.trim_start_matches('-').replace('-', "_");
        write!(
            f,
            "{option} {asked} is raised to {kept}, the fewest that this host keeps; to keep fewer, lower retention.{key} in its configuration"
        )
    }
}

/// An archive that is to come back.
#[derive(Debug)]
pub struct Wanted {
    /// Whose.
    pub service: ServiceName,
    /// Of which day; the newest where none is named.
    pub day: Option<Day>,
    /// Where it may be.
    pub remotes: Vec<Remote>,
    /// The data was in use when it was packed.
    pub hot: bool,
}

/// Data that is to come back, and where to.
#[derive(Debug)]
pub struct Restore {
    /// The archive; with a mirror, the one whose manifest knows the owners.
    pub wanted: Wanted,
    /// The content comes from the mirror.
    pub mirror: bool,
    /// Where to.
    pub target: Target,
    /// Set-user-ID and set-group-ID bits and the capabilities of files come back.
    pub keep_privileges: bool,
    /// The folder of the service, in which its data lies.
    pub folder: PlainPath,
}
