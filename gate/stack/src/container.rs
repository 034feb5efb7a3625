//! Containers, as `podman ps` and `podman container inspect` print them, and which of them are a service's.
//!
//! A container is a service's by the unit that its label names, by the compose project in its labels, by its pod, or
//! by its own name.
//!
//! Invariant: the user who owns this Podman wrote everything here. It is read as data of a known shape, bounded in
//! number; a name that could be anything else than a name ends the reading.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::naming::{is_container, is_unit, service_named, service_of};
use super::unit::Unit;
use base::names::ServiceName;

/// The most containers that one user may have.
const MOST: usize = 1000;

/// The unit that manages a container; Podman's own convention.
const UNIT_LABEL: &str = "PODMAN_SYSTEMD_UNIT";

/// The compose project of a container, as podman-compose and docker-compose write it.
const PROJECT_LABELS: [&str; 2] = ["io.podman.compose.project", "com.docker.compose.project"];

/// State of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs, or is paused.
    Running,
    /// On its way.
    Changing,
    /// It does not run.
    Resting,
}

/// Result of its health check.
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
    /// True unless its health check fails or has yet to pass.
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
    /// Running or not.
    pub life: Life,
    /// Result of its health check.
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
    /// Time of creation. Only after [`add_details`]: the listing knows it to the second, and compose is quicker.
    pub created: Option<DateTime<Utc>>,
    /// Containers that have to run before it, by id. Only after [`add_details`].
    pub requires: Vec<String>,
    /// True if Podman starts it again by itself, also after a boot. Only after [`add_details`].
    pub restarts: bool,
}

/// Time after its end in which Podman may start a container again by itself.
const RESTART: TimeDelta = TimeDelta::seconds(15);

impl Container {
    /// True if it should run, without other information: it does, or it broke.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        !self.fleeting && (self.life != Life::Resting || self.broken)
    }

    /// True when a stop was begun and not brought to its end. Podman does not start such a container.
    #[must_use]
    pub fn is_half_stopped(&self) -> bool {
        self.words == "stopping"
    }

    /// Its state, for people.
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
/// The input differs from Podman's form.
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
            base::wire::printable(name.as_bytes())
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
    #[serde(default)]
    state: State,
    #[serde(default)]
    restart_count: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    mounts: Option<Vec<Mount>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    finished_at: Option<DateTime<Utc>>,
    #[serde(default)]
    stopped_by_user: bool,
    #[serde(default)]
    exit_code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    #[serde(default)]
    source: String,
    #[serde(default, rename = "RW")]
    rw: bool,
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
    #[serde(default)]
    maximum_retry_count: u64,
}

impl Inspected {
    /// True when Podman is about to start an ended container again: it ended by itself, a moment ago, and has such a policy.
    fn starts_again(&self, now: DateTime<Utc>) -> bool {
        let policy = &self.host_config.restart_policy;
        let tries_left =
            policy.maximum_retry_count == 0 || self.restart_count < policy.maximum_retry_count;
        let wanted = match policy.name.as_str() {
            "always" | "unless-stopped" => true,
            "on-failure" => self.state.exit_code != 0 && tries_left,
            _ => false,
        };
        let just_now = self
            .state
            .finished_at
            .is_some_and(|at| (now - at).abs() < RESTART);
        wanted && just_now && !self.state.stopped_by_user
    }
}

/// The containers in the output of `podman container inspect` that can write to a folder, or to a folder in it: their
/// names, and the folders that they mount.
///
/// # Errors
/// The input differs from Podman's form.
pub fn writers(json: &[u8], folder: &str) -> Result<Vec<(String, String)>, String> {
    let inspected: Vec<Inspected> = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let inside = |source: &str| {
        source
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut found = Vec::new();
    for one in inspected {
        let mount = one.mounts.unwrap_or_default().into_iter();
        let mount = mount
            .filter(|mount| mount.rw)
            .find(|mount| inside(&mount.source));
        if let Some(mount) = mount.filter(|_| is_container(&one.name)) {
            found.push((one.name, mount.source));
        }
    }
    Ok(found)
}

/// Adds the facts that only `podman container inspect` prints.
///
/// # Errors
/// The input differs from Podman's form.
pub fn add_details(
    containers: &mut [Container],
    json: &[u8],
    now: DateTime<Utc>,
) -> Result<(), String> {
    let inspected: Vec<Inspected> = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    for one in inspected {
        if let Some(container) = containers.iter_mut().find(|known| known.id == one.id) {
            if container.life == Life::Resting && one.starts_again(now) {
                container.life = Life::Changing;
                container.words = format!("{} (about to be started again)", container.words);
            }
            container.created = one.created;
            container.requires = one.dependencies.unwrap_or_default();
            let policy = one.host_config.restart_policy.name;
            container.restarts = matches!(policy.as_str(), "always" | "unless-stopped");
        }
    }
    Ok(())
}

/// True if a container is part of a service's stack, given its units and the names of all services.
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
    if let Some(named) = project.and_then(|project| service_named(project, services)) {
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
