//! Where a tree is made before it bears its name.
//!
//! It is made in a directory of the gate's own beside the place that it is for, on the same file system, and gets its
//! name when it is complete: what bears a name is whole, whenever the gate dies.
//!
//! Invariant: nothing that was there is touched, and what a killed gate left is removed by the next restore to the same
//! place, or by `--recover`.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, geteuid, unlinkat};

use crate::action::Context;
use crate::error::Failure;
use crate::host::dirfd::{PinnedDir, entries, find};
use crate::names::PlainPath;
use crate::policy::Restore;
use crate::replacement;
use crate::request::Target;
use crate::scratch;

/// What begins the name of a tree in the making, in a service's folder.
const MAKING: &str = ".restoring-";

/// What begins the name of a tree that was restored beside the data.
const RESTORED: &str = "restored-";

/// What begins the name of the data that a restore in place has replaced.
pub(super) const BEFORE: &str = "data.before-restore-";

/// A tree in the making.
pub(super) struct Staging {
    parent: OwnedFd,
    folder: PlainPath,
    /// What tells this restore from others of the service: the time, and a number where that is not enough.
    pub(super) stamp: String,
    /// Its name so far.
    making: String,
    /// The name that it is to have.
    pub(super) name: String,
    tree: OwnedFd,
    named: bool,
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

impl Staging {
    /// Makes it, after what earlier ones left is gone. The lock of the service's restores must be held.
    pub(super) fn make(
        context: &mut Context<'_>,
        order: &Restore,
        stamp: &str,
    ) -> Result<Self, Failure> {
        let (folder, prefix, named) = match &order.target {
            Target::Beside | Target::InPlace => (order.folder.clone(), MAKING.to_owned(), None),
            Target::At(path) => match (path.parent(), path.components().last()) {
                (Some(parent), Some(name)) => {
                    (parent, format!(".{name}{MAKING}"), Some(name.clone()))
                }
                _ => {
                    return Err(refused(
                        path,
                        "it lies in / itself; name a directory below another one",
                    ));
                }
            },
        };
        let parent = match PinnedDir::open(&folder) {
            // A directory that was named may be on a disk that is not mounted.
            Err(Errno::ENOENT) if !matches!(order.target, Target::At(_)) => {
                make_folder(context, &folder)?
            }
            other => other.map_err(|errno| refused(&folder, errno.desc()))?,
        };
        let parent = parent
            .fd()
            .try_clone()
            .map_err(Failure::io(format!("the directory {folder}")))?;
        let stamp = unused(&parent, stamp);
        let name = named.unwrap_or_else(|| format!("{RESTORED}{stamp}"));
        is_free(&parent, &folder, &name)?;
        clear(&parent, &prefix);
        let making = format!("{prefix}{stamp}");
        let what = || Failure::errno(format!("making {folder}/{making}"));
        mkdirat(&parent, making.as_str(), Mode::S_IRWXU).map_err(what())?;
        let tree = openat(&parent, making.as_str(), DIRECTORY, Mode::empty()).map_err(what())?;
        let stat = fstat(&tree).map_err(what())?;
        // Whoever may write to the folder could have put another one there.
        if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o7777 & !0o2000 != 0o700 {
            return Err(refused(
                &folder,
                "somebody else replaces what is made there",
            ));
        }
        Ok(Self {
            parent,
            folder,
            stamp,
            making,
            name,
            tree,
            named: false,
        })
    }

    /// The folder that it lies in.
    pub(super) fn parent(&self) -> &OwnedFd {
        &self.parent
    }

    /// The tree.
    pub(super) fn tree(&self) -> &OwnedFd {
        &self.tree
    }

    /// Where it is so far.
    pub(super) fn making(&self) -> PlainPath {
        self.folder.below(&[&self.making])
    }

    /// Where it is to be.
    pub(super) fn path(&self) -> PlainPath {
        self.folder.below(&[&self.name])
    }

    /// Gives it its name: it is complete.
    pub(super) fn complete(&mut self) -> Result<(), Failure> {
        // An empty directory may be there.
        match unlinkat(&self.parent, self.name.as_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {
                return Err(Failure::TargetTaken(self.path().to_path_buf()));
            }
            Err(errno) => return Err(Failure::errno(format!("replacing {}", self.path()))(errno)),
        }
        self.rename(&self.name.clone())
    }

