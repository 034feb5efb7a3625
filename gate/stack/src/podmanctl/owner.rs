//! The owner of the systemd and Podman that run a service: the system, or one user.
//!
//! A user's tools run in their own session, started by their own service manager: nothing of root's (descriptors,
//! environment, terminal, place in the process tree) is in their reach, and their output is only data.
//!
//! Invariant: no program is run from a user's home, and none that a user could replace is run as root.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base::sort;
use nix::unistd::{Uid, User};

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";

/// Path of Podman.
pub const PODMAN: &str = "/usr/bin/podman";

/// Time between the deadline of podmanctl and the end of a Podman by systemd. An end by systemd looks like a failure of Podman, and
/// not like a Podman that does not answer.
const BEYOND: Duration = Duration::from_secs(2);

/// One file for each user with a service manager that runs without a login.
const LINGER: &str = "/var/lib/systemd/linger";

/// One folder for each user with a running service manager.
const RUNTIME: &str = "/run/user";

/// Owner of a stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The system's service manager, and root's Podman.
    System,
    /// A user's.
    User(String),
}

impl Owner {
    /// The owner of a name in the configuration or in a record.
    pub fn named(name: &str) -> Self {
        if name == "root" {
            Self::System
        } else {
            Self::User(name.to_owned())
        }
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        match self {
            Self::System => "root",
            Self::User(name) => name,
        }
    }

    /// A systemctl that asks the owner's service manager.
    pub fn systemctl(&self) -> Vec<String> {
        let mut argv = vec![
            SYSTEMCTL.to_owned(),
            "--no-pager".into(),
            "--no-ask-password".into(),
        ];
        argv.extend(self.manager());
        argv
    }

    /// The owner's podman, in a service of its own: its network helpers and monitors stay when it ends, and systemd ends it
    /// soon after its time limit, even if the gate is gone by then.
    pub fn podman(&self, limit: Duration) -> Vec<String> {
        let mut argv = vec![
            SYSTEMD_RUN.to_owned(),
            "--quiet".into(),
            "--pipe".into(),
            "--wait".into(),
            "--collect".into(),
            "--service-type=exec".into(),
            "--property=KillMode=process".into(),
            "--property=WorkingDirectory=/".into(),
            format!("--property=RuntimeMaxSec={}", (limit + BEYOND).as_secs()),
        ];
        argv.extend(self.manager());
        argv.extend(["--".to_owned(), PODMAN.into()]);
        argv
    }

    fn manager(&self) -> Vec<String> {
        match self {
            Self::System => Vec::new(),
            Self::User(name) => vec!["--user".into(), format!("--machine={name}@")],
        }
    }

    /// True if this owner has ever used Podman. Asking Podman would create its folders.
    pub fn uses_podman(&self) -> bool {
        let Self::User(name) = self else {
            return true;
        };
        let Ok(Some(user)) = User::from_name(name) else {
            return false;
        };
        let store = user.dir.join(".local/share/containers/storage");
        let running = Path::new(RUNTIME).join(user.uid.to_string()).join("libpod");
        fs::symlink_metadata(store).is_ok() || fs::symlink_metadata(running).is_ok()
    }
}

/// All who may have services: root, users with a service manager that runs without a login, and users who are logged
/// in and use Podman.
pub fn everybody() -> Vec<Owner> {
    let lingering = names(LINGER).into_iter();
    let uids = names(RUNTIME).into_iter();
    let logged_in = uids.filter_map(|uid| {
        let user = User::from_uid(Uid::from_raw(uid.parse().ok()?)).ok()??;
        Owner::User(user.name.clone())
            .uses_podman()
            .then_some(user.name)
    });
    let mut users: Vec<Owner> = lingering
        .chain(logged_in)
        .filter(|name| name != "root" && is_user(name))
        .map(Owner::User)
        .collect();
    sort::sort(&mut users);
    users.dedup();
    users.insert(0, Owner::System);
    users
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// True if a name may stand in an argument as a user's.
fn is_user(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    name.len() <= 64 && !name.starts_with(['-', '.']) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_tools_are_run_by_his_own_manager() {
        let alice = Owner::named("alice");
        assert!(
            alice
                .systemctl()
                .ends_with(&["--user".into(), "--machine=alice@".into()])
        );
        let podman = alice.podman(Duration::from_secs(9));
        assert!(podman.contains(&"--property=RuntimeMaxSec=11".to_owned()));
        assert!(podman.ends_with(&["--machine=alice@".into(), "--".into(), PODMAN.into()]));
        assert!(
            !Owner::named("root")
                .systemctl()
                .contains(&"--user".to_owned())
        );
    }

    #[test]
    fn names_that_could_be_anything_else_are_no_users() {
        for name in ["-x", ".x", "a b", "a@b", "a:b", "é"] {
            assert!(!is_user(name), "{name}");
        }
        assert!(is_user("backup_ops") && is_user("a.b-c"));
    }
}
