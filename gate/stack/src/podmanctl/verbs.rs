//! `--list` and `--status`; `--stop` and `--start` are in [`super::moving`].
//!
//! Invariant: a status is that of the whole stack, and is told by the exit code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::find::{Found, Inventory, Podman, Recorded, Tools};
use super::memories::Memories;
use super::owner::Owner;
use crate::{Memory, Phase, Stack, Whole};
use base::error::{ExitStatus, Failure};
use base::names::ServiceName;
use base::reply::Stream;

/// Exit codes of `--status`, as systemctl has them.
const PARTLY: u8 = 1;
const DOWN: u8 = 3;
const NOTHING: u8 = 4;

/// Time for Podman in a status where units alone say enough.
const STATUS_ANSWER: Duration = Duration::from_secs(5);

/// Context of the verbs.
pub(super) struct Verbs<'a> {
    /// systemd and Podman.
    pub(super) tools: Tools<'a>,
    /// Records of stops.
    pub(super) memories: Memories,
}

impl Verbs<'_> {
    /// One line for each service of the configuration.
    pub(super) fn list(&mut self) -> Result<u8, Failure> {
        let services: Vec<ServiceName> = self.tools.config.services.keys().cloned().collect();
        let mut seen: BTreeMap<Owner, Option<Inventory>> = BTreeMap::new();
        for service in &services {
            let owners = self.tools.owners(service);
            let alone = owners.len() == 1;
            let mut found = Vec::new();
            let memory = self.memory(service);
            self.tools.recorded = memory.as_ref().map(Recorded::from).unwrap_or_default();
            let fresh: Vec<Owner> = owners
                .iter()
                .filter(|owner| !seen.contains_key(owner))
                .cloned()
                .collect();
            for (owner, inventory) in self.tools.inventories(fresh, alone) {
                let inventory = match inventory {
                    Err(failure) if owner == Owner::System => return Err(failure),
                    Err(failure) => {
                        self.tools.warn_of(&owner, &failure);
                        None
                    }
                    Ok(inventory) => Some(inventory),
                };
                seen.insert(owner, inventory);
            }
            for owner in owners {
                let Some(Some(inventory)) = seen.get(&owner) else {
                    continue;
                };
                let stack = self.tools.stack(&owner, service, inventory)?;
                if !stack.is_empty() {
                    found.push(Found { owner, stack });
                }
            }
            self.line(service, memory.as_ref(), &found);
        }
        Ok(ExitStatus::Done.code())
    }

    fn line(&mut self, service: &ServiceName, memory: Option<&Memory>, found: &[Found]) {
        let mut words: Vec<String> = Vec::new();
        for Found { owner, stack } in found {
            let memory = memory.filter(|memory| memory.owner == owner.name());
            let whole = stack.whole(&stack.expected(memory)).word();
            let members = stack.describe().into_iter().map(|(name, _)| name);
            let members = members.collect::<Vec<_>>().join(" ");
            words.push(format!("{whole}\t{}\t{members}", owner.name()));
        }
        let words = match words.as_slice() {
            [] => Whole::Nothing.word().to_owned(),
            [one] => one.clone(),
            several => format!(
                "ambiguous, set services.{service}.user\t{}",
                several.join("\t")
            ),
        };
        self.tools
            .host
            .say(Stream::Out, &format!("{service}\t{words}"));
    }

    /// State of each member; the exit code is the state of the whole.
    pub(super) fn status(&mut self, service: &ServiceName) -> Result<u8, Failure> {
        let memory = self.memory(service);
        let time = STATUS_ANSWER.min(self.tools.left() / 2);
        self.tools.podman = Podman::for_memory(memory.as_ref(), time);
        let Some(found) = self.find(service, memory.as_ref())? else {
            let words = format!("podmanctl: {}", missing(service));
            self.tools.host.say(Stream::Err, &words);
            return Ok(NOTHING);
        };
        let mut found = found;
        let mut whole = found.stack.whole(&found.stack.expected(memory.as_ref()));
        if self.tools.podman == Podman::Silent && whole != Whole::Up {
            // Only Podman knows whether all containers are down, however long it takes.
            self.tools.podman = Podman::Needed;
            found.stack = self.tools.look(&found.owner, service)?;
            whole = found.stack.whole(&found.stack.expected(memory.as_ref()));
        }
        self.show(&found.stack);
        Ok(match whole {
            Whole::Up => ExitStatus::Done.code(),
            Whole::Partly => PARTLY,
            Whole::Down
                if self
                    .comes_back_with(service, memory.as_ref(), &found)
                    .is_some() =>
            {
                PARTLY
            }
            Whole::Down => DOWN,
            Whole::Nothing => NOTHING,
        })
    }

    /// The other service with which a stack was stopped by systemd, and its units that will come back with that one.
    /// `None` when the stack had a stop of its own since.
    pub(super) fn comes_back_with(
        &mut self,
        service: &ServiceName,
        memory: Option<&Memory>,
        found: &Found,
    ) -> Option<(ServiceName, BTreeSet<String>)> {
        if memory.is_some_and(|memory| memory.phase == Phase::Stopped) {
            return None;
        }
        let others = self.memories.services().unwrap_or_default();
        let mut others = others.into_iter().filter(|other| other != service);
        others.find_map(|other| {
            let memory = self.memories.load(&other).ok().flatten()?;
            let ours = found.stack.members().units;
            let with: BTreeSet<String> = &memory.dependants & &ours;
            let owed = memory.phase == Phase::Stopped && memory.owner == found.owner.name();
            (owed && !with.is_empty()).then_some((other, with))
        })
    }

    /// Finds a service's stack, where it was last time before anywhere else.
    pub(super) fn find(
        &mut self,
        service: &ServiceName,
        memory: Option<&Memory>,
    ) -> Result<Option<Found>, Failure> {
        self.tools.recorded = memory.map(Recorded::from).unwrap_or_default();
        let likely = memory.map(|memory| Owner::named(&memory.owner));
        self.tools.find(service, likely)
    }

    /// The record of a stop. An unreadable record must not keep a service down.
    pub(super) fn memory(&mut self, service: &ServiceName) -> Option<Memory> {
        self.memories.load(service).unwrap_or_else(|error| {
            self.warn(&format!(
                "what was running of {service} cannot be read ({error}), and is taken to be what a boot would start"
            ));
            None
        })
    }

    /// One line of warning.
    pub(super) fn warn(&mut self, words: &str) {
        self.tools
            .host
            .say(Stream::Err, &format!("podmanctl: {words}"));
    }

    /// One line for each member.
    pub(super) fn show(&mut self, stack: &Stack) {
        for (name, how) in stack.describe() {
            self.tools.host.say(Stream::Out, &format!("{name}\t{how}"));
        }
    }
}

pub(super) fn missing(service: &ServiceName) -> String {
    format!(
        "there is no unit and no container of '{service}'; name its quadlet {service}.container or {service}-SOMETHING.container, its compose project or container {service}, or set services.{service}.user in the configuration if a user runs it who is not logged in (loginctl enable-linger USER)"
    )
}
