//! The proof that an upload arrived as it was sent: a hash that the remote tells, or every byte read back.
//!
//! Invariant: the same size proves nothing. Where no hash could be compared the files are read back and compared with
//! the spool.

use std::io::{BufReader, Read};

use super::Context;
use super::fetch;
use super::remote::{Access, Task};
use super::spool::Spool;
use crate::credentials::backends::is_encrypted;
use crate::credentials::configured;
use crate::credentials::ini::Ini;
use crate::error::Failure;
use crate::host::Patience;
use crate::program::Output;
use crate::progress::Phase;
use crate::rclone;
use crate::result_line::Checked;

const WHAT: &str = "comparing the upload with the spool";

/// Compares the uploaded files of a spool, which lie in `folder` on the remote.
pub(super) fn prove(
    context: &mut Context<'_>,
    folder: &str,
    spool: &Spool,
    patience: &Patience<'_>,
) -> Result<Checked, Failure> {
    if by_hash(context, folder, spool, patience)? {
        return Ok(Checked::Hash);
    }
    context.say(format!(
        "{folder} tells no hash of these files; reading them back"
    ));
    for name in [&spool.manifest, &spool.archive] {
        read_back(context, folder, spool, name, patience)?;
    }
    Ok(Checked::Read)
}

/// Lets rclone compare. False when a file had no hash that both sides know; sizes alone were compared then.
fn by_hash(
    context: &mut Context<'_>,
    folder: &str,
    spool: &Spool,
    patience: &Patience<'_>,
) -> Result<bool, Failure> {
    let text = configured(context.config)?;
    let remote = folder.split(':').next().unwrap_or_default();
    let encrypted = is_encrypted(&Ini::parse(&text), remote);
    let files = [spool.archive.as_str(), spool.manifest.as_str()];
    let from = spool.path.to_string();
    let compare = Task {
        what: WHAT,
        argv: rclone::compare(context.config, &from, folder, files, encrypted),
        remote: folder,
        access: Access::Reads(&spool.path),
        output: Output::Relayed,
        phase: Phase::Checking,
    };
    let ran = context.rclone_patient(&compare, patience)?;
    if rclone::no_hash_below(&ran.heard) {
        // A crypt over a storage without hashes.
        return Ok(false);
    }
    match context.judge(&compare, &ran.ended, &ran.heard) {
        Ok(()) => {}
        Err(Failure::Tool { detail, .. }) => {
            return Err(Failure::Verification(format!("{WHAT}: {detail}")));
        }
        Err(failure) => return Err(failure),
    }
    // A filter that hit nothing would find no difference either.
    Ok(!ran.heard.compared_sizes_alone() && ran.heard.matching() == files.len() as u64)
}

/// Reads one file from the remote, and compares it with that in the spool.
fn read_back(
    context: &mut Context<'_>,
    folder: &str,
    spool: &Spool,
    name: &str,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let file = format!("{folder}/{name}");
    let what = format!("reading {file} back");
    let packed = spool.reopen(name)?;
    let bytes = packed
        .metadata()
        .map_err(Failure::io(format!("{}/{name}", spool.path)))?
        .len();
    fetch::read(context, (&what, &file, bytes), patience, &mut |coming| {
        let packed = packed
            .try_clone()
            .map_err(Failure::io("the spooled file"))?;
        if same(coming, BufReader::new(packed)).map_err(Failure::io(what.clone()))? {
            return Ok(());
        }
        Err(Failure::Verification(format!(
            "{file} is other than the file that was sent"
        )))
    })
}

/// True when both have the same bytes up to the same end.
fn same(mut one: impl Read, mut other: impl Read) -> std::io::Result<bool> {
    let mut theirs = vec![0; 64 << 10];
    let mut ours = vec![0; 64 << 10];
    loop {
        let read = one.read(&mut theirs)?;
        let (Some(theirs), Some(ours)) = (theirs.get(..read), ours.get_mut(..read)) else {
            return Ok(false);
        };
        if read == 0 {
            return Ok(other.read(&mut [0])? == 0);
        }
        match other.read_exact(ours) {
            Ok(()) if ours == theirs => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_the_same() {
        let long = vec![7; 200_000];
        let mut other = long.clone();
        other[150_000] = 8;
        assert!(same(&long[..], &long[..]).unwrap());
        assert!(same(&b""[..], &b""[..]).unwrap());
        for differs in [&other[..], &long[1..], &[&long[..], b"x"].concat(), b""] {
            assert!(!same(&long[..], differs).unwrap());
            assert!(!same(differs, &long[..]).unwrap());
        }
    }
}
