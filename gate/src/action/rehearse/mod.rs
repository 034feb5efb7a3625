//! `--rehearse`: proves that the newest copy of a service can be restored.
//!
//! The archive and the mirror take turns. A copy is restored into a private folder of the spool by the code that restores it
//! for an administrator, every digest is compared, and its databases are checked. Then the folder is emptied.
//!
//! Invariant: a rehearsal takes no lock of a service, a mirror, an archive or an upload, so no backup waits for it. It changes
//! nothing but its folder in the spool and the record of proofs.

mod archive;
mod bench;
mod evidence;
mod mirror;
mod postgres;
pub(super) mod record;
mod share;
mod start;
mod tree;

use std::time::Instant;

use super::Context;
use super::one_process::Reach;
use crate::policy::Rehearse;
use base::error::Failure;
use base::lock_name::LockName;
use base::proof::CopyKind;
use base::result_line::ResultLine;
pub(super) use bench::sweep;
use evidence::{Evidence, RehearsedCopy};
use host::Patience;
use record::{Copy, ProofBook};

const VERB: &str = "--rehearse";

pub(super) fn rehearse(
    context: &mut Context<'_>,
    order: &Rehearse,
    until: Instant,
) -> Result<String, Failure> {
    let patience = Patience::attended(until);
    let _turn = context.lock(&LockName::rehearsal(), VERB, &patience)?;
    // A killed rehearsal may have left something.
    bench::finish(context);
    let outcome = take_turn(context, order, &patience);
    // A kill may come before this line; the next action does it then.
    bench::finish(context);
    outcome
}

fn take_turn(
    context: &mut Context<'_>,
    order: &Rehearse,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    context.rclone_reads(&order.wanted.remotes, patience)?;
    context.begin_one_process(Reach::Remote, patience)?;
    let service = &order.wanted.service;
    let mut book = ProofBook::load(context, service)?;
    let (mut absent, mut fresh) = (Vec::new(), Vec::new());
    for kind in book.turn() {
        let outcome = match kind {
            CopyKind::Archive => archive::rehearse(context, order, &book, patience)?,
            CopyKind::Mirror => mirror::rehearse(context, order, &mut book, patience)?,
        };
        match outcome {
            RehearsedCopy::Absent(words) => absent.push(words),
            RehearsedCopy::Fresh(proof) => fresh.push(proof),
            RehearsedCopy::Done(copy, evidence) => {
                return conclude(context, order, book, copy, *evidence);
            }
        }
    }
    if fresh.is_empty() {
        return Err(Failure::NoArchive(absent.join("; ")));
    }
    // The newest is the last line: a reader that keeps one keeps this.
    base::sort::sort_by(&mut fresh, |a, b| a.at.cmp(&b.at));
    let names: Vec<String> = fresh
        .iter()
        .map(|proof| format!("{} (proven {})", proof.name, proof.at))
        .collect();
    for proof in fresh {
        context.say(ResultLine::Proof(proof).to_string());
    }
    Ok(format!(
        "{service} needs no rehearsal: {}; a copy is not read again for {} days (rehearsal.days)",
        names.join(", "),
        context.config.rehearsal.days
    ))
}

/// Records and tells the result.
fn conclude(
    context: &mut Context<'_>,
    order: &Rehearse,
    mut book: ProofBook,
    copy: Copy,
    evidence: Evidence,
) -> Result<String, Failure> {
    let name = copy.name.clone();
    let (proof, findings) = evidence.proof(order.wanted.service.as_str(), &copy);
    context.say(ResultLine::Proof(Box::new(proof.clone())).to_string());
    let words = evidence::summary(&proof);
    let is_proven = proof.proven;
    book.add(copy, proof);
    book.save(context)?;
    if is_proven {
        return Ok(words);
    }
    Err(findings.tell(context, &name))
}
