//! The mirror as of its last complete night, restored as `--restore --from mirror` does it.
//!
//! Invariant: a mirror without a manifest that can be read is no proven copy.

use super::bench::Bench;
use super::evidence::{Evidence, RehearsedCopy};
use super::record::{Copy, ProofBook};
use super::tree::Finder;
use super::{share, start};
use crate::action::Context;
use crate::action::databases::Databases;
use crate::action::night::{Fetched, MirrorBooks, look};
use crate::action::restore::mirror::exactly;
use crate::action::restore::staging::ENTRY;
use crate::policy::Rehearse;
use base::error::Failure;
use base::measure;
use base::proof::CopyKind;
use host::Patience;
use mirror::complete::Standing;

pub(super) fn rehearse(
    context: &mut Context<'_>,
    order: &Rehearse,
    book: &mut ProofBook,
    patience: &Patience<'_>,
) -> Result<RehearsedCopy, Failure> {
    let mut databases = Databases::new(context)?;
    let places = &order.mirror.places;
    for (remote, places) in places {
        let waits = order.mirror.places.len() == 1;
        let looked = look(context, places.clone(), &databases, waits, patience)?;
        let Some(mut books) = looked else {
            continue;
        };
        let as_of = books.night.as_ref().map(|night| night.heading.as_of);
        let name = as_of.map_or_else(|_| "no night".to_owned(), |as_of| as_of.to_string());
        let copy = Copy::new(context.host, CopyKind::Mirror, name, remote.to_string());
        let faults = faults(&mut books);
        if faults.is_empty() {
            if books.night.is_err() {
                continue;
            }
            if let Some(proof) = book.lately(&copy, context.config.rehearsal.days) {
                return Ok(RehearsedCopy::Fresh(proof));
            }
        }
        let mut evidence = Evidence::new();
        if faults.is_empty() {
            let proven = prove(
                context,
                order,
                book,
                &copy,
                &mut books,
                &mut databases,
                &mut evidence,
                patience,
            );
            match proven {
                Err(Failure::Verification(words)) => evidence.findings.add(words),
                other => other?,
            }
        }
        evidence.findings.0.extend(faults);
        if evidence.is_faulty() && books.was_replaced(context, patience)? {
            return Err(Failure::Tool {
                what: format!("rehearsing the restore of {}", books.places.data),
                detail: "a --sync changed the mirror meanwhile; run this again".into(),
            });
        }
        return Ok(RehearsedCopy::Done(copy, Box::new(evidence)));
    }
    Ok(RehearsedCopy::Absent(format!(
        "there is no complete mirror of {} with a manifest in {}",
        order.mirror.subject,
        order.mirror.named()
    )))
}

/// The faults of the manifests. A first upload that is not complete has none.
fn faults(books: &mut MirrorBooks) -> Vec<String> {
    let mut faults = books.faults.clone();
    let standing = books.complete.as_ref().map(|complete| complete.standing);
    match &mut books.night {
        Ok(night) => faults.append(&mut night.findings),
        Err(found) => {
            faults.append(found);
            if faults.is_empty() && !matches!(standing, Some(Standing::FirstUpload { .. })) {
                faults.push("no manifest can be read".into());
            }
        }
    }
    faults
}

#[expect(clippy::too_many_arguments, reason = "the parts of one rehearsal")]
fn prove(
    context: &mut Context<'_>,
    order: &Rehearse,
    book: &mut ProofBook,
    copy: &Copy,
    books: &mut MirrorBooks,
    databases: &mut Databases,
    evidence: &mut Evidence,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let needs = books.needs()?;
    let weight = weight(&needs);
    if weight > context.config.rehearsal.max_bytes {
        let whole = share::WholeMirror { copy, weight };
        return share::prove(
            context, order, book, &whole, books, databases, evidence, patience,
        );
    }
    context.say(format!(
        "rehearsing the restore of the mirror {} ({}), {}",
        books.places.data,
        measure::size(needs.bytes),
        books.standing()
    ));
    let mut bench = Bench::make(context, weight)?;
    let options = bench.options();
    let night = (&mut *books, &needs);
    let most = Some(context.config.rehearsal.max_bytes);
    let words = exactly(context, options, night, &mut bench.staging, most, patience)?;
    context.say(words);
    evidence.whole(needs.files, needs.bytes);
    let mut finder = Finder::new(bench.staging.tree())?;
    books.each_content(&mut |current, _| finder.see(&current.entry.record.path))?;
    finder.examine(context, order, databases, evidence, patience)?;
    start::test(context, order, &bench, evidence, patience)
}

/// The room that all entries take.
fn weight(needs: &Fetched) -> u64 {
    needs
        .bytes
        .saturating_add(needs.entries.saturating_mul(ENTRY))
}
