//! `--verify`: read an archive back from the remote, and check all its parts.
//!
//! The bytes are checked as they arrive, and not kept: gzip's checksums, the structure of tar, each entry against the
//! manifest, and the whole against the manifest's totals. Databases are copied out and checked afterwards.
//!
//! Invariant: `--verify` changes no data on the remote or of a service, and never calls a part good that it could not
//! check.

use std::fs::File;
use std::io::Seek;
use std::time::Instant;

use super::Context;
use super::databases::{Databases, Looked};
use super::fetch::{self, Stored, find};
use super::one_process::Reach;
use crate::policy::Wanted;
use archive::check::{Comparison, Differences, Report, check};
use archive::manifest::{Reader, Version};
use base::error::Failure;
use base::measure;
use base::names::ServiceName;
use database::Integrity;
use host::Patience;

/// The most findings in the last line; each finding has a line of its own before.
const NAMED: usize = 3;

/// The runner's live database, which in an archive of the runner may be torn, and the snapshot that the runner makes
/// beforehand.
pub(super) const LIVE: &[u8] = b"data/lightflow.db";
pub(super) const SNAPSHOT: &[u8] = b"data/backup/lightflow.db";

/// Returns true if a service has such a snapshot.
pub(super) fn has_snapshot(service: &ServiceName, hot: bool) -> bool {
    hot && service.as_str() == "lightflow"
}

pub(super) fn verify(
    context: &mut Context<'_>,
    wanted: &Wanted,
    until: Instant,
) -> Result<String, Failure> {
    let patience = Patience::attended(until);
    context.rclone_reads(&wanted.remotes, &patience)?;
    context.begin_one_process(Reach::Remote, &patience)?;
    let stored = find(context, wanted, &patience)?;
    context.say(format!(
        "reading {} ({}) from {}",
        stored.name,
        measure::size(stored.bytes),
        stored.folder
    ));
    let mut databases = Databases::new(context)?;
    let mut findings = Findings::default();
    let manifest = fetched_manifest(context, &stored, &databases, &mut findings, &patience)?;
    let read = read(context, &stored, manifest, &mut databases, &patience);
    let report = match read {
        Ok(report) => Some(report),
        Err(Failure::Verification(words)) => {
            findings.add(words);
            None
        }
        Err(failure) => return Err(failure),
    };
    if let Some(differences) = report
        .as_ref()
        .and_then(|report| report.differences.as_ref())
    {
        findings.differences(differences);
    }
    let looked = databases.look(context, &patience)?;
    findings.databases(context, wanted, &looked);
    if databases.left_out > 0 {
        findings.add(format!(
            "{} more databases are in it than are looked at",
            databases.left_out
        ));
    }
    if let (Some(report), None) = (&report, stored.manifest) {
        context.say(format!(
            "the structure of {} is sound: {} entries, {} bytes of content; without a manifest nothing says whether that is all",
            stored.name, report.entries, report.bytes
        ));
    }
    if let (Some(report), true) = (&report, findings.0.is_empty()) {
        return Ok(format!(
            "{} is good: {} entries, {} bytes of content, {} checked, SHA-256 {}",
            stored.name,
            report.entries,
            report.bytes,
            measure::count(looked.len() as u64, "database"),
            report.archive
        ));
    }
    // An archive of the same day may have taken its place meanwhile, or retention may have put it aside.
    if find(context, wanted, &patience).ok().as_ref() != Some(&stored) {
        return Err(Failure::Tool {
            what: format!("reading {}", stored.name),
            detail: "it was replaced or removed on the remote meanwhile; run this again".into(),
        });
    }
    Err(findings.tell(context, &stored.name.to_string()))
}

/// The faults that were found.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<String>);

impl Findings {
    pub(super) fn add(&mut self, words: impl Into<String>) {
        self.0.push(words.into());
    }

