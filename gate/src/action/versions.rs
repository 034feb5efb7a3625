//! After a sync: expired versions of files that earlier syncs replaced or deleted are removed.
//!
//! Invariant: the mirror is up to date by now, so a failure here is reported and fails no action; `mirror::versions`
//! decides from the names of the days alone which versions are removed.

use super::Context;
use super::remote::{Access, Task};
use super::remote_folder::RemoteFolder;
use crate::mirror::versions::give_up;
use crate::policy::Mirror;
use base::error::Failure;
use base::progress::Phase;
use host::Patience;
use host::program::Output;
use rclone::call;
use rclone::place::Place;

pub(super) fn prune(context: &mut Context<'_>, mirror: &Mirror, patience: &Patience<'_>) {
    if let Err(failure) = try_prune(context, mirror, patience) {
        context.warn(format!(
            "old versions were not removed, the next sync tries again: {failure}"
        ));
    }
}

fn try_prune(
    context: &mut Context<'_>,
    mirror: &Mirror,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let versions = RemoteFolder {
        what: "listing the versions",
        path: &mirror.versions,
        phase: Phase::Comparing,
        waits: false,
    };
    let days = versions.days(context, patience)?;
    let today = context.host.today();
    for day in give_up(&days, today, context.config.versions.keep()) {
        let folder = format!("{}/{day}", mirror.versions);
        context.say(format!("removing the versions of {day}"));
        let place = Place::of(context.config, &folder);
        let purge = Task {
            what: "removing old versions",
            argv: rclone::purge(context.config, &folder),
            call: Some(call::purge(context.config, &place)),
            remote: &mirror.versions,
            access: Access::Remote,
            output: Output::Relayed,
            phase: Phase::Comparing,
        };
        context.rclone_must(&purge, patience)?;
    }
    Ok(())
}
