//! `--from mirror` and `--restore-extra`: the last complete night, exactly as its manifest says.
//!
//! rclone downloads the contents into a folder beside the tree in the making: those of `data/` in one run, and in the
//! middle of a transition those of the incoming folder in a second one. The tree is made of the manifest, and each
//! content is moved into it and compared.
//!
//! Invariant: rclone writes only to the folder of contents, and makes no links. A tree that differs from its manifest
//! in one entry keeps the name `.incomplete`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::AsFd;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use super::plain_mirror;
use super::staging::{CONTENTS, ENTRY, INCOMING, Parts, Staging};
use crate::action::Context;
use crate::action::databases::Databases;
use crate::action::download::{Partial, download, paced};
use crate::action::night::{Fetched, MirrorBooks, flat_name, look};
use crate::action::remote::{Access, Task};
use crate::action::unbundling::Unbundling;
use crate::policy::{MirrorCopies, Restore};
use crate::request::InnerPath;
use archive::assemble::{Assembled, Assembly, Source, Tree};
use archive::choice::Choice;
use archive::extract::Options;
use base::error::Failure;
use base::measure;
use base::names::Remote;
use base::progress::Phase;
use host::Patience;
use host::program::Output;
use mirror::complete::Standing;
use mirror::entry::Stored;

/// The list of files to download from the incoming folder, one name in a line.
const NAMES: &str = "names";

/// The list of chosen files to download from `data/`, one name in a line.
const DATA_NAMES: &str = "data-names";

/// A mirror to restore.
pub(super) struct MirrorOrder<'o> {
    pub(super) copies: &'o MirrorCopies,
    /// Restore set-user-ID and set-group-ID bits and the capabilities of files.
    pub(super) keep_privileges: bool,
    /// The order for a service: its mirror may have no manifest, and its archives know the owners then.
    pub(super) service: Option<&'o Restore>,
}

/// Restores the mirror of the first remote that has one.
pub(super) fn fetch(
    context: &mut Context<'_>,
    order: &MirrorOrder<'_>,
    staging: &mut Staging,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    let MirrorCopies { subject, places } = order.copies;
    let waits = places.len() == 1;
    for (remote, places) in places {
        if let Some(books) = look(context, places.clone(), databases, waits, patience)? {
            return from_books(context, order, remote, books, staging, databases, patience);
        }
        let Some(service) = order.service.filter(|order| order.only.is_empty()) else {
            continue;
        };
        if let Some(size) = plain_mirror::size(context, &places.data, patience)? {
            let place = (remote, places.data.as_str());
            return plain_mirror::fetch(
                context, service, place, &size, staging, databases, patience,
            );
        }
    }
    let kind = match order.service {
        Some(order) if order.only.is_empty() => "mirror",
        _ => "mirror with a manifest",
    };
    Err(Failure::NoArchive(format!(
        "there is no {kind} of {subject} in {}",
        order.copies.named()
    )))
}

fn from_books(
    context: &mut Context<'_>,
    order: &MirrorOrder<'_>,
    remote: &Remote,
    mut books: MirrorBooks,
    staging: &mut Staging,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    for fault in &books.faults {
        context.warn(format!("finding: {fault}"));
    }
    let only = order.service.map_or(&[][..], |order| &order.only);
    let choice = Choice::of(only.iter().map(InnerPath::as_bytes));
    if books.night.is_ok() && !choice.is_all() {
        books.choose(choice)?;
    }
    let needs = match &mut books.night {
        Ok(_) => match books.needs() {
            Ok(needs) => Ok(needs),
            Err(Failure::Verification(fault)) => Err(vec![fault]),
            Err(failure) => return Err(failure),
        },
        Err(faults) => Err(std::mem::take(faults)),
    };
    match needs {
        Ok(needs) => {
            let options = Options {
                owners: nix::unistd::geteuid().is_root(),
                powers: order.keep_privileges,
                reserve: context.config.limits.spool_reserve,
            };
            let night = (&mut books, &needs);
            let made = exactly(context, options, night, staging, None, patience);
            if matches!(made, Err(Failure::Verification(_)))
                && books.was_replaced(context, patience)?
            {
                return Err(Failure::Tool {
                    what: format!("restoring {}", books.places.data),
                    detail: "a --sync changed the mirror meanwhile; run this again".into(),
                });
            }
            made
        }
        Err(faults) => without_night(
            context, order, remote, &books, &faults, staging, databases, patience,
        ),
    }
}

