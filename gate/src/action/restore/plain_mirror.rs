//! A mirror without a manifest: rclone brings back names, content and times; the manifest of an archive supplies the
//! rest. Gates up to release 0.1 wrote such mirrors, and a first upload that is not complete is one.
//!
//! Invariant: rclone writes only to the tree in the making, and makes no links. The gate reports everything that a
//! mirror cannot bring back.

use std::io::Seek;

use super::from_archive::manifest;
use super::staging::{ENTRY, Staging};
use crate::action::Context;
use crate::action::databases::Databases;
use crate::action::download::{Partial, download};
use crate::action::fetch::{Stored, find_where};
use crate::action::remote::{Access, Task};
use crate::action::remote_folder::{FolderSize, RemoteFolder};
use crate::policy::Restore;
use crate::replacement::DATA;
use archive::adopt::{Adopted, Owner, adopt, settle};
use archive::extract::Options;
use archive::inherit::{inherit, mark};
use archive::manifest::Reader;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::measure;
use base::names::Remote;
use base::progress::Phase;
use host::Patience;
use host::program::Output;

/// Properties that a mirror does not keep.
const LOST: &str = "a mirror does not bring back hard links (each name is a file of its own), holes, the extended attributes and ACLs of files that no archive knows, named pipes, and fractions of a second that the remote does not keep";

/// Restores the mirror in this folder.
pub(super) fn fetch(
    context: &mut Context<'_>,
    order: &Restore,
    (remote, folder): (&Remote, &str),
    size: &FolderSize,
    staging: &Staging,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    let bytes = size.bytes();
    staging.has_room(context, bytes.saturating_add(size.count * ENTRY))?;
    context.say(format!(
        "restoring {} ({}) from {folder}",
        measure::count(size.count, "file"),
        measure::size(bytes)
    ));
    let making = staging.making();
    let what = format!("restoring {folder}");
    let task = Task {
        what: &what,
        argv: rclone::fetch(context.config, folder, &making.to_string()),
        call: None,
        remote: folder,
        access: Access::Writes(&making),
        output: Output::Relayed,
        phase: Phase::Downloading,
    };
    let missing = download(context, &task, Some((bytes, size.count)), patience)?;
    let missing = missing.map(|partial| tell_missing(context, &partial));
    let adopted = owners(context, order, remote, staging, databases, patience)?;
    context.warn(LOST);
    if let Some(missing) = missing {
        return Err(Failure::Verification(missing));
    }
    Ok(format!(
        "the mirror {folder} is restored ({}, {bytes} bytes, {})",
        measure::count(size.count, "file"),
        measure::count(adopted.links, "link"),
    ))
}

/// Lists the files that could not be downloaded; returns a sentence that sums them up.
fn tell_missing(context: &mut Context<'_>, partial: &Partial) -> String {
    let Partial { heard, failure } = partial;
    let (named, count) = heard.failed();
    for name in named {
        context.warn(format!("missing: {name}"));
    }
    let more = count.saturating_sub(named.len() as u64);
    if more > 0 {
        context.warn(format!("missing: {more} more files"));
    }
    format!(
        "{} could not be downloaded; each has a line above that begins with \"missing: \" ({failure})",
        measure::count(count, "file")
    )
}

/// Counts the files in a mirror; `None` if there is no mirror.
pub(super) fn size(
    context: &mut Context<'_>,
    folder: &str,
    patience: &Patience<'_>,
) -> Result<Option<FolderSize>, Failure> {
    let mirror = RemoteFolder {
        what: &format!("measuring {folder}"),
        path: folder,
        phase: Phase::Comparing,
        waits: true,
    };
    mirror.size(context, patience)
}

/// The newest archive beside the mirror that has a manifest, if there is one.
fn newest(
    context: &mut Context<'_>,
    order: &Restore,
    remote: &Remote,
    patience: &Patience<'_>,
) -> Result<Option<Stored>, Failure> {
    let wanted = crate::policy::Wanted {
        service: order.wanted.service.clone(),
        day: None,
        remotes: vec![remote.clone()],
        hot: order.wanted.hot,
    };
    let found = find_where(context, &wanted, patience, |stored| {
        stored.manifest.is_some()
    });
    match found {
        Ok(stored) => Ok(Some(stored)),
        Err(Failure::NoArchive(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn owners(
    context: &mut Context<'_>,
    order: &Restore,
    remote: &Remote,
    staging: &Staging,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<Adopted, Failure> {
    let root = nix::unistd::geteuid().is_root();
    let mut adopted = Adopted::default();
    let mut watch = |_| Ok(());
    let known = match newest(context, order, remote, patience)? {
        Some(stored) => {
            let read = manifest(context, &stored, databases, patience)?;
            read.map(|(file, _)| (stored, file))
        }
        None => None,
    };
    let Some((stored, mut file)) = known else {
        let owner = present(order);
        settle(
            staging.tree(),
            owner.filter(|_| root),
            &mut adopted,
            &mut watch,
        )?;
        context.warn(match owner {
            Some((uid, gid)) => format!(
                "no archive with a manifest says whose files these were; all of them belong to {uid}:{gid}, as the present data does, and are for their owner alone"
            ),
            None => "no archive with a manifest says whose files these were; all of them belong to root and are for root alone".to_owned(),
        });
        return Ok(adopted);
    };
    let reading = || Failure::io("reading the manifest");
    let mark = mark(&mut Reader::new(&file)?, &mut watch)?;
    file.rewind().map_err(reading())?;
    let mut manifest = Reader::new(&file)?;
    let first = manifest
        .record()?
        .ok_or_else(|| Failure::Verification("the manifest is empty".to_owned()))?;
    let whole = (first.uid, first.gid);
    let marked = root.then_some((mark, first.gid));
    settle(staging.tree(), marked, &mut adopted, &mut watch)?;
    adopt(
        staging.tree(),
        &mut manifest,
        first,
        Options {
            owners: root,
            powers: order.keep_privileges,
            reserve: 0,
        },
        &mut adopted,
        &mut watch,
    )?;
    if root {
        inherit(staging.tree(), mark, whole, &mut watch)?;
    }
    tell(context, &stored, &adopted);
    Ok(adopted)
}

/// The owner of the present data.
fn present(order: &Restore) -> Option<Owner> {
    let data = PinnedDir::open(&order.folder.below(&[DATA])).ok()?;
    let stat = nix::sys::stat::fstat(data.fd()).ok()?;
    Some((stat.st_uid, stat.st_gid))
}

fn tell(context: &mut Context<'_>, stored: &Stored, adopted: &Adopted) {
    context.say(format!(
        "owners and modes of {} files and directories are those of {}, and the content of {} is; a newer entry belongs to the owner of the nearest directory that the archive knows, and is for that owner alone",
        adopted.known, stored.name, adopted.same
    ));
    for (what, named) in [
        (
            "of the size and time that the archive has, and of other content",
            &adopted.doubtful,
        ),
        ("in the archive, and not in the mirror", &adopted.absent),
        (
            "made without set-user-ID, set-group-ID or capabilities (--keep-privileges restores them)",
            &adopted.powerless,
        ),
        (
            "made without attributes that cannot be set here",
            &adopted.attributes,
        ),
    ] {
        if !named.is_empty() {
            context.warn(format!("{what}: {named}"));
        }
    }
}
