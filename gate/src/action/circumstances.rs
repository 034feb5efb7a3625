//! The circumstances of a copy: a service that is up, a data directory that is a bind mount of another one.
//!
//! A copy of a running service may be torn. The gate makes the copy all the same, because the data of some services can
//! take that, and warns. Such an archive never takes the place of one of the same day that was made while the service
//! was down. An archive asks before and after the data is read.
//!
//! The gate asks the service before it gives up the privileges that a status command needs.
//!
//! Invariant: nothing here fails an action.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Context;
use super::service::state;
use crate::control::{Controls, State};
use crate::lease::Lease;
use crate::policy::{Grant, Order};
use base::names::{PlainPath, ServiceName};
use base::result_line::WarningCode;
use base::{clock, mounts};
use config::Config;
use host::Patience;

/// The time limit for the status command.
const ASKING: Duration = Duration::from_secs(10);

/// The answer of the service that is copied.
#[derive(Debug)]
pub struct Circumstances {
    state: Option<State>,
    asked: DateTime<Utc>,
}

/// The service of a sync or archive, unless it is hot.
fn copied(config: &Config, grant: &Grant) -> Option<ServiceName> {
    let service = match grant.order() {
        Order::Archive(archive) if !archive.hot => archive.service.clone(),
        Order::Sync(mirror) if !mirror.hot => mirror.lock.as_service()?.clone(),
        _ => return None,
    };
    config.services.contains_key(&service).then_some(service)
}

impl Circumstances {
    /// Asks the service of a sync or archive; other actions ask nothing.
    pub(super) fn ask(context: &mut Context<'_>, grant: &Grant) -> Self {
        let asked = clock::utc();
        let state = copied(context.config, grant).and_then(|service| {
            let controls = Controls::of(context.config, &service, ASKING);
            let until = context.host.now() + ASKING;
            let until = until.min(context.started + grant.timeout());
            state(context, &controls, &Patience::attended(until)).ok()
        });
        Self { state, asked }
    }

    /// True if another gate stopped the service after this one asked.
    fn stopped_since(&self, lease: Option<&Lease>) -> bool {
        lease.is_some_and(|lease| lease.owed() && lease.stopped.utc >= self.asked)
    }

    /// Returns true if the service is down while its data is read. Warns if it is up.
    pub(super) fn is_down(&self, context: &mut Context<'_>, service: &ServiceName) -> bool {
        let leases = context.leases().ok();
        let lease = leases.and_then(|leases| leases.load(service).ok().flatten());
        let owed = lease.as_ref().is_some_and(Lease::owed);
        let up = match &self.state {
            Some(State::Down | State::Missing) => return true,
            None => return owed,
            Some(_) if self.stopped_since(lease.as_ref()) => return true,
            Some(State::Up) => "up",
            Some(State::Unclear(_)) => "not down",
        };
        let message = if owed {
            format!(
                "{service} is {up} although the gate stopped it: another unit, or a person, started it meanwhile, and this copy may be torn; find out who did, and make it again"
            )
        } else {
            format!(
                "{service} is {up} and was not stopped before, so this copy may be torn; run --stop {service} first, or set hot for a service that needs no stop"
            )
        };
        context.alert(WarningCode::ServiceUp, service.as_str(), &message);
        false
    }
}

/// Asks a service again after its data was read. Warns if it came up meanwhile. A missing answer changes nothing.
pub(super) fn stayed_down(
    context: &mut Context<'_>,
    service: &ServiceName,
    patience: &Patience<'_>,
) -> bool {
    let controls = Controls::of(context.config, service, ASKING);
    let within = Patience {
        until: patience.until.min(context.host.now() + ASKING),
        ..*patience
    };
    let up = match state(context, &controls, &within) {
        Ok(State::Up) => "up",
        Ok(State::Unclear(_)) => "not down any more",
        Ok(State::Down | State::Missing) | Err(_) => return true,
    };
    let message = format!(
        "{service} is {up}: another unit, or a person, started it while its data was read, and this copy may be torn; find out who did, and make it again"
    );
    context.alert(WarningCode::ServiceUp, service.as_str(), &message);
    false
}

/// Warns if the data is a bind mount: a wrong mount is copied like the right one.
pub(super) fn tell_bind_mount(context: &mut Context<'_>, subject: &str, data: &PlainPath) {
    let all = mounts::all();
    if let Some(mount) = mounts::bind_on(&all, &data.to_path_buf()) {
        let message = format!(
            "{data} is a bind mount of {} on {}; see that this is the data of {subject}",
            mount.root.display(),
            mount.source
        );
        context.alert(WarningCode::ForeignMount, subject, &message);
    }
}
