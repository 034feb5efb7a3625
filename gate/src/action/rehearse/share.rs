//! A share of a large mirror: the files that follow the last share, in the order of the manifest.
//!
//! A share has one part in `rehearsal.rehearsals` of the mirror's bytes, so that many rehearsals read all files. Files of one
//! folder are neighbours in that order, so a database mostly comes with its log.
//!
//! Invariant: the next share begins behind this one only when this one was read without a fault.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write, copy, sink};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::bench::Bench;
use super::evidence::Evidence;
use super::record::{self, Cursor, ProofBook};
use super::tree::Finder;
use crate::action::Context;
use crate::action::databases::Databases;
use crate::action::download::{download, paced};
use crate::action::night::{MirrorBooks, flat_name};
use crate::action::remote::{Access, Task};
use crate::action::restore::staging::{CONTENTS, ENTRY, INCOMING, Parts};
use crate::action::unbundling::Unbundling;
use crate::policy::Rehearse;
use archive::Named;
use archive::assemble::Tree;
use archive::digest::{Digest, Hashing};
use archive::manifest::{escape, unescape};
use base::error::Failure;
use base::measure;
use base::progress::Phase;
use host::Patience;
use host::program::Output;
use mirror::entry::{Stored, below_root};
use mirror::order::compare;

/// The mirror that the share is of.
pub(super) struct WholeMirror<'m> {
    pub(super) copy: &'m record::Copy,
    /// The room that all entries take.
    pub(super) weight: u64,
}

/// The files of a share: those behind `after`, up to `last`.
struct Share {
    after: Vec<u8>,
    last: Vec<u8>,
    weight: u64,
    files: u64,
    bytes: u64,
    /// The last file of the mirror is in it.
    is_end: bool,
}

impl Share {
    fn holds(&self, path: &[u8]) -> bool {
        compare(path, &self.after).is_gt() && compare(path, &self.last).is_le()
    }

