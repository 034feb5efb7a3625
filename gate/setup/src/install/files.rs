//! Files and folders of the host, put in place by path.
//!
//! Invariant: at any moment a file is either the old or the new one; a file that needs a check is checked before it
//! takes its place; and no link in a folder that others can write to is followed.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use durable::Staged;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Group, Uid, User, fchown, fsync, linkat};

use super::change::{KEPT, NewFile, Owner, Proof, resolved};
use super::tool::{good, words};

/// Fills in the numbers of users, who are there by now.
pub(super) fn place(path: &Path) -> Result<PathBuf, String> {
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

pub(super) fn folder(path: &Path, owner: &Owner, mode: u32) -> Result<(), String> {
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

pub(super) fn tighten(path: &Path, owner: &Owner, mode: u32) -> Result<(), String> {
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
pub(super) fn second_name(file: &NewFile, of: &Path) -> Result<(), String> {
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

pub(super) fn remove(path: &Path) -> Result<(), String> {
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

#[cfg(test)]
mod tests;
