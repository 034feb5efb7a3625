//! The gate's configuration: the example, with the services of this host in place of the example's services.
//!
//! Invariant: a configuration that is there is never touched, but for the former default of `rclone.program` (see `rclone`);
//! that of rclone least of all: its token rotates.

use std::path::PathBuf;

use super::super::change::{Change, Owner};
use super::super::eyes::Kind;
use super::super::target::{CONFIGURATION, Target};
use super::rclone;
use base::names::folded;
use base::names::usable::{table, unusable};
use base::wire::printable;

/// The line of the example behind which the services are.
const SERVICES: &str = "# The services. A table without keys is one that podmanctl controls.";

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
        changes.extend(target.first(file, text(target).into_bytes(), 0o600));
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

/// A first configuration.
fn text(target: &Target<'_>) -> String {
    let mut names = with_data(target);
    let strange = unusable("services", names.iter().map(String::as_str));
    names.retain(|name| folded(name) != "lightflow" && !strange.contains_key(name));
    let found = target.eyes.stacks(
        &target.release.programs,
        &target.data_root.to_string(),
        &names,
    );
    let mut lines: Vec<String> = Vec::new();
    for line in target.release.text("etc/backupctl.example.toml").lines() {
        let section = line
            .strip_prefix("[services.")
            .and_then(|rest| rest.strip_suffix(']'));
        match line {
            "data_root = \"/media/ssd/podman\"" => {
                lines.push(format!("data_root = \"{}\"", target.data_root))
            }
            "local_folders = []" => lines.push(match &target.options.local_remote {
                Some(local) => format!("local_folders = [\"{local}\"]"),
                None => line.to_owned(),
            }),
            SERVICES => {
                lines.push(line.to_owned());
                lines.extend(names.iter().map(|name| {
                    let header = table("services", name);
                    if found.contains(name) {
                        header
                    } else {
                        format!(
                            "# {header}   # it has data; podmanctl finds neither unit nor container"
                        )
                    }
                }));
                let lines_of_advice = advice(target).into_iter();
                lines.extend(lines_of_advice.map(|line| format!("# {line}")));
            }
            _ if section.is_some_and(|name| name != "lightflow") => {}
            _ => lines.push(line.to_owned()),
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
