//! `--archive`: pack into the spool, check, and hand over to `upload`.
//!
//! Invariant: an archive is read back before its upload, and its files in the spool are removed at the end of the
//! action.

use std::fs::File;
use std::io::Seek;
use std::time::{Duration, Instant};

use super::Context;
use super::capture::{Capture, Need, Wish};
use super::circumstances::{Circumstances, stayed_down, tell_bind_mount};
use super::one_process::Reach;
use super::prune::{self, New};
use super::spool::Spool;
use super::upload::Upload;
use crate::policy::{Archive, powers};
use crate::retention::ArchiveName;
use crate::walk::Pack;
use archive::check::{Comparison, Report, check};
use archive::manifest::Totals;
use archive::pack::Notes;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::lock_name::LockName;
use base::measure;
use base::progress::{Meter, Phase};
use base::reply::Stream;
use base::result_line::{ResultLine, WarningCode};
use host::{Patience, Waits};

pub(super) fn archive(
    context: &mut Context<'_>,
    order: &Archive,
    circumstances: &Circumstances,
    until: Instant,
) -> Result<String, Failure> {
    let waits = Waits::of(&order.service);
    let waiting = Patience::attended(until);
    let _archives = context.lock(&LockName::archives(&order.service), "--archive", &waiting)?;
    let lock = context.lock(&LockName::service(&order.service), "--archive", &waiting)?;
    context.rclone_fits(&order.folder, &waiting.yielding(&lock))?;
    tell_raised(context, order);
    tell_bind_mount(context, order.service.as_str(), &order.source);
    let need = Need {
        wish: Wish::Archive,
        service: &order.service,
        hot: order.hot,
        data: &order.source,
        circumstances,
    };
    let mut capture = Capture::begin(context, &need, lock, &waiting)?;
    let made = spooled(context, order, &mut capture, until);
    // A whole capture stays for a second remote until the lease ends.
    capture.release(context, Wish::Archive, until);
    let made = match made? {
        Outcome::Spooled(made) => *made,
        Outcome::Kept(words) => return Ok(words),
    };
    let patience = Patience::attended(until).keeping_down(&waits);
    let service = (!order.hot).then_some(&order.service);
    let _turn = context.upload_turn(service, "--archive", &order.folder, &patience)?;
    let SpooledArchive {
        name,
        spool,
        totals,
        report,
        down,
    } = made;
    context.begin_one_process(Reach::Reads(spool.path.clone()), &patience)?;
    let checked = Upload::new(order, &name, &spool).store(context, &patience)?;
    let line = ResultLine::Archive {
        subject: order.service.to_string(),
        name: name.to_string(),
        bytes: report.archive_bytes,
        files: report.files,
        sha256: report.archive.to_string(),
        checked,
    };
    context.say(line.to_string());
    let new = New {
        name: &name,
        totals: &totals,
        down,
    };
    let pruned = prune::prune(context, order, &new, &patience)?;
    Ok(format!(
        "{name} is stored in {} ({} bytes, SHA-256 {}, {checked}, {pruned} old archives put aside)",
        order.folder, totals.archive_bytes, totals.archive
    ))
}

/// The result of the part of an archive that needs the data.
enum Outcome {
    /// The archive lies in the spool.
    Spooled(Box<SpooledArchive>),
    /// The archive of today stays in its place, for the reason in this sentence.
    Kept(String),
}

/// An archive in the spool, read back.
struct SpooledArchive {
    name: ArchiveName,
    spool: Spool,
    totals: Totals,
    report: Report,
    /// The service was down while its data was as it is in the archive.
    down: bool,
}

/// Makes the archive in the spool, and starts the service as soon as its data is read.
fn spooled(
    context: &mut Context<'_>,
    order: &Archive,
    capture: &mut Capture,
    until: Instant,
) -> Result<Outcome, Failure> {
    let name = ArchiveName::new(order.service.clone(), context.host.today());
    let mut down = capture.is_down();
    let patience = capture.patience(until);
    if keeps_todays(context, order, &name, down, &patience)? {
        return Ok(Outcome::Kept(format!("{name} was not made again")));
    }
    let spool = Spool::open(context, &order.service, &name)?;
    let packed = pack(context, order, &name, capture.tree(), &spool, &patience)?;
    // A whole capture is packed while the service is up.
    if down && !capture.is_whole() {
        down = stayed_down(context, &order.service, &patience);
        if keeps_todays(context, order, &name, down, &patience)? {
            return Ok(Outcome::Kept(format!("{name} was not replaced")));
        }
    }
    // The remaining work needs the spool alone: from here on, a `--start` does not have to wait or to cancel this
    // action.
    capture.start(context);
    if !capture.is_whole() {
        context.host.give_up(powers::once_read())?;
    }
    let patience = Patience::attended(until);
    let (totals, report) = read_back(context, &name, packed, &patience)?;
    Ok(Outcome::Spooled(Box::new(SpooledArchive {
        name,
        spool,
        totals,
        report,
        down,
    })))
}

/// Tells that more archives are kept than the request asked for.
fn tell_raised(context: &mut Context<'_>, order: &Archive) {
    for raised in &order.raised {
        let (code, subject) = (WarningCode::RetentionRaised, order.service.as_str());
        context.alert(code, subject, &raised.to_string());
    }
}

