//! A service's stack: the units, pods and containers that are the service, and how it is as a whole. Pure.
//!
//! Units are moved by systemd and containers that no unit manages by Podman; a container that a unit manages is
//! looked at for its health and moved with its unit.
//!
//! Invariant: a stack is down only when no member runs or is starting. It is up only when all expected members run,
//! and no container waits for its health check or fails it.
#![forbid(unsafe_code)]

pub mod container;
pub mod naming;
pub mod order;
pub mod podmanctl;
pub mod rehearsal;
pub mod selection;
pub mod trial;
pub mod unit;

use std::collections::BTreeSet;

pub use container::{Container, Health, Life};
pub use selection::{Memory, Phase, Selection, StateBefore};
pub use unit::{Activity, Dependant, Kind, Unit};

/// State of a whole stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// Everything that should run runs and is healthy.
    Up,
    /// Nothing runs, nor is on its way to or from there.
    Down,
    /// Anything between.
    Partly,
    /// There is no such service.
    Nothing,
}

impl Whole {
    /// In a word, for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Partly => "partly up",
            Self::Nothing => "nothing found",
        }
    }
}

/// The state that a stack owes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Goal {
    /// The members that should run.
    pub members: Selection,
    /// Containers with a health that does not count, because it was no better before.
    pub excused: BTreeSet<String>,
}

/// Units and containers under a service's name, at one moment and with one owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// Its service units, and the sockets, timers and paths that would start them.
    pub units: Vec<Unit>,
    /// Its containers, managed by a unit of the stack or not.
    pub containers: Vec<Container>,
}

impl Stack {
    /// True if there are neither units nor containers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty() && self.containers.is_empty()
    }

    /// The containers that no unit of the stack manages.
    pub fn bare(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| {
            let unit = container.unit.as_deref();
            !unit.is_some_and(|unit| self.units.iter().any(|known| known.id == unit))
        })
    }

    /// True if no member runs.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.units.iter().all(Unit::is_resting)
            && self.containers.iter().all(|one| one.life == Life::Resting)
    }

    /// Members that run and can be started again: the record of a stop.
    #[must_use]
    pub fn running(&self) -> Selection {
        let units = self.units.iter();
        let bare = self.bare();
        Selection {
            units: units
                .filter(|unit| unit.lasting && !unit.is_resting())
                .map(|unit| unit.id.clone())
                .collect(),
            containers: bare
                .filter(|one| one.life != Life::Resting && !one.fleeting)
                .map(|one| one.name.clone())
                .collect(),
        }
    }

    /// Members that a boot would start, or all members if a boot starts none.
    #[must_use]
    pub fn enabled(&self) -> Selection {
        let policy = self.bare().any(|one| one.restarts);
        let chosen = Selection {
            units: self.wanted(),
            containers: self
                .bare()
                .filter(|one| {
                    if policy {
                        one.restarts
                    } else {
                        one.is_missed()
                    }
                })
                .map(|one| one.name.clone())
                .collect(),
        };
        if !chosen.is_empty() {
            return chosen;
        }
        let services = self.units.iter();
        Selection {
            units: services
                .filter(|unit| unit.lasting && unit.kind == Kind::Service)
                .map(|unit| unit.id.clone())
                .collect(),
            containers: self
                .bare()
                .filter(|one| !one.fleeting)
                .map(|one| one.name.clone())
                .collect(),
        }
    }

    /// The units that some target pulls in, by themselves or through another unit of the stack.
    fn wanted(&self) -> BTreeSet<String> {
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        loop {
            let more: Vec<&Unit> = self
                .units
                .iter()
                .filter(|unit| unit.lasting && !wanted.contains(&unit.id))
                .filter(|unit| {
                    unit.wanted_by
                        .iter()
                        .any(|other| other.ends_with(".target") || wanted.contains(other))
                })
                .collect();
            if more.is_empty() {
                return wanted;
            }
            wanted.extend(more.into_iter().map(|unit| unit.id.clone()));
        }
    }

    /// The state that the stack owes, given the record of the last stop. Members that were stopped are owed also when they
    /// are not found any more; see [`Stack::vanished`].
    #[must_use]
    pub fn expected(&self, memory: Option<&Memory>) -> Goal {
        let Some(memory) = memory else {
            return Goal {
                members: self.enabled(),
                excused: BTreeSet::new(),
            };
        };
        let members = match memory.phase {
            Phase::Stopped => memory.running.clone(),
            Phase::Started => self
                .enabled()
                .union(&memory.running)
                .without(&memory.left_down)
                .only(&self.members()),
        };
        Goal {
            members: if members.is_empty() {
                self.enabled()
            } else {
                members
            },
            excused: memory.unwell.clone(),
        }
    }

    /// The members that were stopped and are no longer there.
    #[must_use]
    pub fn vanished(&self, memory: &Memory) -> Selection {
        memory.running.without(&self.members())
    }

    /// Running containers whose health check does not pass.
    #[must_use]
    pub fn unwell(&self) -> BTreeSet<String> {
        let running = self
            .containers
            .iter()
            .filter(|one| one.life == Life::Running);
        running
            .filter(|one| !one.health.is_fine())
            .map(|one| one.name.clone())
            .collect()
    }

    /// Running containers whose health check fails; not those in which it has yet to pass.
    #[must_use]
    pub fn unhealthy(&self) -> BTreeSet<String> {
        let ill = self
            .containers
            .iter()
            .filter(|one| one.life == Life::Running && one.health == Health::Unhealthy);
        ill.map(|one| one.name.clone()).collect()
    }

    /// The state that a stop has to record, without the units that it takes down outside of the stack.
    #[must_use]
    pub fn state_before(&self) -> StateBefore {
        StateBefore {
            running: self.running(),
            enabled: self.enabled(),
            unwell: self.unwell(),
            dependants: BTreeSet::new(),
        }
    }

    /// Everybody.
    #[must_use]
    pub fn members(&self) -> Selection {
        Selection {
            units: self.units.iter().map(|unit| unit.id.clone()).collect(),
            containers: self.containers.iter().map(|one| one.name.clone()).collect(),
        }
    }

    /// State of the stack, for a given set of expected members.
    #[must_use]
    pub fn whole(&self, goal: &Goal) -> Whole {
        if self.is_empty() {
            return Whole::Nothing;
        }
        if self.is_down() {
            return Whole::Down;
        }
        let expected = &goal.members;
        let healthy = self.unwell().is_subset(&goal.excused);
        if healthy && !expected.is_empty() && self.missing(expected).is_empty() {
            Whole::Up
        } else {
            Whole::Partly
        }
    }

    /// Expected members that do not run.
    #[must_use]
    pub fn missing(&self, expected: &Selection) -> Selection {
        let runs = Selection {
            units: self
                .units
                .iter()
                .filter(|unit| unit.activity == Activity::Active)
                .map(|unit| unit.id.clone())
                .collect(),
            containers: self
                .containers
                .iter()
                .filter(|one| one.life == Life::Running)
                .map(|one| one.name.clone())
                .collect(),
        };
        expected.without(&runs)
    }

    /// One line for each member: its name, and how it is.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        let units = self.units.iter();
        let containers = self.containers.iter();
        units
            .map(|unit| (unit.id.clone(), unit.describe()))
            .chain(containers.map(|one| (one.name.clone(), one.describe())))
            .collect()
    }
}

#[cfg(test)]
mod tests;
