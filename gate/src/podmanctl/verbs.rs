//! `--list` and `--status`; `--stop` and `--start` are in [`super::moving`].
//!
//! Invariant: a status is that of the whole stack, and is told by the exit code.

use std::collections::BTreeMap;

use super::find::{Found, Inventory, Tools};
use super::memories::Memories;
use super::owner::Owner;
use crate::error::{ExitStatus, Failure};
use crate::names::ServiceName;
use crate::reply::Stream;
use crate::stack::{Memory, Stack, Whole};

/// Exit codes of `--status`, as systemctl has them.
const PARTLY: u8 = 1;
const DOWN: u8 = 3;
const NOTHING: u8 = 4;

/// What the verbs work with.
pub(super) struct Verbs<'a> {
    /// systemd and Podman.
    pub(super) tools: Tools<'a>,
    /// What is remembered of stops.
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
            for owner in owners {
                if !seen.contains_key(&owner) {
                    let inventory = match self.tools.inventory_within(&owner, alone) {
                        Err(failure) if owner == Owner::System => return Err(failure),
                        Err(failure) => {
                            self.tools.warn_of(&owner, &failure);
                            None
                        }
                        Ok(inventory) => Some(inventory),
                    };
                    seen.insert(owner.clone(), inventory);
                }
                let Some(Some(inventory)) = seen.get(&owner) else {
                    continue;
                };
                let stack = self.tools.stack(&owner, service, inventory)?;
                if !stack.is_empty() {
                    found.push(Found { owner, stack });
                }
            }
            let memory = self.memory(service);
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

    /// How each member is, and by the exit code how the whole is.
    pub(super) fn status(&mut self, service: &ServiceName) -> Result<u8, Failure> {
        let memory = self.memory(service);
        let Some(found) = self.find(service, memory.as_ref())? else {
            let words = format!("podmanctl: {}", missing(service));
            self.tools.host.say(Stream::Err, &words);
            return Ok(NOTHING);
        };
        self.show(&found.stack);
        let whole = found.stack.whole(&found.stack.expected(memory.as_ref()));
        Ok(match whole {
            Whole::Up => ExitStatus::Done.code(),
            Whole::Partly => PARTLY,
            Whole::Down => DOWN,
            Whole::Nothing => NOTHING,
        })
    }

    /// Finds a service's stack, where it was last time before anywhere else.
    pub(super) fn find(
        &mut self,
        service: &ServiceName,
        memory: Option<&Memory>,
    ) -> Result<Option<Found>, Failure> {
        let likely = memory.map(|memory| Owner::named(&memory.owner));
        self.tools.find(service, likely)
    }

    /// What is remembered. What cannot be read must not keep a service down.
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
