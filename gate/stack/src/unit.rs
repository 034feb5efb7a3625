//! systemd units, as `systemctl` prints them, and which of them are a service's.
//!
//! A service's units are the quadlet containers, pods and kube files named after it, the units that `podman generate
//! systemd` made for containers and pods of its name, a unit of exactly its name, and the units in the labels of its
//! containers. Networks, volumes, images and builds do not run.
//!
//! Invariant: a label of a container, which an image may bring along, makes no unit a member that is not about
//! containers or bears another service's name.

use super::naming::{is_unit, service_named, service_of, spellings};
use base::names::ServiceName;
use base::sort;

/// The properties to ask `systemctl show` for.
pub const PROPERTIES: &str = "--property=Id,SourcePath,FragmentPath,LoadState,ActiveState,SubState,Job,Type,RemainAfterExit,After,WantedBy,RequiredBy,UpheldBy,BoundBy,RequisiteOf,ConsistsOf,PropagatesStopTo,TriggeredBy";

/// Role of a unit in the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It runs something.
    Service,
    /// It starts a service on a connection.
    Socket,
    /// It starts a service at a time, or when a file changes.
    Timer,
}

/// State of a unit in systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It runs.
    Active,
    /// On its way up or down, waiting to be started again, or about to be started.
    Changing,
    /// It does not run, and nothing is about to change that.
    Resting,
    /// As resting, after it went wrong.
    Failed,
}

/// A unit, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `immich-server.service`
    pub id: String,
    /// Its role in the stack.
    pub kind: Kind,
    /// The quadlet file that it was generated from, or its own file.
    pub source: String,
    /// True for a unit that a generator made, as Quadlet does.
    pub generated: bool,
    /// Running or not.
    pub activity: Activity,
    /// systemd's own words: `active (running)`.
    pub words: String,
    /// True if it is meant to stay up. A oneshot job comes and goes by itself.
    pub lasting: bool,
    /// True if its file exists, so that it can be started.
    pub startable: bool,
    /// Units that pull it in.
    pub wanted_by: Vec<String>,
    /// Units after which it is started, and before which it is stopped.
    pub after: Vec<String>,
    /// Sockets, timers and paths that start it.
    pub triggered_by: Vec<String>,
    /// Units that systemd stops along.
    pub stops: Vec<String>,
}

/// A unit that systemd stops with others, of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependant {
    /// `proxy.service`, `web.target`
    pub id: String,
    /// The unit runs.
    pub active: bool,
    /// The unit could be started.
    pub startable: bool,
    /// Units that systemd stops along.
    pub stops: Vec<String>,
}

/// The kinds of units that can be started again by their name. Slices and scopes cannot, and hold all sorts of things.
const STARTABLE: [&str; 8] = [
    "service",
    "socket",
    "timer",
    "path",
    "target",
    "mount",
    "automount",
    "swap",
];

/// The properties that name units which systemd stops with a unit, see systemd.unit(5).
const STOPS: [&str; 5] = [
    "RequiredBy",
    "RequisiteOf",
    "BoundBy",
    "ConsistsOf",
    "PropagatesStopTo",
];

impl Unit {
    /// True if it is down and stays down.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        matches!(self.activity, Activity::Resting | Activity::Failed)
    }

    /// Its state, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.words.clone()
    }
}

/// The names of all service units, from `systemctl list-unit-files --type=service`, that may be of interest: those
/// named after one of the services, and all that a generator made.
#[must_use]
pub fn candidates(listing: &str, services: &[ServiceName]) -> Vec<String> {
    let names = listing.lines().filter_map(|line| {
        let mut columns = line.split_whitespace();
        let (name, state) = (columns.next()?, columns.next().unwrap_or_default());
        let stem = stem(name)?;
        let interesting = state == "generated" || service_of(stem, services).is_some();
        (is_unit(name) && interesting && !name.contains("@.")).then(|| name.to_owned())
    });
    names.collect()
}

/// Patterns for units that exist only while they are loaded: instances of templates, and units whose file is gone.
#[must_use]
pub fn patterns(service: &ServiceName) -> Vec<String> {
    let spellings = spellings(service);
    let names = ["", "container-", "pod-"]
        .iter()
        .flat_map(|prefix| spellings.iter().map(move |name| format!("{prefix}{name}")));
    names
        .flat_map(|name| [format!("{name}[-_@]*.service"), format!("{name}.service")])
        .collect()
}

/// The units in the output of `systemctl show`: blocks of `Name=value` lines.
#[must_use]
pub fn parse(shown: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = shown.split("\n\n").filter_map(block).collect();
    sort::sort_by(&mut units, |a, b| a.id.cmp(&b.id));
    units.dedup_by(|a, b| a.id == b.id);
    units
}

