//! The contents of a night on their way to the remote, in portions that fit the spool.
//!
//! Invariant: a content that was uploaded is found by the next sync and not sent again; a sync that is interrupted tells
//! how far it came.

use std::io::Write;

use super::bundle::Bundle;
use super::state::{LIST, STAGED};
use super::work::Sync;
use crate::action::Context;
use crate::action::listing::contents;
use crate::action::remote::{Access, Task};
use crate::walk::Stage;
use base::error::Failure;
use base::names::PlainPath;
use base::progress::Phase;
use host::program::Output;
use mirror::compose::Incoming;
use mirror::diff::Summary;
use mirror::names::IncomingName;
use mirror::plan::stored_at;
use mirror::portion::{Direct, Form, Staged};
use mirror::scan::Notes;
use rclone::call;
use rclone::place::Place;
use rclone::{Listener, passing};

/// Bytes and files of one portion.
const PORTION: (u64, u64) = (512 << 20, 2000);

/// So many files are uploaded one by one; more of them go side by side, for some requests more.
const FEW: u64 = 40;

/// Tries of one portion, beside those that wait for the remote.
const TRIES: u8 = 3;

/// The name of the list of the incoming folder.
const HAVE: &str = "have";

/// The upload of one night.
pub(super) struct Contents {
    form: Form,
    /// Files and bytes to upload, as far as is known.
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Files and bytes that are up.
    pub(super) done_files: u64,
    pub(super) done_bytes: u64,
    /// Bytes that this sync sent.
    pub(super) sent_bytes: u64,
    /// Entries that changed while they were read.
    pub(super) notes: Notes,
    /// Files that turned out to have the content of before.
    pub(super) same: u64,
    /// True once it was told that the service has to wait.
    told: bool,
    /// The first portion, if it was copied before the remote was asked.
    early: Option<Staged>,
    bundle: Bundle,
}

impl Contents {
    pub(super) fn new(summary: &Summary, form: Form) -> Self {
        Self {
            form,
            files: summary.files,
            bytes: summary.bytes,
            done_files: 0,
            done_bytes: 0,
            sent_bytes: 0,
            notes: Notes::default(),
            same: 0,
            told: false,
            early: None,
            bundle: Bundle::Missing,
        }
    }

    /// Uploads all contents of the list.
    pub(super) fn run(
        &mut self,
        sync: &mut Sync<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let have = self.have(sync, context)?;
        let mut early = self.early.take();
        if early.is_none() {
            sync.own.create(STAGED)?;
        }
        let mut at = 0;
        loop {
            let (copies, staged) = match early.take() {
                Some(mut staged) => {
                    let copies = sync.own.copies.below(&["contents"]);
                    if let Some(have) = &have {
                        drop_known(&mut staged, &copies, have)?;
                    }
                    (copies, staged)
                }
                None => self.copy(sync, context, at, have.is_some())?,
            };
            at = staged.at;
            self.notes.add(&staged.notes);
            self.same += staged.same;
            self.files = self.files.saturating_sub(staged.same);
            self.bytes = self.bytes.saturating_sub(staged.same_bytes);
            self.done_files += staged.there;
            self.done_bytes += staged.there_bytes;
            if staged.files > 0 || staged.direct.is_some() {
                self.begin(sync)?;
            }
            if staged.files > 0 {
                self.portion(sync, context, &copies, &staged)?;
            }
            if let Some(direct) = &staged.direct {
                self.direct(sync, context, direct)?;
            }
            if self.form == Form::Tree {
                let writing = || Failure::io("writing the list of contents");
                let list = sync.own.read(STAGED)?;
                list.sync_all().map_err(writing())?;
                sync.state.up = list.metadata().map_err(writing())?.len();
                sync.state.loose = false;
                sync.own.save(&sync.state)?;
            }
            if staged.is_done {
                sync.start(context)?;
                return Ok(());
            }
        }
    }

    /// Copies contents from the byte `at` of the list, and starts the service once all of them are copied.
    fn copy(
        &mut self,
        sync: &mut Sync<'_>,
        context: &mut Context<'_>,
        at: u64,
        have: bool,
    ) -> Result<(PlainPath, Staged), Failure> {
        let copies = sync.own.folder(context, "contents")?;
        let staged = self.stage(sync, context, &copies, at, have)?;
        if staged.is_done && staged.direct.is_none() {
            // All contents are copied: the service need not wait for the upload.
            sync.start(context)?;
        } else if sync.capture.must_stage(context).is_some() && !self.told {
            self.told = true;
            context.warn(format!(
                "the changed files of {} do not fit into the spool, or take too long to copy; the service stays down until the rest is uploaded (limits.spool_reserve, capture.seconds)",
                sync.mirror.source
            ));
        }
        Ok((copies, staged))
    }

