//! `--verify SVC --from mirror` and `--verify-extra NAME`: read all contents of a mirror back, and compare their digests with the manifest.
//!
//! rclone reads the contents and prints their digests; nothing of them is kept on this host. The digests come in any
//! order, so they are compared in passes: each takes the part of the digests that fits into memory.
//!
//! Invariant: `--verify` changes nothing on the remote or in the data of a service. A mirror is good only if every
//! content of the last complete night was read, with the digest that its manifest has.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};
use std::time::Instant;

use super::Context;
use super::databases::Databases;
use super::download::{download, paced};
use super::night::{MirrorBooks, digest_of, flat_name, look};
use super::one_process::Reach;
use super::remote::{Access, Task};
use crate::policy::MirrorCopies;
use archive::Named;
use archive::contents::Part;
use archive::digest::{Digest, Hasher};
use base::error::Failure;
use base::measure;
use base::progress::Phase;
use host::Patience;
use host::program::Output;
use mirror::complete::Standing;
use mirror::entry::{Stored, below_root};

/// The most digests that are in memory at the same time.
const AT_ONCE: u64 = 100_000;

/// Disk space that the digest of a file may take.
const LINE: u64 = 512;

/// The most findings in the last line; each finding has a line of its own before.
const NAMED: usize = 3;

/// The digits of a digest in rclone's output, and the spaces behind them.
const DIGITS: usize = 64;

pub(super) fn verify(
    context: &mut Context<'_>,
    copies: &MirrorCopies,
    until: Instant,
) -> Result<String, Failure> {
    let patience = Patience::attended(until);
    context.rclone_reads(&copies.remotes(), &patience)?;
    context.begin_one_process(Reach::Remote, &patience)?;
    let databases = Databases::new(context)?;
    for (_, places) in &copies.places {
        let waits = copies.places.len() == 1;
        if let Some(mut books) = look(context, places.clone(), &databases, waits, &patience)? {
            return compare(context, &mut books, &databases, &patience);
        }
    }
    Err(Failure::NoArchive(format!(
        "there is no mirror of {} with a manifest in {}; its next sync writes one",
        copies.subject,
        copies.named()
    )))
}

/// The result of the comparison.
#[derive(Default)]
struct Tally {
    same: u64,
    unknown: u64,
    missing: Named,
    unread: Named,
    different: Named,
    extra: Named,
}

fn compare(
    context: &mut Context<'_>,
    books: &mut MirrorBooks,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    let data = books.places.data.clone();
    let mut findings = books.faults.clone();
    match &mut books.night {
        Ok(night) => findings.append(&mut night.findings),
        Err(faults) => {
            findings.append(faults);
            if let Some(Standing::FirstUpload { done, all }) =
                books.complete.as_ref().map(|complete| complete.standing)
            {
                findings.push(format!(
                    "the first upload is not complete ({})",
                    super::night::share(done, all)
                ));
            } else if findings.is_empty() {
                findings.push("no manifest can be read".into());
            }
            return Err(tell(context, &data, &findings));
        }
    }
    let needs = match books.needs() {
        Ok(needs) => needs,
        Err(Failure::Verification(fault)) => {
            findings.push(fault);
            return Err(tell(context, &data, &findings));
        }
        Err(failure) => return Err(failure),
    };
    context.say(format!(
        "reading {} ({}) from {data}, {}",
        measure::count(needs.files, "file"),
        measure::size(needs.bytes),
        books.standing()
    ));
    databases.has_room(needs.files.saturating_mul(LINE))?;
    let mut digests = Digests::read(context, books, databases, &needs, &mut findings, patience)?;
    let compared = digests.compare(books, needs.files)?;
    for (what, named) in [
        ("missing", &compared.missing),
        ("not readable", &compared.unread),
        ("other than the manifest says", &compared.different),
        ("not in the manifest", &compared.extra),
    ] {
        findings.extend(named.lines().map(|line| format!("{what}: {line}")));
    }
    if findings.is_empty() {
        let unknown = match compared.unknown {
            0 => String::new(),
            unknown => format!(", {unknown} of them without a digest in the manifest"),
        };
        return Ok(format!(
            "the mirror {data} is good: {} entries, {}, {} bytes of content{unknown}, {}",
            needs.entries,
            measure::count(needs.files, "file"),
            needs.bytes,
            books.standing()
        ));
    }
    if books.was_replaced(context, patience)? {
        return Err(Failure::Tool {
            what: format!("reading {data}"),
            detail: "a --sync changed the mirror meanwhile; run this again".into(),
        });
    }
    Err(tell(context, &data, &findings))
}

