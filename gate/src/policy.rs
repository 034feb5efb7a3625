//! The decision on a request: granted to this caller, or denied.
//!
//! Invariant: only [`decide`] makes a [`Grant`], and actions accept only grants; an undecided request cannot be
//! carried out because it has the wrong type.

mod deadline;
mod order;
pub mod powers;
mod reason;

use std::time::Duration;

use crate::request::{HostVerb, Request, Target};
use base::lock_name::LockName;
use base::names::{
    Count, Day, Origin, PlainPath, Remote, ServiceName, TargetName, folded, usable::table,
};
use config::{Config, Timeout};
use deadline::{FETCHING, LOOKING, bounded};
use host::caller::{Caller, Door};
use mirror::place::Places;

pub use order::{
    Archive, Mirror, MirrorCopies, Order, Raised, Rehearse, Restore, RestoreExtra, Wanted,
};
pub use reason::Reason;

/// The result of a decision.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// Carry out the request.
    Granted(Grant),
    /// Refuse the request.
    Denied(Reason),
}

/// An allowed request, with everything resolved that policy resolves.
#[derive(Debug)]
pub struct Grant {
    order: Order,
    timeout: Duration,
}

impl Grant {
    /// The order to carry out.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// The time limit.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Decides on a request. Pure: reads only its arguments.
pub fn decide(config: &Config, caller: &Caller, request: &Request) -> Decision {
    match grant(config, caller, request) {
        Ok(grant) => Decision::Granted(grant),
        Err(reason) => Decision::Denied(reason),
    }
}

fn grant(config: &Config, caller: &Caller, request: &Request) -> Result<Grant, Reason> {
    let limits = &config.limits;
    let verb = request.verb();
    let (order, limit, asked) = match request {
        Request::Host(_) if caller.door() == Door::Ssh => {
            return Err(Reason::OnlyOnTheHost(verb));
        }
        Request::Host(HostVerb::Recover { service, boot }) => {
            // Accept a service that is never stopped from here too: a restore in place does stop it.
            if let Some(service) = service {
                known(config, service)?;
            }
            let order = Order::Recover {
                service: service.clone(),
                boot: *boot,
            };
            // The start attempts together get the longest time that one start may have.
            let max = limits.start.max;
            (order, Timeout { default: max, max }, None)
        }
        Request::Host(HostVerb::Restore {
            service,
            from,
            only,
            target,
            keep_privileges,
            remote,
            timeout,
        }) => {
            let day = match from {
                Some(Origin::Archive(day)) => Some(*day),
                Some(Origin::Mirror) | None => None,
            };
            let restore = Restore {
                wanted: wanted(config, service, day, remote.as_ref())?,
                mirror: match from {
                    Some(Origin::Mirror) => Some(copies(config, service, remote.as_ref())?),
                    Some(Origin::Archive(_)) | None => None,
                },
                only: only.clone(),
                target: target.clone(),
                keep_privileges: *keep_privileges,
                folder: config.data_root.below(&[service.as_str()]),
            };
            (Order::Restore(restore), FETCHING, *timeout)
        }
        Request::Host(HostVerb::Verify {
            service,
            from,
            remote,
            timeout,
        }) => {
            let wanted = |day| wanted(config, service, day, remote.as_ref());
            let order = match from {
                Some(Origin::Mirror) => {
                    Order::VerifyMirror(copies(config, service, remote.as_ref())?)
                }
                Some(Origin::Archive(day)) => Order::Verify(wanted(Some(*day))?),
                None => Order::Verify(wanted(None)?),
            };
            (order, FETCHING, *timeout)
        }
        Request::Host(HostVerb::VerifyExtra {
            target,
            remote,
            timeout,
        }) => {
            let copies = copies_of_extra(config, target, remote.as_ref())?;
            (Order::VerifyMirror(copies), FETCHING, *timeout)
        }
        Request::Host(HostVerb::RestoreExtra {
            target,
            to,
            keep_privileges,
            remote,
            timeout,
        }) => {
            let restore = RestoreExtra {
                lock: LockName::restores_extra(target),
                copies: copies_of_extra(config, target, remote.as_ref())?,
                target: Target::At(to.clone()),
                keep_privileges: *keep_privileges,
            };
            (Order::RestoreExtra(restore), FETCHING, *timeout)
        }
        Request::Host(verb) => (for_the_host(config, verb)?, LOOKING, None),
        Request::Stop { service, timeout } => {
            controlled(config, service)?;
            let order = Order::Stop {
                service: service.clone(),
                // An administrator on the host decides without asking the remotes.
                ask_remotes: config.ask_before_stop && caller.door() == Door::Ssh,
            };
            (order, limits.stop, *timeout)
        }
        Request::Start { service, timeout } => {
            controlled(config, service)?;
            (Order::Start(service.clone()), limits.start, *timeout)
        }
        Request::Sync {
            service,
            path,
            remote,
            timeout,
        } => {
            let hot = own_path(config, service, path)?;
            allowed(config, remote)?;
            let mirror = Mirror {
                lock: LockName::service(service),
                source: path.clone(),
                destination: remote.join(&format!("{service}/data")),
                versions: remote.join(&format!("{service}/.versions")),
                places: Places::of_service(remote, service),
                compare_days: config.mirror.compare_days,
                hot,
                bounds: limits.bounds(&known(config, service)?.limits),
                approve: format!("sudo backupctl --approve {service}"),
            };
            (Order::Sync(Box::new(mirror)), limits.sync, *timeout)
        }
        Request::SyncExtra {
            target,
            remote,
            timeout,
        } => {
            let extra = config
                .extra
                .get(target)
                .ok_or_else(|| unknown_target(config, target))?;
            allowed(config, remote)?;
            let mirror = Mirror {
                lock: LockName::extra(target),
                source: extra.path.clone(),
                destination: remote.join(&format!("extra/{target}")),
                versions: remote.join(&format!("extra/.versions/{target}")),
                places: Places::of_extra(remote, target),
                compare_days: config.mirror.compare_days,
                hot: false,
                bounds: limits.bounds(&extra.limits),
                approve: format!("sudo backupctl --approve-extra {target}"),
            };
            (Order::Sync(Box::new(mirror)), limits.sync, *timeout)
        }
        Request::Archive {
            service,
            path,
            remote,
            keep_weekly,
            keep_monthly,
            timeout,
        } => {
            let hot = own_path(config, service, path)?;
            allowed(config, remote)?;
            let kept = &config.retention;
            let (weekly, monthly) = kept.floors();
            let mut raised = Vec::new();
            let mut bounded = |option, asked: &Option<Count>, default, floor| match asked {
                Some(asked) if asked.get() < floor => {
                    let asked = asked.get();
                    raised.push(Raised {
                        option,
                        asked,
                        kept: floor,
                    });
                    floor
                }
                Some(asked) => asked.get(),
                None => default,
            };
            let archive = Archive {
                service: service.clone(),
                source: path.clone(),
                folder: remote.join(&format!("{service}/archives")),
                pruned: remote.join(&format!("{service}/.pruned")),
                keep_weekly: bounded("--keep-weekly", keep_weekly, kept.keep_weekly, weekly),
                keep_monthly: bounded("--keep-monthly", keep_monthly, kept.keep_monthly, monthly),
                raised,
                hot,
            };
            (Order::Archive(archive), limits.archive, *timeout)
        }
        Request::Rehearse {
            service,
            remote,
            timeout,
        } => {
            let wanted = wanted(config, service, None, remote.as_ref())?;
            // The host's administrator may restore anyway.
            if !config.rehearsal.allowed && caller.door() == Door::Ssh {
                return Err(Reason::NoRehearsals);
            }
            let mirror = copies(config, service, remote.as_ref())?;
            let order = Order::Rehearse(Box::new(Rehearse::of(config, wanted, mirror)));
            (order, limits.rehearse, *timeout)
        }
    };
    Ok(Grant {
        order,
        timeout: bounded(verb, asked, limit)?,
    })
}

/// Orders for verbs of the host's own command line that change no service and no copy.
fn for_the_host(config: &Config, verb: &HostVerb) -> Result<Order, Reason> {
    if let Some(service) = verb.service() {
        known(config, service)?;
    }
    Ok(match verb {
        HostVerb::Report {
            report,
            service,
            json,
        } => Order::Report {
            report: *report,
            service: service.clone(),
            json: *json,
        },
        HostVerb::Approve(service) => Order::Approve {
            lock: LockName::service(service),
        },
        HostVerb::ApproveExtra(target) if config.extra.contains_key(target) => Order::Approve {
            lock: LockName::extra(target),
        },
        HostVerb::ApproveExtra(target) => return Err(unknown_target(config, target)),
        // The doctor examines the configuration too, so it cannot wait for a decision that needs one.
        HostVerb::Doctor { .. }
        | HostVerb::Recover { .. }
        | HostVerb::Verify { .. }
        | HostVerb::Restore { .. }
        | HostVerb::VerifyExtra { .. }
        | HostVerb::RestoreExtra { .. }
        | HostVerb::Alone(_) => {
            return Err(Reason::NotARequest(verb.name()));
        }
    })
}

/// An archive of a service, on the named remote or on any allowed remote.
fn wanted(
    config: &Config,
    service: &ServiceName,
    day: Option<Day>,
    remote: Option<&Remote>,
) -> Result<Wanted, Reason> {
    let hot = known(config, service)?.is_hot(service);
    Ok(Wanted {
        service: service.clone(),
        day,
        remotes: readable(config, remote)?,
        hot,
    })
}

/// The named remote, or all remotes.
fn readable(config: &Config, remote: Option<&Remote>) -> Result<Vec<Remote>, Reason> {
    match remote {
        Some(remote) => allowed(config, remote).map(|()| vec![remote.clone()]),
        None => Ok(config.remotes.clone()),
    }
}

/// The mirror of a service.
fn copies(
    config: &Config,
    service: &ServiceName,
    remote: Option<&Remote>,
) -> Result<MirrorCopies, Reason> {
    known(config, service)?;
    let remotes = readable(config, remote)?.into_iter();
    Ok(MirrorCopies {
        subject: service.to_string(),
        places: remotes
            .map(|remote| (remote.clone(), Places::of_service(&remote, service)))
            .collect(),
    })
}

/// The mirror of an extra target.
fn copies_of_extra(
    config: &Config,
    target: &TargetName,
    remote: Option<&Remote>,
) -> Result<MirrorCopies, Reason> {
    if !config.extra.contains_key(target) {
        return Err(unknown_target(config, target));
    }
    let remotes = readable(config, remote)?.into_iter();
    Ok(MirrorCopies {
        subject: target.to_string(),
        places: remotes
            .map(|remote| (remote.clone(), Places::of_extra(&remote, target)))
            .collect(),
    })
}

fn known<'a>(config: &'a Config, service: &ServiceName) -> Result<&'a config::Service, Reason> {
    config
        .services
        .get(service)
        .ok_or_else(|| Reason::UnknownService {
            service: service.clone(),
            hint: hint(config, "services", service.as_str()),
        })
}

