//! Finding a service's stack: asking systemd and Podman of everybody who may own it.
//!
//! Invariant: a service has one owner. A service with two is refused, so a container of the same name that belongs to
//! another user is never moved by mistake.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::owner::{Owner, PODMAN, everybody};
use super::question::{Part, Question};
use crate::{Container, Memory, Stack, Unit, container, unit};
use base::clock;
use base::error::{Failure, Interrupt};
use base::names::{PlainPath, ServiceName};
use base::reply::Stream;
use base::sort;
use config::Config;
use host::program::{Output, Profile, Program, Tether};
use host::{Ended, Host, Patience};

/// The most members that a stack may have.
pub(super) const MOST_MEMBERS: usize = 200;

/// Time for all users together who are only asked because a service may be theirs.
const STRANGERS: Duration = Duration::from_secs(8);

/// Time for Podman where units alone say enough; at most half of the time that is left.
const PODMAN_ANSWER: Duration = Duration::from_secs(30);

/// The record of the last stop of the service that is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorded {
    pub(super) owner: String,
    pub(super) units: BTreeSet<String>,
    pub(super) containers: BTreeSet<String>,
}

impl From<&Memory> for Recorded {
    fn from(memory: &Memory) -> Self {
        Self {
            owner: memory.owner.clone(),
            units: memory.running.units.clone(),
            containers: memory.running.containers.clone(),
        }
    }
}

/// A stack with its owner.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The owner of the systemd and Podman that move the stack.
    pub(super) owner: Owner,
    /// Its members.
    pub(super) stack: Stack,
}

/// Everything that an owner has, of all services.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    units: Vec<String>,
    containers: Vec<Container>,
}

/// The tools by which stacks are seen and moved.
pub(super) struct Tools<'a> {
    /// The services, with their owners.
    pub(super) config: &'a Config,
    /// All service names; used to assign units and containers to services.
    pub(super) services: Vec<ServiceName>,
    /// Runs programs.
    pub(super) host: &'a mut dyn Host,
    /// The deadline.
    pub(super) until: Instant,
    /// True if a signal, or the end of the reader of our output, ends the work.
    pub(super) attended: bool,
    /// The units and containers that ran before the last stop. They are members by these names alone.
    pub(super) recorded: Recorded,
    /// The part of Podman in the answer. Where nothing but units ran, they say enough.
    pub(super) podman: Podman,
    /// The containers that were listed last.
    pub(super) listed: Vec<Container>,
}

/// The part of Podman in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Podman {
    /// Nothing is known without Podman.
    Needed,
    /// Podman tells health checks only, and gets this much time.
    Asked(Duration),
    /// As before, and it did not answer. It is not asked again.
    Silent,
}

impl Podman {
    /// For a service of which this is remembered; it gets at most `time`.
    pub(super) fn for_memory(memory: Option<&Memory>, time: Duration) -> Self {
        match memory.map(|memory| &memory.running) {
            Some(running) if running.containers.is_empty() && !running.units.is_empty() => {
                Self::Asked(time.min(PODMAN_ANSWER))
            }
            _ => Self::Needed,
        }
    }
}

