//! Some members of a stack by name, and the record of a stop.
//!
//! Invariant: members that ran at a stop stay in the record until a start has brought them back, whatever further
//! stops in between find.

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
    /// True if it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty() && self.containers.is_empty()
    }

    /// The union of both.
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

    /// The names, for people.
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

/// Progress of a stop and the start after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The members that ran have to be started.
    Stopped,
    /// It was brought back.
    Started,
}

/// Record of a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Owner of the stack: `root`, or a user.
    pub owner: String,
    /// Progress of the start.
    pub phase: Phase,
    /// Time of the stop.
    pub stopped_at: DateTime<Utc>,
    /// Members that ran.
    pub running: Selection,
    /// Members that a boot would start and an administrator had stopped. They stay down, and are not expected.
    pub left_down: Selection,
    /// Containers whose health check did not pass before the stop. A start does not wait for them.
    #[serde(default)]
    pub unwell: BTreeSet<String>,
    /// Units outside of the stack that systemd stopped along, and that a start has to start again.
    #[serde(default)]
    pub dependants: BTreeSet<String>,
}

/// A stack just before its stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateBefore {
    /// The members that run.
    pub running: Selection,
    /// The members that a boot would start.
    pub enabled: Selection,
    /// Containers whose health check does not pass.
    pub unwell: BTreeSet<String>,
    /// Active units outside of the stack that systemd will stop along.
    pub dependants: BTreeSet<String>,
}

impl Memory {
    /// Record before a stop, from the record of the stop before.
    #[must_use]
    pub fn of_stop(
        former: Option<&Self>,
        owner: &str,
        now: DateTime<Utc>,
        before: &StateBefore,
    ) -> Self {
        let StateBefore {
            running,
            enabled,
            unwell,
            dependants,
        } = before;
        let owed = former.filter(|memory| memory.phase == Phase::Stopped && memory.owner == owner);
        match owed {
            None => Self {
                owner: owner.to_owned(),
                phase: Phase::Stopped,
                stopped_at: now,
                running: running.clone(),
                left_down: enabled.without(running),
                unwell: unwell.clone(),
                dependants: dependants.clone(),
            },
            Some(owed) => {
                let running = owed.running.union(running);
                Self {
                    left_down: owed.left_down.without(&running),
                    dependants: &owed.dependants | dependants,
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

    fn before(running: &[&str], enabled: &[&str]) -> StateBefore {
        StateBefore {
            running: some(running),
            enabled: some(enabled),
            ..StateBefore::default()
        }
    }

    #[test]
    fn a_second_stop_forgets_no_dependant_and_excuses_nobody_else() {
        let now = DateTime::UNIX_EPOCH;
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let first = StateBefore {
            unwell: set(&["ill"]),
            dependants: set(&["proxy.service"]),
            ..before(&["a"], &["a"])
        };
        let second = StateBefore {
            unwell: set(&["starting"]),
            dependants: set(&["other.service"]),
            ..before(&["a"], &["a"])
        };
        let memory = Memory::of_stop(None, "root", now, &first);
        let memory = Memory::of_stop(Some(&memory), "root", now, &second);
        assert_eq!(memory.unwell, set(&["ill"]));
        assert_eq!(memory.dependants, set(&["other.service", "proxy.service"]));
    }

    #[test]
    fn a_record_of_an_earlier_version_is_read() {
        let text = r#"{"owner":"root","phase":"stopped","stopped_at":"2026-11-01T03:00:00Z","running":{"units":["a.service"],"containers":[]},"left_down":{"units":[],"containers":[]}}"#;
        let memory: Memory = serde_json::from_str(text).unwrap();
        assert!(memory.unwell.is_empty() && memory.dependants.is_empty());
    }

    #[test]
    fn a_second_stop_forgets_nothing() {
        let now = DateTime::UNIX_EPOCH;
        let enabled = some(&["a", "b", "c"]);
        let first = Memory::of_stop(None, "root", now, &before(&["a", "b"], &["a", "b", "c"]));
        assert_eq!(
            (&first.running, &first.left_down),
            (&some(&["a", "b"]), &some(&["c"]))
        );
        let second = Memory::of_stop(Some(&first), "root", now, &before(&["b"], &["a", "b", "c"]));
        assert_eq!(second, first);
        let third = Memory::of_stop(Some(&first), "root", now, &before(&["c"], &["a", "b", "c"]));
        assert_eq!(third.running, enabled);
        assert!(third.left_down.is_empty());
    }

    #[test]
    fn a_stop_after_a_start_begins_anew() {
        let now = DateTime::UNIX_EPOCH;
        let mut memory = Memory::of_stop(None, "root", now, &before(&["a"], &["a", "b"]));
        memory.phase = Phase::Started;
        let next = Memory::of_stop(Some(&memory), "root", now, &before(&["b"], &["a", "b"]));
        assert_eq!((next.running, next.left_down), (some(&["b"]), some(&["a"])));
        let elsewhere = Memory {
            phase: Phase::Stopped,
            owner: "alice".into(),
            ..memory
        };
        let next = Memory::of_stop(Some(&elsewhere), "root", now, &before(&["b"], &["a", "b"]));
        assert_eq!(next.running, some(&["b"]));
    }
}
