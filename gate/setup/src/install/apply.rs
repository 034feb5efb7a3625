//! Carries changes out, one by one.
//!
//! Invariant: each kind of change has one line in [`apply`].

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::User;

use super::change::{Change, Job, Manager};
use super::files::{folder, place, put, remove, second_name, tighten};
use super::key;
use super::steps::runner;
use super::tool::{Input, PATIENCE, good, good_with, run, succeeded, words};
use base::sort;
use stack::podmanctl::owner::Owner as Session;

/// Time for the processes of a removed account to end: its systemd waits ten seconds after the last session for
/// another.
const LEAVING: Duration = Duration::from_secs(20);

/// Exit code of userdel(8) for an account that a process runs as.
const IN_USE: i32 = 8;

const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// Does it.
///
/// # Errors
/// A sentence that names the failure.
pub(super) fn apply(change: &Change) -> Result<(), String> {
    match change {
        Change::Account {
            name,
            home,
            shell,
            containers,
        } => account(name, home, shell, *containers),
        Change::Linger(user) => linger(user),
        Change::Folder { path, owner, mode } => folder(&place(path)?, owner, *mode),
        Change::Tighten { path, owner, mode } => tighten(&place(path)?, owner, *mode),
        Change::File(file) | Change::Rclone(file) => put(file),
        Change::SecondName(file, of) => second_name(file, of),
        Change::Tmpfiles(file) => {
            good(&words(&["/usr/bin/systemd-tmpfiles", "--create", file])).map(drop)
        }
        Change::Systemd(manager, job) => systemd(manager, job),
        Change::Image {
            user,
            archive,
            id,
            names,
        } => image(user, archive, id, names),
        Change::Pool { user, name, slots } => {
            let slots = slots.to_string();
            good(&runner::command(
                user,
                false,
                &["pool", "create", name, "--slots", &slots],
            ))
            .map(drop)
        }
        Change::Variable { user, key, value } => {
            key::set(user, &[key, "--file", "-"], value.as_bytes())
        }
        Change::Key { user, file, owner } => key::renew(user, file, owner),
        Change::Remove(path) => remove(&place(path)?),
        Change::Forget(file) => key::forget(file),
        Change::Unset { user, key } => good(&runner::command(
            user,
            false,
            &["variable", "delete", key, "--yes"],
        ))
        .map(drop),
        Change::Prune { user, ids } => {
            let mut argv = Session::named(user).podman(PATIENCE);
            argv.extend(words(&["rmi", "--ignore"]));
            argv.extend(ids.iter().cloned());
            // A container may still use an image; the image stays then, and the next run asks again.
            run(&argv, &Input::Nothing).map(drop)
        }
        Change::RemoveImages(user) => remove_images(user),
        Change::RemoveAccount(name) => remove_account(name),
        Change::NoLinger(user) => {
            good(&words(&["/usr/bin/loginctl", "disable-linger", user])).map(drop)
        }
    }
}

fn account(name: &str, home: &Path, shell: &str, containers: bool) -> Result<(), String> {
    let home = home.display().to_string();
    let mut argv = words(&[
        "/usr/sbin/useradd",
        "--system",
        "--user-group",
        "--no-create-home",
    ]);
    argv.extend(words(&["--home-dir", &home, "--shell", shell]));
    if containers {
        argv.push("--add-subids-for-system".into());
    }
    argv.push(name.to_owned());
    good(&argv).map(drop)
}

fn linger(user: &str) -> Result<(), String> {
    good(&words(&["/usr/bin/loginctl", "enable-linger", user]))?;
    let person = User::from_name(user)
        .ok()
        .flatten()
        .ok_or(format!("there is no user {user}"))?;
    // logind starts it after a while; the next request to it has to find it.
    good(&words(&[
        SYSTEMCTL,
        "start",
        &format!("user@{}.service", person.uid),
    ]))
    .map(drop)
}

fn systemd(manager: &Manager, job: &Job) -> Result<(), String> {
    let session = match manager {
        Manager::System => Session::named("root"),
        Manager::User(user) => Session::named(user),
    };
    let mut argv = session.systemctl();
    argv.extend(match job {
        Job::Reread => words(&["daemon-reload"]),
        Job::Enable(unit) => words(&["enable", unit]),
        Job::Disable(unit) => words(&["disable", "--now", unit]),
        Job::Start(unit) => words(&["start", unit]),
        Job::Restart(unit) => words(&["restart", unit]),
        Job::Reload(unit) => words(&["try-reload-or-restart", unit]),
        Job::Stop(unit) => words(&["stop", unit]),
    });
    let whose = match manager {
        Manager::System => String::new(),
        Manager::User(user) => format!(" _UID=$(id -u {user})"),
    };
    good(&argv).map(drop).map_err(|reason| {
        let reason = reason.trim_end_matches('.');
        format!("{manager} was to {job}, and did not: {reason}; journalctl -e{whose} says more")
    })
}

fn image(user: &str, archive: &Path, id: &str, names: &[String]) -> Result<(), String> {
    let podman = |more: &[&str]| {
        let mut argv = Session::named(user).podman(PATIENCE);
        argv.extend(words(more));
        argv
    };
    good_with(&podman(&["load", "--quiet"]), &Input::File(archive))?;
    let mut tag = podman(&["tag", id]);
    tag.extend(names.iter().cloned());
    good(&tag).map(drop)
}

fn remove_images(user: &str) -> Result<(), String> {
    let podman = |more: &[&str]| {
        let mut argv = Session::named(user).podman(PATIENCE);
        argv.extend(words(more));
        argv
    };
    let listed = good(&podman(&[
        "images",
        "--quiet",
        "--no-trunc",
        "--filter=reference=localhost/lightflow",
    ]))?;
    let mut ids: Vec<&str> = listed.out.split_whitespace().collect();
    sort::sort(&mut ids);
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    let mut argv = podman(&["rmi", "--force"]);
    argv.extend(words(&ids));
    good(&argv).map(drop)
}

/// By now no login as this account is possible, but a session may still be open.
fn remove_account(name: &str) -> Result<(), String> {
    let argv = words(&["/usr/sbin/userdel", name]);
    let until = Instant::now() + LEAVING;
    // This fails without sessions; only the result of userdel counts.
    let _ = run(
        &words(&["/usr/bin/loginctl", "terminate-user", name]),
        &Input::Nothing,
    );
    loop {
        let said = run(&argv, &Input::Nothing)?;
        if said.code != Some(IN_USE) || Instant::now() >= until {
            return succeeded(&argv, said).map(drop);
        }
        thread::sleep(Duration::from_millis(200));
    }
}