fn unknown_target(config: &Config, target: &TargetName) -> Reason {
    Reason::UnknownTarget {
        target: target.clone(),
        hint: hint(config, "extra", target.as_str()),
    }
}

/// A hint for a name that is not in the allow-list: the reason for which its table is set aside, the spelling in the
/// configuration, or the missing table.
fn hint(config: &Config, list: &str, name: &str) -> String {
    if let Some(aside) = config.aside(list, name) {
        return format!("its table is set aside: {}", aside.reason);
    }
    let services = config.services.keys().map(ServiceName::as_str);
    let extra = config.extra.keys().map(TargetName::as_str);
    let spelling = if list == "services" {
        services
            .into_iter()
            .find(|other| folded(other) == folded(name))
    } else {
        extra
            .into_iter()
            .find(|other| folded(other) == folded(name))
    };
    let header = table(list, name);
    match (spelling, list) {
        (Some(other), _) => format!("{other} is: write it as the configuration does"),
        (None, "services") => format!("add {header} to the configuration on the host"),
        (None, _) => format!("add {header} with its path to the configuration on the host"),
    }
}

fn controlled(config: &Config, service: &ServiceName) -> Result<(), Reason> {
    if known(config, service)?.is_hot(service) {
        return Err(Reason::NeverStopped(service.clone()));
    }
    Ok(())
}

/// Compares paths part by part: a string prefix is not a path test.
fn own_path(config: &Config, service: &ServiceName, asked: &PlainPath) -> Result<bool, Reason> {
    let hot = known(config, service)?.is_hot(service);
    let expected = config.data_of(service);
    if *asked == expected {
        Ok(hot)
    } else {
        Err(Reason::OtherPath {
            service: service.clone(),
            asked: asked.clone(),
            expected,
        })
    }
}

fn allowed(config: &Config, remote: &Remote) -> Result<(), Reason> {
    if config.remotes.contains(remote) {
        Ok(())
    } else {
        Err(Reason::OtherRemote(remote.clone()))
    }
}

#[cfg(test)]
mod tests;
