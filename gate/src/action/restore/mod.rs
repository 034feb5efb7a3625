//! `--restore`: brings data back beside the present data, to another directory, or in its place.
//!
//! Invariant: a service's data is complete at every moment: the former data until all of the new data is there and
//! compared, and then the new data. A tree with its final name is complete.

mod mirror;
mod place;
mod plain_mirror;
mod snapshot;
mod staging;

use std::fs::File;
use std::io::Seek;
use std::time::Instant;

use super::Context;
use super::databases::Databases;
use super::fetch::{self, Stored, find};
use super::one_process::Reach;
use super::spool::fetched_folder;
use super::verify::tell_version;
use crate::policy::Restore;
use crate::request::Target;
use archive::check::Comparison;
use archive::extract::{Extracted, Options, extract, free};
use archive::manifest::{Reader, Totals};
use base::error::{Failure, Interrupt};
use base::lock_name::LockName;
use base::measure;
use base::scratch::Scratch;
use host::Patience;

pub(in crate::action) use place::{Interrupted, heal};
use staging::Staging;

/// Disk space that an entry may take besides its content.
const ENTRY: u64 = 4096;

pub(super) fn restore(
    context: &mut Context<'_>,
    order: &Restore,
    until: Instant,
) -> Result<String, Failure> {
    let service = &order.wanted.service;
    let patience = Patience::attended(until);
    let _restores = context.lock(&LockName::restores(service), "--restore", &patience)?;
    context.rclone_reads(&order.wanted.remotes, &patience)?;
    if order.target == Target::InPlace {
        place::heal_held(context, service)?;
        place::may_be_replaced(context, order)?;
    } else {
        place::warn_of_interrupted(context, service);
    }
    let folder = fetched_folder(&context.config.spool_dir);
    let scratch =
        Scratch::take(&folder).map_err(Failure::io(format!("a temporary folder in {folder}")))?;
    let mut databases = Databases::new(scratch, context.config.limits.spool_reserve);
    let stamp = context.host.local().format("%Y%m%d-%H%M%S").to_string();
    let mut staging = Staging::make(context, order, &stamp)?;
    context.begin_one_process(Reach::Remote, &patience)?;
    let made = if order.mirror {
        mirror::fetch(context, order, &mut staging, &databases, &patience)
    } else {
        from_archive(context, order, &staging, &databases, &patience)
    };
    context.end_one_process();
    if order.mirror && made.as_ref().is_err_and(is_out_of_time) {
        staging.keep_parts()?;
    }
    let made = match made {
        Ok(made) => made,
        Err(Failure::Verification(words)) => {
            let path = staging.rescue()?;
            return Err(Failure::Verification(format!(
                "{words}; what came of it is in {path}, and nothing else was changed"
            )));
        }
        // The deadline passed while the gate waited for the remote: keep the files that came before.
        Err(failure) if order.mirror && is_out_of_time(&failure) && staging.holds_something() => {
            let path = staging.rescue()?;
            context.warn(format!(
                "the files that came before are in {path}, with neither their owners and permissions nor links; nothing else was changed"
            ));
            return Err(failure);
        }
        Err(failure) => return Err(failure),
    };
    match order.target {
        Target::Beside | Target::At(_) => {
            staging.complete()?;
            snapshot::explain(context, order, &staging);
            Ok(format!("{made} to {}", staging.path()))
        }
        Target::InPlace => {
            snapshot::put(context, order, &staging, &mut databases, &patience)?;
            place::replace(context, order, &mut staging, until)
                .map(|words| format!("{made}; {words}"))
        }
    }
}

/// True when the deadline passed.
fn is_out_of_time(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::TimedOutWaiting { .. }
            | Failure::Interrupted {
                cause: Interrupt::DeadlinePassed,
                ..
            }
    )
}

/// Makes the tree from an archive.
fn from_archive(
    context: &mut Context<'_>,
    order: &Restore,
    staging: &Staging,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    let stored = find(context, &order.wanted, patience)?;
    context.say(format!(
        "restoring {} ({}) from {}",
        stored.name,
        measure::size(stored.bytes),
        stored.folder
    ));
    let manifest = manifest(context, &stored, databases, patience)?;
    let bytes = match &manifest {
        Some((_, totals)) => totals.bytes.saturating_add(totals.entries * ENTRY),
        None => stored.bytes,
    };
    has_room(context, staging, bytes)?;
    let extracted = unpack(
        context,
        order,
        &stored,
        manifest.map(|(file, _)| file),
        staging,
        patience,
    )?;
    tell(context, &extracted);
    let report = extracted.report;
    if let Some(differences) = &report.differences {
        differences.insist()?;
    }
    let compared = match report.differences {
        Some(_) => "all as its manifest says",
        None => "not compared with anything, for want of a manifest",
    };
    Ok(format!(
        "{} is restored ({} entries, {} bytes, {compared})",
        stored.name, report.entries, report.bytes
    ))
}