    /// Copies the first contents and packs the bundle before the remote is asked.
    pub(super) fn copy_early(
        &mut self,
        sync: &mut Sync<'_>,
        context: &mut Context<'_>,
        summary: &Summary,
    ) -> Result<(), Failure> {
        self.copy_bundle(sync, context, summary)?;
        sync.own.create(STAGED)?;
        let (_, staged) = self.copy(sync, context, 0, false)?;
        self.early = Some(staged);
        if sync.capture.must_stage(context).is_none() {
            self.bundle.pack(sync, context)?;
        }
        Ok(())
    }

    /// Copies the entries of the bundle, if it changes.
    pub(super) fn copy_bundle(
        &mut self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
        summary: &Summary,
    ) -> Result<(), Failure> {
        self.bundle.copy(sync, context, summary, &mut self.notes)
    }

    /// Uploads the bundle, if it changes. Returns its name after this night.
    pub(super) fn upload_bundle(
        &mut self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
        summary: &Summary,
    ) -> Result<Option<String>, Failure> {
        let (name, sent) = self.bundle.upload(sync, context, summary)?;
        self.sent_bytes += sent;
        Ok(name)
    }

    /// Notes that the incoming folder or the data may hold contents of this portion, before the first of them is there.
    fn begin(&self, sync: &mut Sync<'_>) -> Result<(), Failure> {
        let note = match self.form {
            Form::Flat => &mut sync.state.incoming,
            _ => &mut sync.state.loose,
        };
        if !std::mem::replace(note, true) {
            sync.own.save(&sync.state)?;
        }
        Ok(())
    }

    /// Lists the contents that an earlier sync left in the incoming folder. `None` if there are none, or if none is
    /// needed.
    fn have(
        &self,
        sync: &mut Sync<'_>,
        context: &mut Context<'_>,
    ) -> Result<Option<Incoming>, Failure> {
        if self.form != Form::Flat || !sync.state.incoming || self.files == 0 {
            return Ok(None);
        }
        let writing = || Failure::io("writing the list of the incoming folder");
        let (mut out, mut have) = contents(
            context,
            &sync.places.incoming,
            &sync.patience(),
            &mut || {
                let out = std::io::BufWriter::new(sync.own.create(HAVE)?);
                Ok((out, Incoming::default()))
            },
            &mut |(out, have), name, size| {
                have.add(name, size);
                writeln!(out, "{name} {size}").map_err(writing())
            },
        )?;
        if have.is_empty() {
            // There is nothing to remove at the end either.
            sync.left_over = false;
            return Ok(None);
        }
        have.sort();
        out.flush().map_err(writing())?;
        Ok(Some(have))
    }

    fn stage(
        &self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
        copies: &PlainPath,
        at: u64,
        have: bool,
    ) -> Result<Staged, Failure> {
        // A service that waits for the copies gets all of them made at once, if there is room and time.
        let waits = sync.capture.must_stage(context);
        let now = context.host.now();
        let (bytes, files) = if waits.is_some() {
            (u64::MAX, u64::MAX)
        } else {
            PORTION
        };
        let order = Stage {
            folder: sync.own.path.to_string(),
            list: LIST.to_owned(),
            staged: STAGED.to_owned(),
            have: have.then(|| HAVE.to_owned()),
            copies: copies.to_string(),
            at,
            form: self.form,
            bytes,
            files,
            seconds: waits.map(|until| until.saturating_duration_since(now).as_secs()),
            reserve: context.config.limits.spool_reserve,
        };
        let left = self.bytes.saturating_sub(self.done_bytes);
        context.stage(sync.capture.tree(), order, left, &sync.patience())
    }

    /// Uploads one portion of copies.
    fn portion(
        &mut self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
        copies: &PlainPath,
        staged: &Staged,
    ) -> Result<(), Failure> {
        let to = match self.form {
            Form::Tree => &sync.places.data,
            _ => &sync.places.incoming,
        };
        let mut tried = 0;
        loop {
            let mut heard = Listener::new(Phase::Mirroring).of(staged.bytes, staged.files);
            let is_few = self.form == Form::Flat
                && staged.files <= FEW
                && context.is_one_process(Access::Reads(&sync.own.copies));
            let sent = if is_few {
                sync.send_few(context, copies, &mut heard)
            } else {
                sync.send(context, copies, to, &mut heard)
            };
            let Err(failure) = sent else {
                break;
            };
            tried += 1;
            let ends = matches!(
                failure,
                Failure::Interrupted { .. } | Failure::TimedOutWaiting { .. } | Failure::NoSpace(_)
            );
            if ends || (tried >= TRIES && failure.to_string() != sync.waited(context)) {
                let stats = heard.stats();
                self.done_bytes += stats.bytes.min(staged.bytes);
                self.sent_bytes += stats.bytes.min(staged.bytes);
                self.done_files += stats.transfers.min(staged.files);
                return Err(failure);
            }
            if passing(&failure).is_none() {
                context.warn(format!("{failure}; trying again"));
            }
            if self.form == Form::Flat {
                self.drop_there(sync, context, copies)?;
            }
        }
        self.done_files += staged.files;
        self.done_bytes += staged.bytes;
        self.sent_bytes += staged.bytes;
        Ok(())
    }