/// An archive in the spool that was not read back yet.
struct InSpool {
    archive: File,
    manifest: File,
    totals: Totals,
}

/// Returns true if the archive of today stays in its place. It does if it was made while the service was down and the
/// new one is made while the service is up.
fn keeps_todays(
    context: &mut Context<'_>,
    order: &Archive,
    name: &ArchiveName,
    down: bool,
    patience: &Patience<'_>,
) -> Result<bool, Failure> {
    if down || order.hot || !prune::made_down(context, order, name, patience)? {
        return Ok(false);
    }
    let message = format!(
        "{name} of today was made while {} was down and stays as it is; one of a running service does not take its place",
        order.service
    );
    context.alert(WarningCode::ArchiveKept, order.service.as_str(), &message);
    Ok(true)
}

/// Packs the data into the spool.
fn pack(
    context: &mut Context<'_>,
    order: &Archive,
    name: &ArchiveName,
    source: &PinnedDir,
    spool: &Spool,
    patience: &Patience<'_>,
) -> Result<InSpool, Failure> {
    let found = context.measure(source, patience)?;
    spool.has_room(found.bound)?;
    let content = measure::size(found.content);
    context.say(format!(
        "packing {}: {} entries, {content}",
        order.source, found.entries
    ));
    let archive = spool.create(&spool.archive)?;
    let manifest = spool.create(&spool.manifest)?;
    let into = Pack {
        name: name.to_string(),
        spool: spool.path.to_string(),
        archive: spool.archive.clone(),
        manifest: spool.manifest.clone(),
        reserve: spool.reserve,
    };
    let packed = context.pack(source, into, found.content, patience)?;
    tell(context, order, &packed.notes)?;
    Ok(InSpool {
        archive,
        manifest,
        totals: packed.totals,
    })
}

/// Reads the spool back and compares it with its manifest; returns the numbers of its manifest and of the archive.
fn read_back(
    context: &mut Context<'_>,
    name: &ArchiveName,
    packed: InSpool,
    patience: &Patience<'_>,
) -> Result<(Totals, Report), Failure> {
    let InSpool {
        archive,
        manifest,
        totals,
    } = packed;
    context.say(format!(
        "checking {} entries, {} bytes, packed {}",
        totals.entries, totals.bytes, totals.archive_bytes
    ));
    for mut file in [&archive, &manifest] {
        file.rewind().map_err(Failure::io("reading the spool"))?;
    }
    let mut watch = watcher(
        context,
        patience,
        Phase::Checking,
        Some(totals.bytes),
        || Ok(()),
    );
    let comparison = Comparison::new(&manifest, &name.to_string())?;
    let report = check(&archive, Some(comparison), &mut (), &mut watch)?;
    if let Some(differences) = &report.differences {
        differences.insist()?;
    }
    if (report.entries, report.bytes, report.archive)
        != (totals.entries, totals.bytes, totals.archive)
    {
        return Err(Failure::Verification(
            "the spooled archive and its manifest are not those that were written".into(),
        ));
    }
    Ok((totals, report))
}

/// Warns of files that the archive does not hold unchanged. Fails if a file changed while it was read.
fn tell(context: &mut Context<'_>, order: &Archive, notes: &Notes) -> Result<(), Failure> {
    for (what, named) in [
        (
            "left out, because they are sockets or devices",
            &notes.skipped,
        ),
        (
            "stored without all of their attributes, which are too many",
            &notes.cut,
        ),
        (
            "stored once for each of their names, because too many files have several",
            &notes.copied,
        ),
    ] {
        if !named.is_empty() {
            context.warn(format!("{what}: {named}"));
        }
    }
    if !notes.mounted.is_empty() {
        let message = format!(
            "left out of the archive, because something else is mounted there: {}; unmount it, or back it up on its own as an extra target",
            notes.mounted
        );
        context.alert(WarningCode::MountLeftOut, order.service.as_str(), &message);
    }
    if notes.changed.is_empty() {
        return Ok(());
    }
    if !order.hot {
        return Err(Failure::Changed(notes.changed.to_string()));
    }
    context.warn(format!(
        "changed while they were read, as is usual for {}: {}",
        order.service, notes.changed
    ));
    Ok(())
}

/// Stops the work if `also` fails or if `patience` ends, and reports the progress once a second.
fn watcher<'w>(
    context: &'w mut Context<'_>,
    patience: &'w Patience<'_>,
    phase: Phase,
    total: Option<u64>,
    also: impl Fn() -> Result<(), Failure> + 'w,
) -> impl FnMut(u64) -> Result<(), Failure> + 'w {
    let mut looked = context.host.now();
    let mut meter = Meter::new(phase, total, None, looked);
    move |bytes| {
        let now = context.host.now();
        if now.duration_since(looked) >= Duration::from_millis(100) {
            looked = now;
            also()?;
            context
                .host
                .check(patience)
                .map_err(|cause| Failure::Interrupted {
                    what: phase.as_str().to_owned(),
                    cause,
                })?;
        }
        if let Some(progress) = meter.tick(now, bytes, 0) {
            context.host.say(Stream::Out, &progress.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use base::error::{ExitStatus, Failure};

    #[test]
    fn a_full_disk_has_its_own_status() {
        let failure = Failure::errno("writing")(Errno::ENOSPC);
        assert_eq!(failure.status(), ExitStatus::CannotCreate);
    }
}