/// The manifest of an archive and its totals, if there is one.
fn manifest(
    context: &mut Context<'_>,
    stored: &Stored,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<Option<(File, Totals)>, Failure> {
    if stored.manifest.is_none() {
        context.warn(format!(
            "no manifest lies beside {}, so that nothing says whether all comes back as it was",
            stored.name
        ));
        return Ok(None);
    }
    match read_manifest(context, stored, databases, patience) {
        Ok(read) => Ok(Some(read)),
        Err(failure) if is_unreadable(&failure) => {
            context.warn(format!(
                "{}/{} cannot be read ({failure}), so that nothing says whether all comes back as it was",
                stored.folder,
                stored.name.manifest()
            ));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// True for a failure that concerns only a manifest, and does not prevent a restore of the data.
fn is_unreadable(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Verification(_) | Failure::Tool { .. } | Failure::Remote { .. }
    )
}

fn read_manifest(
    context: &mut Context<'_>,
    stored: &Stored,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<(File, Totals), Failure> {
    let mut file = databases.create("manifest")?;
    let room = |bytes| databases.has_room(bytes);
    fetch::manifest(context, stored, &file, patience, &room)?;
    let reading = || Failure::io("reading the manifest");
    file.rewind().map_err(reading())?;
    let mut records = Reader::new(&file)?;
    while records.record()?.is_some() {}
    tell_version(context, stored, records.version());
    let totals = records
        .totals()
        .ok_or_else(|| Failure::Verification("the manifest has no last line".to_owned()))?;
    file.rewind().map_err(reading())?;
    Ok((file, totals))
}

/// Checks before the download that the data will fit.
fn has_room(context: &Context<'_>, staging: &Staging, bytes: u64) -> Result<(), Failure> {
    let reserve = context.config.limits.spool_reserve;
    let free = free(staging.tree())?;
    if free >= bytes.saturating_add(reserve) {
        return Ok(());
    }
    Err(Failure::NoSpace(format!(
        "the disk of {} has {free} bytes free ({}); this needs {bytes} ({}), and {reserve} are to stay free (limits.spool_reserve); make room there, or restore to another disk with --to",
        staging.path(),
        measure::size(free),
        measure::size(bytes)
    )))
}

fn unpack(
    context: &mut Context<'_>,
    order: &Restore,
    stored: &Stored,
    manifest: Option<File>,
    staging: &Staging,
    patience: &Patience<'_>,
) -> Result<Extracted, Failure> {
    let name = stored.name.to_string();
    let file = format!("{}/{name}", stored.folder);
    let what = format!("restoring {file}");
    let mut comparison = manifest
        .map(|manifest| Comparison::new(manifest, &name))
        .transpose()?;
    let options = Options {
        owners: nix::unistd::geteuid().is_root(),
        powers: order.keep_privileges,
        reserve: context.config.limits.spool_reserve,
    };
    let mut extracted = None;
    fetch::read(
        context,
        (&what, &file, stored.bytes),
        patience,
        &mut |coming| {
            let target = staging
                .tree()
                .try_clone()
                .map_err(Failure::io("the target directory"))?;
            let made = extract(coming, comparison.take(), target, options, &mut |_| Ok(()))?;
            extracted = Some(made);
            Ok(())
        },
    )?;
    extracted.ok_or_else(|| Failure::Verification(format!("{file} was not read")))
}

/// Warns about entries that did not come back unchanged.
fn tell(context: &mut Context<'_>, extracted: &Extracted) {
    for (what, named) in [
        ("not made, because they are devices", &extracted.skipped),
        (
            "made without set-user-ID, set-group-ID or capabilities (--keep-privileges restores them)",
            &extracted.powerless,
        ),
        (
            "made without attributes that cannot be set here",
            &extracted.attributes,
        ),
    ] {
        if !named.is_empty() {
            context.warn(format!("{what}: {named}"));
        }
    }
}