/// Restores the files of a mirror without a complete night.
#[expect(clippy::too_many_arguments, reason = "the parts of one restore")]
fn without_night(
    context: &mut Context<'_>,
    order: &MirrorOrder<'_>,
    remote: &Remote,
    books: &MirrorBooks,
    faults: &[String],
    staging: &Staging,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    for fault in faults {
        context.warn(format!("finding: {fault}"));
    }
    let data = books.places.data.as_str();
    let reason = match books.complete.as_ref().map(|complete| complete.standing) {
        Some(Standing::FirstUpload { done, all }) if faults.is_empty() => format!(
            "the first upload to {data} is not complete ({})",
            crate::action::night::share(done, all)
        ),
        _ => format!("no manifest of {data} can be read"),
    };
    if order.service.is_some_and(|order| !order.only.is_empty()) {
        return Err(Failure::NoArchive(format!(
            "{reason}, and --only needs one; restore the whole mirror, without --only"
        )));
    }
    let Some(order) = order.service else {
        return Err(Failure::NoArchive(format!(
            "{reason}; its files can be copied with rclone, without owners and permissions"
        )));
    };
    let Some(size) = plain_mirror::size(context, data, patience)? else {
        return Err(Failure::NoArchive(format!("{reason}, and it has no files")));
    };
    let place = (remote, data);
    match plain_mirror::fetch(context, order, place, &size, staging, databases, patience) {
        Ok(made) => Err(Failure::Verification(format!(
            "{reason}; its files came without a comparison: {made}"
        ))),
        Err(Failure::Verification(words)) => {
            Err(Failure::Verification(format!("{reason}; {words}")))
        }
        Err(failure) => Err(failure),
    }
}

/// Restores a night. `most` bounds the bytes that are downloaded.
pub(in crate::action) fn exactly(
    context: &mut Context<'_>,
    options: Options,
    (books, needs): (&mut MirrorBooks, &Fetched),
    staging: &mut Staging,
    most: Option<u64>,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    let data = books.places.data.clone();
    let room = needs
        .bytes
        .saturating_add(needs.entries.saturating_mul(ENTRY));
    staging.has_room(context, room)?;
    context.say(format!(
        "restoring {} ({}) from {data}, {}",
        measure::count(needs.files, "file"),
        measure::size(needs.bytes),
        books.standing()
    ));
    let parts = staging.make_parts()?;
    let mut partial = Vec::new();
    let is_whole = books.is_whole();
    let data_names = |out: &mut BufWriter<File>| books.write_data_names(out);
    if needs.any_in_data && (is_whole || write_names(DATA_NAMES, &parts, data_names)?) {
        let to = parts.path.below(&[CONTENTS]).to_string();
        let argv = if is_whole {
            rclone::fetch_contents(context.config, &data, &to)
        } else {
            let names = parts.path.below(&[DATA_NAMES]).to_string();
            rclone::fetch_listed(context.config, &data, &to, &names)
        };
        let argv = bounded(argv, most);
        partial.extend(bring(
            context,
            &data,
            argv,
            &parts,
            Some(needs.plain),
            patience,
        )?);
    }
    let incoming_names = |out: &mut BufWriter<File>| books.write_incoming_names(out);
    if needs.any_incoming && write_names(NAMES, &parts, incoming_names)? {
        let folder = books.places.incoming.clone();
        let to = parts.path.below(&[INCOMING]).to_string();
        let names = parts.path.below(&[NAMES]).to_string();
        let argv = rclone::fetch_listed(context.config, &folder, &to, &names);
        let argv = bounded(argv, most);
        partial.extend(bring(context, &folder, argv, &parts, None, patience)?);
    }
    for bundle in &needs.bundles {
        // The entries of a missing bundle are named one by one.
        if books.bundle(bundle).is_none() {
            continue;
        }
        let mut unbundling = Unbundling::into(&parts.bundled);
        let unpacked = books.read_bundle(context, bundle, patience, &mut |entry, part| {
            unbundling.write(entry, part)
        });
        match unpacked {
            Err(Failure::Verification(fault)) => context.warn(format!("finding: {fault}")),
            other => other?,
        }
    }
    let as_of = books.night.as_ref().map(|night| night.heading.as_of);
    let as_of = as_of.map_or_else(|_| String::new(), |as_of| as_of.to_string());
    let made = assemble(books, staging, &parts, options)?;
    staging.remove_parts();
    tell(context, &made);
    let mut faults: Vec<String> = books.faults.clone();
    if let Ok(night) = &mut books.night {
        for fault in &night.findings {
            context.warn(format!("finding: {fault}"));
        }
        faults.append(&mut night.findings);
    }
    verdict(&made, &partial, &faults)?;
    let unknown = match made.unknown {
        0 => String::new(),
        unknown => format!("; the manifest has no digest of {unknown} others yet"),
    };
    let data = match is_whole {
        true => data,
        false => format!("{data} (the chosen part)"),
    };
    Ok(format!(
        "the mirror {data} is restored as of {as_of} ({} entries, {} bytes, {} with the digest of the manifest{unknown})",
        made.entries,
        made.bytes,
        measure::count(made.same, "file")
    ))
}

