//! `--list` and `--status`: what is configured, and how it is.
//!
//! Invariant: nothing is changed, and no lock is held.

use std::time::{Duration, Instant};

use super::Context;
use super::stop::state;
use crate::config::Control;
use crate::control::{Controls, State};
use crate::error::Failure;
use crate::host::Patience;
use crate::host::lock::ServiceLock;
use crate::names::ServiceName;
use crate::record::Records;

pub(super) fn list(context: &mut Context<'_>) -> String {
    let config = context.config;
    for (name, service) in &config.services {
        let control = match service.control() {
            _ if service.is_hot(name) => "never stopped",
            Control::Commands { .. } => "own commands",
            Control::Podmanctl => "podmanctl",
        };
        let data = config.data_root.below(&[name.as_str(), "data"]);
        context.say(format!("service\t{name}\t{control}\t{data}"));
    }
    for (name, extra) in &config.extra {
        context.say(format!("extra\t{name}\tmirrored only\t{}", extra.path));
    }
    for remote in &config.remotes {
        context.say(format!("remote\t{remote}"));
    }
    format!(
        "{} services, {} extra targets",
        config.services.len(),
        config.extra.len()
    )
}

pub(super) fn status(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
    until: Instant,
) -> Result<String, Failure> {
    let config = context.config;
    let records =
        Records::open(&config.state_dir).map_err(Failure::io("the records of stopped services"))?;
    let patience = Patience::attended(until);
    let mut up = 0;
    let mut asked = 0;
    for (name, service) in &config.services {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let mut words = if service.is_hot(name) {
            "never stopped".to_owned()
        } else {
            asked += 1;
            let controls = Controls::of(config, name, Duration::from_secs(1));
            match state(context, &controls, &patience)? {
                State::Up => {
                    up += 1;
                    "up".to_owned()
                }
                State::Down => "down".to_owned(),
                State::Missing => "there is no such service".to_owned(),
                State::Unclear(detail) => format!("unclear: {detail}"),
            }
        };
        if let Ok(Some(record)) = records.load(name) {
            let then = if record.was_up { "up" } else { "down" };
            let at = record.stopped_at.format("%Y-%m-%dT%H:%M:%SZ");
            words.push_str(&format!(
                ", stopped by the gate at {at} (was {then}), waiting for --start"
            ));
        }
        if let Some(holder) = ServiceLock::holder(&config.lock_dir, name.as_str()) {
            words.push_str(&format!(", busy with {holder}"));
        }
        context.say(format!("{name}\t{words}"));
    }
    Ok(format!("{up} of {asked} services are up"))
}