impl Tools<'_> {
    /// Everybody who may own a service.
    pub(super) fn owners(&self, service: &ServiceName) -> Vec<Owner> {
        let known = self.config.services.get(service);
        match known.and_then(|known| known.user.as_ref()) {
            Some(user) => vec![Owner::named(user.as_str())],
            None => everybody(),
        }
    }

    /// Finds a service's stack. `likely` is asked first, and no other owner if the stack is there. `None` only when
    /// every owner was seen to have nothing: an owner who cannot be asked may be the one with the stack.
    pub(super) fn find(
        &mut self,
        service: &ServiceName,
        likely: Option<Owner>,
    ) -> Result<Option<Found>, Failure> {
        let owners = self.owners(service);
        if let Some(owner) = likely.filter(|owner| owners.contains(owner)) {
            let stack = self.look(&owner, service)?;
            if !stack.is_empty() {
                return Ok(Some(Found { owner, stack }));
            }
        }
        let alone = owners.len() == 1;
        let mut found: Vec<Found> = Vec::new();
        let mut unseen = None;
        for (owner, inventory) in self.inventories(owners, alone) {
            match inventory {
                Ok(inventory) => {
                    let stack = self.stack(&owner, service, &inventory)?;
                    if !stack.is_empty() {
                        self.listed.clone_from(&inventory.containers);
                        found.push(Found { owner, stack });
                    }
                }
                // A user with broken tools must not block the services of all others.
                Err(failure) if !alone && owner != Owner::System => {
                    self.warn_of(&owner, &failure);
                    unseen = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        match found.as_slice() {
            [one, other, ..] => Err(Failure::Tool {
                what: format!("finding {service}"),
                detail: format!(
                    "both {} and {} have something of that name; say whose it is with services.{service}.user (\"root\", or the user) in the configuration",
                    one.owner.name(),
                    other.owner.name()
                ),
            }),
            [_] => Ok(found.pop()),
            [] => unseen.map_or(Ok(None), Err),
        }
    }

    /// Says that a user is left out.
    pub(super) fn warn_of(&mut self, owner: &Owner, failure: &Failure) {
        let name = owner.name();
        self.host.say(
            Stream::Err,
            &format!("podmanctl: what {name} runs cannot be seen, and is left out: {failure}"),
        );
    }

    /// The current state of a service's stack, for a known owner.
    pub(super) fn look(&mut self, owner: &Owner, service: &ServiceName) -> Result<Stack, Failure> {
        let one = self.inventories(vec![owner.clone()], true);
        let inventory = one.into_iter().next().map(|(_, inventory)| inventory);
        let inventory = inventory.unwrap_or_else(|| Ok(Inventory::default()))?;
        self.listed.clone_from(&inventory.containers);
        self.stack(owner, service, &inventory)
    }

    /// Asks some owners for their units and containers, at the same time. Users who are only asked because a service may
    /// be theirs do not get much time.
    pub(super) fn inventories(
        &mut self,
        owners: Vec<Owner>,
        alone: bool,
    ) -> Vec<(Owner, Result<Inventory, Failure>)> {
        let now = self.host.now();
        let mut questions: Vec<(usize, Question)> = Vec::new();
        for (at, owner) in owners.iter().enumerate() {
            let until = if alone || *owner == Owner::System {
                self.until
            } else {
                self.until.min(now + STRANGERS)
            };
            questions.push((at, Question::units(owner, until)));
            if self.asks_podman(owner) {
                let until = match self.podman {
                    Podman::Asked(time) => until.min(now + time),
                    Podman::Needed | Podman::Silent => until,
                };
                questions.push((at, Question::containers(owner, now, until)));
            }
        }
        let programs: Result<Vec<(Program<'_>, Patience<'_>)>, Failure> = questions
            .iter()
            .map(|(_, question)| {
                let program =
                    service_program(question.argv.clone(), question.what, Output::Captured)?;
                Ok((program, self.patience(question.until)))
            })
            .collect();
        let mut answers = match programs {
            Ok(programs) => self.host.run_together(&programs),
            Err(failure) => vec![Err(failure)],
        };
        let mut gathered: Vec<Result<Inventory, Failure>> =
            owners.iter().map(|_| Ok(Inventory::default())).collect();
        for ((at, question), answer) in questions.iter().zip(answers.drain(..)) {
            let read = self.read(question, answer);
            if let Some(slot) = gathered.get_mut(*at) {
                let before = std::mem::replace(slot, Ok(Inventory::default()));
                *slot = before.and_then(|mut inventory| {
                    match read? {
                        Part::Units(units) => inventory.units = units,
                        Part::Containers(containers) => inventory.containers = containers,
                    }
                    Ok(inventory)
                });
            }
        }
        owners.into_iter().zip(gathered).collect()
    }

    /// True when Podman is asked about an owner.
    fn asks_podman(&self, owner: &Owner) -> bool {
        let explicit = self.config.services.values().any(|known| {
            known
                .user
                .as_ref()
                .is_some_and(|user| user.as_str() == owner.name())
        });
        let there = std::path::Path::new(PODMAN).exists();
        there && self.podman != Podman::Silent && (explicit || owner.uses_podman())
    }

    /// Reads the answer to a question.
    fn read(
        &mut self,
        question: &Question,
        answer: Result<Ended, Failure>,
    ) -> Result<Part, Failure> {
        let late = matches!(
            answer,
            Err(Failure::Interrupted {
                cause: Interrupt::DeadlinePassed,
                ..
            })
        );
        if question.containers && late && matches!(self.podman, Podman::Asked(_)) {
            self.podman = Podman::Silent;
            self.note("podman does not answer; the units alone say how the service is, and no health check is waited for");
            return Ok(Part::Containers(Vec::new()));
        }
        let ended = answer?;
        if !ended.ok() {
            return Err(tool(question.what)(ended.describe()));
        }
        if question.containers {
            let containers = container::parse(&ended.stdout).map_err(tool(question.what))?;
            return Ok(Part::Containers(containers));
        }
        let listed = String::from_utf8_lossy(&ended.stdout);
        Ok(Part::Units(unit::candidates(&listed, &self.services)))
    }

    /// The part of an inventory that is one service.
    pub(super) fn stack(
        &mut self,
        owner: &Owner,
        service: &ServiceName,
        inventory: &Inventory,
    ) -> Result<Stack, Failure> {
        let services = self.services.clone();
        let recorded = Some(&self.recorded).filter(|recorded| recorded.owner == owner.name());
        let recorded = recorded.cloned().unwrap_or_default();
        let member = |one: &Container, units: &[Unit]| {
            recorded.containers.contains(&one.name)
                || container::belongs(one, units, service, &services)
        };
        let listed = &inventory.containers;
        let parts: Vec<&Container> = listed.iter().filter(|one| member(one, &[])).collect();
        let named: BTreeSet<&String> = parts.iter().filter_map(|one| one.unit.as_ref()).collect();
        let mut asked: Vec<String> = inventory.units.clone();
        asked.extend(unit::patterns(service));
        asked.extend(named.iter().map(|&name| name.clone()));
        asked.extend(recorded.units.iter().cloned());
        let mut units = self.show(owner, &asked)?;
        units.retain(|unit| {
            recorded.units.contains(&unit.id)
                || unit::belongs(unit, service, &services)
                || (named.contains(&unit.id) && unit::may_be_named(unit, service, &services))
        });
        // A pod may have a name of its own; its containers are members by their pod, and so are their units.
        let pods: BTreeSet<&String> = listed
            .iter()
            .filter(|one| member(one, &units))
            .filter_map(|one| one.pod.as_ref())
            .collect();
        let in_pod = |one: &Container| one.pod.as_ref().is_some_and(|pod| pods.contains(pod));
        let mates: Vec<String> = listed
            .iter()
            .filter(|one| in_pod(one))
            .filter_map(|one| one.unit.clone())
            .filter(|name| !units.iter().any(|unit| unit.id == *name))
            .collect();
        if !mates.is_empty() {
            let mut more = self.show(owner, &mates)?;
            more.retain(|unit| unit::may_be_named(unit, service, &services));
            units.extend(more);
        }
        let triggers: Vec<String> = units
            .iter()
            .flat_map(|unit| unit.triggered_by.clone())
            .filter(|name| !units.iter().any(|unit| unit.id == *name))
            .collect();
        if !triggers.is_empty() {
            units.extend(self.show(owner, &triggers)?);
        }
        let mut containers: Vec<Container> = listed
            .iter()
            .filter(|one| member(one, &units) || in_pod(one))
            .cloned()
            .collect();
        if units.len() + containers.len() > MOST_MEMBERS {
            return Err(tool("finding a stack")(format!(
                "{service} has more than {MOST_MEMBERS} units and containers"
            )));
        }
        sort::sort_by(&mut containers, |a, b| a.name.cmp(&b.name));
        let mut stack = Stack { units, containers };
        self.add_details(owner, &mut stack)?;
        Ok(stack)
    }

    /// Only of containers that nothing but Podman knows about is more asked than the listing says.
    fn add_details(&mut self, owner: &Owner, stack: &mut Stack) -> Result<(), Failure> {
        let bare: Vec<String> = stack.bare().map(|one| one.name.clone()).collect();
        if bare.is_empty() {
            return Ok(());
        }
        let mut words = vec!["container", "inspect", "--"];
        words.extend(bare.iter().map(String::as_str));
        let argv = owner.podman(self.left());
        let json = self.ask(argv, &words, "reading containers", self.until)?;
        container::add_details(&mut stack.containers, &json, clock::utc())
            .map_err(tool("reading containers"))
    }

    /// One line for people, beside the answer.
    pub(super) fn note(&mut self, words: &str) {
        self.host.say(Stream::Err, &format!("podmanctl: {words}"));
    }

    pub(super) fn show(&mut self, owner: &Owner, names: &[String]) -> Result<Vec<Unit>, Failure> {
        // Also those that a pattern names and that do not run: an instance that a target wants.
        let mut words = vec!["show", "--all", unit::PROPERTIES, "--"];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        words.extend(names);
        let shown = self.ask(owner.systemctl(), &words, "reading units", self.until)?;
        Ok(unit::parse(&String::from_utf8_lossy(&shown)))
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(self.host.now())
    }

    /// Runs a program that has to succeed, and returns its output.
    pub(super) fn ask(
        &mut self,
        argv: Vec<String>,
        words: &[&str],
        what: &str,
        until: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let ended = self.run(argv, words, what, Output::Captured, until)?;
        if ended.ok() {
            Ok(ended.stdout)
        } else {
            Err(tool(what)(ended.describe()))
        }
    }

    /// Runs a program.
    pub(super) fn run(
        &mut self,
        mut argv: Vec<String>,
        words: &[&str],
        what: &str,
        output: Output,
        until: Instant,
    ) -> Result<Ended, Failure> {
        argv.extend(words.iter().map(|&word| word.to_owned()));
        let program = service_program(argv, what, output)?;
        let patience = self.patience(until);
        self.host.run(&program, &patience)
    }

    /// Deadline and sources of interruption.
    pub(super) fn patience(&self, until: Instant) -> Patience<'static> {
        if self.attended {
            Patience::attended(until)
        } else {
            Patience::unattended(until)
        }
    }
}

fn service_program(
    argv: Vec<String>,
    what: &str,
    output: Output,
) -> Result<Program<'static>, Failure> {
    Ok(Program {
        what: what.to_owned(),
        argv,
        source: None,
        tether: Tether::Free,
        output,
        profile: Profile::Service,
        home: PlainPath::parse("/run").map_err(|error| tool(what)(error.to_string()))?,
    })
}

/// A failure of a tool, named by its work.
pub(super) fn tool(what: &str) -> impl Fn(String) -> Failure {
    move |detail| Failure::Tool {
        what: what.to_owned(),
        detail,
    }
}
