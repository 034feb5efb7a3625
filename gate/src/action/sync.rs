//! `--sync` and `--sync-extra`: make the copy on the remote like the directory.
//!
//! Invariant: rclone reads the directory that was opened and checked, whatever its name leads to by then, and
//! an empty source, or one from which too much is missing, never gets that far.

use std::time::Instant;

use super::Context;
use super::remote::{Access, Task};
use crate::error::Failure;
use crate::host::Patience;
use crate::policy::Mirror;
use crate::program::Output;
use crate::progress::Phase;
use crate::rclone;

pub(super) fn sync(
    context: &mut Context<'_>,
    mirror: &Mirror,
    until: Instant,
) -> Result<String, Failure> {
    let lock = context.lock(&mirror.lock, "--sync", &Patience::attended(until))?;
    let patience = Patience::attended(until).yielding(&lock);
    let directory = context.open_source(&mirror.source)?;
    context.rclone_is_trusted()?;
    let now = context.host.local();
    for (doing, phase, argv) in [
        (
            "comparing",
            Phase::Comparing,
            rclone::rehearsal(context.config, mirror, now),
        ),
        (
            "mirroring",
            Phase::Mirroring,
            rclone::sync(context.config, mirror, now),
        ),
    ] {
        let task = Task {
            what: &format!("{doing} {}", mirror.source),
            argv,
            remote: &mirror.destination,
            access: Access::Source(&directory),
            output: Output::Relayed,
            phase,
        };
        context.rclone_must(&task, &patience)?;
    }
    Ok(format!(
        "{} is mirrored to {}",
        mirror.source, mirror.destination
    ))
}
