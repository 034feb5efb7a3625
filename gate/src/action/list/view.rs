//! The inventory as lines for a terminal of 80 columns, and as JSON.
//!
//! Invariant: both show the same facts; neither queries a remote or the host.

use chrono::{DateTime, NaiveDate};
use serde_json::{Value, json};

use super::aside::kept_until;
use super::local::{Found, Here};
use super::remote::{Holding, Inventory, MirrorCount};
use super::standing::MirrorStanding;
use crate::action::night::share;
use base::measure;
use base::proof::{CopyKind, Proof, Started};

/// A line with a label and its text.
fn labelled(label: &str, words: &str) -> String {
    format!("    {label:<10} {words}")
}

/// `keeps` is the number of days for which archives that were put aside are kept.
pub(super) fn text(
    inventories: &[Inventory],
    here: &Here,
    today: NaiveDate,
    keeps: u32,
) -> Vec<String> {
    let mut lines = Vec::new();
    for inventory in inventories {
        lines.push(inventory.remote.to_string());
        if let Some(problem) = &inventory.problem {
            lines.push(format!("  cannot be read: {problem}"));
        }
        for (service, (mirror, holding)) in &inventory.services {
            lines.push(format!("  {service}"));
            lines.push(labelled("mirror", &mirrored(mirror)));
            lines.extend(standing(inventory, service.as_str(), here));
            lines.extend(held(holding, today, keeps));
        }
        for (target, mirror) in &inventory.extra {
            lines.push(format!("  extra {target}"));
            lines.push(labelled("mirror", &mirrored(mirror)));
            lines.extend(standing(inventory, &format!("extra-{target}"), here));
        }
        if !inventory.strangers.is_empty() {
            lines.push("  not in the configuration".into());
            let each = inventory.strangers.iter();
            lines.extend(each.map(|name| format!("    {name}")));
        }
    }
    lines.push("this host".into());
    if here.services.is_empty() {
        lines.push("  nothing is left over, stopped or being worked on".into());
    }
    for (service, local) in &here.services {
        lines.push(format!("  {service}"));
        if let Some(lease) = &local.stopped {
            let ago = measure::since(here.now - lease.stopped.utc);
            lines.push(labelled("stopped", &format!("by the gate, {ago}")));
        }
        if let Some(holder) = &local.busy {
            lines.push(labelled("busy", &format!("with {holder}")));
        }
        // While an action works on the service, the files in the spool are in use.
        let word = if local.busy.is_some() {
            "spool"
        } else {
            "left over"
        };
        lines.extend(local.spool.iter().flat_map(|found| place(word, found)));
        lines.extend(
            local
                .beside
                .iter()
                .flat_map(|found| place("restored", found)),
        );
        let proofs = local.proofs.iter();
        lines.extend(proofs.flat_map(|one| proof(one, here)));
    }
    if !here.unusable.is_empty() {
        lines.push("  cannot be services".into());
    }
    for one in &here.unusable {
        lines.push(format!("    {}", one.place));
        lines.push(format!("      {}", one.reason));
    }
    lines
}

/// The result of a rehearsal.
fn proof(proof: &Proof, here: &Here) -> [String; 2] {
    let (label, end) = match (&proof.finding, proof.started) {
        (Some(finding), _) => ("not proven", finding.clone()),
        (None, Started::Healthy) => ("proven", "started".to_owned()),
        (None, Started::Unhealthy | Started::Impossible) => ("proven", "not started".to_owned()),
    };
    let copy = match proof.copy {
        CopyKind::Archive => proof.name.clone(),
        CopyKind::Mirror => format!("mirror as of {}", proof.name),
    };
    let at = DateTime::parse_from_rfc3339(&proof.at);
    let age = at.map_or_else(
        |_| proof.at.clone(),
        |at| measure::since(here.now - at.to_utc()),
    );
    let share = match proof.percent {
        100 => String::new(),
        percent => format!("{percent} % of it, "),
    };
    let databases = measure::count(proof.databases, "database");
    let words = match proof.finding {
        Some(_) => end,
        None => format!("{share}digests, {databases}, {end}"),
    };
    [
        labelled(label, &format!("{copy}, {age}")),
        labelled("", &words),
    ]
}

fn place(label: &str, found: &Found) -> [String; 2] {
    let age = measure::since(found.age);
    let words = match found.bytes {
        Some(bytes) => format!("{}, written {age}", measure::size(bytes)),
        None => format!("written {age}"),
    };
    [labelled(label, &found.path), labelled("", &words)]
}

fn mirrored(mirror: &MirrorCount) -> String {
    match mirror {
        MirrorCount::Absent => "none".into(),
        MirrorCount::Counted { files, bytes } => {
            let files = measure::count(*files, "file");
            format!("{files}, {}", measure::size(*bytes))
        }
        MirrorCount::Uncounted(reason) => format!("not counted: {reason}"),
    }
}

/// The night that a mirror is the copy of; nothing for a mirror without books.
fn standing(inventory: &Inventory, subject: &str, here: &Here) -> Vec<String> {
    let words = match inventory.standings.get(subject) {
        None => return Vec::new(),
        Some(MirrorStanding::Complete {
            as_of,
            in_transition,
        }) => {
            let age = measure::since(here.now - as_of.moment());
            let mut words = vec![format!("complete as of {as_of}, {age}")];
            if *in_transition {
                words.push("a --sync still has to move files to their places".into());
            }
            words
        }
        Some(MirrorStanding::FirstUpload { done, all }) => vec![
            "complete as of: never".into(),
            format!("first upload: {}", share(*done, *all)),
        ],
        Some(MirrorStanding::Unknown(reason)) => {
            vec![format!("complete as of: unknown, {reason}")]
        }
    };
    words.iter().map(|words| labelled("", words)).collect()
}

