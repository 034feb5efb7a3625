//! Copies of a service's data on this host, in folders of the gate's own.
//!
//! Invariant: copies are made and removed below private folders alone, and originals are reached by descriptor without
//! following links.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::answer::Answer;
use super::orders::Duplicate;
use archive::duplicate::{Pass, duplicate};
use base::dirfd::{PinnedDir, enter, find, private_dir};
use base::error::Failure;
use base::names::PlainPath;
use base::scratch::empty;

type Watch<'a> = &'a mut dyn FnMut(u64) -> Result<(), Failure>;

fn own(path: &str) -> Result<OwnedFd, Failure> {
    let path = PlainPath::parse(path).map_err(|error| Failure::Tool {
        what: "the folder of captured data".into(),
        detail: error.to_string(),
    })?;
    private_dir(&path, geteuid().as_raw()).map_err(Failure::io(format!("the directory {path}")))
}

/// Makes or renews the copy of a tree.
pub(super) fn duplicated(
    source: &PinnedDir,
    order: &Duplicate,
    watch: Watch<'_>,
) -> Result<Answer, Failure> {
    let folder = own(&order.folder)?;
    let making = || Failure::errno(format!("making {}/{}", order.folder, order.tree));
    match mkdirat(&folder, order.tree.as_str(), Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(making()(errno)),
    }
    let tree = find(&folder, order.tree.as_ref())
        .and_then(|found| enter(found.fd))
        .map_err(making())?;
    let pass = Pass {
        way: order.way,
        live: order.live,
        reserve: order.reserve,
    };
    let done = duplicate(source.fd(), &tree, pass, watch)?;
    Ok(Answer::Duplicated(Box::new(done)))
}

/// Empties a folder of the gate's own.
pub(super) fn emptied(path: &PlainPath) -> Result<Answer, Failure> {
    let removing = || Failure::errno(format!("removing {path}"));
    // One that does not exist is empty. It is not made: its disk may be gone.
    match PinnedDir::open(path) {
        Err(Errno::ENOENT) => return Ok(Answer::Emptied),
        other => other.map_err(removing())?,
    };
    empty(&own(&path.to_string())?).map_err(removing())?;
    // The folder itself goes, and the one for all services with the last of them.
    let (above, name) = (path.parent(), path.components().last());
    if let (Some(above), Some(name)) = (above, name) {
        let removed = unlinkat(
            &own(&above.to_string())?,
            name.as_str(),
            UnlinkatFlags::RemoveDir,
        );
        removed.map_err(removing())?;
        if let (Some(top), Some(name)) = (above.parent(), above.components().last())
            && let Ok(top) = own(&top.to_string())
        {
            // It holds the captures of other services.
            let _ = unlinkat(&top, name.as_str(), UnlinkatFlags::RemoveDir);
        }
    }
    Ok(Answer::Emptied)
}
