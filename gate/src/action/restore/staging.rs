//! A tree in the making, until it gets its final name.
//!
//! The tree is made in a directory of the gate's own beside its destination, on the same file system, and gets its
//! name when it is complete. So a tree with its final name is complete, even if the gate dies at any moment.
//!
//! Invariant: existing files stay untouched. The next restore to the same place, or `--recover`, removes the leftovers
//! of a killed gate.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, geteuid, unlinkat};

use crate::action::Context;
use crate::replacement;
use crate::request::Target;
use archive::extract::free;
use base::dirfd::{PinnedDir, entries, find};
use base::error::Failure;
use base::measure;
use base::names::PlainPath;
use base::scratch;

/// Name prefix of a tree in the making, in a service's folder.
const MAKING: &str = ".restoring-";

/// Name prefix of a tree that was restored beside the data.
const RESTORED: &str = "restored-";

/// Name prefix of the data that a restore in place has replaced.
pub(super) const BEFORE: &str = "data.before-restore-";

/// Contents that are downloaded before the tree is made of them, each kind in a folder of its own.
pub(in crate::action) struct Parts {
    /// Files of the mirror, under their paths.
    pub(in crate::action) contents: OwnedFd,
    /// Files of a night that has not come to its place yet.
    pub(in crate::action) incoming: OwnedFd,
    /// Files of the bundle.
    pub(in crate::action) bundled: OwnedFd,
    /// The folder of all.
    pub(in crate::action) fd: OwnedFd,
    /// Its path.
    pub(in crate::action) path: PlainPath,
}

/// A tree in the making.
pub(in crate::action) struct Staging {
    parent: OwnedFd,
    folder: PlainPath,
    /// Identifies this restore among others of the service: the time, and a number if the time is not unique.
    pub(super) stamp: String,
    /// The temporary name.
    making: String,
    /// The final name.
    pub(super) name: String,
    tree: OwnedFd,
    named: bool,
    /// The folder for contents that are downloaded before the tree is made of them.
    parts: Option<String>,
}

/// Disk space that an entry may take besides its content.
pub(in crate::action) const ENTRY: u64 = 4096;

/// Names in the folder of parts.
pub(in crate::action) const CONTENTS: &str = "data";
pub(in crate::action) const INCOMING: &str = "incoming";
pub(in crate::action) const BUNDLED: &str = "bundle";

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

impl Staging {
    /// Makes the tree, after removing leftovers of earlier restores. The caller must hold the lock of the service's
    /// restores.
    pub(in crate::action) fn make(
        context: &mut Context<'_>,
        (target, beside): (&Target, &PlainPath),
        stamp: &str,
    ) -> Result<Self, Failure> {
        let (folder, prefix, named) = match target {
            Target::Beside | Target::InPlace => (beside.clone(), MAKING.to_owned(), None),
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
            // Never make the parent of a named directory: it may be on a disk that is not mounted.
            Err(Errno::ENOENT) if !matches!(target, Target::At(_)) => {
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
        // A user who may write to the folder could have put another directory there.
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
            parts: None,
        })
    }

    /// Checks before the download that the data will fit.
    pub(super) fn has_room(&self, context: &Context<'_>, bytes: u64) -> Result<(), Failure> {
        let reserve = context.config.limits.spool_reserve;
        let free = free(&self.tree)?;
        if free >= bytes.saturating_add(reserve) {
            return Ok(());
        }
        Err(Failure::NoSpace(format!(
            "the disk of {} has {free} bytes free ({}); this needs {bytes} ({}), and {reserve} are to stay free (limits.spool_reserve); make room there, or restore to another disk with --to",
            self.path(),
            measure::size(free),
            measure::size(bytes)
        )))
    }

    /// Makes a folder beside the tree for downloaded contents, with a folder in it for each kind of them.
    pub(in crate::action) fn make_parts(&mut self) -> Result<Parts, Failure> {
        let name = format!("{}.parts", self.making);
        let path = self.folder.below(&[&name]);
        let what = || Failure::errno(format!("making {path}"));
        mkdirat(&self.parent, name.as_str(), Mode::S_IRWXU).map_err(what())?;
        self.parts = Some(name.clone());
        let fd = openat(&self.parent, name.as_str(), DIRECTORY, Mode::empty()).map_err(what())?;
        let make = |name: &str| {
            mkdirat(&fd, name, Mode::S_IRWXU).map_err(what())?;
            openat(&fd, name, DIRECTORY, Mode::empty()).map_err(what())
        };
        Ok(Parts {
            contents: make(CONTENTS)?,
            incoming: make(INCOMING)?,
            bundled: make(BUNDLED)?,
            fd,
            path,
        })
    }

