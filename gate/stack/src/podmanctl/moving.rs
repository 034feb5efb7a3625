//! `--stop` and `--start`: move a stack and verify the result.
//!
//! Invariant: the record of the running members is on disk before the first one is stopped; a member that could not be
//! started again is not stopped; and a stop or start ends only when the whole stack is down, or up.

use std::collections::BTreeSet;
use std::time::Duration;

use super::errand::{Errand, lost};
use super::find::{Found, Podman, tool};
use super::owner::Owner;
use super::verbs::{Verbs, missing};
use crate::{Life, Memory, Phase, Selection, Stack};
use base::clock;
use base::error::{ExitStatus, Failure};
use base::names::ServiceName;

/// Looks for a member that has vanished, and the pause between two of them.
const LOOKS: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(300);

impl<'a> Verbs<'a> {
    /// Records the running members, and stops them all.
    pub(super) fn stop(&mut self, service: &ServiceName) -> Result<u8, Failure> {
        let former = self.memory(service);
        let Some(found) = self.find(service, former.as_ref())? else {
            return Err(tool("podmanctl --stop")(missing(service)));
        };
        let found = self.with_writers(service, found)?;
        let Found { owner, stack } = &found;
        let mut before = stack.state_before();
        if stack.is_down() {
            // The record of an unfinished stop, if there is one, stays.
            if let Some((other, units)) = self.comes_back_with(service, former.as_ref(), &found) {
                // From now on it comes back by a start of its own, and not in the middle of its backup.
                before.running.units = units;
                let memory =
                    Memory::of_stop(former.as_ref(), found.owner.name(), clock::utc(), &before);
                self.save(service, &memory)?;
                self.warn(&format!("{service} is down because {other} is"));
            }
            self.show(&found.stack);
            return Ok(ExitStatus::Done.code());
        }
        can_come_back(stack).map_err(tool("podmanctl --stop"))?;
        before.dependants = self.tools.taken_down(owner, stack)?;
        if !before.dependants.is_empty() {
            let names: Vec<&str> = before.dependants.iter().map(String::as_str).collect();
            self.warn(&format!(
                "systemd stops with {service}, and --start {service} starts again: {}",
                names.join(", ")
            ));
        }
        let memory = Memory::of_stop(former.as_ref(), owner.name(), clock::utc(), &before);
        self.save(service, &memory)?;
        let stack = self.errand(service, found).bring_down()?;
        self.show(&stack);
        Ok(ExitStatus::Done.code())
    }

    /// Starts the recorded members or, without a record, those that a boot would start.
    pub(super) fn start(&mut self, service: &ServiceName) -> Result<u8, Failure> {
        let mut memory = self.memory(service);
        self.tools.podman = Podman::for_memory(memory.as_ref(), self.tools.left() / 2);
        if let Some(owed) = memory.as_ref().filter(|one| one.phase == Phase::Stopped) {
            self.start_recorded(service, owed);
        }
        let Some(found) = self.find(service, memory.as_ref())? else {
            return Err(tool("podmanctl --start")(missing(service)));
        };
        let Found { owner, stack } = &found;
        let owner_name = owner.name().to_owned();
        let brought_back = memory
            .as_ref()
            .is_some_and(|memory| memory.phase == Phase::Started);
        let elsewhere = memory
            .as_ref()
            .is_some_and(|memory| memory.owner != owner.name());
        if elsewhere || (brought_back && stack.is_down()) {
            // Another person stopped it since, and no record belongs to that stop.
            memory = None;
        }
        let mut goal = stack.expected(memory.as_ref());
        let owed = memory
            .clone()
            .filter(|memory| memory.phase == Phase::Stopped);
        let mut vanished = Selection::default();
        if let Some(owed) = &owed {
            vanished = self.vanished(service, &found, owed)?;
            goal.members = goal.members.without(&vanished);
        } else {
            // It was not stopped, so it owes no better health than it has.
            goal.excused.extend(stack.unhealthy());
        }
        if goal.members.is_empty() {
            goal.members = stack.enabled();
        }
        let mut errand = self.errand(service, found);
        let stack = errand.bring_up(&goal)?;
        if let Some(owed) = &owed {
            let names = self.dependants_of(service, owed);
            self.errand(
                service,
                Found {
                    owner: Owner::named(&owner_name),
                    stack: stack.clone(),
                },
            )
            .bring_back_dependants(&names)?;
        }
        let memory = Memory {
            owner: owner_name,
            phase: Phase::Started,
            stopped_at: memory
                .as_ref()
                .map_or_else(clock::utc, |memory| memory.stopped_at),
            running: match &memory {
                Some(memory) => memory.running.without(&vanished),
                None => Selection::default(),
            },
            left_down: memory.map(|memory| memory.left_down).unwrap_or_default(),
            unwell: goal.excused,
            dependants: BTreeSet::new(),
        };
        self.memories
            .save(service, &memory)
            .map_err(Failure::io(format!("remembering that {service} is back")))?;
        self.show(&stack);
        if vanished.is_empty() {
            return Ok(ExitStatus::Done.code());
        }
        Err(tool("podmanctl --start")(format!(
            "{} ran before the stop and is no longer there, so it was not started; all else is up. Put its file back (systemctl daemon-reload), or leave it: the next start does not miss it",
            vanished.names()
        )))
    }

