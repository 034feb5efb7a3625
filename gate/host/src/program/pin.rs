//! A directory, mounted in a private namespace: read-only, and with symbolic links that are not followed.
//!
//! Invariant: the mounted directory is the one that the gate opened, and every mount in it is as strict as the topmost
//! one. Otherwise no program starts.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::orders::MOUNT_NAME;
use super::refusal::{NotStarted, Refusal, broken};
use base::dirfd::PinnedDir;
use base::names::PlainPath;
use base::sort;

/// `MS_NOSYMFOLLOW` (Linux 5.10), which nix does not name yet.
const NO_SYMFOLLOW: MsFlags = MsFlags::from_bits_retain(256);

/// The same in words, as the kernel lists a mount's options.
const STRICT: [&str; 5] = ["ro", "nosuid", "nodev", "noexec", "nosymfollow"];

const NONE: Option<&str> = None;

fn refused(errno: nix::Error) -> Refusal {
    (
        NotStarted::Unprepared,
        format!(
            "the source cannot be mounted in a namespace of its own ({}); set rclone.pin = \"descriptor\" if this system does not allow it",
            errno.desc()
        ),
    )
}

/// Mounts the directory that standard input holds, and returns the directory above the mount point.
pub(super) fn mounted(path: &PlainPath, mount_parent: &PlainPath) -> Result<OwnedFd, Refusal> {
    own_namespace()?;
    // Mounts of the host may still come and go in here; nothing of ours goes out.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE).map_err(refused)?;
    // A mount belongs to one namespace, and the descriptor that came in to the old one. So the directory
    // is opened again, and it must be the same one: its inode is still held open, so its number cannot
    // have gone to another.
    let again = PinnedDir::open(path)
        .map_err(|_| (NotStarted::SourceReplaced, format!("{path} was replaced")))?;
    let held = nix::sys::stat::fstat(std::io::stdin()).map_err(broken("fstat"))?;
    if again.identity() != (&held).into() {
        return Err((NotStarted::SourceReplaced, format!("{path} was replaced")));
    }
    let parent = PinnedDir::open(mount_parent).map_err(broken("the mount point's directory"))?;
    let target = mount_parent.below(&[MOUNT_NAME]).to_path_buf();
    let from = format!("/proc/self/fd/{}", again.fd().as_raw_fd());
    // Includes the mounts inside of it: without them rclone would see empty folders there, and empty the copy.
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from.as_str()), &target, NONE, bind, NONE).map_err(refused)?;
    // Later mounts of the host in there would come without these restrictions.
    let alone = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, &target, NONE, alone, NONE).map_err(refused)?;
    restrict(&target)?;
    parent
        .fd()
        .try_clone()
        .map_err(|error| (NotStarted::Unprepared, error.to_string()))
}

fn own_namespace() -> Result<(), Refusal> {
    let (uid, gid) = (geteuid(), getegid());
    if uid.is_root() {
        return unshare(CloneFlags::CLONE_NEWNS).map_err(refused);
    }
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    let write = |name: &str, text: String| {
        std::fs::write(format!("/proc/self/{name}"), text)
            .map_err(|error| (NotStarted::Unprepared, format!("{name}: {error}")))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{uid} {uid} 1"))?;
    write("gid_map", format!("{gid} {gid} 1"))
}

/// Makes the mount and every mount in it strict, the topmost first: from then on no name below it can lead
/// elsewhere through a link.
fn restrict(target: &Path) -> Result<(), Refusal> {
    let strict = MsFlags::MS_REMOUNT
        | MsFlags::MS_BIND
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC
        | NO_SYMFOLLOW;
    let mut places: Vec<PathBuf> = mounts_below(target)?.into_iter().map(|m| m.0).collect();
    let depth = |place: &PathBuf| place.components().count();
    sort::sort_by(&mut places, |one, other| depth(one).cmp(&depth(other)));
    for place in &places {
        mount(NONE, place, NONE, strict, NONE).map_err(|errno| unlike(place, errno.desc()))?;
    }
    // One mount may hide another, and a folder on the way may have been renamed meanwhile.
    match mounts_below(target)?.into_iter().find(|(_, options)| {
        !STRICT
            .iter()
            .all(|&word| options.split(',').any(|option| option == word))
    }) {
        Some((place, _)) => Err(unlike(&place, "it is still as the host has it")),
        None => Ok(()),
    }
}

fn unlike(place: &Path, why: &str) -> Refusal {
    (
        NotStarted::Unprepared,
        format!(
            "{} is a mount inside the source and cannot be made read-only for the copy ({why}); unmount it or back it up as a target of its own under [extra]",
            place.display()
        ),
    )
}

/// Every mount at and below a place, with its options: proc_pid_mountinfo(5).
fn mounts_below(target: &Path) -> Result<Vec<(PathBuf, String)>, Refusal> {
    let table = std::fs::read("/proc/self/mountinfo")
        .map_err(|error| (NotStarted::Unprepared, format!("mountinfo: {error}")))?;
    let mounts: Vec<(PathBuf, String)> = table
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|&byte| byte == b' ').skip(4);
            let place = PathBuf::from(unescaped(fields.next()?));
            let options = String::from_utf8_lossy(fields.next()?).into_owned();
            place.starts_with(target).then_some((place, options))
        })
        .collect();
    if mounts.is_empty() {
        return Err((
            NotStarted::Unprepared,
            "the mount of the source is gone".into(),
        ));
    }
    Ok(mounts)
}

/// Spaces, tabs, line feeds and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> OsString {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn names_of_mounts_are_unescaped() {
        let check = |field: &str, name: &str| {
            assert_eq!(unescaped(field.as_bytes()).as_bytes(), name.as_bytes());
        };
        check("/plain", "/plain");
        check("/a\\040b\\134c\\012", "/a b\\c\n");
        check("/odd\\9", "/odd\\9");
        check("/end\\", "/end\\");
    }

    #[test]
    fn mounts_are_found_by_whole_names() {
        let all = mounts_below(Path::new("/")).unwrap();
        assert!(all.iter().any(|(place, _)| place == Path::new("/proc")));
        assert!(mounts_below(Path::new("/pro")).is_err());
    }
}