    /// True when there is anything in it.
    pub(super) fn holds_something(&self) -> bool {
        entries(&self.tree).is_ok_and(|found| !found.is_empty())
    }

    /// Keeps what there is of it under a name that says so.
    pub(super) fn rescue(&mut self) -> Result<PlainPath, Failure> {
        let mut name = format!("{}.incomplete", self.name);
        // An earlier restore to the same place may have left one.
        for number in 2..100 {
            match self.rename(&name) {
                Err(Failure::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                    name = format!("{}.{number}.incomplete", self.name);
                }
                other => return other.map(|()| self.folder.below(&[&name])),
            }
        }
        Err(Failure::TargetTaken(
            self.folder.below(&[&name]).to_path_buf(),
        ))
    }

    fn rename(&mut self, name: &str) -> Result<(), Failure> {
        replacement::rename(&self.parent, &self.making, name)
            .map_err(Failure::io(format!("naming {}/{name}", self.folder)))?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.named {
            remove(&self.parent, &self.making);
        }
    }
}

/// On a host that has nothing of the service yet.
fn make_folder(context: &mut Context<'_>, folder: &PlainPath) -> Result<PinnedDir, Failure> {
    let (Some(above), Some(name)) = (folder.parent(), folder.components().last()) else {
        return Err(refused(folder, "it does not exist"));
    };
    let opened = PinnedDir::open(&above).map_err(|errno| refused(&above, errno.desc()))?;
    let what = || Failure::errno(format!("making {folder}"));
    mkdirat(opened.fd(), name.as_str(), Mode::S_IRWXU).map_err(what())?;
    let made = openat(opened.fd(), name.as_str(), DIRECTORY, Mode::empty()).map_err(what())?;
    // The gate's umask leaves nothing for others; the user of the service has to pass through.
    fchmod(&made, Mode::from_bits_truncate(0o755)).map_err(what())?;
    fsync(opened.fd()).map_err(what())?;
    context.warn(format!(
        "{folder} did not exist and was made; give it to the user whose service it is"
    ));
    PinnedDir::open(folder).map_err(what())
}

fn refused(path: &PlainPath, detail: &str) -> Failure {
    Failure::Path {
        path: path.to_path_buf(),
        detail: detail.to_owned(),
    }
}

/// Nothing, or an empty directory, bears the name.
fn is_free(parent: &OwnedFd, folder: &PlainPath, name: &str) -> Result<(), Failure> {
    let path = folder.below(&[name]);
    let found = match find(parent, name.as_ref()) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other.map_err(|errno| refused(&path, errno.desc()))?,
    };
    if found.stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() {
        return Err(Failure::TargetTaken(path.to_path_buf()));
    }
    if found.mounted {
        return Err(refused(
            &path,
            "a file system is mounted there, which cannot be replaced; name a directory in it that does not exist yet",
        ));
    }
    match PinnedDir::open(&path).and_then(|opened| opened.is_empty()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::TargetTaken(path.to_path_buf())),
        Err(errno) => Err(refused(&path, errno.desc())),
    }
}

/// `stamp`, or where a restore of the same second has its names, `stamp-2`, `stamp-3`, …
fn unused(parent: &OwnedFd, stamp: &str) -> String {
    let taken = |stamp: &str| {
        [RESTORED, BEFORE]
            .iter()
            .any(|prefix| find(parent, format!("{prefix}{stamp}").as_ref()).is_ok())
    };
    // More than a few in one second are none of ours; the name is refused afterwards.
    std::iter::once(stamp.to_owned())
        .chain((2..100).map(|number| format!("{stamp}-{number}")))
        .find(|stamp| !taken(stamp))
        .unwrap_or_else(|| stamp.to_owned())
}

/// Removes what killed gates left; whether there was anything.
pub(super) fn clear_service(folder: &PlainPath) -> bool {
    PinnedDir::open(folder).is_ok_and(|opened| clear(opened.fd(), MAKING))
}

fn clear(parent: &OwnedFd, prefix: &str) -> bool {
    let mut any = false;
    for name in entries(parent).unwrap_or_default() {
        if let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) {
            remove(parent, name);
            any = true;
        }
    }
    any
}

/// What cannot be removed now is removed by the next one.
fn remove(parent: &OwnedFd, name: &str) {
    if let Ok(tree) = openat(parent, name, DIRECTORY, Mode::empty()) {
        let _ = scratch::empty(&tree);
    }
    let _ = unlinkat(parent, name, UnlinkatFlags::RemoveDir);
}