/// Reports all findings, and sums them up.
fn tell(context: &mut Context<'_>, data: &str, findings: &[String]) -> Failure {
    for finding in findings {
        context.warn(format!("finding: {finding}"));
    }
    let first: Vec<String> = findings.iter().take(NAMED).cloned().collect();
    let more = match findings.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Failure::Verification(format!("{data}: {}{more}", first.join("; ")))
}

/// A place that contents were read from.
#[derive(Clone, Copy)]
enum Kind {
    Data,
    Incoming,
    Bundle,
}

/// A content by its place and name. Two names have the same key only if SHA-256 has a collision in its first half.
fn key(kind: Kind, name: &str) -> u128 {
    let letter = match kind {
        Kind::Data => 'd',
        Kind::Incoming => 'i',
        Kind::Bundle => 'b',
    };
    let digest = digest_of(format!("{letter}{name}").as_bytes()).to_string();
    let half = digest.get(..32).unwrap_or_default();
    u128::from_str_radix(half, 16).unwrap_or_default()
}

/// Called with a content: its place, its key, its name, and its digest if it could be read.
type See<'s> = &'s mut dyn FnMut(Kind, u128, &str, Option<Digest>);

/// The digests of all contents that were read, in files of the gate's own.
struct Digests(Vec<(Kind, File)>);

