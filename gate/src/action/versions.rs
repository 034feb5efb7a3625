//! After a sync: expired versions of files that earlier syncs replaced or deleted are removed.
//!
//! Invariant: the mirror is up to date by now, so a failure here is reported and fails no action; `mirror::versions`
//! decides from the names of the days alone which versions are removed.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Context;
use super::remote::{Access, Task};
use crate::mirror::versions::{day, give_up};
use crate::policy::Mirror;
use base::error::Failure;
use base::progress::Phase;
use host::Patience;
use host::program::Output;
use rclone::call;
use rclone::place::Place;

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Name")]
    name: String,
}

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
    let task = |what, argv, call, output| Task {
        what,
        argv,
        call: Some(call),
        remote: &mirror.versions,
        access: Access::Remote,
        output,
        phase: Phase::Comparing,
    };
    let argv = rclone::days(context.config, &mirror.versions);
    // Silent: before the first version this folder does not exist.
    let place = Place::of(context.config, &mirror.versions);
    let listing = task(
        "listing the versions",
        argv,
        call::days(&place),
        Output::Silent,
    );
    let ran = context.rclone(&listing, patience)?;
    if rclone::folder_missing(&ran.ended) {
        return Ok(());
    }
    context.judge(&listing, &ran.ended, &ran.heard)?;
    let folders: Vec<Listed> = serde_json::from_slice(&ran.ended.stdout).map_err(|error| {
        Failure::Verification(format!("rclone's list of the versions: {error}"))
    })?;
    let days: BTreeSet<_> = folders.iter().filter_map(|it| day(&it.name)).collect();
    let today = context.host.today();
    for day in give_up(&days, today, context.config.versions.keep()) {
        let folder = format!("{}/{day}", mirror.versions);
        context.say(format!("removing the versions of {day}"));
        let argv = rclone::purge(context.config, &folder);
        let place = Place::of(context.config, &folder);
        let call = call::purge(context.config, &place);
        let purge = task("removing old versions", argv, call, Output::Relayed);
        context.rclone_must(&purge, patience)?;
    }
    Ok(())
}
