//! `--sync` and `--sync-extra`: make the copy on the remote like the directory.
//!
//! Invariant: rclone reads the directory that was opened and checked, whatever its name leads to by then, and
//! an empty source, or one from which too much is missing, never gets that far.

use std::time::Instant;

use super::{Access, Context};
use crate::error::Failure;
use crate::host::Patience;
use crate::policy::Mirror;
use crate::program::Output;
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
    for (what, argv) in [
        ("rehearsing", rclone::rehearsal(context.config, mirror, now)),
        ("mirroring", rclone::sync(context.config, mirror, now)),
    ] {
        let what = format!("{what} {}", mirror.source);
        let access = Access::Source(&directory);
        let program = context.transfer(&what, argv, access, Output::Relayed)?;
        let ended = context.host.run(&program, &patience)?;
        rclone::judge(&what, &ended, context.config, Some(mirror))?;
    }
    Ok(format!(
        "{} is mirrored to {}",
        mirror.source, mirror.destination
    ))
}