    pub(super) fn differences(&mut self, differences: &Differences) {
        for (what, named) in [
            ("other than when it was packed", &differences.different),
            ("missing", &differences.missing),
            ("not in the manifest", &differences.extra),
            ("the archive as a whole", &differences.whole),
        ] {
            self.0
                .extend(named.lines().map(|line| format!("{what}: {line}")));
        }
    }

    pub(super) fn databases(
        &mut self,
        context: &mut Context<'_>,
        wanted: &Wanted,
        looked: &[Looked],
    ) {
        let spare = has_snapshot(&wanted.service, wanted.hot)
            && looked
                .iter()
                .any(|one| one.path == SNAPSHOT && one.answer == Integrity::Sound);
        for one in looked {
            match &one.answer {
                Integrity::Sound | Integrity::Failed(_) => {}
                Integrity::Unknown(why) => context.warn(format!(
                    "{}: SQLite cannot check it without the program that it belongs to ({why})",
                    one.display()
                )),
                Integrity::Bad(lines) if spare && one.path == LIVE => context.warn(format!(
                    "{}: {}; it was in use while it was packed, and backup/lightflow.db is the one to restore, which is sound",
                    one.display(),
                    lines.first().map_or("damaged", String::as_str)
                )),
                Integrity::Bad(lines) => self
                    .0
                    .extend(lines.iter().map(|line| format!("{}: {line}", one.display()))),
            }
        }
    }

    /// Reports all findings, and sums them up.
    pub(super) fn tell(self, context: &mut Context<'_>, copy: &str) -> Failure {
        for finding in &self.0 {
            context.warn(format!("finding: {finding}"));
        }
        let first: Vec<String> = self.0.iter().take(NAMED).cloned().collect();
        let more = match self.0.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Failure::Verification(format!("{copy}: {}{more}", first.join("; ")))
    }
}

/// The manifest, if there is one.
fn fetched_manifest(
    context: &mut Context<'_>,
    stored: &Stored,
    databases: &Databases,
    findings: &mut Findings,
    patience: &Patience<'_>,
) -> Result<Option<File>, Failure> {
    if stored.manifest.is_none() {
        findings.add(format!(
            "{} does not lie beside it, so that nothing says what is to be in it (the gate's first version made none)",
            stored.name.manifest()
        ));
        return Ok(None);
    }
    let mut file = databases.create("manifest")?;
    let room = |bytes| databases.has_room(bytes);
    fetch::manifest(context, stored, &file, patience, &room)?;
    file.rewind().map_err(Failure::io("reading the manifest"))?;
    if let Ok(reader) = Reader::new(&file) {
        tell_version(context, stored, reader.version());
    }
    file.rewind().map_err(Failure::io("reading the manifest"))?;
    Ok(Some(file))
}

/// Warns of an archive by a gate that stored no attributes: the archive does not show that they are missing.
pub(super) fn tell_version(context: &mut Context<'_>, stored: &Stored, version: Version) {
    match version {
        Version::One => context.warn(format!(
            "{} holds no extended attributes, ACLs or file capabilities, and the mask of an ACL stands in it as the permission of the group: an earlier version of backupctl packed it, which left them out; the next archive has them",
            stored.name
        )),
        Version::Two => {}
    }
}

/// Reads the archive from the remote, once.
pub(super) fn read(
    context: &mut Context<'_>,
    stored: &Stored,
    manifest: Option<File>,
    databases: &mut Databases,
    patience: &Patience<'_>,
) -> Result<Report, Failure> {
    let name = stored.name.to_string();
    let file = format!("{}/{name}", stored.folder);
    let what = format!("reading {file}");
    let mut comparison = manifest
        .map(|manifest| Comparison::new(manifest, &name))
        .transpose()?;
    let mut report = None;
    fetch::read(
        context,
        (&what, &file, stored.bytes),
        patience,
        &mut |coming| {
            let read = check(coming, comparison.take(), databases, &mut |_| Ok(()))?;
            report = Some(read);
            Ok(())
        },
    )?;
    report.ok_or_else(|| Failure::Verification(format!("{file} was not read")))
}
