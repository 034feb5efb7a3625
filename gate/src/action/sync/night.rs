//! One night: compare the tree with the last manifest, decide, upload, commit, and put everything in place.
//!
//! Invariant: nothing below the data on the remote changes before the delta is there, and after that the steps of the
//! delta are carried out to the end, by this sync or by the next one.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::draft::{Draft, read_live};
use super::state::{BUNDLED, FINAL, LIST, STAGED};
use super::tell::NightEnd;
use super::work::Sync;
use crate::action::Context;
use crate::action::listing::incoming;
use crate::walk::{Compare, Compared, Stage};
use base::error::Failure;
use mirror::changes::{Item, Work};
use mirror::compose::Incoming;
use mirror::diff::has_content;
use mirror::fits::fold;
use mirror::heading::AsOf;
use mirror::memory::Remembered;
use mirror::plan::{Changed, Now, Pass, Step, steps, stored_at};
use mirror::portion::Form;

impl Sync<'_> {
    /// Finds which files of the same size are the same. Returns their number and bytes.
    pub(super) fn look_closer(
        &self,
        context: &mut Context<'_>,
        total: u64,
    ) -> Result<(u64, u64), Failure> {
        const CLOSER: &str = "closer";
        self.own.create(CLOSER)?;
        let order = Stage {
            folder: self.own.path.to_string(),
            list: LIST.to_owned(),
            staged: CLOSER.to_owned(),
            have: None,
            copies: self.own.folder(context, "contents")?.to_string(),
            at: 0,
            form: Form::Digests,
            bytes: u64::MAX,
            files: u64::MAX,
            seconds: None,
            reserve: 0,
        };
        let staged = context.stage(self.capture.tree(), order, total, &self.patience())?;
        self.own.rename(CLOSER, LIST)?;
        Ok((staged.same, staged.same_bytes))
    }

    /// Makes the mirror like the tree.
    pub(super) fn night(
        &mut self,
        context: &mut Context<'_>,
        draft: Option<Draft>,
    ) -> Result<NightEnd, Failure> {
        let mut draft = match draft {
            Some(draft) => draft,
            None => {
                let base = self.base()?;
                self.draft(context, base)?
            }
        };
        let change = draft.change;
        context.say(format!("{}: {change}", self.mirror.source));
        draft.told.say_bundled(context, self.mirror, &draft.summary);
        let approval = self.ask(change)?;
        // Before the change, so that it also holds after a sync that was cut off.
        let is_approved = approval.is_some();
        if !is_approved {
            draft.told.unusual = self.unusual(&change)?;
        }
        let done = self.make(context, &mut draft);
        self.account(change, approval, done.is_ok())?;
        let Draft { mut told, .. } = draft;
        done.map_err(|failure| told.interrupted(context, self, failure))?;
        self.went_well(change, !is_approved && told.unusual.is_none())?;
        told.change = change;
        Ok(told)
    }

    /// Compares the tree with the entries in the file `before`.
    pub(super) fn compare(
        &self,
        context: &mut Context<'_>,
        before: Option<String>,
    ) -> Result<Compared, Failure> {
        self.own.create(LIST)?;
        let order = Compare {
            folder: self.own.path.to_string(),
            before,
            list: LIST.to_owned(),
            rules: self.rules.clone(),
            bundle_limit: BUNDLE_LIMIT,
        };
        context.compare(self.capture.tree(), order, &self.patience())
    }

    /// Uploads the changes, and makes them count.
    fn make(&mut self, context: &mut Context<'_>, draft: &mut Draft) -> Result<(), Failure> {
        let is_new = self.state.number.is_none();
        if draft.summary.is_empty() && !is_new && self.state.complete_is_current() {
            self.start(context)?;
            let last = self.state.as_of.as_deref().and_then(AsOf::parse);
            draft.told.as_of = last.unwrap_or(draft.as_of);
            return Ok(());
        }
        if self.state.first {
            return self.make_first(context, draft);
        }
        let Draft {
            summary,
            as_of,
            told,
            upload,
            ..
        } = draft;
        let as_of = *as_of;
        self.left_over |= self.state.incoming;
        upload.copy_bundle(self, context, summary)?;
        let uploaded = upload.run(self, context);
        told.uploaded(upload);
        uploaded?;
        let bundle = upload.upload_bundle(self, context, summary)?;
        self.merge(summary.bundle_changes)?;
        if self.live {
            // The digests of the files that were found, so that the next sync need not read them.
            let is_found =
                |item: &Item| item.work == Work::Describe && has_content(item.record.letter);
            let memory = self.applied_where(FINAL, None, &is_found)?;
            self.state.memory = Some(memory.to_owned());
            self.own.save(&self.state)?;
            return Err(read_live());
        }
        if self.needs_no_step()? {
            return self.describe(context, as_of, bundle);
        }
        if is_new {
            // The files that were found, as the night before: a transition begins at a manifest.
            self.write_full(context, as_of)?;
        }
        let (name, pending) = self.write_delta(context, FINAL, as_of, bundle.as_deref())?;
        self.check_alone(context, &name)?;
        self.state.pending = Some(pending);
        self.own.save(&self.state)?;
        self.put_book(context, &self.own.copies.below(&["delta"]), &name, true)?;
        if let Some(pending) = &mut self.state.pending {
            pending.committed = true;
        }
        self.own.save(&self.state)?;
        self.roll(context, false)
    }

    /// Fails if a delta of this number is there already: then another board is at work.
    fn check_alone(&self, context: &mut Context<'_>, name: &str) -> Result<(), Failure> {
        let files = self.files(context, &self.places.books)?;
        if files.iter().any(|(known, _)| known == name) {
            return Err(Failure::Verification(format!(
                "{name} is in {} already: another board works on this mirror at this moment. Nothing was changed; give each board a folder of its own, or run this sync again",
                self.places.books
            )));
        }
        Ok(())
    }

    /// True if no file on the remote has to move.
    fn needs_no_step(&self) -> Result<bool, Failure> {
        for pass in Pass::order(false) {
            let mut any = false;
            self.steps(FINAL, pass, None, &mut |_| {
                any = true;
                Ok(())
            })?;
            if any {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes changes of descriptions alone: no file moves, so there is no transition.
    fn describe(
        &mut self,
        context: &mut Context<'_>,
        as_of: AsOf,
        bundle: Option<String>,
    ) -> Result<(), Failure> {
        if self.state.number.is_some() {
            let (name, pending) = self.write_delta(context, FINAL, as_of, bundle.as_deref())?;
            self.check_alone(context, &name)?;
            self.state.pending = Some(pending);
            self.own.save(&self.state)?;
            self.put_book(context, &self.own.copies.below(&["delta"]), &name, true)?;
            if let Some(pending) = &mut self.state.pending {
                pending.committed = true;
            }
            self.own.save(&self.state)?;
            return self.complete_pending(context);
        }
        let memory = self.applied(FINAL, None)?;
        self.state.memory = Some(memory.to_owned());
        self.state.bundle = bundle;
        self.state.as_of = Some(as_of.to_string());
        self.own.save(&self.state)?;
        self.renew_full(context)
    }

    /// Carries out the steps of the transition that was begun. `again` is true if some may be done already.
    pub(super) fn roll(&mut self, context: &mut Context<'_>, again: bool) -> Result<(), Failure> {
        let Some(pending) = self.state.pending.clone() else {
            return Ok(());
        };
        let there = if again {
            Some(incoming(context, &self.places.incoming, &self.patience())?)
        } else {
            None
        };
        let placed = match &there {
            Some(there) if self.rules.folds_case => self.placed(&pending.list, there)?,
            _ => HashSet::new(),
        };
        self.look_up_folders(context, &pending.list)?;
        for pass in Pass::order(self.rules.folds_case) {
            self.steps(&pending.list, pass, there.as_ref(), &mut |step| {
                // The remote would find the new file under the old name.
                if let Step::Aside(file) = &step
                    && placed.contains(&folded(file))
                {
                    return Ok(());
                }
                self.step(context, &step, &pending.versions)
            })?;
        }
        self.complete_pending(context)?;
        self.clear_incoming(context, again)
    }

    /// The keys of the files that an earlier sync put into their places.
    fn placed(&self, list: &str, there: &Incoming) -> Result<HashSet<u64>, Failure> {
        let mut items = self.list(list)?;
        let mut placed = HashSet::new();
        while let Some(item) = items.item()? {
            let letter = item.record.letter;
            let key = folded(&stored_at(&item.record.path, letter));
            let was_sent = item.incoming.is_some();
            if was_sent
                && changed(item, Some(there))
                    .now
                    .is_some_and(|now| now.incoming.is_none())
            {
                placed.insert(key);
            }
        }
        Ok(placed)
    }

    /// Makes the steps of a list. A content that is not in `there` is in its place already.
    pub(super) fn steps(
        &self,
        list: &str,
        pass: Pass,
        there: Option<&Incoming>,
        take: &mut dyn FnMut(Step) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut before = self.remembered()?;
        let mut items = self.list(list)?;
        steps(
            &mut || before.as_mut().map_or(Ok(None), Remembered::entry),
            &mut || {
                let item = items.item()?;
                Ok(item.map(|item| changed(item, there)))
            },
            pass,
            take,
        )
    }

    /// Merges the lists of contents and of the bundle.
    pub(super) fn merge(&self, with_bundle: bool) -> Result<(), Failure> {
        let writing = || Failure::io("writing the list of changes");
        let mut out = std::io::BufWriter::new(self.own.create(FINAL)?);
        let mut staged = self.list(STAGED)?;
        let mut bundled = match with_bundle {
            true => Some(self.list(BUNDLED)?),
            false => None,
        };
        let mut one = staged.item()?;
        let mut other = bundled.as_mut().map_or(Ok(None), |list| list.item())?;
        loop {
            let first = match (&one, &other) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(one), Some(other)) => {
                    mirror::order::compare(&one.record.path, &other.record.path).is_lt()
                }
            };
            let item = if first {
                std::mem::replace(&mut one, staged.item()?)
            } else {
                let next = bundled.as_mut().map_or(Ok(None), |list| list.item())?;
                std::mem::replace(&mut other, next)
            };
            if let Some(item) = item {
                item.write(&mut out).map_err(writing())?;
            }
        }
        std::io::Write::flush(&mut out).map_err(writing())
    }

    /// Removes contents that no transition needs.
    fn clear_incoming(&mut self, context: &mut Context<'_>, again: bool) -> Result<(), Failure> {
        // Contents of this night are all in their places.
        if again || self.left_over {
            self.purge_incoming(context)?;
        }
        self.left_over = false;
        if self.state.incoming {
            self.state.incoming = false;
            self.own.save(&self.state)?;
        }
        Ok(())
    }
}

/// The largest sum of contents in a bundle.
const BUNDLE_LIMIT: u64 = 2 << 30;

/// The key under which a remote that folds case finds a file.
fn folded(file: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    fold(&String::from_utf8_lossy(file)).hash(&mut hasher);
    hasher.finish()
}

/// A line of the list, as far as it matters for the steps.
fn changed(item: Item, there: Option<&Incoming>) -> Changed {
    let Item {
        work,
        incoming,
        record,
        ..
    } = item;
    let size = match &record.target {
        Some(target) if record.letter == 'l' => target.len() as u64,
        _ => record.size,
    };
    let now = Now {
        letter: record.letter,
        incoming: incoming.filter(|name| {
            has_content(record.letter) && there.is_none_or(|there| there.holds(name, size))
        }),
        size,
        bundled: work == Work::Bundle,
    };
    Changed {
        path: record.path,
        now: (work != Work::Gone).then_some(now),
    }
}
