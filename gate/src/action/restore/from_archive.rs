//! The tree from an archive: found, compared with its manifest on the way, and unpacked.
//!
//! Invariant: an archive with a manifest that can be read is restored as the manifest says, or the restore fails.

use std::fs::File;
use std::io::Seek;

use super::staging::{ENTRY, Staging};
use crate::action::Context;
use crate::action::databases::Databases;
use crate::action::fetch::{self, Stored, find};
use crate::action::verify::tell_version;
use crate::policy::Restore;
use crate::request::InnerPath;
use archive::check::Comparison;
use archive::choice::{Choice, Chosen};
use archive::extract::{Extracted, Options, extract_chosen};
use archive::manifest::{Reader, Totals};
use base::error::Failure;
use base::measure;
use host::Patience;

/// Makes the tree from an archive.
pub(super) fn fetch(
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
    let mut manifest = manifest(context, &stored, databases, patience)?;
    let mut choice = Choice::of(order.only.iter().map(InnerPath::as_bytes));
    let chosen = match (&mut manifest, choice.is_all()) {
        (_, true) => None,
        (Some((file, _)), false) => Some(choose(&mut choice, file, &stored)?),
        (None, false) => {
            return Err(Failure::NoArchive(format!(
                "--only needs the manifest of {}; restore the whole archive, without --only",
                stored.name
            )));
        }
    };
    let bytes = match (&chosen, &manifest) {
        (Some(chosen), _) => chosen.bytes.saturating_add(chosen.entries * ENTRY),
        (None, Some((_, totals))) => totals.bytes.saturating_add(totals.entries * ENTRY),
        (None, None) => stored.bytes,
    };
    staging.has_room(context, bytes)?;
    let extracted = unpack(
        context,
        &stored,
        manifest.map(|(file, _)| file),
        (staging, &choice),
        Options {
            owners: nix::unistd::geteuid().is_root(),
            powers: order.keep_privileges,
            reserve: context.config.limits.spool_reserve,
        },
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
    if let Some(chosen) = chosen {
        return Ok(format!(
            "{} of {} are restored ({} entries, {} bytes; all {} entries of the archive were read, {compared})",
            measure::count(order.only.len() as u64, "chosen path"),
            stored.name,
            chosen.entries,
            chosen.bytes,
            report.entries
        ));
    }
    Ok(format!(
        "{} is restored ({} entries, {} bytes, {compared})",
        stored.name, report.entries, report.bytes
    ))
}

/// Finds the chosen entries in the manifest, before the archive is downloaded.
fn choose(choice: &mut Choice, file: &mut File, stored: &Stored) -> Result<Chosen, Failure> {
    let reading = || Failure::io("reading the manifest");
    let mut records = Reader::new(&*file)?;
    while let Some(record) = records.record()? {
        choice.note(&record);
    }
    drop(records);
    let missing = choice.missing();
    if !missing.is_empty() {
        return Err(Failure::NoArchive(format!(
            "{} does not hold {missing}",
            stored.name
        )));
    }
    file.rewind().map_err(reading())?;
    let mut chosen = Chosen::default();
    let mut records = Reader::new(&*file)?;
    while let Some(record) = records.record()? {
        if choice.wants(&record.path, record.letter == 'd') {
            chosen.count(&record);
        }
    }
    drop(records);
    file.rewind().map_err(reading())?;
    Ok(chosen)
}

/// The manifest of an archive and its totals, if there is one.
pub(super) fn manifest(
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

/// The manifest of an archive and its totals.
pub(in crate::action) fn read_manifest(
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
    drop(records);
    file.rewind().map_err(reading())?;
    Ok((file, totals))
}

/// Unpacks an archive while it is downloaded.
pub(in crate::action) fn unpack(
    context: &mut Context<'_>,
    stored: &Stored,
    manifest: Option<File>,
    (staging, choice): (&Staging, &Choice),
    options: Options,
    patience: &Patience<'_>,
) -> Result<Extracted, Failure> {
    let name = stored.name.to_string();
    let file = format!("{}/{name}", stored.folder);
    let what = format!("restoring {file}");
    let mut comparison = manifest
        .map(|manifest| Comparison::new(manifest, &name))
        .transpose()?;
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
            let comparison = comparison.take();
            let made =
                extract_chosen(coming, comparison, target, choice, options, &mut |_| Ok(()))?;
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
