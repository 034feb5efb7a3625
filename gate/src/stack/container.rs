//! Containers, as `podman ps` and `podman container inspect` print them, and which of them are a service's.
//!
//! A container is a service's by the unit that its label names, by the compose project in its labels, by its pod, or
//! by its own name.
//!
//! Invariant: everything here was written by the user whose Podman it is. It is read as data of a known shape, bounded
//! in number, and a name that could be anything else than a name ends the reading.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::naming::{is_container, is_unit, service_of};
use super::unit::Unit;
use crate::names::ServiceName;

/// The most containers that one user may have.
const MOST: usize = 1000;

/// The unit that manages a container; Podman's own convention.
const UNIT_LABEL: &str = "PODMAN_SYSTEMD_UNIT";

/// The compose project of a container, as podman-compose and docker-compose write it.
const PROJECT_LABELS: [&str; 2] = ["io.podman.compose.project", "com.docker.compose.project"];

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs, or is paused.
    Running,
    /// On its way.
    Changing,
    /// It does not run.
    Resting,
}

/// What its health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// There is no check.
    Unchecked,
    /// The check has not passed yet.
    Starting,
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

impl Health {
    /// Whether nothing speaks against the container.
    #[must_use]
    pub fn is_fine(self) -> bool {
        matches!(self, Self::Unchecked | Self::Healthy)
    }
}

/// A container, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// `immich_server`
    pub name: String,
    /// Whether it runs.
    pub life: Life,
    /// What its health check says.
    pub health: Health,
    /// Podman's own words.
    pub words: String,
    /// The unit that manages it, says its label.
    pub unit: Option<String>,
    /// The compose project that it is of, says its label.
    pub project: Option<String>,
    /// Its pod.
    pub pod: Option<String>,
    /// Removed when it stops (`--rm`), so that it cannot be started again.
    pub fleeting: bool,
    /// It ended with an error.
    pub broken: bool,
    /// When it was made. Only after [`add_details`]: the listing knows it to the second, and compose is quicker.
    pub created: Option<DateTime<Utc>>,
    /// Containers that have to run before it, by id. Only after [`add_details`].
    pub requires: Vec<String>,
    /// Whether Podman starts it again by itself, after a boot too. Only after [`add_details`].
    pub restarts: bool,
}

impl Container {
    /// Whether, without anything else to go by, it should run: it does, or it broke.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        !self.fleeting && (self.life != Life::Resting || self.broken)
    }

    /// How it is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.health {
            Health::Unchecked => self.words.clone(),
            Health::Starting => format!("{} (health check has not passed yet)", self.words),
            Health::Healthy => format!("{} (healthy)", self.words),
            Health::Unhealthy => format!("{} (unhealthy)", self.words),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    names: Vec<String>,
    state: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pod_name: String,
    #[serde(default)]
    auto_remove: bool,
    #[serde(default)]
    exited: bool,
    #[serde(default)]
    exit_code: i64,
}

/// The output of `podman ps --all --pod --format json`.
///
/// # Errors
/// When it is not what Podman would write.
pub fn parse(json: &[u8]) -> Result<Vec<Container>, String> {
    let listed: Option<Vec<Listed>> = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let listed = listed.unwrap_or_default();
    if listed.len() > MOST {
        return Err(format!("more than {MOST} containers"));
    }
    listed.into_iter().map(container).collect()
}

fn container(listed: Listed) -> Result<Container, String> {
    let Some(name) = listed.names.into_iter().next() else {
        return Err("a container without a name".into());
    };
    let hexadecimal = listed.id.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_container(&name) || listed.id.len() != 64 || !hexadecimal {
        return Err(format!(
            "'{}' is no name of a container",
            crate::wire::printable(name.as_bytes())
        ));
    }
    let labels = listed.labels.unwrap_or_default();
    let project = PROJECT_LABELS.iter().find_map(|label| labels.get(*label));
    let life = match listed.state.as_str() {
        "running" | "paused" => Life::Running,
        "created" | "configured" | "exited" | "stopped" | "dead" => Life::Resting,
        _ => Life::Changing,
    };
    // The state of the check is only in the words for people: "Up 5 minutes (healthy)".
    let health = match listed.status.rsplit_once(" (") {
        Some((_, "starting)")) => Health::Starting,
        Some((_, "healthy)")) => Health::Healthy,
        Some((_, "unhealthy)")) => Health::Unhealthy,
        _ => Health::Unchecked,
    };
    Ok(Container {
        id: listed.id,
        name,
        life,
        health,
        unit: labels.get(UNIT_LABEL).filter(|unit| is_unit(unit)).cloned(),
        project: project.cloned(),
        pod: Some(listed.pod_name).filter(|pod| !pod.is_empty()),
        fleeting: listed.auto_remove,
        broken: listed.exited && listed.exit_code != 0,
        created: None,
        words: listed.state,
        requires: Vec::new(),
        restarts: false,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    created: Option<DateTime<Utc>>,
    #[serde(default)]
    dependencies: Option<Vec<String>>,
    #[serde(default)]
    host_config: HostConfig,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    restart_policy: RestartPolicy,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct RestartPolicy {
    #[serde(default)]
    name: String,
}

/// Adds what only `podman container inspect` tells.
///
/// # Errors
/// When it is not what Podman would write.
pub fn add_details(containers: &mut [Container], json: &[u8]) -> Result<(), String> {
    let inspected: Vec<Inspected> = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    for one in inspected {
        if let Some(container) = containers.iter_mut().find(|known| known.id == one.id) {
            container.created = one.created;
            container.requires = one.dependencies.unwrap_or_default();
            let policy = one.host_config.restart_policy.name;
            container.restarts = matches!(policy.as_str(), "always" | "unless-stopped");
        }
    }
    Ok(())
}

/// Whether a container is part of a service's stack, given its units and the names of all services.
#[must_use]
pub fn belongs(
    container: &Container,
    units: &[Unit],
    service: &ServiceName,
    services: &[ServiceName],
) -> bool {
    if let Some(unit) = &container.unit
        && units.iter().any(|known| known.id == *unit)
    {
        return true;
    }
    let project = container.project.as_deref();
    if let Some(named) = project.and_then(|project| services.iter().find(|s| s.as_str() == project))
    {
        return named == service;
    }
    let bare = |name: &str, prefixes: &[&str]| {
        let name = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
        name.map(str::to_owned)
    };
    // Quadlet puts systemd- before the names of containers and pods, podman-compose pod_ before those of pods.
    let name = bare(&container.name, &["systemd-"]).unwrap_or_else(|| container.name.clone());
    let pod = container.pod.as_deref();
    let pod = pod.map(|pod| bare(pod, &["systemd-", "pod_"]).unwrap_or_else(|| pod.to_owned()));
    let by_pod = pod.and_then(|pod| service_of(&pod, services).cloned());
    let owner = service_of(&name, services).cloned().or(by_pod);
    owner.as_ref() == Some(service)
}

#[cfg(test)]
mod tests;