/// The units in the output of `systemctl show` as units that others take down with them.
#[must_use]
pub fn parse_dependants(shown: &str) -> Vec<Dependant> {
    let blocks = shown.split("\n\n").filter_map(|block| {
        let id = value(block, "Id");
        let kind = id.rsplit_once('.')?.1;
        (is_unit(id) && STARTABLE.contains(&kind)).then(|| Dependant {
            id: id.to_owned(),
            active: matches!(value(block, "ActiveState"), "active" | "reloading"),
            startable: value(block, "LoadState") == "loaded",
            stops: list(block, &STOPS),
        })
    });
    blocks.collect()
}

/// A property of a unit.
fn value<'b>(block: &'b str, name: &str) -> &'b str {
    block
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_default()
}

/// The words of some properties of a unit.
fn list(block: &str, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .flat_map(|name| value(block, name).split_whitespace())
        .map(str::to_owned)
        .collect()
}

fn block(block: &str) -> Option<Unit> {
    let value = |name: &str| value(block, name);
    let list = |names: &[&str]| list(block, names);
    let id = value("Id");
    let kind = match id.rsplit_once('.')?.1 {
        "service" => Kind::Service,
        "socket" => Kind::Socket,
        "timer" | "path" => Kind::Timer,
        _ => return None,
    };
    let (active, sub) = (value("ActiveState"), value("SubState"));
    let activity = match active {
        "active" | "reloading" | "refreshing" => Activity::Active,
        // A queued job will change that.
        "inactive" | "failed" if !matches!(value("Job"), "" | "0") => Activity::Changing,
        "inactive" => Activity::Resting,
        "failed" => Activity::Failed,
        _ => Activity::Changing,
    };
    let startable = value("LoadState") == "loaded";
    // A unit that neither exists nor runs is only a name in another unit.
    if !is_unit(id) || (!startable && matches!(activity, Activity::Resting | Activity::Failed)) {
        return None;
    }
    let source = Some(value("SourcePath")).filter(|path| !path.is_empty());
    Some(Unit {
        id: id.to_owned(),
        kind,
        source: source.unwrap_or_else(|| value("FragmentPath")).to_owned(),
        generated: value("FragmentPath").contains("/systemd/generator"),
        activity,
        words: format!("{active} ({sub})"),
        lasting: value("Type") != "oneshot" || value("RemainAfterExit") == "yes",
        startable,
        wanted_by: list(&["WantedBy", "RequiredBy", "UpheldBy", "BoundBy"]),
        after: list(&["After"]),
        triggered_by: list(&["TriggeredBy"]),
        stops: list(&STOPS),
    })
}

/// The name of a service unit without its suffix, its instance, and the prefixes of tools.
fn stem(id: &str) -> Option<&str> {
    let name = id.strip_suffix(".service")?;
    let name = name.split_once('@').map_or(name, |(template, _)| template);
    Some(generated_name(name).unwrap_or(name))
}

/// The name that `podman generate systemd` made a unit from.
fn generated_name(name: &str) -> Option<&str> {
    ["container-", "pod-"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
}

/// The name and the extension of the quadlet that a unit was generated from. The file may lie elsewhere, with a link to
/// it, or to its folder, where Quadlet looks.
fn quadlet(unit: &Unit) -> Option<(&str, &str)> {
    const KINDS: [&str; 7] = [
        "container",
        "pod",
        "kube",
        "volume",
        "network",
        "image",
        "build",
    ];
    let (folder, file) = unit.source.rsplit_once('/')?;
    let inside = folder.contains("/containers/systemd");
    file.rsplit_once('.')
        .filter(|(_, kind)| inside || (unit.generated && KINDS.contains(kind)))
}

/// True if a unit is part of a service's stack, given the names of all services.
#[must_use]
pub fn belongs(unit: &Unit, service: &ServiceName, services: &[ServiceName]) -> bool {
    let Some(stem) = stem(&unit.id) else {
        return false;
    };
    let ours = |name: &str| service_of(name, services) == Some(service);
    if let Some((file, kind)) = quadlet(unit) {
        return matches!(kind, "container" | "pod" | "kube") && ours(file.trim_end_matches('@'));
    }
    let by_tool = unit.id.starts_with("container-") || unit.id.starts_with("pod-");
    service_named(stem, services) == Some(service) || (by_tool && ours(stem))
}

/// True if the label of one of the service's containers may make this unit a member.
#[must_use]
pub fn may_be_named(unit: &Unit, service: &ServiceName, services: &[ServiceName]) -> bool {
    let Some(stem) = stem(&unit.id) else {
        return false;
    };
    let about_containers = quadlet(unit).is_some() || generated_name(&unit.id).is_some();
    match service_of(stem, services) {
        Some(owner) => owner == service,
        None => about_containers,
    }
}

#[cfg(test)]
mod tests;
