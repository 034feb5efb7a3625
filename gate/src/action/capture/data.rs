//! The data that a backup reads: captured, or live.
//!
//! Invariant: a service that waits for this backup starts as soon as all needed data is read, and a service that this
//! backup stopped once more starts in any case.

use std::time::{Duration, Instant};

use super::leftovers::{self, sweep};
use super::need::{Need, Wish};
use super::ways;
use crate::action::Context;
use crate::action::start::start_early;
use crate::action::stop::stop_again;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::lock::ServiceLock;
use base::mounts;
use base::names::{PlainPath, ServiceName};
use base::result_line::WarningCode;
use host::Patience;

/// The data that a backup reads.
pub(in crate::action) struct Capture {
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

impl Capture {
    /// The live data of an extra target, under its lock.
    pub(in crate::action) fn live(
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
    pub(in crate::action) fn begin(
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
    pub(in crate::action) fn tree(&self) -> &PinnedDir {
        &self.tree
    }

    /// True if nothing changes in the directory any more.
    pub(in crate::action) fn is_whole(&self) -> bool {
        self.whole
    }

    /// True if the data is that of a service that was down.
    pub(in crate::action) fn is_down(&self) -> bool {
        self.down
    }

    /// The service stays down until this backup has read what it needs. Returns the time by which copies of the changed
    /// files must be complete; a backup that cannot make them reads the live data until its end.
    pub(in crate::action) fn must_stage(&self, context: &Context<'_>) -> Option<Instant> {
        let seconds = context.config.capture.seconds.into();
        (self.starts && self.lock.is_some())
            .then(|| context.host.now() + Duration::from_secs(seconds))
    }

    /// True if neither a start of the service nor the removal of a capture can follow.
    pub(in crate::action) fn is_plain(&self) -> bool {
        !self.whole && !self.starts
    }

    /// The patience of the action: while the service cannot start, it gives way to a `--start`.
    pub(in crate::action) fn patience<'p>(&'p self, until: Instant) -> Patience<'p> {
        match &self.lock {
            Some(lock) => Patience::attended(until).yielding(lock),
            None => Patience::attended(until),
        }
    }

    /// Starts the service if it waits for this backup, and lets other actions of the service pass: all needed data was
    /// read. An extra target has one lock for its data and its mirror, which is held until the upload ends.
    pub(in crate::action) fn start(&mut self, context: &mut Context<'_>) {
        if std::mem::take(&mut self.starts)
            && let Some(service) = &self.service
        {
            start_early(context, service);
        }
        if self.service.is_some() {
            self.lock = None;
        }
    }

    /// Ends the use of the data. Removes a whole capture, unless the next backup of the same lease can use it. A service
    /// that this backup stopped starts again in any case.
    pub(in crate::action) fn release(
        mut self,
        context: &mut Context<'_>,
        wish: Wish,
        until: Instant,
    ) {
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
