//! The control of each service: its programs exist and are safe, and its status command answers.
//!
//! Invariant: the doctor asks services for their status; it never stops or starts them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use facts::Question;
use facts::service::{Service, State};

use super::examination::Examination;
use super::finding::Finding;
use super::ownership::{levels, loose};
use base::error::Failure;
use base::names::ServiceName;
use base::repair::quoted;
use config::Control;

/// Time limit for `backupctl` to report one service: a little longer than that of the service's status command.
const ASKING: Duration = Duration::from_secs(75);

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.config;
    if config.services.is_empty() {
        let fix = vec!["# add a table [services.NAME] to the configuration".into()];
        return doctor.tell("services", [Finding::warn("no service is configured", fix)]);
    }
    let mut programs: BTreeSet<String> = BTreeSet::new();
    for (name, service) in &config.services {
        if service.is_hot(name) {
            continue;
        }
        match service.control() {
            Control::Podmanctl => drop(programs.insert(config.podmanctl.to_string())),
            Control::Commands {
                stop,
                start,
                status,
            } => programs.extend(
                [stop, start, status]
                    .iter()
                    .filter_map(|command| command.argv().first().cloned()),
            ),
        }
    }
    let mut findings = Vec::new();
    for program in &programs {
        match levels(Path::new(program)) {
            Err(reason) => findings.push(Finding::fail(
                reason,
                vec![format!(
                    "ls -l {}   # install it, or correct its path in the configuration",
                    quoted(program)
                )],
            )),
            Ok(levels) => {
                findings.extend(loose(&levels, doctor.trusted).into_iter().map(|level| {
                    let what = format!("{program} is run as root: {}", level.what);
                    Finding::fail(what, level.fix)
                }));
            }
        }
    }
    doctor.tell("services", findings)?;
    for (name, service) in &config.services {
        let question = Question::Service(name.to_string());
        let answer = doctor.fact::<Service>("asking for the status", &question, ASKING)?;
        let Service { state, stops_today } = answer.unwrap_or_else(|reason| Service {
            state: State::Unclear(reason),
            stops_today: 0,
        });
        let stopped = doctor.stopped.contains(name);
        let podmanctl = matches!(service.control(), Control::Podmanctl);
        let finding = judge(name, &state, stopped, podmanctl);
        let many = many_stops(name, stops_today, config.limits.stops_per_day);
        doctor.tell("services", std::iter::once(finding).chain(many))?;
    }
    Ok(())
}

fn many_stops(name: &ServiceName, number: u32, usual: u32) -> Option<Finding> {
    (number > usual).then(|| {
        Finding::warn(
            format!(
                "{name} was stopped {number} times today, more than {usual} (limits.stops_per_day)"
            ),
            vec![format!(
                "journalctl -t backupctl --since today | grep -- '--stop {name}'"
            )],
        )
    })
}

fn judge(name: &ServiceName, state: &State, stopped: bool, podmanctl: bool) -> Finding {
    let start = || vec![format!("backupctl --start {name}")];
    match state {
        State::NeverStopped => Finding::ok(format!("{name} is copied while it runs")),
        State::Up => Finding::ok(format!("{name} is up")),
        State::Down if stopped => Finding::ok(format!("{name} is down, stopped by the gate")),
        State::Down => Finding::warn(format!("{name} is down, and not by the gate"), start()),
        State::Partly => Finding::warn(
            format!("{name} is up in part"),
            vec![format!("podmanctl --status {name}")],
        ),
        State::Missing if podmanctl => Finding::fail(
            format!("podmanctl finds no stack of {name}"),
            vec![format!(
                "podmanctl --list   # rename its quadlet, or set services.{name}.user"
            )],
        ),
        State::Missing => Finding::fail(
            format!("the status command of {name} says that there is no such service"),
            vec![format!("backupctl --status {name}")],
        ),
        State::Unclear(detail) => Finding::fail(
            format!("{name} does not say how it is: {detail}"),
            vec![format!("backupctl --status {name}")],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_service_that_is_down_by_itself_is_told_from_one_that_the_gate_stopped() {
        let name = ServiceName::parse("n8n").unwrap();
        let verdict = |state: State, stopped| judge(&name, &state, stopped, true).verdict;
        assert_eq!(verdict(State::Up, false), Verdict::Ok);
        assert_eq!(verdict(State::Down, true), Verdict::Ok);
        assert_eq!(verdict(State::Down, false), Verdict::Warn);
        assert_eq!(verdict(State::Partly, false), Verdict::Warn);
        assert_eq!(verdict(State::Missing, false), Verdict::Fail);
        assert_eq!(verdict(State::Unclear("x".into()), false), Verdict::Fail);
    }
}
