//! `--stop` and `--start`: moving a stack and being sure of it.
//!
//! Invariant: what was running is on disk before any of it is stopped; nothing is stopped that could not be started
//! again; and a stop or start is over only when the whole stack is down, or up.

use super::errand::{Errand, lost};
use super::find::{Found, tool};
use super::verbs::{Verbs, missing};
use crate::error::{ExitStatus, Failure};
use crate::host::clock;
use crate::names::ServiceName;
use crate::stack::{Life, Memory, Phase, Stack};

impl<'a> Verbs<'a> {
    /// Remembers what runs, and stops all of it.
    pub(super) fn stop(&mut self, service: &ServiceName) -> Result<u8, Failure> {
        let former = self.memory(service);
        let Some(found) = self.find(service, former.as_ref())? else {
            return Err(tool("podmanctl --stop")(missing(service)));
        };
        let Found { owner, stack } = &found;
        if stack.is_down() {
            // What an unfinished stop has left to be remembered, if any, stays so.
            self.show(stack);
            return Ok(ExitStatus::Done.code());
        }
        can_come_back(stack).map_err(tool("podmanctl --stop"))?;
        let memory = Memory::of_stop(
            former.as_ref(),
            owner.name(),
            clock::utc(),
            &stack.running(),
            &stack.enabled(),
        );
        self.memories
            .save(service, &memory)
            .map_err(Failure::io(format!("remembering what runs of {service}")))?;
        let stack = self.errand(service, found).bring_down()?;
        self.show(&stack);
        Ok(ExitStatus::Done.code())
    }

    /// Starts what is owed or, when nothing is, what a boot would start.
    pub(super) fn start(&mut self, service: &ServiceName) -> Result<u8, Failure> {
        let mut memory = self.memory(service);
        let Some(found) = self.find(service, memory.as_ref())? else {
            return Err(tool("podmanctl --start")(missing(service)));
        };
        let Found { owner, stack } = &found;
        let brought_back = memory
            .as_ref()
            .is_some_and(|memory| memory.phase == Phase::Started);
        let elsewhere = memory
            .as_ref()
            .is_some_and(|memory| memory.owner != owner.name());
        if elsewhere || (brought_back && stack.is_down()) {
            // Somebody else stopped it since, and that is no stop that anything is remembered of.
            memory = None;
        }
        let expected = stack.expected(memory.as_ref());
        let stack = self.errand(service, found).bring_up(&expected)?;
        let owed = memory
            .as_ref()
            .filter(|memory| memory.phase == Phase::Stopped);
        let gone = owed.map(|memory| memory.running.without(&stack.members()));
        if let Some(gone) = gone.filter(|gone| !gone.is_empty()) {
            self.warn(&format!(
                "no longer there, and not started: {}",
                gone.names()
            ));
        }
        let kept = match memory {
            Some(memory) => self.memories.save(
                service,
                &Memory {
                    phase: Phase::Started,
                    ..memory
                },
            ),
            None => self.memories.clear(service),
        };
        kept.map_err(Failure::io(format!("remembering that {service} is back")))?;
        self.show(&stack);
        Ok(ExitStatus::Done.code())
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

/// Whether everything that runs could be started again.
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
    // One that a unit runs without saying so ends with the unit, and is started with it.
    let by_unit = !running.units.is_empty();
    match stack
        .bare()
        .find(|one| one.life != Life::Resting && one.fleeting)
    {
        Some(fleeting) if !by_unit => Err(lost(&fleeting.name)),
        _ => Ok(()),
    }
}
