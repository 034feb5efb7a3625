//! Granted orders, in terms of the configuration.
//!
//! Invariant: an order contains everything that policy resolves; an action looks up nothing that decides its
//! permissions.

use std::fmt;

use crate::request::table::Report;
use crate::request::{InnerPath, Target};
use base::lock_name::LockName;
use base::names::{Day, PlainPath, Remote, ServiceName};
use config::{Bounds, Config, DataPath};
use mirror::place::Places;

/// An order to carry out, in terms of the configuration.
#[derive(Debug)]
pub enum Order {
    /// Stop a service.
    Stop {
        /// The service.
        service: ServiceName,
        /// Ask the remotes first; the service stays up if every remote definitely says no.
        ask_remotes: bool,
    },
    /// Start a service.
    Start(ServiceName),
    /// Mirror a directory.
    Sync(Box<Mirror>),
    /// Pack, upload and prune an archive.
    Archive(Archive),
    /// Bring back services that were stopped and not started again.
    Recover {
        /// The service; `None` for all services.
        service: Option<ServiceName>,
        /// After a boot: also services that have no keeper any more.
        boot: bool,
    },
    /// Let the next sync make the refused change.
    Approve {
        /// The name of the mirror's lock.
        lock: LockName,
    },
    /// Read an archive back and check its whole content.
    Verify(Wanted),
    /// Read a mirror back, and check all its contents.
    VerifyMirror(MirrorCopies),
    /// Prove that the newest copy can be restored.
    Rehearse(Box<Rehearse>),
    /// Bring data back.
    Restore(Restore),
    /// Bring an extra target back.
    RestoreExtra(RestoreExtra),
    /// Report something, and change nothing.
    Report {
        /// The report.
        report: Report,
        /// The only service in it.
        service: Option<ServiceName>,
        /// JSON, for scripts.
        json: bool,
    },
}

/// A mirror: its source and its destination.
#[derive(Debug)]
pub struct Mirror {
    /// The name of its lock: the service, or the extra target.
    pub lock: LockName,
    /// The source.
    pub source: PlainPath,
    /// The copy.
    pub destination: String,
    /// The folder for replaced and deleted files, without the date.
    pub versions: String,
    /// All folders of the mirror.
    pub places: Places,
    /// Days after which the remote's listing is compared with the manifest.
    pub compare_days: u32,
    /// The source is in use while it is read.
    pub hot: bool,
    /// The limits of a change that needs no approval.
    pub bounds: Bounds,
    /// The command that approves a larger change.
    pub approve: String,
}

/// An archive: its source, its destination, and its retention.
#[derive(Debug)]
pub struct Archive {
    /// The service.
    pub service: ServiceName,
    /// The source.
    pub source: PlainPath,
    /// The folder of its archives on the remote.
    pub folder: String,
    /// The folder for archives that retention has pruned, without the date.
    pub pruned: String,
    /// The number of weeks to keep an archive of.
    pub keep_weekly: u32,
    /// The number of months to keep an archive of.
    pub keep_monthly: u32,
    /// Numbers that the request asked for and the configuration does not allow.
    pub raised: Vec<Raised>,
    /// The source is in use while it is read.
    pub hot: bool,
}

/// A number of a request that was raised to the configured one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// The option, as typed.
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

/// An archive to bring back.
#[derive(Debug)]
pub struct Wanted {
    /// The service.
    pub service: ServiceName,
    /// The day of the archive; `None` for the newest.
    pub day: Option<Day>,
    /// The remotes that may have it.
    pub remotes: Vec<Remote>,
    /// The data was in use when it was packed.
    pub hot: bool,
}

/// A restore to rehearse.
#[derive(Debug)]
pub struct Rehearse {
    /// The newest archive.
    pub wanted: Wanted,
    /// The mirror.
    pub mirror: MirrorCopies,
    /// Files without which a copy is of no use.
    pub must_hold: Vec<DataPath>,
    /// Start the service on the copy.
    pub start: bool,
}

impl Rehearse {
    /// With the terms of the service.
    #[must_use]
    pub fn of(config: &Config, wanted: Wanted, mirror: MirrorCopies) -> Self {
        let own = config.services.get(&wanted.service);
        let needed = own.and_then(|own| own.must_hold.clone());
        let start = own.and_then(|own| own.rehearse_start);
        Self {
            wanted,
            mirror,
            must_hold: needed.unwrap_or_default(),
            start: start.unwrap_or(config.rehearsal.start),
        }
    }
}

/// The copies of a mirror that can be read.
#[derive(Debug)]
pub struct MirrorCopies {
    /// The service or extra target, for messages.
    pub subject: String,
    /// The remotes that may have a copy, and its folders there.
    pub places: Vec<(Remote, Places)>,
}

impl MirrorCopies {
    /// These remotes.
    #[must_use]
    pub fn remotes(&self) -> Vec<Remote> {
        self.places
            .iter()
            .map(|(remote, _)| remote.clone())
            .collect()
    }

    /// These remotes, for messages.
    #[must_use]
    pub fn named(&self) -> String {
        let named = self
            .remotes()
            .iter()
            .map(Remote::to_string)
            .collect::<Vec<_>>();
        named.join(", ")
    }
}

/// An extra target to bring back, and its destination.
#[derive(Debug)]
pub struct RestoreExtra {
    /// The lock of its restores.
    pub lock: LockName,
    /// Its mirror.
    pub copies: MirrorCopies,
    /// The destination.
    pub target: Target,
    /// Restore set-user-ID and set-group-ID bits and the capabilities of files.
    pub keep_privileges: bool,
}

/// Data to bring back, and its destination.
#[derive(Debug)]
pub struct Restore {
    /// The archive; with a mirror, the archive that has the owners in its manifest.
    pub wanted: Wanted,
    /// The mirror, if the content comes from it.
    pub mirror: Option<MirrorCopies>,
    /// Files and folders of the data; none for all data.
    pub only: Vec<InnerPath>,
    /// The destination.
    pub target: Target,
    /// Restore set-user-ID and set-group-ID bits and the capabilities of files.
    pub keep_privileges: bool,
    /// The folder of the service, which contains its data.
    pub folder: PlainPath,
}