    /// Chooses the files behind `after` until they have this weight.
    fn choose(books: &mut MirrorBooks, after: Vec<u8>, target: u64) -> Result<Self, Failure> {
        let mut share = Self {
            last: after.clone(),
            after,
            weight: 0,
            files: 0,
            bytes: 0,
            is_end: true,
        };
        books.each_content(&mut |current, _| {
            let entry = &current.entry;
            if compare(&entry.record.path, &share.after).is_le() {
                return Ok(());
            }
            if share.weight >= target {
                share.is_end = false;
                return Ok(());
            }
            share.last.clone_from(&entry.record.path);
            share.weight = share.weight.saturating_add(entry.bytes() + ENTRY);
            share.files += 1;
            share.bytes = share.bytes.saturating_add(entry.bytes());
            Ok(())
        })?;
        Ok(share)
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one rehearsal")]
pub(super) fn prove(
    context: &mut Context<'_>,
    order: &Rehearse,
    book: &mut ProofBook,
    whole: &WholeMirror<'_>,
    books: &mut MirrorBooks,
    databases: &mut Databases,
    evidence: &mut Evidence,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let rehearsals = u64::from(context.config.rehearsal.rehearsals);
    let target = whole.weight.div_ceil(rehearsals).max(1);
    let mut cursor = book.cursor(&whole.copy.remote);
    let after = unescape(&cursor.after).unwrap_or_default();
    let mut share = Share::choose(books, after, target)?;
    if share.files == 0 {
        cursor.thousandths = 0;
        share = Share::choose(books, Vec::new(), target)?;
    }
    let most = context.config.rehearsal.max_bytes;
    if share.weight > most {
        return Err(Failure::NoSpace(format!(
            "a share of the mirror {} has {}, more than rehearsal.max_bytes ({}); raise it, or rehearsal.rehearsals",
            books.places.data,
            measure::size(share.weight),
            measure::size(most)
        )));
    }
    context.say(format!(
        "rehearsing the restore of {} ({}) of the mirror {}, {}",
        measure::count(share.files, "file"),
        measure::size(share.bytes),
        books.places.data,
        books.standing()
    ));
    let mut bench = Bench::make(context, share.weight)?;
    let parts = bench.staging.make_parts()?;
    bring(context, books, &share, &parts, most, patience)?;
    let mut tree = Downloaded::new(&parts)?;
    let (mut missing, mut different) = (Named::default(), Named::default());
    let mut finder = Finder::new(&parts.contents)?;
    books.each_content(&mut |current, place| {
        let record = &current.entry.record;
        if !share.holds(&record.path) {
            return Ok(());
        }
        match tree.digest(&record.path, &place)? {
            None => missing.push(record.display()),
            Some(digest) if record.content.is_some_and(|noted| noted != digest) => {
                different.push(record.display());
            }
            Some(_) => {}
        }
        match place {
            Stored::Data => finder.see(&record.path),
            Stored::Incoming(_) | Stored::Bundle(_) => Ok(()),
        }
    })?;
    for (what, named) in [
        ("missing", &missing),
        ("other than the manifest says", &different),
    ] {
        let lines = named.lines().map(|line| format!("{what}: {line}"));
        evidence.findings.0.extend(lines);
    }
    finder.check(context, order, databases, evidence, patience)?;
    evidence.not_started("only a share of the mirror was read");
    let share_of = |weight: u64| u128::from(weight) * 1000 / u128::from(whole.weight.max(1));
    let thousandths = u32::try_from(share_of(share.weight)).unwrap_or(1000);
    let covered = match share.is_end {
        true => 1000,
        false => cursor.thousandths.saturating_add(thousandths).min(999),
    };
    let percent = |thousandths: u32| u8::try_from(thousandths / 10).unwrap_or(100);
    evidence.percent = percent(thousandths).clamp(1, 99);
    evidence.covered = percent(covered);
    (evidence.files, evidence.bytes) = (share.files, share.bytes);
    if !evidence.is_faulty() {
        book.move_to(Cursor {
            remote: whole.copy.remote.clone(),
            after: match share.is_end {
                true => String::new(),
                false => escape(&share.last),
            },
            thousandths: if share.is_end { 0 } else { covered },
        });
    }
    Ok(())
}

/// Downloads the contents of a share.
fn bring(
    context: &mut Context<'_>,
    books: &mut MirrorBooks,
    share: &Share,
    parts: &Parts,
    most: u64,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let (mut data, mut incoming) = (
        List::make(parts, "data-names")?,
        List::make(parts, "names")?,
    );
    let mut bundles = std::collections::BTreeSet::new();
    books.each_content(&mut |current, place| {
        let path = &current.entry.record.path;
        if !share.holds(path) {
            return Ok(());
        }
        match place {
            Stored::Data => match below_root(path).and_then(rclone::name::standard) {
                Some(name) => data.add(&name),
                None => Ok(()),
            },
            Stored::Incoming(name) => incoming.add(name.as_str()),
            Stored::Bundle(name) => {
                bundles.insert(name);
                Ok(())
            }
        }
    })?;
    for (list, folder, into) in [
        (data, books.places.data.clone(), CONTENTS),
        (incoming, books.places.incoming.clone(), INCOMING),
    ] {
        let Some(names) = list.finish()? else {
            continue;
        };
        let to = parts.path.below(&[into]).to_string();
        let names = parts.path.below(&[names]).to_string();
        let argv = rclone::fetch_listed(context.config, &folder, &to, &names);
        let what = format!("rehearsing the restore of {folder}");
        let task = Task {
            what: &what,
            argv: rclone::with_most(paced(context, &folder, argv)?, most),
            call: None,
            remote: &folder,
            access: Access::Writes(&parts.path),
            output: Output::Relayed,
            phase: Phase::Downloading,
        };
        // Files that did not come are named later.
        download(context, &task, None, patience)?;
    }
    for bundle in &bundles {
        if books.bundle(bundle).is_none() {
            continue;
        }
        let mut unbundling = Unbundling::into(&parts.bundled);
        books.read_bundle(context, bundle, patience, &mut |entry, part| {
            unbundling.write(entry, part)
        })?;
    }
    Ok(())
}

/// A list of names in the folder of parts.
struct List {
    name: &'static str,
    out: BufWriter<File>,
    is_empty: bool,
}

impl List {
    fn make(parts: &Parts, name: &'static str) -> Result<Self, Failure> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file = openat(&parts.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(Failure::errno("making a list of names"))?;
        Ok(Self {
            name,
            out: BufWriter::new(File::from(file)),
            is_empty: true,
        })
    }

    fn add(&mut self, name: &str) -> Result<(), Failure> {
        self.is_empty = false;
        writeln!(self.out, "{name}").map_err(Failure::io("writing a list of names"))
    }

    /// The name of the list, if it has any names.
    fn finish(mut self) -> Result<Option<&'static str>, Failure> {
        let flushed = self.out.flush();
        flushed.map_err(Failure::io("writing a list of names"))?;
        Ok((!self.is_empty).then_some(self.name))
    }
}

/// The downloaded contents.
struct Downloaded<'p> {
    parts: &'p Parts,
    tree: Tree,
}

impl<'p> Downloaded<'p> {
    fn new(parts: &'p Parts) -> Result<Self, Failure> {
        let contents = parts.contents.try_clone();
        let contents = contents.map_err(Failure::io("the downloaded contents"))?;
        Ok(Self {
            parts,
            tree: Tree::new(contents),
        })
    }

    /// The digest of a content; `None` if it did not come.
    fn digest(&mut self, path: &[u8], place: &Stored) -> Result<Option<Digest>, Failure> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let open = |folder: std::os::fd::BorrowedFd<'_>, name: &OsStr| {
            openat(folder, name, flags, Mode::empty()).map(File::from)
        };
        let opened = match place {
            Stored::Data => match self.tree.source(path)? {
                Some(source) => open(source.folder, source.name),
                None => return Ok(None),
            },
            Stored::Incoming(name) => {
                let name = OsStr::from_bytes(name.as_str().as_bytes());
                open(self.parts.incoming.as_fd(), name)
            }
            Stored::Bundle(_) => open(self.parts.bundled.as_fd(), flat_name(path).as_ref()),
        };
        let file = match opened {
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => return Ok(None),
            other => other.map_err(Failure::errno("opening a downloaded content"))?,
        };
        if !file.metadata().is_ok_and(|seen| seen.is_file()) {
            return Ok(None);
        }
        let mut hashing = Hashing::new(file);
        copy(&mut hashing, &mut sink()).map_err(Failure::io("reading a downloaded content"))?;
        Ok(Some(hashing.finish().2))
    }
}
