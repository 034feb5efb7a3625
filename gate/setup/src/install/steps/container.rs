//! The runner's container: its settings, its data directory, its image, and the quadlet that systemd makes a service of.
//!
//! The quadlet lies in the folder for an administrator's quadlets of a user, and not in that user's home: root writes
//! nothing into a folder that another user could turn into a link.
//!
//! Invariant: settings and data are the administrator's and the runner's once they are there.

use std::path::PathBuf;

use super::super::change::{Change, Job, Manager, Owner, Proof, uid_of};
use super::super::target::Target;
use super::super::tool::PATIENCE;
use base::sort;
use stack::podmanctl::owner::Owner as Session;

/// The service.
pub(in crate::install) const UNIT: &str = "lightflow.service";

/// The name of the container.
pub(in crate::install) const CONTAINER: &str = "lightflow";

/// The name of its image, without the version.
const IMAGE: &str = "localhost/lightflow";

/// The data root that the quadlet of the release is written for.
const WRITTEN_FOR: &str = "/media/ssd/podman/";

/// The runner's data directory.
pub(in crate::install) fn data_folder(target: &Target<'_>) -> PathBuf {
    target.data_root.to_path_buf().join("lightflow/data")
}

/// The quadlet.
pub(in crate::install) fn quadlet_file(user: &str) -> PathBuf {
    PathBuf::from(format!(
        "/etc/containers/systemd/users/{}/lightflow.container",
        uid_of(user)
    ))
}

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let user = &target.user;
    let settings = PathBuf::from("/etc/lightflow/lightflow.env");
    changes.extend(target.parents(&settings));
    let zone = zone(target);
    let text =
        target
            .release
            .text("etc/lightflow.env")
            .replacen("TZ=UTC", &format!("TZ={zone}"), 1);
    changes.extend(target.first(settings, text.into_bytes(), 0o644));

    let data = data_folder(target);
    changes.extend(target.parents(&data));
    changes.extend(target.folder(data, Owner::of(user, &target.group()), 0o700));

    let quadlet = quadlet_file(user);
    let root = format!("{}/", target.data_root);
    let text = target
        .release
        .text("podman/lightflow.container")
        .replace(WRITTEN_FOR, &root);
    let file = target.file(quadlet.clone(), text.as_bytes(), 0o644, Proof::None);
    let image = image(target);
    let again = file.is_some() || image.is_some();
    let manager = Manager::User(user.clone());
    if file.is_some() {
        changes.extend(target.parents(&quadlet));
    }
    changes.extend(image);
    if let Some(file) = file {
        changes.push(file);
        changes.push(Change::Systemd(manager.clone(), Job::Reread));
    }
    if again {
        changes.push(Change::Systemd(manager, Job::Restart(UNIT)));
    } else if !is_active(target) {
        changes.push(Change::Systemd(manager, Job::Start(UNIT)));
    }
    let ids = former(target);
    if !ids.is_empty() {
        let user = user.clone();
        changes.push(Change::Prune { user, ids });
    }
    changes
}

/// The ids of other images under the same name.
fn former(target: &Target<'_>) -> Vec<String> {
    let filter = format!("--filter=reference={IMAGE}");
    let words = ["images", "--quiet", "--no-trunc", &filter];
    let listed = as_user(target, &words).unwrap_or_default();
    let mut ids: Vec<String> = listed
        .split_whitespace()
        .map(|id| id.strip_prefix("sha256:").unwrap_or(id).to_owned())
        .filter(|id| *id != target.release.image.id)
        .collect();
    sort::sort(&mut ids);
    ids.dedup();
    ids
}

/// The image, where the user's store has another one of that name, or none.
fn image(target: &Target<'_>) -> Option<Change> {
    let image = &target.release.image;
    let names = vec![
        format!("{IMAGE}:{}", target.release.version),
        format!("{IMAGE}:latest"),
    ];
    let there = names.iter().all(|name| {
        let words = ["image", "inspect", "--format={{.Id}}", name];
        as_user(target, &words).is_some_and(|said| said.trim() == image.id)
    });
    (!there).then(|| Change::Image {
        user: target.user.clone(),
        archive: image.archive.clone(),
        id: image.id.clone(),
        names,
    })
}

/// Output of the user's podman, if the user exists and the command succeeds.
fn as_user(target: &Target<'_>, words: &[&str]) -> Option<String> {
    let lingers = target
        .eyes
        .is_there(&format!("/var/lib/systemd/linger/{}", target.user));
    if !lingers {
        return None;
    }
    let mut argv = Session::named(&target.user).podman(PATIENCE);
    argv.extend(words.iter().map(|&word| word.to_owned()));
    target
        .eyes
        .ask(&argv)
        .ok()
        .filter(|said| said.ok())
        .map(|said| said.out)
}

fn is_active(target: &Target<'_>) -> bool {
    let mut argv = Session::named(&target.user).systemctl();
    argv.extend(["is-active".to_owned(), UNIT.to_owned()]);
    target
        .eyes
        .ask(&argv)
        .is_ok_and(|said| said.out.trim() == "active")
}

/// The host's time zone.
fn zone(target: &Target<'_>) -> String {
    let argv = [
        "/usr/bin/timedatectl",
        "show",
        "--property=Timezone",
        "--value",
    ];
    let said = target.eyes.ask_for(&argv).ok().filter(|said| said.ok());
    let zone = said
        .map(|said| said.out.trim().to_owned())
        .unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
    if !zone.is_empty() && zone.bytes().all(plain) {
        zone
    } else {
        "UTC".to_owned()
    }
}
