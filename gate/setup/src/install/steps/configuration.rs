//! The gate's configuration: the example, with the services of this host in place of the example's services.
//!
//! Invariant: a configuration that is there is never touched, but for the former default of `rclone.program` (see `rclone`);
//! that of rclone least of all: its token rotates.

use std::path::PathBuf;

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::super::change::{Change, Owner};
use super::super::eyes::Kind;
use super::super::target::{CONFIGURATION, Target};
use super::rclone;
use base::names::folded;
use base::names::usable::{table, unusable};
use base::wire::printable;

/// The service that is copied while it runs; each host has it.
const RUNNER: &str = "lightflow";

/// The file of the release.
const EXAMPLE: &str = "etc/backupctl.example.toml";

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let folder = PathBuf::from(CONFIGURATION);
    if target.look(&folder).is_none() {
        changes.push(Change::Folder {
            path: folder.clone(),
            owner: Owner::root(),
            mode: 0o700,
        });
    }
    if let Some(local) = &target.options.local_remote {
        let path = local.to_path_buf();
        if target.look(&path).is_none() {
            changes.extend(target.parents(&path));
            changes.push(Change::Folder {
                path,
                owner: Owner::root(),
                mode: 0o700,
            });
        }
        let text = format!("[onedrive]\ntype = alias\nremote = {local}\n");
        changes.extend(target.first(folder.join("rclone.conf"), text.into_bytes(), 0o600));
    }
    let file = folder.join("backupctl.toml");
    if target.look(&file).is_none() {
        // The example is a file of the release, whose tests read it.
        let text = text(target).unwrap_or_else(|| target.release.text(EXAMPLE));
        changes.extend(target.first(file, text.into_bytes(), 0o600));
    }
    changes.extend(rclone::plan(target));
    changes
}

/// Folders with data and a name that no service can have, each with the reason and the way to repair it.
pub(in crate::install) fn advice(target: &Target<'_>) -> Vec<String> {
    let names = with_data(target);
    let reasons = unusable("services", names.iter().map(String::as_str)).into_iter();
    reasons
        .map(|(name, reason)| {
            let folder = format!("{}/{name}", target.data_root);
            format!("{folder} cannot be a service: {reason}")
        })
        .map(|line| printable(line.as_bytes()))
        .collect()
}

/// The names of folders that hold data.
fn with_data(target: &Target<'_>) -> Vec<String> {
    let root = target.data_root.to_path_buf();
    let has_data = |name: &str| {
        let data = target.eyes.look(&root.join(name).join("data"));
        data.is_some_and(|seen| seen.kind == Kind::Folder)
    };
    let names = target.eyes.names(&root).into_iter();
    names.filter(|name| has_data(name)).collect()
}

/// A first configuration: the example with the values and services of this host, and with all comments.
fn text(target: &Target<'_>) -> Option<String> {
    let mut names = with_data(target);
    let strange = unusable("services", names.iter().map(String::as_str));
    names.retain(|name| folded(name) != RUNNER && !strange.contains_key(name));
    let found = target.eyes.stacks(
        &target.release.programs,
        &target.data_root.to_string(),
        &names,
    );
    let mut document: DocumentMut = target.release.text(EXAMPLE).parse().ok()?;
    set(&mut document["data_root"], target.data_root.to_string());
    if let Some(local) = &target.options.local_remote {
        let folders: Array = [local.to_string()].into_iter().collect();
        set(&mut document["rclone"]["local_folders"], folders);
    }
    let services = document.get_mut("services")?.as_table_mut()?;
    // The comment about services lies before the first of the example's services.
    let (first, at) = services.iter().find_map(|(name, item)| {
        let table = item.as_table()?;
        (name != RUNNER).then(|| (table.decor().clone(), table.position()))
    })?;
    services.retain(|name, _| name == RUNNER);
    let mut comment = first.prefix()?.as_str()?.to_owned();
    let (mut present, mut absent) = (Vec::new(), String::new());
    for name in &names {
        if found.contains(name) {
            present.push(name);
        } else {
            let header = table("services", name);
            absent.push_str(&format!(
                "# {header}   # it has data; podmanctl finds neither unit nor container\n"
            ));
        }
    }
    absent.extend(advice(target).iter().map(|line| format!("# {line}\n")));
    for name in present {
        let mut entry = Table::new();
        entry.set_position(at);
        entry.decor_mut().set_prefix(std::mem::take(&mut comment));
        services.insert(name, Item::Table(entry));
    }
    let runner = services.get_mut(RUNNER)?.as_table_mut()?;
    let own = runner.decor().prefix()?.as_str()?.to_owned();
    let prefix = format!("{comment}{absent}{own}");
    runner.decor_mut().set_prefix(prefix);
    Some(document.to_string())
}

/// Gives a key another value; its comments stay.
fn set(item: &mut Item, value: impl Into<Value>) {
    let decor = item.as_value().map(|old| old.decor().clone());
    let mut value = value.into();
    if let Some(decor) = decor {
        *value.decor_mut() = decor;
    }
    *item = Item::Value(value);
}
