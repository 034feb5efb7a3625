//! The account that sshd lets in for the forced command.
//!
//! Everything in its home belongs to root: the forced command is run by a login shell, which must find nothing there that
//! the account could have written. Its keys are looked after by the runner's step; here they only get their owner.
//!
//! Invariant: keys that are there stay, and so does the shell of an account that is there.

use std::path::{Path, PathBuf};

use super::super::change::{Change, Owner};
use super::super::target::{ACCOUNT, Target};

/// dash reads no file of the home before it runs a command, which bash does under sshd.
const SHELL: &str = "/bin/sh";

/// The comment by which the installer knows its own key.
pub(in crate::install) const KEY_COMMENT: &str = "lightflow-appliance";

/// Beginning of the gate's line in the account's keys.
pub(in crate::install) const FORCED: &str =
    "restrict,command=\"sudo /usr/local/bin/backupctl --ssh-gate\"";

/// True if a line of a file of keys leads to the gate.
pub(in crate::install) fn is_gates(line: &str) -> bool {
    !line.trim_start().starts_with('#') && line.contains("backupctl --ssh-gate\"")
}

/// The account's home.
fn home(target: &Target<'_>) -> PathBuf {
    let person = target.eyes.person(ACCOUNT);
    person.map_or_else(|| Path::new("/home").join(ACCOUNT), |person| person.home)
}

/// The file of the account's keys, and its owner.
pub(in crate::install) fn keys_file(target: &Target<'_>) -> (PathBuf, Owner) {
    let settings = target
        .config
        .as_ref()
        .and_then(|config| config.account.keys.clone());
    let path = settings.map_or_else(
        || home(target).join(".ssh/authorized_keys"),
        |keys| keys.to_path_buf(),
    );
    (path, owner(target))
}

fn owner(target: &Target<'_>) -> Owner {
    let group = target.eyes.person(ACCOUNT).map(|person| person.group);
    Owner::of("root", &group.unwrap_or_else(|| ACCOUNT.to_owned()))
}

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let home = home(target);
    if target.eyes.person(ACCOUNT).is_none() {
        changes.push(Change::Account {
            name: ACCOUNT.to_owned(),
            home: home.clone(),
            shell: SHELL,
            containers: false,
        });
    }
    let owner = owner(target);
    let ssh = home.join(".ssh");
    changes.extend(target.folder(&home, owner.clone(), 0o750));
    changes.extend(target.folder(&ssh, owner.clone(), 0o750));
    // Files that a shell or sshd reads there, and all other names that begin with a dot.
    for folder in [&home, &ssh] {
        for name in target.eyes.names(folder) {
            let path = folder.join(&name);
            let read = folder == &ssh || name.starts_with('.');
            let Some(seen) = target
                .eyes
                .look(&path)
                .filter(|seen| read && seen.bytes().is_some())
            else {
                continue;
            };
            if seen.user != owner.user || seen.group != owner.group || seen.mode != 0o640 {
                changes.push(Change::Tighten {
                    path,
                    owner: owner.clone(),
                    mode: 0o640,
                });
            }
        }
    }
    changes
}