    /// Removes the downloaded contents that the tree does not need.
    pub(super) fn remove_parts(&mut self) {
        if let Some(name) = self.parts.take() {
            remove(&self.parent, &name);
        }
    }

    /// Puts the contents downloaded so far in the place of the empty tree: the deadline passed before more was made of
    /// them.
    pub(super) fn keep_parts(&mut self) -> Result<(), Failure> {
        let Some(name) = &self.parts else {
            return Ok(());
        };
        let what = || Failure::errno(format!("keeping {}/{name}", self.folder));
        let parts = openat(&self.parent, name.as_str(), DIRECTORY, Mode::empty()).map_err(what())?;
        match unlinkat(&self.parent, self.making.as_str(), UnlinkatFlags::RemoveDir) {
            // The tree holds something already.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => return Ok(()),
            other => other.map_err(what())?,
        }
        renameat(&parts, CONTENTS, &self.parent, self.making.as_str()).map_err(what())?;
        self.tree =
            openat(&self.parent, self.making.as_str(), DIRECTORY, Mode::empty()).map_err(what())?;
        Ok(())
    }

    /// The folder that contains the tree.
    pub(super) fn parent(&self) -> &OwnedFd {
        &self.parent
    }

    /// The tree.
    pub(in crate::action) fn tree(&self) -> &OwnedFd {
        &self.tree
    }

    /// The temporary path.
    pub(in crate::action) fn making(&self) -> PlainPath {
        self.folder.below(&[&self.making])
    }

    /// The final path.
    pub(super) fn path(&self) -> PlainPath {
        self.folder.below(&[&self.name])
    }

    /// Gives the complete tree its final name.
    pub(super) fn complete(&mut self) -> Result<(), Failure> {
        // An empty directory may have that name.
        match unlinkat(&self.parent, self.name.as_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {
                return Err(Failure::TargetTaken(self.path().to_path_buf()));
            }
            Err(errno) => return Err(Failure::errno(format!("replacing {}", self.path()))(errno)),
        }
        self.rename(&self.name.clone())
    }

    /// True if the tree has any entries.
    pub(super) fn holds_something(&self) -> bool {
        entries(&self.tree).is_ok_and(|found| !found.is_empty())
    }

    /// Keeps the incomplete tree, under a name that ends in `.incomplete`.
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
        self.remove_parts();
        if !self.named {
            remove(&self.parent, &self.making);
        }
    }
}

/// Makes the folder of a service, on a host that has no data of this service yet.
fn make_folder(context: &mut Context<'_>, folder: &PlainPath) -> Result<PinnedDir, Failure> {
    let (Some(above), Some(name)) = (folder.parent(), folder.components().last()) else {
        return Err(refused(folder, "it does not exist"));
    };
    let opened = PinnedDir::open(&above).map_err(|errno| refused(&above, errno.desc()))?;
    let what = || Failure::errno(format!("making {folder}"));
    mkdirat(opened.fd(), name.as_str(), Mode::S_IRWXU).map_err(what())?;
    let made = openat(opened.fd(), name.as_str(), DIRECTORY, Mode::empty()).map_err(what())?;
    // The gate's umask gives other users no access, but the user of the service has to pass through.
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

/// Checks that no entry, or only an empty directory, has the name.
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

/// `stamp`; or `stamp-2`, `stamp-3`, … if a restore of the same second has the name.
fn unused(parent: &OwnedFd, stamp: &str) -> String {
    let taken = |stamp: &str| {
        [RESTORED, BEFORE]
            .iter()
            .any(|prefix| find(parent, format!("{prefix}{stamp}").as_ref()).is_ok())
    };
    // More than a few such names in one second do not come from this program; the name is refused later.
    std::iter::once(stamp.to_owned())
        .chain((2..100).map(|number| format!("{stamp}-{number}")))
        .find(|stamp| !taken(stamp))
        .unwrap_or_else(|| stamp.to_owned())
}

/// Removes leftovers of killed gates; returns true if there were any.
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

/// Removes a tree as far as possible; the next restore removes the rest.
fn remove(parent: &OwnedFd, name: &str) {
    if let Ok(tree) = openat(parent, name, DIRECTORY, Mode::empty()) {
        let _ = scratch::empty(&tree);
    }
    let _ = unlinkat(parent, name, UnlinkatFlags::RemoveDir);
}
