//! The proof that an upload arrived unchanged: a hash that the remote reports, or every byte read back.
//!
//! Invariant: an equal size proves nothing. If no hash could be compared, the files are read back and compared with the
//! spool.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use serde::Deserialize;

use super::Context;
use super::fetch;
use super::remote::{Access, Task};
use super::spool::Spool;
use base::error::Failure;
use base::names::PlainPath;
use base::progress::Phase;
use base::result_line::Checked;
use host::Patience;
use host::program::Output;
use rclone::Call;
use rclone::call;
use rclone::credentials::backends::is_encrypted;
use rclone::credentials::configured;
use rclone::credentials::ini::Ini;
use rclone::place::Place;

const WHAT: &str = "comparing the upload with the spool";

/// Compares the uploaded files of a spool with their copies in `folder` on the remote.
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

/// Compares with rclone. Returns false if a file had no hash that both sides know; then only sizes were compared.
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
    let access = Access::Reads(&spool.path);
    // The one process offers no `cryptcheck` request.
    if !encrypted && context.is_one_process(access) {
        let pair = Pair {
            what: WHAT,
            folder,
            local: &spool.path,
            files: &files,
        };
        return pair.agrees(context, patience, Output::Relayed, true);
    }
    let from = spool.path.to_string();
    let compare = Task {
        what: WHAT,
        argv: rclone::compare(context.config, &from, folder, files, encrypted),
        call: None,
        remote: folder,
        access,
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
    // A filter that matched no file would find no difference either.
    Ok(!ran.heard.compared_sizes_alone() && ran.heard.matching() == files.len() as u64)
}

/// The size and the hashes of a file.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Facts {
    size: i64,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Files of a local folder, and their copies in a folder of the remote.
pub(super) struct Pair<'a> {
    /// The task in words: "comparing the upload with the spool".
    pub(super) what: &'a str,
    /// The folder on the remote.
    pub(super) folder: &'a str,
    /// The local folder, which the one process may read.
    pub(super) local: &'a PlainPath,
    /// The names of the files.
    pub(super) files: &'a [&'a str],
}

impl Pair<'_> {
    /// Asks the one process for a hash of each file on both sides, and compares them. Returns false if there is no hash
    /// that both sides know.
    pub(super) fn agrees(
        &self,
        context: &mut Context<'_>,
        patience: &Patience<'_>,
        output: Output,
        waits: bool,
    ) -> Result<bool, Failure> {
        let place = Place::of(context.config, self.folder);
        let local = self.local.to_string();
        let known =
            self.ask::<Vec<String>>(context, call::hashes(&place), patience, output, waits)?;
        let known = known.unwrap_or_default();
        for file in self.files {
            let mut agreed = false;
            for hash in &known {
                let mut facts = |call| self.ask::<Facts>(context, call, patience, output, waits);
                let (Some(there), Some(here)) = (
                    facts(call::remote_hash(&place, file, hash))?,
                    facts(call::local_hash(&local, file, hash))?,
                ) else {
                    let words = format!("{}: {}/{file} is not there", self.what, self.folder);
                    return Err(Failure::Verification(words));
                };
                if there.size != here.size {
                    return Err(other(self.folder, file));
                }
                if let (Some(theirs), Some(ours)) = (there.told(hash), here.told(hash)) {
                    if theirs != ours {
                        return Err(other(self.folder, file));
                    }
                    agreed = true;
                    break;
                }
            }
            if !agreed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn ask<T: serde::de::DeserializeOwned>(
        &self,
        context: &mut Context<'_>,
        call: Call,
        patience: &Patience<'_>,
        output: Output,
        waits: bool,
    ) -> Result<Option<T>, Failure> {
        let task = Task {
            what: self.what,
            argv: Vec::new(),
            call: Some(call),
            remote: self.folder,
            access: Access::Reads(self.local),
            output,
            phase: Phase::Checking,
        };
        let ran = match waits {
            true => context.rclone_patient_must(&task, patience)?,
            false => context.rclone_must(&task, patience)?,
        };
        serde_json::from_slice(&ran.ended.stdout).map_err(|error| {
            Failure::Verification(format!("{}: rclone's answer: {error}", self.what))
        })
    }
}

impl Facts {
    /// A reported hash.
    fn told(&self, hash: &str) -> Option<&str> {
        let sum = self.hashes.get(hash).map(String::as_str);
        sum.filter(|sum| !sum.is_empty())
    }
}

fn other(folder: &str, file: &str) -> Failure {
    Failure::Verification(format!(
        "{folder}/{file} is other than the file that was sent"
    ))
}

/// Reads one file from the remote, and compares it with the file in the spool.
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
        Err(other(folder, name))
    })
}

/// True if both readers yield the same bytes and end at the same place.
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
