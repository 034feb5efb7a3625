//! `--status`: the state of the services, the stops and starts by the gate, and its current work.
//!
//! Invariant: `--status` changes nothing and holds no lock; if one service cannot be asked, the others are still shown.

use std::time::{Duration, Instant};

use ::facts::service::State;
use serde_json::{Value, json};

use super::{Context, stops};
use crate::control::Controls;
use crate::lease::Lease;
use base::clock::Moment;
use base::error::{Failure, Interrupt};
use base::lock::ServiceLock;
use base::measure;
use base::names::ServiceName;
use config::Service;
use host::program::{Output, Tether};
use host::{Ended, Exit, Patience};

/// The time limit for one service's status command. podmanctl asks systemd and Podman of every possible owner of the
/// service, and on a small board that packs an archive meanwhile each of them needs seconds.
pub(super) const ANSWER: Duration = Duration::from_secs(60);

/// podmanctl's exit code for a stack that is neither up nor down.
const PARTLY: i32 = 1;

/// The table row of one service.
#[derive(Debug)]
struct Row {
    service: ServiceName,
    state: State,
    /// The output of the status command: the units of a stack.
    units: Vec<String>,
    lease: Option<Lease>,
    now: Moment,
    busy: Option<String>,
    stops_today: u32,
}

pub(super) fn status(
    context: &mut Context<'_>,
    only: Option<&ServiceName>,
    json: bool,
    until: Instant,
) -> Result<String, Failure> {
    let config = context.config;
    let leases = context.leases()?;
    let mut rows = Vec::new();
    for (name, service) in &config.services {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let (state, units) = ask(context, name, service, until)?;
        rows.push(Row {
            service: name.clone(),
            state,
            units,
            lease: leases.load(name).ok().flatten(),
            now: context.host.moment(),
            busy: ServiceLock::busy(&config.lock_dir, name),
            stops_today: stops::today(context, name),
        });
    }
    if json {
        let answer = Value::Array(rows.iter().map(Row::json).collect());
        let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
        text.lines().for_each(|line| context.say(line));
    } else {
        let width = rows.iter().map(|row| row.service.as_str().len()).max();
        for line in rows
            .iter()
            .flat_map(|row| row.text(width.unwrap_or(0), only.is_some()))
        {
            context.say(line);
        }
    }
    let unclear: Vec<String> = rows
        .iter()
        .filter_map(|row| match &row.state {
            State::Unclear(detail) => Some(format!("{}: {detail}", row.service)),
            _ => None,
        })
        .collect();
    if !unclear.is_empty() {
        return Err(Failure::Tool {
            what: "asking for the status".into(),
            detail: unclear.join("; "),
        });
    }
    if json {
        return Ok(String::new());
    }
    let asked: Vec<&Row> = rows
        .iter()
        .filter(|row| row.state != State::NeverStopped)
        .collect();
    let up = asked.iter().filter(|row| row.state == State::Up).count();
    Ok(format!("{up} of {} services are up", asked.len()))
}

/// Asks one service. Also returns the output of its status command.
pub(super) fn ask(
    context: &mut Context<'_>,
    name: &ServiceName,
    service: &Service,
    until: Instant,
) -> Result<(State, Vec<String>), Failure> {
    if service.is_hot(name) {
        return Ok((State::NeverStopped, Vec::new()));
    }
    let controls = Controls::of(context.config, name, ANSWER);
    let podmanctl = matches!(service.control(), config::Control::Podmanctl);
    let patience = Patience::attended(until.min(context.host.now() + ANSWER));
    let what = "the status command";
    let ended = context
        .program(what, controls.status, Tether::Free, Output::Silent)
        .and_then(|program| context.host.run(&program, &patience));
    match ended {
        Ok(ended) => {
            let shown = String::from_utf8_lossy(&ended.stdout).into_owned();
            let units = shown.lines().take(100).map(str::to_owned).collect();
            Ok((judged(&ended, podmanctl), units))
        }
        Err(Failure::Interrupted {
            cause: cause @ (Interrupt::PeerGone | Interrupt::Signalled),
            what,
        }) => Err(Failure::Interrupted { what, cause }),
        Err(failure) => Ok((State::Unclear(failure.to_string()), Vec::new())),
    }
}

fn judged(ended: &Ended, podmanctl: bool) -> State {
    match ended.exit {
        Exit::Code(0) => State::Up,
        Exit::Code(3) => State::Down,
        Exit::Code(4) => State::Missing,
        Exit::Code(PARTLY) if podmanctl => State::Partly,
        _ => State::Unclear(ended.describe()),
    }
}

impl Row {
    fn word(&self) -> &'static str {
        match self.state {
            State::NeverStopped => "never stopped",
            State::Up => "up",
            State::Down => "down",
            State::Partly => "partly up",
            State::Missing => "no such service",
            State::Unclear(_) => "unclear",
        }
    }

    fn text(&self, width: usize, units: bool) -> Vec<String> {
        let mut lines = vec![format!("{:<width$}  {}", self.service, self.word())];
        let mut add = |words: String| lines.push(format!("{:width$}    {words}", ""));
        if let State::Unclear(detail) = &self.state {
            add(detail.clone());
        }
        if let Some(lease) = &self.lease {
            lease
                .told(&self.now, measure::since)
                .into_iter()
                .for_each(&mut add);
        }
        if let Some(holder) = &self.busy {
            add(format!("busy with {holder}"));
        }
        // One stop a day is the nightly backup.
        if self.stops_today > 1 {
            let times = measure::count(self.stops_today.into(), "time");
            add(format!("stopped {times} today"));
        }
        if units || self.state == State::Partly {
            self.units
                .iter()
                .for_each(|unit| add(unit.replace('\t', "  ")));
        }
        lines
    }

    fn json(&self) -> Value {
        let detail = match &self.state {
            State::Unclear(detail) => Some(detail),
            _ => None,
        };
        json!({
            "service": self.service.as_str(),
            "state": self.word(),
            "detail": detail,
            "stopped_at": self.lease.as_ref().map(|lease| lease.stopped.utc.to_rfc3339()),
            "was_up": self.lease.as_ref().map(|lease| lease.was_up),
            "until": self.lease.as_ref().map(|lease| lease.until().to_rfc3339()),
            "back_at": self.lease.as_ref().and_then(|lease| Some(lease.back.as_ref()?.utc.to_rfc3339())),
            "overdue": self.lease.as_ref().is_some_and(|lease| lease.due(&self.now)),
            "busy": self.busy,
            "stops_today": self.stops_today,
        })
    }
}
