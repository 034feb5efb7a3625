//! The files that `--uninstall` removes, and those that it leaves.
//!
//! The way in is closed first: sudo's rule and the key; then the runner goes, and then the programs.
//!
//! Invariant: data, configuration and every file that was changed since stay; only files that equal the installed ones
//! to the byte are removed.

use std::path::{Path, PathBuf};

use super::change::{Change, Job, Manager, resolved};
use super::eyes::Seen;
use super::record;
use super::steps::runner::KEY;
use super::steps::{KEY_COMMENT, UNIT, data_folder, is_gates, keys_file, slice_file};
use super::target::{ACCOUNT, CONFIGURATION, Target};
use config::BUNDLED_RCLONE;

const SUDOERS: &str = "/etc/sudoers.d/backupctl";
const RECOVER: &str = "backupctl-recover.service";

/// All removals, in order. `answers` is true if the runner can be asked.
pub(super) fn plan(target: &Target<'_>, answers: bool) -> Vec<Change> {
    let user = target.user.clone();
    let eyes = target.eyes;
    let mut changes = Vec::new();
    let ours: Vec<PathBuf> = target
        .record
        .files
        .keys()
        .filter(|path| is_ours(target, path))
        .map(PathBuf::from)
        .collect();
    if ours.iter().any(|path| path == Path::new(SUDOERS)) {
        changes.push(Change::Remove(SUDOERS.into()));
    }
    let (keys, _) = keys_file(target);
    let text = eyes
        .look(&keys)
        .and_then(|seen| seen.text())
        .unwrap_or_default();
    let mine = |line: &str| is_gates(line) && line.trim_end().ends_with(&format!(" {KEY_COMMENT}"));
    if text.lines().any(mine) {
        changes.push(Change::Forget(keys));
        if answers {
            changes.push(Change::Unset {
                user: user.clone(),
                key: KEY,
            });
        }
    }
    let quadlets: Vec<&PathBuf> = ours
        .iter()
        .filter(|path| path.starts_with("/etc/containers"))
        .collect();
    let lingers = eyes.is_there(&format!("/var/lib/systemd/linger/{user}"));
    if !quadlets.is_empty() && lingers {
        changes.push(Change::Systemd(
            Manager::User(user.clone()),
            Job::Stop(UNIT),
        ));
    }
    changes.extend(quadlets.iter().map(|path| Change::Remove((*path).clone())));
    if !quadlets.is_empty() && lingers {
        changes.push(Change::Systemd(Manager::User(user.clone()), Job::Reread));
        changes.push(Change::RemoveImages(user.clone()));
    }
    if target.record.accounts.contains(&user) && lingers {
        changes.push(Change::NoLinger(user));
    }
    let recover = format!("/etc/systemd/system/{RECOVER}");
    let has_recover = ours.iter().any(|path| path == Path::new(&recover));
    if has_recover {
        changes.push(Change::Systemd(Manager::System, Job::Disable(RECOVER)));
    }
    let rest = ours
        .iter()
        .filter(|path| *path != Path::new(SUDOERS) && !path.starts_with("/etc/containers"));
    changes.extend(rest.map(|path| Change::Remove(path.clone())));
    // The folder of rclone, where nothing else lies in it.
    let rclone = Path::new(BUNDLED_RCLONE);
    if let Some(folder) = rclone.parent()
        && ours.iter().any(|path| path == rclone)
        && eyes.names(folder).len() == 1
    {
        changes.push(Change::Remove(folder.to_owned()));
    }
    // The same for the folder of the slice's limit.
    let uid = |name: &str| eyes.person(name).map(|person| person.uid);
    if let Ok(slice) = resolved(&slice_file(), uid)
        && let Some(folder) = slice.parent()
        && ours
            .iter()
            .any(|path| *path == slice || *path == slice_file())
        && eyes.names(folder).len() == 1
    {
        changes.push(Change::Remove(folder.to_owned()));
    }
    if has_recover {
        changes.push(Change::Systemd(Manager::System, Job::Reread));
    }
    if target.record.accounts.contains(ACCOUNT) && eyes.person(ACCOUNT).is_some() {
        changes.push(Change::RemoveAccount(ACCOUNT.into()));
    }
    if !target.record.version.is_empty() {
        changes.push(Change::Remove(record::PATH.into()));
    }
    changes
}

fn seen(target: &Target<'_>, path: &str) -> Option<Seen> {
    let uid = |name: &str| target.eyes.person(name).map(|person| person.uid);
    target.eyes.look(&resolved(Path::new(path), uid).ok()?)
}

fn is_ours(target: &Target<'_>, path: &str) -> bool {
    let seen = seen(target, path);
    seen.as_ref()
        .and_then(Seen::bytes)
        .is_some_and(|bytes| target.record.owns(path, bytes))
}

/// The parts that stay, in sentences.
pub(super) fn what_stays(target: &Target<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for path in target.record.files.keys() {
        if seen(target, path).is_some() && !is_ours(target, path) {
            lines.push(format!("{path} was changed since, and stays"));
        }
    }
    let data = data_folder(target);
    for (what, path) in [
        (
            "the runner's data: tasks, runs, variables",
            data.display().to_string(),
        ),
        (
            "the gate's configuration, and rclone's",
            CONFIGURATION.to_owned(),
        ),
        ("the runner's settings", "/etc/lightflow".to_owned()),
        (
            "the gate's records of mirrors",
            "/var/lib/backupctl".to_owned(),
        ),
    ] {
        if target.eyes.is_there(&path) {
            lines.push(format!("{what} stay in {path}"));
        }
    }
    if target.record.accounts.contains(&target.user) {
        let user = &target.user;
        lines.push(format!(
            "the user {user} stays, because that data is {user}'s"
        ));
    }
    lines
}
