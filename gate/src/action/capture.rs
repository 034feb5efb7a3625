//! The capture of a service's data: the service starts again, and the backup continues from the capture.
//!
//! A whole capture holds all data as it was while the service was down. It belongs to the lease under which it was made:
//! a retry, a second remote and the archive of the same night use it. Without a whole capture the backup reads the live
//! data, and starts the service as soon as it has read everything it needs.
//!
//! A backup that finds its service brought back early, and no capture, stops the service once more under the same
//! lease.
//!
//! Invariant: a failure to capture never fails a backup; it then reads the data as if there were no captures. A record
//! on disk names each capture before it is made, so that the next action removes the leftovers of a killed gate.

mod btrfs;
mod commands;
mod leftovers;
mod record;
mod ways;

use std::time::Instant;

use super::Context;
use super::circumstances::Circumstances;
use super::start::start_early;
use super::stop::stop_again;
use crate::lease::Lease;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::mounts;
use base::names::{PlainPath, ServiceName};
use base::result_line::WarningCode;
use host::Patience;

pub(super) use leftovers::{forget, sweep, sweep_all};

/// The backup that needs the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A mirror, which needs the changed files alone.
    Sync,
    /// An archive, which needs all files.
    Archive,
}

/// The data that a backup reads.
pub(super) struct Capture {
    /// The service that starts when the data is captured; `None` for extra targets and hot services.
    service: Option<ServiceName>,
    tree: PinnedDir,
    whole: bool,
    down: bool,
    starts: bool,
    /// This backup stopped the service once more, so it brings the service back also when it fails.
    again: bool,
    lock: Option<ServiceLock>,
}

/// A request for the data of a service.
pub(super) struct Need<'a> {
    pub(super) wish: Wish,
    pub(super) service: &'a ServiceName,
    pub(super) hot: bool,
    pub(super) data: &'a PlainPath,
    pub(super) circumstances: &'a Circumstances,
}

impl Capture {
    /// The live data of an extra target, under its lock.
    pub(super) fn live(
        context: &mut Context<'_>,
        data: &PlainPath,
        lock: ServiceLock,
        patience: &Patience<'_>,
    ) -> Result<Self, Failure> {
        let tree = context.open_source(data, &patience.yielding(&lock))?;
        Ok(Self {
            service: None,
            tree,
            whole: false,
            down: false,
            starts: false,
            again: false,
            lock: Some(lock),
        })
    }

    /// The data of a service, captured where that is possible. The caller holds the lock of the service's mirrors or
    /// archives, and hands over that of the service.
    pub(super) fn begin(
        context: &mut Context<'_>,
        need: &Need<'_>,
        lock: ServiceLock,
        patience: &Patience<'_>,
    ) -> Result<Self, Failure> {
        let service = need.service;
        let yielding = patience.yielding(&lock);
        let data = context.open_source(need.data, &yielding)?;
        let mut capture = Self {
            service: (!need.hot).then(|| service.clone()),
            tree: data,
            whole: false,
            down: false,
            starts: false,
            again: false,
            lock: None,
        };
        if need.hot {
            capture.lock = Some(lock);
            return Ok(capture);
        }
        sweep(context, service, Some(&need.wish.held(service)), &yielding);
        let early = context.config.starts_early(service);
        let lease = context
            .leases()?
            .load(service)
            .map_err(Failure::io(format!("the lease of {service}")))?
            .filter(|lease| early && lease.was_up);
        let mut owed = None;
        let mut prepared = None;
        match lease {
            Some(lease) if lease.back.is_some() => {
                if let Some(whole) = ways::reuse(context, need, &lease, &yielding)? {
                    context.say(format!(
                        "reading the data of {service} as it was captured; the service stays up"
                    ));
                    capture.become_whole(context, whole);
                    return Ok(capture);
                }
                if need.wish == Wish::Archive {
                    prepared = ways::prepare(context, need, &lease, &capture.tree, &yielding)?;
                }
                let again = stop_again(context, service, &lease, &yielding);
                if !matches!(again, Ok(Some(_)))
                    && let Some(prepared) = prepared.take()
                {
                    leftovers::discard(context, service, &prepared);
                }
                if let Some(again) = again? {
                    owed = Some(again);
                    capture.down = true;
                    capture.again = true;
                }
            }
            Some(lease) if lease.owed() => owed = Some(lease),
            _ => {}
        }
        if !capture.down {
            capture.down = need.circumstances.is_down(context, service);
        }
        if let Some(lease) = owed.filter(|_| capture.down) {
            capture.starts = true;
            let taken = ways::take(context, need, &lease, &capture.tree, prepared, &yielding);
            if taken.is_err() && capture.again {
                start_early(context, service);
            }
            if let Some(whole) = taken? {
                capture.become_whole(context, whole);
            }
        }
        capture.lock = Some(lock);
        if capture.whole {
            capture.start(context);
        }
        Ok(capture)
    }