    /// Removes the copies whose contents are there already, so that the next try sends the others alone.
    fn drop_there(
        &self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
        copies: &PlainPath,
    ) -> Result<(), Failure> {
        let folder = &sync.places.incoming;
        let patience = sync.patience();
        let mut take = |(): &mut (), name: &IncomingName, size| {
            let path = format!("{copies}/{name}");
            match std::fs::metadata(&path).is_ok_and(|copy| copy.len() == size) {
                true => {
                    std::fs::remove_file(&path).map_err(Failure::io(format!("removing {path}")))
                }
                false => Ok(()),
            }
        };
        contents(context, folder, &patience, &mut || Ok(()), &mut take)
    }

    /// Uploads a content that is too large for the spool.
    fn direct(
        &mut self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
        direct: &Direct,
    ) -> Result<(), Failure> {
        let stored = String::from_utf8(stored_at(&direct.path, 'f'))
            .map_err(|_| Failure::Verification("a path of the mirror is not UTF-8".into()))?;
        let (folder, file) = match self.form {
            Form::Tree => (&sync.places.data, stored.as_str()),
            _ => (&sync.places.incoming, direct.incoming.as_str()),
        };
        context.warn(format!(
            "{stored} is too large for the spool; it is read from the source while it is uploaded"
        ));
        let mut heard = Listener::new(Phase::Mirroring).of(direct.size, 1);
        let sent = sync.send_direct(context, &stored, &format!("{folder}/{file}"), &mut heard);
        if let Err(failure) = sent {
            self.sent_bytes += heard.stats().bytes.min(direct.size);
            return Err(failure);
        }
        if sync.look(context, folder, file)? != Some(direct.size) {
            return Err(Failure::Changed(stored));
        }
        self.done_files += 1;
        self.done_bytes += direct.size;
        self.sent_bytes += direct.size;
        Ok(())
    }
}

/// Takes away the copies whose contents the incoming folder holds already.
fn drop_known(staged: &mut Staged, copies: &PlainPath, have: &Incoming) -> Result<(), Failure> {
    let mut counts = |size: u64| {
        staged.there += 1;
        staged.there_bytes += size;
    };
    let listing = || Failure::io(format!("listing {copies}"));
    for copy in std::fs::read_dir(copies.to_string()).map_err(listing())? {
        let copy = copy.map_err(listing())?;
        let size = copy.metadata().map_err(listing())?.len();
        let name = copy.file_name().to_str().and_then(IncomingName::parse);
        if name.is_some_and(|name| have.holds(&name, size)) {
            let path = copy.path();
            std::fs::remove_file(&path)
                .map_err(Failure::io(format!("removing {}", path.display())))?;
            counts(size);
            staged.files = staged.files.saturating_sub(1);
            staged.bytes = staged.bytes.saturating_sub(size);
        }
    }
    let is_known = |direct: &Direct| {
        IncomingName::parse(&direct.incoming).is_some_and(|name| have.holds(&name, direct.size))
    };
    if let Some(direct) = staged.direct.take_if(|direct| is_known(direct)) {
        counts(direct.size);
    }
    Ok(())
}

impl Sync<'_> {
    /// The words of a try that waited for the remote, and is to be made once more.
    fn waited(&self, _: &Context<'_>) -> String {
        format!("uploading {} failed: trying again", self.mirror.source)
    }

    /// Removes the incoming folder with all contents in it.
    pub(super) fn purge_incoming(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let folder = &self.places.incoming;
        let what = format!("emptying {folder}");
        let place = Place::of(context.config, folder);
        let argv = rclone::purge(context.config, folder);
        let call = call::purge(context.config, &place);
        let task = Task {
            what: &what,
            argv,
            call: Some(call),
            remote: &self.mirror.destination,
            access: Access::Remote,
            output: Output::Silent,
            phase: Phase::Mirroring,
        };
        let ran = context.rclone_patient(&task, &self.patience())?;
        if rclone::folder_missing(&ran.ended) {
            return Ok(());
        }
        context.judge(&task, &ran.ended, &ran.heard)
    }
}
