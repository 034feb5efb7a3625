//! The start test: the service's own image runs on the copy until its health check passes.
//!
//! Invariant: a copy with a fault is not started, and the live service is not touched: its container is only inspected.

use std::time::Duration;

use super::bench::{Bench, container, run};
use super::evidence::Evidence;
use crate::action::Context;
use crate::action::verify::has_snapshot;
use crate::policy::Rehearse;
use base::error::Failure;
use base::names::ServiceName;
use base::owners::trusted;
use base::proof::Started;
use host::Patience;
use stack::rehearsal::{StartTest, Verdict, Work};

/// Time for Podman besides that for the health check.
const BESIDE: Duration = Duration::from_secs(150);

/// Starts the service on the copy, if that is possible.
pub(super) fn test(
    context: &mut Context<'_>,
    order: &Rehearse,
    bench: &Bench,
    evidence: &mut Evidence,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let service = &order.wanted.service;
    let config = context.config;
    let reason = if evidence.is_faulty() {
        Some("the copy has a fault")
    } else if !order.start {
        Some("the configuration turns it off")
    } else if !nix::unistd::geteuid().is_root() {
        Some("the gate does not run as root")
    } else if config.services.get(service).is_some_and(|own| {
        let user = own.user.as_ref();
        user.is_some_and(|user| user.as_str() != "root")
    }) {
        Some("the service runs in the Podman of another user than root")
    } else if has_snapshot(service, order.wanted.hot) {
        Some("its database was in use while it was copied; the snapshot in backup/ was checked")
    } else {
        None
    };
    if let Some(reason) = reason {
        evidence.not_started(reason);
        return Ok(());
    }
    let terms = &config.rehearsal;
    trusted(&[terms.podman.to_string()])?;
    let seconds = terms.start_seconds;
    let test = StartTest {
        podman: terms.podman.to_string(),
        name: container(context),
        service: service.to_string(),
        services: config.services.keys().map(ServiceName::to_string).collect(),
        data: config.data_of(service).to_string(),
        copy: bench.staging.making().to_string(),
        folder: bench.path().to_string(),
        seconds,
        memory: terms.start_memory,
        reserve: bench.reserve,
    };
    context.say(format!(
        "starting {service} on the copy, for {seconds} seconds at most"
    ));
    bench.will_start(context)?;
    let limit = context.host.now() + Duration::from_secs(seconds.into()) + BESIDE;
    let patience = Patience::attended(patience.until.min(limit));
    let ended = run(context, "the start test", Work::Test(test), &patience)?;
    let verdict: Option<Verdict> = serde_json::from_slice(&ended.stdout).ok();
    let Some(verdict) = verdict.filter(|_| ended.ok()) else {
        return Err(Failure::Tool {
            what: "the start test".into(),
            detail: ended.describe(),
        });
    };
    evidence.started = verdict.started;
    if verdict.started == Started::Unhealthy {
        evidence.findings.add(format!(
            "{service} does not become healthy on the copy: {}",
            verdict.reason.as_deref().unwrap_or("for an unknown reason")
        ));
    }
    evidence.reason = verdict.reason;
    Ok(())
}