fn held(holding: &Holding, today: NaiveDate, keeps: u32) -> Vec<String> {
    let mut lines = Vec::new();
    if holding.archives.is_empty() {
        lines.push(labelled("archives", "none"));
    }
    for (at, stored) in holding.archives.iter().enumerate() {
        let date = stored.name.date();
        let age = measure::days_ago((today - date).num_days());
        let manifest = if stored.manifest { "" } else { ", no manifest" };
        let size = measure::size(stored.bytes);
        let label = if at == 0 { "archives" } else { "" };
        lines.push(labelled(
            label,
            &format!("{date}  {size:>10}  {age}{manifest}"),
        ));
    }
    for (at, (stored, day)) in holding.aside.iter().enumerate() {
        let date = stored.name.date();
        let size = measure::size(stored.bytes);
        let manifest = if stored.manifest { "" } else { ", no manifest" };
        let label = if at == 0 { "put aside" } else { "" };
        let last = kept_until(*day, keeps);
        lines.push(labelled(
            label,
            &format!("{date}  {size:>10}  vanishes after {last}{manifest}"),
        ));
    }
    if let (Some(first), Some(last)) = (holding.versions.first(), holding.versions.last()) {
        let days = measure::count(holding.versions.len() as u64, "day");
        lines.push(labelled("versions", &format!("{days}, {first} to {last}")));
    }
    for (name, bytes) in &holding.leftovers {
        let size = measure::size(*bytes);
        lines.push(labelled("left over", &format!("{name}, {size}")));
    }
    lines
}

pub(super) fn json(inventories: &[Inventory], here: &Here, keeps: u32) -> Value {
    let remotes: Vec<Value> = inventories.iter().map(|one| remote(one, keeps)).collect();
    let local: serde_json::Map<String, Value> = here
        .services
        .iter()
        .map(|(service, local)| {
            let found = |found: &Found| {
                json!({
                    "path": found.path,
                    "bytes": found.bytes,
                    "age_seconds": found.age.num_seconds(),
                })
            };
            let value = json!({
                "stopped_at": local.stopped.as_ref().map(|lease| lease.stopped.utc.to_rfc3339()),
                "busy": local.busy,
                "spool": local.spool.iter().map(found).collect::<Vec<_>>(),
                "restored": local.beside.iter().map(found).collect::<Vec<_>>(),
                "proofs": local.proofs,
            });
            (service.to_string(), value)
        })
        .collect();
    let unusable = here.unusable.iter();
    let unusable: Vec<Value> = unusable
        .map(|one| json!({ "place": one.place, "reason": one.reason }))
        .collect();
    json!({ "remotes": remotes, "local": local, "unusable": unusable })
}

fn remote(inventory: &Inventory, keeps: u32) -> Value {
    let mirror = |mirror: &MirrorCount, subject: &str| {
        let mut value = match mirror {
            MirrorCount::Absent => return Value::Null,
            MirrorCount::Counted { files, bytes } => json!({ "files": files, "bytes": bytes }),
            MirrorCount::Uncounted(reason) => {
                json!({ "files": null, "bytes": null, "problem": reason })
            }
        };
        if let Some(fields) = value.as_object_mut() {
            let (as_of, in_transition, first) = match inventory.standings.get(subject) {
                Some(MirrorStanding::Complete {
                    as_of,
                    in_transition,
                }) => (Some(as_of.to_string()), *in_transition, None),
                Some(MirrorStanding::FirstUpload { done, all }) => {
                    let first = json!({
                        "files": done.0, "of_files": all.0, "bytes": done.1, "of_bytes": all.1,
                    });
                    (None, false, Some(first))
                }
                Some(MirrorStanding::Unknown(_)) | None => (None, false, None),
            };
            fields.insert("complete_as_of".into(), json!(as_of));
            fields.insert("transition".into(), json!(in_transition));
            fields.insert("first_upload".into(), json!(first));
        }
        value
    };
    let services: serde_json::Map<String, Value> = inventory
        .services
        .iter()
        .map(|(service, (copy, holding))| {
            let archives: Vec<Value> = holding
                .archives
                .iter()
                .map(|stored| {
                    json!({
                        "name": stored.name.to_string(),
                        "date": stored.name.date().to_string(),
                        "bytes": stored.bytes,
                        "manifest": stored.manifest,
                    })
                })
                .collect();
            let aside: Vec<Value> = holding
                .aside
                .iter()
                .map(|(stored, day)| {
                    json!({
                        "name": stored.name.to_string(),
                        "date": stored.name.date().to_string(),
                        "bytes": stored.bytes,
                        "manifest": stored.manifest,
                        "put_aside": day.to_string(),
                        "kept_until": kept_until(*day, keeps).to_string(),
                    })
                })
                .collect();
            let leftovers: Vec<Value> = holding
                .leftovers
                .iter()
                .map(|(name, bytes)| json!({ "name": name, "bytes": bytes }))
                .collect();
            let versions: Vec<String> = holding.versions.iter().map(ToString::to_string).collect();
            let value = json!({
                "mirror": mirror(copy, service.as_str()),
                "archives": archives,
                "put_aside": aside,
                "versions": versions,
                "leftovers": leftovers,
            });
            (service.to_string(), value)
        })
        .collect();
    let extra: serde_json::Map<String, Value> = inventory
        .extra
        .iter()
        .map(|(target, copy)| {
            let copy = mirror(copy, &format!("extra-{target}"));
            (target.clone(), json!({ "mirror": copy }))
        })
        .collect();
    json!({
        "remote": inventory.remote.to_string(),
        "problem": inventory.problem,
        "services": services,
        "extra": extra,
        "strangers": inventory.strangers,
    })
}