/// A download that ends when it brings more bytes than these.
fn bounded(argv: Vec<String>, most: Option<u64>) -> Vec<String> {
    match most {
        Some(most) => rclone::with_most(argv, most),
        None => argv,
    }
}

/// Downloads contents; a folder that does not exist has none.
fn bring(
    context: &mut Context<'_>,
    folder: &str,
    argv: Vec<String>,
    parts: &Parts,
    totals: Option<(u64, u64)>,
    patience: &Patience<'_>,
) -> Result<Option<Partial>, Failure> {
    let what = format!("restoring {folder}");
    let argv = paced(context, folder, argv)?;
    let task = Task {
        what: &what,
        argv,
        call: None,
        remote: folder,
        access: Access::Writes(&parts.path),
        output: Output::Relayed,
        phase: Phase::Downloading,
    };
    download(context, &task, totals, patience)
}

/// Writes a list of names into the folder of parts; false if it has none.
fn write_names(
    list: &str,
    parts: &Parts,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let failure = || Failure::io(format!("writing {}", parts.path.below(&[list])));
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(&parts.fd, list, flags, Mode::S_IRUSR | Mode::S_IWUSR)
        .map(File::from)
        .map_err(Failure::errno("making a list of names"))?;
    let mut out = BufWriter::new(file);
    let any = write(&mut out)?;
    out.flush().map_err(failure())?;
    Ok(any)
}

/// Makes the tree.
fn assemble(
    books: &mut MirrorBooks,
    staging: &Staging,
    parts: &Parts,
    options: Options,
) -> Result<Assembled, Failure> {
    let mut watch = |_| Ok(());
    let contents = parts
        .contents
        .try_clone()
        .map_err(Failure::io("the downloaded contents"))?;
    let mut tree = Tree::new(contents);
    let mut assembly = Assembly::new(staging.tree(), options)?;
    books.each(&mut |current, place| {
        let record = &current.entry.record;
        let name;
        let source = match place {
            _ if !current.entry.has_content() => None,
            Stored::Incoming(incoming) if is_there(parts, incoming.as_str()) => {
                name = incoming.to_string();
                Some(Source {
                    folder: parts.incoming.as_fd(),
                    name: OsStr::new(&name),
                })
            }
            // A --sync at the same time may have moved it to its place.
            Stored::Data | Stored::Incoming(_) => tree.source(&record.path)?,
            Stored::Bundle(_) => {
                name = flat_name(&record.path);
                Some(Source {
                    folder: parts.bundled.as_fd(),
                    name: OsStr::new(&name),
                })
            }
        };
        assembly.put(record, source, &mut watch)
    })?;
    assembly.finish()
}

fn is_there(parts: &Parts, name: &str) -> bool {
    fstatat(&parts.incoming, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

/// Warns about entries that did not come back unchanged.
fn tell(context: &mut Context<'_>, made: &Assembled) {
    let below = |line: &str| line.strip_prefix("data/").unwrap_or(line).to_owned();
    for line in made.missing.lines() {
        context.warn(format!("missing: {}", below(&line)));
    }
    for line in made.different.lines() {
        context.warn(format!("different: {}", below(&line)));
    }
    for (what, named) in [
        (
            "made without set-user-ID, set-group-ID or capabilities (--keep-privileges restores them)",
            &made.powerless,
        ),
        (
            "made without attributes that cannot be set here",
            &made.attributes,
        ),
    ] {
        if !named.is_empty() {
            context.warn(format!("{what}: {named}"));
        }
    }
}

/// An error unless the tree is exactly the night of the last manifest.
fn verdict(made: &Assembled, partial: &[Partial], faults: &[String]) -> Result<(), Failure> {
    let mut words: Vec<String> = faults.to_vec();
    if !made.missing.is_empty() {
        let reason = partial
            .first()
            .map(|partial| format!(" ({})", partial.failure));
        words.push(format!(
            "{} of its entries could not be restored; each has a line above that begins with \"missing: \"{}",
            made.missing.count,
            reason.unwrap_or_default()
        ));
    }
    if !made.different.is_empty() {
        words.push(format!(
            "{} with another content than the manifest says; each has a line above that begins with \"different: \"",
            measure::count(made.different.count, "file")
        ));
    }
    match words.is_empty() {
        true => Ok(()),
        false => Err(Failure::Verification(words.join("; "))),
    }
}
