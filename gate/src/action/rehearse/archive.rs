//! The newest archive, fetched and unpacked as a restore does it.
//!
//! Invariant: an archive is proven only together with its manifest. One that is too large to be unpacked is compared with the
//! manifest while it is read.

use super::bench::Bench;
use super::evidence::{Evidence, RehearsedCopy};
use super::record::{Copy, ProofBook};
use super::start;
use super::tree::Finder;
use crate::action::Context;
use crate::action::databases::Databases;
use crate::action::fetch::{Stored, find};
use crate::action::restore::from_archive::{read_manifest, unpack};
use crate::action::restore::staging::ENTRY;
use crate::action::verify;
use crate::policy::Rehearse;
use archive::choice::Choice;
use archive::manifest::Reader;
use base::error::Failure;
use base::measure;
use base::proof::CopyKind;
use host::Patience;
use std::fs::File;
use std::io::Seek;

pub(super) fn rehearse(
    context: &mut Context<'_>,
    order: &Rehearse,
    book: &ProofBook,
    patience: &Patience<'_>,
) -> Result<RehearsedCopy, Failure> {
    let stored = match find(context, &order.wanted, patience) {
        Err(Failure::NoArchive(words)) => return Ok(RehearsedCopy::Absent(words)),
        other => other?,
    };
    let below = format!("/{}/archives", order.wanted.service);
    let remote = stored.folder.strip_suffix(&below);
    let remote = remote.unwrap_or(&stored.folder).to_owned();
    let name = stored.name.to_string();
    let mut copy = Copy::new(context.host, CopyKind::Archive, name, remote);
    copy.size = stored.bytes;
    if let Some(proof) = book.lately(&copy, context.config.rehearsal.days) {
        return Ok(RehearsedCopy::Fresh(proof));
    }
    context.say(format!(
        "rehearsing the restore of {} ({}) from {}",
        stored.name,
        measure::size(stored.bytes),
        stored.folder
    ));
    let mut evidence = Evidence::new();
    match prove(context, order, &stored, &mut evidence, patience) {
        Err(Failure::Verification(words)) => evidence.findings.add(words),
        other => other?,
    }
    // An archive of the same day may have taken its place meanwhile, or retention may have put it aside.
    if evidence.is_faulty() && find(context, &order.wanted, patience).ok().as_ref() != Some(&stored)
    {
        return Err(Failure::Tool {
            what: format!("rehearsing {}", stored.name),
            detail: "it was replaced or removed on the remote meanwhile; run this again".into(),
        });
    }
    Ok(RehearsedCopy::Done(copy, Box::new(evidence)))
}

fn prove(
    context: &mut Context<'_>,
    order: &Rehearse,
    stored: &Stored,
    evidence: &mut Evidence,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    if stored.manifest.is_none() {
        return Err(Failure::Verification(format!(
            "{} is missing, so that nothing says what is to be in it",
            stored.name.manifest()
        )));
    }
    let mut databases = Databases::new(context)?;
    let (mut manifest, totals) = read_manifest(context, stored, &databases, patience)?;
    let needs = totals
        .bytes
        .saturating_add(totals.entries.saturating_mul(ENTRY));
    if needs > context.config.rehearsal.max_bytes {
        evidence.not_started(format!(
            "unpacked it has {}, more than rehearsal.max_bytes",
            measure::size(needs)
        ));
        return compare(
            context,
            order,
            stored,
            manifest,
            &mut databases,
            evidence,
            patience,
        );
    }
    let bench = Bench::make(context, needs)?;
    let again = manifest
        .try_clone()
        .map_err(Failure::io("reading the manifest"))?;
    let extracted = unpack(
        context,
        stored,
        Some(again),
        (&bench.staging, &Choice::default()),
        bench.options(),
        patience,
    )?;
    if let Some(differences) = &extracted.report.differences {
        evidence.findings.differences(differences);
    }
    evidence.whole(extracted.report.files, extracted.report.bytes);
    manifest
        .rewind()
        .map_err(Failure::io("reading the manifest"))?;
    let mut finder = Finder::new(bench.staging.tree())?;
    let mut records = Reader::new(&manifest)?;
    while let Some(record) = records.record()? {
        if matches!(record.letter, 'f' | 's') {
            finder.see(&record.path)?;
        }
    }
    finder.examine(context, order, &mut databases, evidence, patience)?;
    start::test(context, order, &bench, evidence, patience)
}

/// Compares an archive with its manifest while it is read. Only its databases are kept meanwhile.
fn compare(
    context: &mut Context<'_>,
    order: &Rehearse,
    stored: &Stored,
    manifest: File,
    databases: &mut Databases,
    evidence: &mut Evidence,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let report = verify::read(context, stored, Some(manifest), databases, patience)?;
    if let Some(differences) = &report.differences {
        evidence.findings.differences(differences);
    }
    evidence.whole(report.files, report.bytes);
    let looked = databases.look(context, patience)?;
    evidence.databases += looked.len() as u64;
    evidence.findings.databases(context, &order.wanted, &looked);
    if databases.left_out > 0 {
        let words = format!(
            "{} more databases are in it than are checked",
            databases.left_out
        );
        evidence.findings.add(words);
    }
    Ok(())
}
