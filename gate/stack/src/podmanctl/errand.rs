//! One stack on its way down or up: moved by systemd and Podman, and looked at again until it is there.
//!
//! Invariant: a transition ends when the whole stack was seen down, or up; or with a sentence that names the failed
//! parts.

use std::time::{Duration, Instant};

use super::find::{Found, Tools, tool};
use crate::{Activity, Container, Goal, Kind, Life, Selection, Stack, Whole, order};
use base::error::{Failure, Interrupt};
use base::names::ServiceName;
use host::program::Output;

/// Pause between two looks at a stack.
const AGAIN: Duration = Duration::from_millis(200);

/// Tries after a failure. A unit may crash, or be started by another unit, just while it is moved.
const ATTEMPTS: u32 = 3;

/// Time to end for a container that was asked to end once already.
const GRACE: Duration = Duration::from_secs(10);

/// A stack, and the tools that move it.
pub(super) struct Errand<'e, 'a> {
    /// systemd and Podman.
    pub(super) tools: &'e mut Tools<'a>,
    /// Service of the stack.
    pub(super) service: &'e ServiceName,
    /// Its state at the last look.
    pub(super) found: Found,
    /// Number of failures of tools.
    pub(super) trouble: u32,
}

impl Errand<'_, '_> {
    /// Stops everything.
    ///
    /// # Errors
    /// With the members that were last seen up.
    pub(super) fn bring_down(mut self) -> Result<Stack, Failure> {
        loop {
            let outcome = self.down_once();
            match outcome.and_then(|words| self.next(words, self.found.stack.is_down())) {
                Ok(true) => return Ok(self.found.stack),
                Ok(false) => {}
                Err(failure) => {
                    let up = self.how(&self.found.stack.running(), false);
                    return Err(explained(failure, &up));
                }
            }
        }
    }

    /// Starts the expected members.
    ///
    /// # Errors
    /// With the members that were last seen down or not healthy.
    pub(super) fn bring_up(&mut self, goal: &Goal) -> Result<Stack, Failure> {
        let expected = &goal.members;
        loop {
            let outcome = self.up_once(expected);
            let is_up = |errand: &Self| errand.found.stack.whole(goal) == Whole::Up;
            match outcome.and_then(|words| self.next(words, is_up(self))) {
                Ok(true) => return Ok(self.found.stack.clone()),
                Ok(false) => {}
                Err(failure) => {
                    let down = self.how(&self.found.stack.missing(expected), true);
                    return Err(explained(failure, &down));
                }
            }
        }
    }

    /// After one attempt: whether it is over. If not, waits a little, or gives up when a tool keeps failing.
    fn next(&mut self, words: Option<String>, over: bool) -> Result<bool, Failure> {
        if over {
            return Ok(true);
        }
        if let Some(words) = words {
            self.trouble += 1;
            if self.trouble >= ATTEMPTS {
                return Err(tool("moving the stack")(words));
            }
        }
        let patience = self.tools.patience(self.tools.until);
        let pause = self.tools.host.pause(AGAIN, &patience);
        pause.map_err(|cause| Failure::Interrupted {
            what: "waiting".into(),
            cause,
        })?;
        self.look()?;
        Ok(false)
    }

    fn down_once(&mut self) -> Result<Option<String>, Failure> {
        let mut words = self.stop_units()?;
        if !self.found.stack.units.is_empty() {
            // With its unit gone, a container may be too.
            self.look()?;
        }
        let bare = self.found.stack.bare();
        let left = order::of_containers(bare.filter(|one| one.life != Life::Resting));
        if let Some(fleeting) = left.iter().find(|one| one.fleeting) {
            return Err(tool("podmanctl --stop")(lost(&fleeting.name)));
        }
        let levels = named(&order::levels(left.into_iter()));
        // All of a level in one call: Podman waits for them at the same time.
        for names in levels.iter().rev() {
            words = self.podman("stop", &[], names)?.or(words);
        }
        if !levels.is_empty() {
            self.look()?;
        }
        Ok(words)
    }

