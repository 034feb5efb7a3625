//! The neighbours of a stack: containers that write to its data, and units that systemd stops along.
//!
//! Invariant: a neighbour is noted before the stop, and never stopped unless the configuration says so.

use std::collections::BTreeSet;

use super::find::{MOST_MEMBERS, Recorded, Tools, tool};
use super::owner::Owner;
use crate::{Container, Dependant, Life, Stack, container, unit};
use base::error::Failure;

impl Tools<'_> {
    /// Running containers outside of the stack that can write to a folder, and the folders that they mount.
    pub(super) fn writers(
        &mut self,
        owner: &Owner,
        stack: &Stack,
        folder: &str,
    ) -> Result<Vec<(Container, String)>, Failure> {
        let known = |one: &Container| stack.containers.iter().any(|member| member.id == one.id);
        let others: Vec<Container> = self
            .listed
            .iter()
            .filter(|one| one.life != Life::Resting && !known(one))
            .cloned()
            .collect();
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let mut words = vec!["container", "inspect", "--"];
        words.extend(others.iter().map(|one| one.name.as_str()));
        let what = "reading the mounts of containers";
        let json = self.ask(owner.podman(self.left()), &words, what, self.until)?;
        let found = container::writers(&json, folder).map_err(tool(what))?;
        let with_container = found.into_iter().filter_map(|(name, source)| {
            let one = others.iter().find(|one| one.name == name)?;
            Some((one.clone(), source))
        });
        Ok(with_container.collect())
    }

    /// Makes a container of another name a member of the stack from now on, with its unit if it has one.
    pub(super) fn adopt(&mut self, owner: &Owner, one: &Container) {
        if self.recorded.owner != owner.name() {
            self.recorded = Recorded {
                owner: owner.name().to_owned(),
                ..Recorded::default()
            };
        }
        match &one.unit {
            Some(unit) => self.recorded.units.insert(unit.clone()),
            None => self.recorded.containers.insert(one.name.clone()),
        };
    }

    /// The active units outside of a stack that systemd will stop along.
    pub(super) fn taken_down(
        &mut self,
        owner: &Owner,
        stack: &Stack,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut known: BTreeSet<String> = stack.units.iter().map(|unit| unit.id.clone()).collect();
        let mut found = BTreeSet::new();
        let mut next: Vec<String> = stack
            .units
            .iter()
            .flat_map(|unit| unit.stops.clone())
            .collect();
        loop {
            next.retain(|name| crate::naming::is_unit(name) && known.insert(name.clone()));
            if next.is_empty() {
                return Ok(found);
            }
            if known.len() > 4 * MOST_MEMBERS {
                return Err(tool("finding what systemd stops with a stack")(
                    "there are too many units".into(),
                ));
            }
            let seen = self.dependants(owner, &next)?;
            next = seen
                .iter()
                .filter(|unit| unit.active)
                .flat_map(|unit| unit.stops.clone())
                .collect();
            let active = seen
                .into_iter()
                .filter(|unit| unit.active && unit.startable);
            found.extend(active.map(|unit| unit.id));
        }
    }

    /// Asks systemd about units of any kind.
    pub(super) fn dependants(
        &mut self,
        owner: &Owner,
        names: &[String],
    ) -> Result<Vec<Dependant>, Failure> {
        let mut words = vec!["show", unit::PROPERTIES, "--"];
        words.extend(names.iter().map(String::as_str));
        let shown = self.ask(owner.systemctl(), &words, "reading units", self.until)?;
        Ok(unit::parse_dependants(&String::from_utf8_lossy(&shown)))
    }
}
