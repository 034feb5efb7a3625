//! The remote's listing against the manifest: a mirror without a manifest is adopted, and a mirror that was changed is
//! repaired.
//!
//! Invariant: after a comparison the manifest holds the files that are there, so the next night sends what is missing and
//! puts aside what is not known.

use super::state::Own;
use super::work::{MOST_DELTAS, Sync};
use crate::action::Context;
use base::error::Failure;
use base::result_line::WarningCode;
use mirror::heading::AsOf;
use mirror::memory::{Memory, Remembered};
use mirror::names::Number;
use mirror::survey::{Found, survey};

impl Sync<'_> {
    /// Makes a manifest of the files that the remote holds without one: an old mirror, or a first upload whose state was
    /// lost.
    pub(super) fn adopt(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        let Some(mut listed) = self.all_files(context)? else {
            self.state.first = true;
            self.state.memory = None;
            self.state.loose = false;
            return self.own.save(&self.state);
        };
        let name = Own::next_memory(&self.state);
        let mut memory = Memory::new(self.own.create(name)?);
        let mut before = self.remembered()?;
        let mut unproved = 0;
        let found = survey(
            &mut || before.as_mut().map_or(Ok(None), Remembered::entry),
            &mut || {
                let file = listed.file()?;
                unproved += u64::from(file.as_ref().is_some_and(|file| !file.is_provable()));
                Ok(file)
            },
            self.rules.onedrive,
            &mut |known| memory.add(known),
        )?;
        memory.finish()?;
        self.state.loose = false;
        self.state.incoming = !self.files(context, &self.places.incoming)?.is_empty();
        if found.surplus + found.right + found.different == 0 {
            self.state.first = true;
            self.state.memory = None;
        } else {
            context.say(format!(
                "{} holds {} files without a manifest; those that are as in the source are taken over and not uploaded again",
                self.places.data,
                found.surplus + found.right + found.different
            ));
            if unproved > 0 {
                let subject = self.mirror.lock.subject();
                let message = format!(
                    "{unproved} files in {} are compared by size and time alone, because the remote tells no hash that the gate can compare; once the mirror is complete, --verify reads and compares it",
                    self.places.data
                );
                context.alert(WarningCode::AdoptedByTime, subject, &message);
            }
            self.state.memory = Some(name.to_owned());
            self.state.compared = Some(self.began);
        }
        self.own.save(&self.state)
    }

    /// Compares the remote's listing with the manifest. Returns true if both agree.
    pub(super) fn survey(&mut self, context: &mut Context<'_>) -> Result<bool, Failure> {
        if self.state.number.is_none() || self.state.pending.is_some() {
            return Ok(true);
        }
        context.say(format!(
            "comparing the files in {} with the manifest",
            self.places.data
        ));
        let listed = self.all_files(context)?;
        let name = Own::next_memory(&self.state);
        let mut memory = Memory::new(self.own.create(name)?);
        let mut before = self.remembered()?;
        let mut listed = listed;
        let found = survey(
            &mut || before.as_mut().map_or(Ok(None), Remembered::entry),
            &mut || listed.as_mut().map_or(Ok(None), |listed| listed.file()),
            self.rules.onedrive,
            &mut |known| memory.add(known),
        )?;
        memory.finish()?;
        self.state.memory = Some(name.to_owned());
        self.state.compared = Some(self.began);
        self.own.save(&self.state)?;
        if found.is_right() {
            return Ok(true);
        }
        self.tell_wrong(context, found);
        // The manifest of the files that are there: the next comparison with the tree finds all that is to be repaired.
        let as_of = self.state.as_of.as_deref().and_then(AsOf::parse);
        self.write_full(context, as_of.unwrap_or_else(|| AsOf::of(self.began)))?;
        Ok(false)
    }

    fn tell_wrong(&self, context: &mut Context<'_>, found: Found) {
        context.warn(format!(
            "{} is not as its manifest says: {} files are missing, {} were changed, {} are unknown. It is repaired from the source; files that were changed or are unknown go to {}",
            self.places.data, found.missing, found.different, found.surplus, self.places.versions
        ));
    }

    /// Writes a new full manifest if there are many deltas, or if they are as old as the last comparison.
    pub(super) fn compact(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        let number = self.state.number.as_deref().and_then(Number::parse);
        let Some(number) = number.filter(|_| self.state.pending.is_none()) else {
            return Ok(());
        };
        let compared_now = self.state.compared == Some(self.began);
        if number.delta() >= MOST_DELTAS || (compared_now && number.delta() > 0) {
            return self.renew_full(context);
        }
        Ok(())
    }
}