    /// Brings stops to their end that were begun and broken off: Podman starts no such container. It was asked to end
    /// once already, so it does not get much time.
    fn finish_stops(&mut self, expected: &Selection) -> Result<(), Failure> {
        let bare = self.found.stack.bare();
        let half: Vec<String> = bare
            .filter(|one| one.is_half_stopped() && expected.containers.contains(&one.name))
            .map(|one| one.name.clone())
            .collect();
        if half.is_empty() {
            return Ok(());
        }
        let grace = (self.tools.left() / 4).min(GRACE).as_secs().to_string();
        self.tools.note(&format!(
            "a stop of {} was broken off; it is brought to its end before the start",
            half.join(", ")
        ));
        // Podman may hang in the stop again, and a kill needs time, too.
        let until = self.tools.host.now() + self.tools.left() / 2;
        let ended = match self.podman_until(until, "stop", &["--time", &grace], &half) {
            Err(Failure::Interrupted {
                cause: Interrupt::DeadlinePassed,
                ..
            }) => false,
            outcome => outcome?.is_none(),
        };
        if !ended {
            // The next look shows the result.
            self.podman("kill", &[], &half)?;
        }
        self.look()
    }

    fn up_once(&mut self, expected: &Selection) -> Result<Option<String>, Failure> {
        let missing = self.found.stack.missing(expected);
        if missing.is_empty() {
            return Ok(None);
        }
        let mut words = self.start_units(&missing)?;
        self.look()?;
        self.finish_stops(expected)?;
        let missing = self.found.stack.missing(expected);
        let bare = self.found.stack.bare();
        let resting = bare.filter(|one| missing.containers.contains(&one.name));
        let levels = named(&order::levels(resting));
        for names in &levels {
            words = self.podman("start", &[], names)?.or(words);
        }
        if !levels.is_empty() {
            self.look()?;
        }
        Ok(words)
    }

    /// Starts units outside of the stack that systemd stopped along, and waits until they run.
    ///
    /// # Errors
    /// With those that do not run.
    pub(super) fn bring_back_dependants(&mut self, names: &[String]) -> Result<(), Failure> {
        let mut attempts = 0;
        loop {
            let seen = self.tools.dependants(&self.found.owner, names)?;
            let down: Vec<String> = names
                .iter()
                .filter(|&name| !seen.iter().any(|unit| unit.id == *name && unit.active))
                .cloned()
                .collect();
            if down.is_empty() {
                return Ok(());
            }
            attempts += 1;
            let words = self.systemctl("start", &down)?;
            if let Some(words) = words.filter(|_| attempts >= ATTEMPTS) {
                return Err(tool("starting what systemd had stopped with the stack")(
                    format!("{} is down; {words}", down.join(", ")),
                ));
            }
            let patience = self.tools.patience(self.tools.until);
            let pause = self.tools.host.pause(AGAIN, &patience);
            pause.map_err(|cause| Failure::Interrupted {
                what: format!("waiting for {}", down.join(", ")),
                cause,
            })?;
        }
    }

    /// Stops units that would start others, and then the units. Resting units are named too: they may be waiting for
    /// their turn to be started.
    fn stop_units(&mut self) -> Result<Option<String>, Failure> {
        let of = |wanted: fn(Kind) -> bool| -> Vec<String> {
            let units = order::of_units(&self.found.stack.units).into_iter().rev();
            units
                .filter(|unit| wanted(unit.kind))
                .map(|unit| unit.id.clone())
                .collect()
        };
        let (triggers, services) = (
            of(|kind| kind != Kind::Service),
            of(|kind| kind == Kind::Service),
        );
        let words = self.systemctl("stop", &triggers)?;
        Ok(self.systemctl("stop", &services)?.or(words))
    }