impl Digests {
    fn read(
        context: &mut Context<'_>,
        books: &mut MirrorBooks,
        databases: &Databases,
        needs: &super::night::Fetched,
        findings: &mut Vec<String>,
        patience: &Patience<'_>,
    ) -> Result<Self, Failure> {
        let mut digests = Self(Vec::new());
        let path = |name: &str| databases.path().below(&[name]).to_string();
        // rclone writes the files.
        let mut run = |context: &mut Context<'_>, kind, folder: &str, argv, name: &str, totals| {
            let file = databases.create(name)?;
            let what = format!("reading {folder}");
            let argv = paced(context, folder, argv)?;
            let task = Task {
                what: &what,
                argv,
                call: None,
                remote: folder,
                access: Access::Writes(databases.path()),
                output: Output::Relayed,
                phase: Phase::Checking,
            };
            // Files that cannot be read have no digest.
            download(context, &task, totals, patience)?;
            drop(file);
            digests.0.push((kind, databases.open(name)?));
            Ok::<(), Failure>(())
        };
        if needs.any_in_data {
            let folder = books.places.data.clone();
            let argv = rclone::digests(context.config, &folder, &path("digests"));
            let totals = Some(needs.plain);
            run(context, Kind::Data, &folder, argv, "digests", totals)?;
        }
        if needs.any_incoming {
            let mut names = BufWriter::new(databases.create("names")?);
            let any = books.write_incoming_names(&mut names)?;
            names
                .flush()
                .map_err(Failure::io("writing a list of names"))?;
            if any {
                let folder = books.places.incoming.clone();
                let (into, names) = (path("incoming"), path("names"));
                let argv = rclone::digests_listed(context.config, &folder, &into, &names);
                run(context, Kind::Incoming, &folder, argv, "incoming", None)?;
            }
        }
        let mut bundled = BufWriter::new(databases.create("bundled")?);
        for bundle in &needs.bundles {
            if books.bundle(bundle).is_none() {
                continue;
            }
            let mut hashing = Hashing::default();
            let read =
                books.read_bundle(context, bundle, patience, &mut |entry, part| match hashing
                    .see(part)
                {
                    Some(digest) => writeln!(bundled, "{digest}  {}", flat_name(&entry.path))
                        .map_err(Failure::io("writing a list of digests")),
                    None => Ok(()),
                });
            match read {
                Err(Failure::Verification(fault)) => findings.push(fault),
                other => other?,
            }
        }
        let bundled = bundled
            .into_inner()
            .map_err(|error| Failure::io("writing a list of digests")(error.into_error()))?;
        digests.0.push((Kind::Bundle, bundled));
        Ok(digests)
    }

    /// Compares the digests with the manifest.
    fn compare(&mut self, books: &mut MirrorBooks, files: u64) -> Result<Tally, Failure> {
        let passes = u128::from(files / AT_ONCE + 1);
        let mut compared = Tally::default();
        for pass in 0..passes {
            let mut found: HashMap<u128, Option<Digest>> = HashMap::new();
            self.each(&mut |_, key, _, digest| {
                if key % passes == pass {
                    found.insert(key, digest);
                }
            })?;
            books.each_content(&mut |current, place| {
                let record = &current.entry.record;
                let key = match place {
                    Stored::Data => below_root(&record.path)
                        .and_then(rclone::name::standard)
                        .map(|name| key(Kind::Data, &name)),
                    Stored::Incoming(name) => Some(key(Kind::Incoming, name.as_str())),
                    Stored::Bundle(_) => Some(key(Kind::Bundle, &flat_name(&record.path))),
                };
                // One that rclone cannot name is in the first pass.
                if key.map_or(0, |key| key % passes) != pass {
                    return Ok(());
                }
                match (key.and_then(|key| found.remove(&key)), record.content) {
                    (None, _) => compared.missing.push(record.display()),
                    (Some(None), _) => compared.unread.push(record.display()),
                    (Some(Some(_)), None) => compared.unknown += 1,
                    (Some(Some(digest)), Some(noted)) if digest == noted => compared.same += 1,
                    (Some(Some(_)), Some(_)) => compared.different.push(record.display()),
                }
                Ok(())
            })?;
            // In the middle of a transition, files of the night before are still there.
            if books.is_settled && !found.is_empty() {
                self.each(&mut |kind, key, name, _| {
                    if matches!(kind, Kind::Data) && found.contains_key(&key) {
                        compared.extra.push(name);
                    }
                })?;
            }
        }
        Ok(compared)
    }

    /// Calls with each content that was read.
    fn each(&mut self, see: See<'_>) -> Result<(), Failure> {
        let reading = || Failure::io("reading a list of digests");
        for (kind, file) in &mut self.0 {
            file.rewind().map_err(reading())?;
            for line in BufReader::new(file).split(b'\n') {
                let line = line.map_err(reading())?;
                let Some((digits, name)) = line.split_at_checked(DIGITS) else {
                    continue;
                };
                let name = String::from_utf8_lossy(name.get(2..).unwrap_or_default());
                see(*kind, key(*kind, &name), &name, Digest::parse(digits));
            }
        }
        Ok(())
    }
}

/// The digest of one content of an archive, with its holes as zeros.
#[derive(Default)]
struct Hashing {
    hasher: Hasher,
    at: u64,
    size: u64,
}

impl Hashing {
    /// Takes a part; returns the digest at the end.
    fn see(&mut self, part: Part<'_>) -> Option<Digest> {
        match part {
            Part::Begin { size } => {
                *self = Self {
                    size,
                    ..Self::default()
                };
                None
            }
            Part::Piece(piece) => {
                self.zeros_to(piece.offset);
                self.hasher.update(piece.bytes);
                self.at += piece.bytes.len() as u64;
                None
            }
            Part::End => {
                self.zeros_to(self.size);
                Some(std::mem::take(&mut self.hasher).finish())
            }
        }
    }

    fn zeros_to(&mut self, offset: u64) {
        const ZEROS: [u8; 4096] = [0; 4096];
        while let Some(left) = offset.checked_sub(self.at).filter(|left| *left > 0) {
            let part = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.hasher.update(ZEROS.get(..part).unwrap_or_default());
            self.at += part as u64;
        }
    }
}