    /// Starts the units that were running, by their names and before anything else is asked.
    fn start_recorded(&mut self, service: &ServiceName, owed: &Memory) {
        let units: Vec<String> = owed.running.units.iter().cloned().collect();
        if units.is_empty() {
            return;
        }
        let owner = Owner::named(&owed.owner);
        let shown = self.tools.show(&owner, &units);
        let started = shown.and_then(|units| {
            let stack = Stack {
                units,
                containers: Vec::new(),
            };
            let missing = stack.missing(&owed.running).only(&stack.members());
            let mut errand = self.errand(service, Found { owner, stack });
            errand.start_units(&missing)
        });
        // The rest of the start tries again, with the whole stack in view.
        if let Err(failure) = started {
            self.warn(&failure.to_string());
        }
    }

    /// The members that were stopped and are not found any more, after some more looks: systemd may just have been reading
    /// its files anew.
    fn vanished(
        &mut self,
        service: &ServiceName,
        found: &Found,
        owed: &Memory,
    ) -> Result<Selection, Failure> {
        let mut vanished = found.stack.vanished(owed);
        for _ in 0..LOOKS {
            if vanished.is_empty() {
                break;
            }
            if self.tools.podman == Podman::Silent {
                vanished.containers.clear();
            }
            let patience = self.tools.patience(self.tools.until);
            let pause = self.tools.host.pause(LOOK_AGAIN, &patience);
            pause.map_err(|cause| Failure::Interrupted {
                what: format!("waiting for {}", vanished.names()),
                cause,
            })?;
            vanished = self.tools.look(&found.owner, service)?.vanished(owed);
        }
        Ok(vanished)
    }

    /// The units that systemd stopped with a service, without those that another service's start brings back.
    fn dependants_of(&mut self, service: &ServiceName, owed: &Memory) -> Vec<String> {
        let mut names = owed.dependants.clone();
        for other in self.memories.services().unwrap_or_default() {
            if other == *service {
                continue;
            }
            let memory = self.memories.load(&other).ok().flatten();
            if let Some(memory) =
                memory.filter(|one| one.phase == Phase::Stopped && one.owner == owed.owner)
            {
                names = &names - &memory.running.units;
            }
        }
        names.into_iter().collect()
    }

    /// Looks for containers outside of the stack that write to the service's data. They are named, and stopped along
    /// if the configuration says so.
    fn with_writers(&mut self, service: &ServiceName, found: Found) -> Result<Found, Failure> {
        let folder = self.tools.config.data_of(service).to_string();
        let writers = match self.tools.writers(&found.owner, &found.stack, &folder) {
            Ok(writers) => writers,
            // Podman as a whole was asked before; this only adds a warning.
            Err(failure @ Failure::Interrupted { .. }) => return Err(failure),
            Err(failure) => {
                self.warn(&failure.to_string());
                return Ok(found);
            }
        };
        if writers.is_empty() {
            return Ok(found);
        }
        let stops = self
            .tools
            .config
            .services
            .get(service)
            .is_some_and(|known| known.stop_writers);
        for (one, source) in &writers {
            let name = &one.name;
            self.warn(&if stops {
                format!("{name} writes to {source}, and is stopped with {service} (services.{service}.stop_writers)")
            } else {
                format!("warning: {name} is no part of {service} and goes on writing to {source}; a copy may be torn. Name it {service}-…, or set services.{service}.stop_writers = true")
            });
        }
        if !stops {
            return Ok(found);
        }
        for (one, _) in &writers {
            self.tools.adopt(&found.owner, one);
        }
        let stack = self.tools.look(&found.owner, service)?;
        Ok(Found { stack, ..found })
    }

    fn save(&mut self, service: &ServiceName, memory: &Memory) -> Result<(), Failure> {
        self.memories
            .save(service, memory)
            .map_err(Failure::io(format!("remembering what runs of {service}")))
    }

    fn errand<'e>(&'e mut self, service: &'e ServiceName, found: Found) -> Errand<'e, 'a> {
        Errand {
            tools: &mut self.tools,
            service,
            found,
            trouble: 0,
        }
    }
}

/// Refuses a stack with a running member that could not be started again.
fn can_come_back(stack: &Stack) -> Result<(), String> {
    let running = stack.running();
    if let Some(unit) = stack
        .units
        .iter()
        .find(|unit| running.units.contains(&unit.id) && !unit.startable)
    {
        return Err(format!(
            "{} runs, but its file is gone, so that it could not be started again; put the file back, or stop it yourself",
            unit.id
        ));
    }
    // A container that a unit runs without naming it ends with the unit, and is started with the unit.
    let by_unit = !running.units.is_empty();
    match stack
        .bare()
        .find(|one| one.life != Life::Resting && one.fleeting)
    {
        Some(fleeting) if !by_unit => Err(lost(&fleeting.name)),
        _ => Ok(()),
    }
}
