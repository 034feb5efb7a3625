//! Captures by commands of the administrator, for ZFS, LVM and other systems.
//!
//! Invariant: the commands belong to root alone, as those of a service do, and so do the folders above the capture.

use super::record::{self, CaptureMethod, CaptureRecord};
use crate::action::Context;
use crate::lease::Lease;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::names::{PlainPath, ServiceName};
use host::Patience;
use host::program::{Output, Tether};

/// True if the service has such commands.
pub(super) fn exist(context: &Context<'_>, service: &ServiceName) -> bool {
    let service = context.config.services.get(service);
    service.is_some_and(|service| service.capture.is_some())
}

/// Makes the capture; `None` without such commands.
pub(super) fn take(
    context: &mut Context<'_>,
    service: &ServiceName,
    lease: &Lease,
    patience: &Patience<'_>,
) -> Result<Option<CaptureRecord>, Failure> {
    let commands = context.config.services.get(service);
    let Some(commands) = commands.and_then(|service| service.capture.as_ref()) else {
        return Ok(None);
    };
    base::owners::trusted(commands.release.argv())?;
    let mut record = CaptureRecord {
        lease: lease.id(),
        made: CaptureMethod::Commands,
        folder: None,
        tree: None,
    };
    record::save(context, service, &record)?;
    let argv = commands.take.argv().to_vec();
    run(context, "capturing the data", argv, patience)?;
    let above = commands.path.parent();
    if let Some(above) = above {
        // A folder that the service's user could exchange is no place for a capture.
        trusted_folder(&above)?;
    }
    record.tree = Some(commands.path.to_string());
    Ok(Some(record))
}

fn trusted_folder(path: &PlainPath) -> Result<(), Failure> {
    let refused = |detail: String| Failure::Path {
        path: path.to_path_buf(),
        detail,
    };
    let there = PinnedDir::open(path).map_err(|errno| refused(errno.desc().to_owned()))?;
    drop(there);
    base::dirfd::private_dir(path, nix::unistd::geteuid().as_raw())
        .map(drop)
        .map_err(|error| refused(error.to_string()))
}

/// Runs a command of the administrator, or of the system, and fails unless it succeeds.
pub(super) fn run(
    context: &mut Context<'_>,
    what: &str,
    argv: Vec<String>,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    base::owners::trusted(&argv)?;
    let program = context.program(what, argv, Tether::Tied, Output::Captured)?;
    let ended = context.host.run(&program, patience)?;
    if ended.ok() {
        return Ok(());
    }
    Err(Failure::Tool {
        what: what.to_owned(),
        detail: ended.describe(),
    })
}
