//! `--list`: backups on every remote, and files and state on this host.
//!
//! Invariant: the list changes nothing and holds no lock. It reports a remote that does not answer, and still shows
//! the rest.

mod aside;
mod local;
pub(super) mod remote;
mod standing;
mod stored;
mod view;

use std::time::Instant;

use super::Context;
use super::one_process::Reach;
use base::error::Failure;
use base::names::ServiceName;
use host::Patience;

use local::Here;
use remote::{Inventory, Look};

/// Prints the list; fails if a remote could not be read.
pub(super) fn list(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
    json: bool,
    until: Instant,
) -> Result<String, Failure> {
    let config = context.config;
    context.begin_brief_process(Reach::Remote, &Patience::attended(until))?;
    let mut look = Look::new(context, only, until);
    let mut inventories: Vec<Inventory> = Vec::new();
    for remote in &config.remotes {
        inventories.push(look.at(remote)?);
    }
    let here = Here::look(context, only);
    let today = context.host.today();
    let keeps = config.retention.pruned_days;
    if json {
        let answer = view::json(&inventories, &here, keeps);
        let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
        text.lines().for_each(|line| context.say(line));
    } else {
        for line in view::text(&inventories, &here, today, keeps) {
            context.say(line);
        }
    }
    let silent: Vec<String> = inventories
        .iter()
        .filter_map(|inventory| {
            let problem = inventory.problem.as_ref()?;
            Some(format!("{}: {problem}", inventory.remote))
        })
        .collect();
    if silent.is_empty() {
        return Ok(String::new());
    }
    Err(Failure::Tool {
        what: "looking at the remote".into(),
        detail: silent.join("; "),
    })
}
