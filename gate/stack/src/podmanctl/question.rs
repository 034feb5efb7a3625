//! The questions about all units and containers of one owner, and the parts of the answer.

use std::time::Instant;

use super::owner::Owner;
use crate::Container;

/// One question to one owner's tools.
pub(super) struct Question {
    pub(super) argv: Vec<String>,
    pub(super) what: &'static str,
    pub(super) until: Instant,
    /// True when Podman is asked for containers, false when systemd is asked for units.
    pub(super) containers: bool,
}

/// A part of an inventory.
pub(super) enum Part {
    Units(Vec<String>),
    Containers(Vec<Container>),
}

impl Question {
    pub(super) fn units(owner: &Owner, until: Instant) -> Self {
        let mut argv = owner.systemctl();
        let words = [
            "list-unit-files",
            "--type=service",
            "--no-legend",
            "--plain",
            "--full",
        ];
        argv.extend(words.map(str::to_owned));
        Self {
            argv,
            what: "listing units",
            until,
            containers: false,
        }
    }

    pub(super) fn containers(owner: &Owner, now: Instant, until: Instant) -> Self {
        let mut argv = owner.podman(until.saturating_duration_since(now));
        argv.extend(["ps", "--all", "--pod", "--format", "json"].map(str::to_owned));
        Self {
            argv,
            what: "listing containers",
            until,
            containers: true,
        }
    }
}
