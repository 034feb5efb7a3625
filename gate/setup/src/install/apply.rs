//! Carries changes out, one by one.
//!
//! Invariant: at any moment a file is either the old or the new one; a file that needs a check is checked before it
//! takes its place; and no link in a folder that others can write to is followed.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use durable::Staged;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Group, Uid, User, fchown, fsync, linkat};

use super::change::{Change, Job, Manager, NewFile, Owner, Proof, resolved};
use super::key;
use super::record::KEPT;
use super::steps::runner;
use super::tool::{Input, Said, run};
use stack::podmanctl::owner::Owner as Session;

/// Limit for a program in a user's session; loading an image on a slow disk takes minutes.
pub(super) const PATIENCE: Duration = Duration::from_secs(1800);

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

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Runs a program that has to succeed.
pub(super) fn good(argv: &[String]) -> Result<Said, String> {
    good_with(argv, &Input::Nothing)
}

/// Likewise, with something on its standard input.
pub(super) fn good_with(argv: &[String], input: &Input<'_>) -> Result<Said, String> {
    succeeded(argv, run(argv, input)?)
}

fn succeeded(argv: &[String], said: Said) -> Result<Said, String> {
    if said.ok() {
        return Ok(said);
    }
    // The program of a user's session comes after the options.
    let shown = argv
        .iter()
        .position(|word| word == "--")
        .map_or(argv, |at| &argv[at + 1..]);
    Err(format!("{}: {}", shown.join(" "), said.words()))
}

/// Fills in the numbers of users, who are there by now.
fn place(path: &Path) -> Result<PathBuf, String> {
    let uid = |name: &str| {
        User::from_name(name)
            .ok()
            .flatten()
            .map(|user| user.uid.as_raw())
    };
    resolved(path, uid).map_err(|user| format!("there is no user {user}"))
}

fn ids(owner: &Owner) -> Result<(Uid, Gid), String> {
    let user = User::from_name(&owner.user).ok().flatten();
    let group = Group::from_name(&owner.group).ok().flatten();
    match (user, group) {
        (Some(user), Some(group)) => Ok((user.uid, group.gid)),
        _ => Err(format!("there is no user or group {owner}")),
    }
}

fn at(path: &Path) -> impl Fn(nix::Error) -> String + '_ {
    move |errno| format!("{}: {}", path.display(), errno.desc())
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

fn folder(path: &Path, owner: &Owner, mode: u32) -> Result<(), String> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(format!("{}: {error}", path.display()));
        }
        _ => {}
    }
    let fd = open_folder(path)?;
    own(&fd, path, owner, mode)
}

fn own(fd: impl AsFd, path: &Path, owner: &Owner, mode: u32) -> Result<(), String> {
    let (uid, gid) = ids(owner)?;
    fchown(fd.as_fd(), Some(uid), Some(gid)).map_err(at(path))?;
    fchmod(fd.as_fd(), Mode::from_bits_truncate(mode)).map_err(at(path))?;
    fsync(fd).map_err(at(path))
}

fn tighten(path: &Path, owner: &Owner, mode: u32) -> Result<(), String> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(at(path))?);
    let seen = file
        .metadata()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    // A second name of some other file of root's would be opened to a group by this.
    if !seen.is_file() || seen.nlink() != 1 {
        return Err(format!(
            "{} has other names, or is no file; remove it, and install again",
            path.display()
        ));
    }
    own(&file, path, owner, mode)
}

/// Puts a file in place.
pub(super) fn put(file: &NewFile) -> Result<(), String> {
    let path = place(&file.path)?;
    let (Some(folder), Some(name)) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return Err(format!("{} is no file", path.display()));
    };
    let say = |error: io::Error| format!("{}: {error}", path.display());
    if file.keep {
        keep(&path)?;
    }
    let directory = open_folder(folder)?;
    // A name with a dot in front is read by none of those who read such folders.
    let fresh = format!(".{name}.new");
    let staged = Staged::write(directory.as_fd(), fresh.clone(), &file.bytes).map_err(say)?;
    let give_up = |reason: String| {
        let _ = durable::remove(&directory, &fresh);
        reason
    };
    own(staged.file(), &path, &file.owner, file.mode).map_err(give_up)?;
    if file.proof == Proof::Sudoers {
        let proof = words(&[
            "/usr/sbin/visudo",
            "-cqf",
            &folder.join(&fresh).display().to_string(),
        ]);
        good(&proof).map_err(give_up)?;
    }
    let former = match file.proof {
        Proof::Sshd => fs::read(&path).ok(),
        Proof::None | Proof::Sudoers => None,
    };
    staged.place(name).map_err(say)?;
    if file.proof == Proof::Sshd
        && let Err(reason) = good(&words(&["/usr/sbin/sshd", "-t"]))
    {
        match former {
            Some(bytes) => put(&NewFile {
                bytes,
                proof: Proof::None,
                keep: false,
                ..file.clone()
            })?,
            None => remove(&path)?,
        }
        return Err(reason);
    }
    Ok(())
}

/// Gives a file of the same folder a second name.
fn second_name(file: &NewFile, of: &Path) -> Result<(), String> {
    let path = place(&file.path)?;
    let (Some(folder), Some(name), Some(of)) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
        of.file_name(),
    ) else {
        return Err(format!("{} is no file", path.display()));
    };
    if file.keep {
        keep(&path)?;
    }
    let directory = open_folder(folder)?;
    let fresh = format!(".{name}.new");
    let say = |error: io::Error| format!("{}: {error}", path.display());
    durable::remove(&directory, &fresh).map_err(say)?;
    linkat(&directory, of, &directory, fresh.as_str(), AtFlags::empty()).map_err(at(&path))?;
    durable::rename(&directory, &fresh, name).map_err(say)?;
    // rename(2) does nothing when both are names of one file already.
    durable::remove(&directory, &fresh).map_err(say)
}

fn open_folder(folder: &Path) -> Result<OwnedFd, String> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    open(folder, flags, Mode::empty()).map_err(at(folder))
}

/// Backs up a file that this installer did not create.
fn keep(path: &Path) -> Result<(), String> {
    let say = |error: io::Error| format!("keeping {}: {error}", path.display());
    fs::create_dir_all(KEPT).map_err(say)?;
    let plain = path
        .display()
        .to_string()
        .trim_start_matches('/')
        .replace('/', "-");
    let free = (0..1000)
        .map(|number| match number {
            0 => Path::new(KEPT).join(&plain),
            number => Path::new(KEPT).join(format!("{plain}.{number}")),
        })
        .find(|place| place.symlink_metadata().is_err());
    let place = free.ok_or(format!("{KEPT} is full"))?;
    fs::copy(path, &place).map_err(say)?;
    File::open(&place)
        .and_then(|file| file.sync_all())
        .map_err(say)
}

fn remove(path: &Path) -> Result<(), String> {
    let gone = match fs::symlink_metadata(path) {
        Ok(seen) if seen.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", path.display()))
        }
        _ => Ok(()),
    }
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
    ids.sort_unstable();
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

#[cfg(test)]
mod tests;
