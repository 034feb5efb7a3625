//! Which systemd units are a service. Pure: what `systemctl` printed in, units out.
//!
//! A stack is every quadlet container, pod or kube unit, and every unit of `podman generate systemd`, that is
//! named after the service: `immich.service`, `immich-server.service`, `immich-pod.service`,
//! `container-immich.service`. Networks, volumes, images and builds are not among them: they do not run.
//!
//! Invariant: a unit belongs to the longest service name that fits, so `immich-kiosk` is no part of `immich`
//! once both are services.

use crate::names::ServiceName;

/// A unit, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `immich-server.service`
    pub id: String,
    /// The quadlet file that it was generated from, or its own file.
    pub source: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// `running`, `exited`, `dead`, …
    pub sub: String,
}

/// How a stack is, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// Every unit is active.
    Up,
    /// No unit is active, nor on its way to or from there.
    Down,
    /// Anything between.
    Partly,
    /// There is no unit.
    Nothing,
}

/// The properties to ask `systemctl show` for.
pub const PROPERTIES: &str = "--property=Id,SourcePath,FragmentPath,ActiveState,SubState,LoadState";

/// The unit names that may belong to a service, as patterns for `systemctl list-unit-files`.
#[must_use]
pub fn patterns(service: &ServiceName) -> Vec<String> {
    ["", "container-", "pod-"]
        .iter()
        .flat_map(|prefix| {
            [
                format!("{prefix}{service}.service"),
                format!("{prefix}{service}-*.service"),
            ]
        })
        .collect()
}

/// The first column of `systemctl list-unit-files` and `list-units`.
#[must_use]
pub fn names(listing: &str) -> Vec<String> {
    let mut names: Vec<String> = listing
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.ends_with(".service") && !name.ends_with("@.service"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The units in the output of `systemctl show`: blocks of `Name=value` lines.
#[must_use]
pub fn units(shown: &str) -> Vec<Unit> {
    shown
        .split("\n\n")
        .filter_map(|block| {
            let value = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                    .unwrap_or_default()
                    .to_owned()
            };
            let source = Some(value("SourcePath")).filter(|path| !path.is_empty());
            let unit = Unit {
                id: value("Id"),
                source: source.unwrap_or_else(|| value("FragmentPath")),
                active: value("ActiveState"),
                sub: value("SubState"),
            };
            (!unit.id.is_empty() && value("LoadState") == "loaded").then_some(unit)
        })
        .collect()
}

/// Whether a unit is part of a service's stack, given the names of all services.
#[must_use]
pub fn belongs(unit: &Unit, service: &ServiceName, all: &[ServiceName]) -> bool {
    let Some(stem) = unit.id.strip_suffix(".service") else {
        return false;
    };
    let quadlet = unit.source.contains("/containers/systemd/");
    let runs = [".container", ".pod", ".kube"]
        .iter()
        .any(|kind| unit.source.ends_with(kind));
    if quadlet && !runs {
        return false;
    }
    let stem = if quadlet {
        stem
    } else {
        ["container-", "pod-"]
            .iter()
            .find_map(|prefix| stem.strip_prefix(prefix))
            .unwrap_or(stem)
    };
    let generated = quadlet || unit.id.starts_with("container-") || unit.id.starts_with("pod-");
    let fits = |name: &str| {
        stem == name
            || (generated
                && stem
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('-')))
    };
    let longer = all
        .iter()
        .any(|other| other.as_str().len() > service.as_str().len() && fits(other.as_str()));
    fits(service.as_str()) && !longer
}

/// How a stack is, as a whole.
#[must_use]
pub fn whole(units: &[Unit]) -> Whole {
    let active = units.iter().filter(|unit| unit.active == "active").count();
    let resting = units
        .iter()
        .filter(|unit| matches!(unit.active.as_str(), "inactive" | "failed"))
        .count();
    match units.len() {
        0 => Whole::Nothing,
        all if active == all => Whole::Up,
        all if resting == all => Whole::Down,
        _ => Whole::Partly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServiceName {
        ServiceName::parse(text).unwrap()
    }

    fn unit(id: &str, source: &str, active: &str) -> Unit {
        Unit {
            id: id.into(),
            source: source.into(),
            active: active.into(),
            sub: String::new(),
        }
    }

    const QUADLETS: &str = "/etc/containers/systemd";

    #[test]
    fn the_output_of_systemctl_is_read() {
        let shown = "Id=app.service\nSourcePath=/etc/containers/systemd/app.container\nFragmentPath=/run/systemd/generator/app.service\nActiveState=active\nSubState=running\nLoadState=loaded\n\nId=gone.service\nActiveState=inactive\nSubState=dead\nLoadState=not-found\n";
        assert_eq!(
            units(shown),
            [Unit {
                id: "app.service".into(),
                source: "/etc/containers/systemd/app.container".into(),
                active: "active".into(),
                sub: "running".into(),
            }]
        );
        assert_eq!(
            names("app.service generated -\napp@.service x\nb.service a\napp.service loaded"),
            ["app.service", "b.service"]
        );
    }

    #[test]
    fn a_stack_is_what_runs_under_the_services_name() {
        let all = [name("immich"), name("immich-kiosk")];
        let check = |id: &str, source: &str, expected: bool| {
            assert_eq!(
                belongs(&unit(id, source, "active"), &name("immich"), &all),
                expected,
                "{id}"
            );
        };
        check(
            "immich.service",
            &format!("{QUADLETS}/immich.container"),
            true,
        );
        check(
            "immich-server.service",
            &format!("{QUADLETS}/immich-server.container"),
            true,
        );
        check(
            "immich-pod.service",
            &format!("{QUADLETS}/immich.pod"),
            true,
        );
        check(
            "immich-network.service",
            &format!("{QUADLETS}/immich.network"),
            false,
        );
        check(
            "immich-kiosk.service",
            &format!("{QUADLETS}/immich-kiosk.container"),
            false,
        );
        check(
            "immich-kiosk-pod.service",
            &format!("{QUADLETS}/immich-kiosk.pod"),
            false,
        );
        check(
            "immichx.service",
            &format!("{QUADLETS}/immichx.container"),
            false,
        );
        check(
            "container-immich.service",
            "/etc/systemd/system/container-immich.service",
            true,
        );
        check("immich.service", "/etc/systemd/system/immich.service", true);
        check(
            "immich-cleanup.service",
            "/etc/systemd/system/immich-cleanup.service",
            false,
        );
    }

    #[test]
    fn a_stack_is_up_or_down_only_as_a_whole() {
        let states = |states: &[&str]| {
            whole(
                &states
                    .iter()
                    .map(|state| unit("a.service", "", state))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(states(&[]), Whole::Nothing);
        assert_eq!(states(&["active", "active"]), Whole::Up);
        assert_eq!(states(&["inactive", "failed"]), Whole::Down);
        assert_eq!(states(&["active", "inactive"]), Whole::Partly);
        assert_eq!(states(&["deactivating"]), Whole::Partly);
    }
}