    /// Starts the sockets and services, and then the timers and paths, that are missing.
    pub(super) fn start_units(&mut self, missing: &Selection) -> Result<Option<String>, Failure> {
        let units: Vec<(String, Kind, Activity)> = order::of_units(&self.found.stack.units)
            .into_iter()
            .filter(|unit| missing.units.contains(&unit.id))
            .map(|unit| (unit.id.clone(), unit.kind, unit.activity))
            .collect();
        let of = |wanted: &dyn Fn(Kind, Activity) -> bool| -> Vec<String> {
            units
                .iter()
                .filter(|(_, kind, activity)| wanted(*kind, *activity))
                .map(|(id, ..)| id.clone())
                .collect()
        };
        // A unit that was killed, or started too often, would stay failed.
        self.systemctl(
            "reset-failed",
            &of(&|_, activity| activity == Activity::Failed),
        )?;
        let mut words = None;
        // A socket does not start once its service has.
        for wanted in [Kind::Socket, Kind::Service, Kind::Timer] {
            let these = of(&|kind, _| kind == wanted);
            words = self.systemctl("start", &these)?.or(words);
        }
        Ok(words)
    }

    fn look(&mut self) -> Result<(), Failure> {
        self.found.stack = self.tools.look(&self.found.owner, self.service)?;
        Ok(())
    }

    /// Hands units to systemd and waits for its jobs; returns the failure, if there was one.
    fn systemctl(&mut self, verb: &str, units: &[String]) -> Result<Option<String>, Failure> {
        if units.is_empty() {
            return Ok(None);
        }
        let mut words = vec![verb, "--"];
        words.extend(units.iter().map(String::as_str));
        let argv = self.found.owner.systemctl();
        let until = self.tools.until;
        self.hand_over(until, argv, &words, &format!("systemctl {verb}"))
    }

    /// Hands containers to Podman; returns the failure in words, if there was one.
    fn podman(
        &mut self,
        verb: &str,
        options: &[&str],
        containers: &[String],
    ) -> Result<Option<String>, Failure> {
        self.podman_until(self.tools.until, verb, options, containers)
    }

    /// Hands containers to a Podman that has to end by `until`.
    fn podman_until(
        &mut self,
        until: Instant,
        verb: &str,
        options: &[&str],
        containers: &[String],
    ) -> Result<Option<String>, Failure> {
        let limit = until.saturating_duration_since(self.tools.host.now());
        let argv = self.found.owner.podman(limit);
        let what = format!("podman {verb} {}", containers.join(" "));
        let mut words = vec![verb];
        words.extend(options);
        words.push("--");
        words.extend(containers.iter().map(String::as_str));
        self.hand_over(until, argv, &words, &what)
    }

    fn hand_over(
        &mut self,
        until: Instant,
        argv: Vec<String>,
        words: &[&str],
        what: &str,
    ) -> Result<Option<String>, Failure> {
        let ended = self.tools.run(argv, words, what, Output::Relayed, until)?;
        Ok((!ended.ok()).then(|| format!("{what}: {}", ended.describe())))
    }

    /// State of some members, and of those whose health keeps the stack from being up.
    fn how(&self, waiting: &Selection, health: bool) -> String {
        let stack = &self.found.stack;
        let ill = |name: &str| {
            let mut containers = stack.containers.iter();
            containers.any(|one| one.name == name && !one.health.is_fine())
        };
        let how: Vec<String> = stack
            .describe()
            .into_iter()
            .filter(|(name, _)| {
                waiting.units.contains(name)
                    || waiting.containers.contains(name)
                    || (health && ill(name))
            })
            .map(|(name, how)| format!("{name} is {how}"))
            .collect();
        how.join(", ")
    }
}

/// The names of containers, level by level.
fn named(levels: &[Vec<&Container>]) -> Vec<Vec<String>> {
    let names = |level: &Vec<&Container>| level.iter().map(|one| one.name.clone()).collect();
    levels.iter().map(names).collect()
}

/// A failure, with the state in which it left the stack.
fn explained(failure: Failure, how: &str) -> Failure {
    match failure {
        failure if how.is_empty() => failure,
        Failure::Interrupted { cause, .. } => Failure::Interrupted {
            what: how.to_owned(),
            cause,
        },
        Failure::Tool { what, detail } => Failure::Tool {
            what,
            detail: format!("{detail}; {how}"),
        },
        other => other,
    }
}

/// The reason for not stopping a container that is removed when it stops.
pub(super) fn lost(container: &str) -> String {
    format!(
        "container {container} was started with --rm, so that it would be gone for good; run it by a quadlet, or without --rm"
    )
}
