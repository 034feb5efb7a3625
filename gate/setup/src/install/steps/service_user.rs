//! The user of the runner's rootless container.
//!
//! A new user owns no files on the host, so a process that breaks out of the container has no rights there. An
//! existing user is taken unchanged.
//!
//! Invariant: his service manager runs without a login.

use std::path::Path;

use super::super::change::{Change, Owner};
use super::super::target::Target;

const SHELL: &str = "/usr/sbin/nologin";

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let user = &target.user;
    let person = target.eyes.person(user);
    let home = Path::new("/home").join(user);
    if person.is_none() {
        changes.push(Change::Account {
            name: user.clone(),
            home: home.clone(),
            shell: SHELL,
            containers: true,
        });
    }
    if person.is_none() || target.record.accounts.contains(user) {
        changes.extend(target.folder(home, Owner::of(user, &target.group()), 0o700));
    }
    if !target
        .eyes
        .is_there(&format!("/var/lib/systemd/linger/{user}"))
    {
        changes.push(Change::Linger(user.clone()));
    }
    changes
}
