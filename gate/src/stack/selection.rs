//! Some members of a stack by name, and what is remembered of a stop.
//!
//! Invariant: what was seen running at a stop is remembered until a start has brought it back, whatever is seen at
//! further stops in between.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Members by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Services, sockets, timers and paths.
    pub units: BTreeSet<String>,
    /// Containers that no unit manages.
    pub containers: BTreeSet<String>,
}

impl Selection {
    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty() && self.containers.is_empty()
    }

    /// All of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            units: &self.units | &other.units,
            containers: &self.containers | &other.containers,
        }
    }

    /// Those that are not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            units: &self.units - &other.units,
            containers: &self.containers - &other.containers,
        }
    }

    /// Those that are in both.
    #[must_use]
    pub fn only(&self, other: &Self) -> Self {
        Self {
            units: &self.units & &other.units,
            containers: &self.containers & &other.containers,
        }
    }

    /// All names, for people.
    #[must_use]
    pub fn names(&self) -> String {
        let all: Vec<&str> = self
            .units
            .iter()
            .chain(&self.containers)
            .map(String::as_str)
            .collect();
        all.join(", ")
    }
}

/// How far a stop and the start after it have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// What was running is owed.
    Stopped,
    /// It was brought back.
    Started,
}

/// What is remembered of a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Whose stack it was: `root`, or a user.
    pub owner: String,
    /// Whether it is back.
    pub phase: Phase,
    /// When it was stopped.
    pub stopped_at: DateTime<Utc>,
    /// What was running.
    pub running: Selection,
    /// What a boot would start and somebody had stopped. It stays down, and is not missed.
    pub left_down: Selection,
}

impl Memory {
    /// What to remember before a stop, given what is remembered of the one before.
    #[must_use]
    pub fn of_stop(
        former: Option<&Self>,
        owner: &str,
        now: DateTime<Utc>,
        running: &Selection,
        enabled: &Selection,
    ) -> Self {
        let owed = former.filter(|memory| memory.phase == Phase::Stopped && memory.owner == owner);
        match owed {
            None => Self {
                owner: owner.to_owned(),
                phase: Phase::Stopped,
                stopped_at: now,
                running: running.clone(),
                left_down: enabled.without(running),
            },
            Some(owed) => {
                let running = owed.running.union(running);
                Self {
                    left_down: owed.left_down.without(&running),
                    running,
                    ..owed.clone()
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(units: &[&str]) -> Selection {
        Selection {
            units: units.iter().map(|&unit| unit.to_owned()).collect(),
            ..Selection::default()
        }
    }

    #[test]
    fn a_second_stop_forgets_nothing() {
        let now = DateTime::UNIX_EPOCH;
        let enabled = some(&["a", "b", "c"]);
        let first = Memory::of_stop(None, "root", now, &some(&["a", "b"]), &enabled);
        assert_eq!(
            (&first.running, &first.left_down),
            (&some(&["a", "b"]), &some(&["c"]))
        );
        let second = Memory::of_stop(Some(&first), "root", now, &some(&["b"]), &enabled);
        assert_eq!(second, first);
        let third = Memory::of_stop(Some(&first), "root", now, &some(&["c"]), &enabled);
        assert_eq!(third.running, enabled);
        assert!(third.left_down.is_empty());
    }

    #[test]
    fn a_stop_after_a_start_begins_anew() {
        let now = DateTime::UNIX_EPOCH;
        let enabled = some(&["a", "b"]);
        let mut memory = Memory::of_stop(None, "root", now, &some(&["a"]), &enabled);
        memory.phase = Phase::Started;
        let next = Memory::of_stop(Some(&memory), "root", now, &some(&["b"]), &enabled);
        assert_eq!((next.running, next.left_down), (some(&["b"]), some(&["a"])));
        let elsewhere = Memory {
            phase: Phase::Stopped,
            owner: "alice".into(),
            ..memory
        };
        let next = Memory::of_stop(Some(&elsewhere), "root", now, &some(&["b"]), &enabled);
        assert_eq!(next.running, some(&["b"]));
    }
}