    fn become_whole(&mut self, context: &mut Context<'_>, whole: ways::Whole) {
        // A capture shows an empty folder in the place of a mount.
        let all = mounts::all();
        let data = self.tree.path().to_path_buf();
        let below: Vec<String> = mounts::below(&all, &data)
            .iter()
            .map(|mount| mount.at.display().to_string())
            .collect();
        if !below.is_empty() {
            let subject = self.service.as_ref().map_or("", |name| name.as_str());
            let message = format!(
                "left out, because something else is mounted there: {}; unmount it, or back it up on its own as an extra target",
                below.join(", ")
            );
            context.alert(WarningCode::MountLeftOut, subject, &message);
        }
        self.tree = whole.tree;
        self.whole = true;
        self.down = true;
    }

    /// The directory to read.
    pub(super) fn tree(&self) -> &PinnedDir {
        &self.tree
    }

    /// True if nothing changes in the directory any more.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// True if the data is that of a service that was down.
    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// The service stays down until this backup has read what it needs. Returns the time by which copies of the changed
    /// files must be complete; a backup that cannot make them reads the live data until its end.
    pub(super) fn must_stage(&self, context: &Context<'_>) -> Option<Instant> {
        let seconds = context.config.capture.seconds.into();
        (self.starts && self.lock.is_some())
            .then(|| context.host.now() + std::time::Duration::from_secs(seconds))
    }

    /// True if neither a start of the service nor the removal of a capture can follow.
    pub(super) fn is_plain(&self) -> bool {
        !self.whole && !self.starts
    }

    /// The patience of the action: while the service cannot start, it gives way to a `--start`.
    pub(super) fn patience<'p>(&'p self, until: Instant) -> Patience<'p> {
        match &self.lock {
            Some(lock) => Patience::attended(until).yielding(lock),
            None => Patience::attended(until),
        }
    }

    /// Starts the service if it waits for this backup, and lets other actions of the service pass: all needed data was
    /// read.
    pub(super) fn start(&mut self, context: &mut Context<'_>) {
        if std::mem::take(&mut self.starts)
            && let Some(service) = &self.service
        {
            start_early(context, service);
        }
        self.lock = None;
    }

    /// Ends the use of the data. Removes a whole capture, unless the next backup of the same lease can use it. A service
    /// that this backup stopped starts again in any case.
    pub(super) fn release(mut self, context: &mut Context<'_>, wish: Wish, until: Instant) {
        if self.again {
            self.start(context);
        }
        let Self { service, lock, .. } = self;
        drop(lock);
        if let Some(service) = service {
            let held = wish.held(&service);
            sweep(context, &service, Some(&held), &Patience::attended(until));
        }
    }
}

impl Wish {
    /// The lock that a backup of this kind holds until its end.
    fn held(self, service: &ServiceName) -> LockName {
        match self {
            Self::Sync => LockName::mirror(service),
            Self::Archive => LockName::archives(service),
        }
    }

    /// The words of the action for a lock.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Sync => "--sync",
            Self::Archive => "--archive",
        }
    }
}

/// True if a capture belongs to this lease.
fn belongs(record: &record::Record, lease: Option<&Lease>) -> bool {
    record.tree.is_some() && lease.is_some_and(|lease| lease.id() == record.lease)
}

impl Context<'_> {
    /// Waits for the turn to upload to a remote: uploads at the same time only slow each other down. An action that
    /// keeps a service down does not wait.
    pub(super) fn upload_turn(
        &mut self,
        service: Option<&ServiceName>,
        wish: Wish,
        place: &str,
        patience: &Patience<'_>,
    ) -> Result<Option<ServiceLock>, Failure> {
        let remote = place.split(':').next().unwrap_or_default();
        let name = LockName::upload(remote);
        let leases = self.leases()?;
        let owed = service.is_some_and(|service| {
            let lease = leases.load(service).ok().flatten();
            lease.is_some_and(|lease| lease.owed())
        });
        if owed {
            return ServiceLock::try_take(&self.config.lock_dir, &name, wish.verb())
                .map_err(Failure::io(format!("the turn to upload to {remote}")));
        }
        self.lock(&name, wish.verb(), patience).map(Some)
    }
}
