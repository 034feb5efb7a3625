//! Single steps of a transition: one file is moved, or one empty folder is removed.
//!
//! Invariant: after a step that failed, the remote is asked for the state before the step counts as failed or is tried
//! again: an error does not mean that nothing was done.

use super::far::is_missing;
use super::work::Sync;
use crate::action::Context;
use base::error::Failure;
use mirror::names::IncomingName;
use mirror::plan::Step;
use rclone::call;
use rclone::place::Place;

impl Sync<'_> {
    /// Moves a file. Returns false if it is not there.
    fn shift(
        &self,
        context: &mut Context<'_>,
        from: (&str, &str),
        to: (&str, &str),
    ) -> Result<bool, Failure> {
        let what = format!("moving {}/{}", from.0, from.1);
        let (old, new) = (
            format!("{}/{}", from.0, from.1),
            format!("{}/{}", to.0, to.1),
        );
        let argv = rclone::rename(context.config, &old, &new);
        let call = call::rename(
            context.config,
            (&Place::of(context.config, from.0), from.1),
            (&Place::of(context.config, to.0), to.1),
        );
        let task = self.task(&what, argv, Some(call));
        let ran = context.rclone_patient(&task, &self.patience())?;
        if is_missing(&ran) {
            return Ok(false);
        }
        context.judge(&task, &ran.ended, &ran.heard)?;
        Ok(true)
    }

    /// Makes one step of a transition.
    pub(super) fn step(
        &self,
        context: &mut Context<'_>,
        step: &Step,
        versions: &str,
    ) -> Result<(), Failure> {
        match step {
            Step::Aside(file) => self.aside(context, &name(file)?, versions),
            Step::Place { from, to, size } => {
                self.place(context, from, &name(to)?, *size, versions)
            }
            Step::RemoveFolder(folder) => {
                let folder = format!("{}/{}", self.places.data, name(folder)?);
                let what = format!("removing the empty folder {folder}");
                let place = Place::of(context.config, &folder);
                let argv = rclone::remove_empty(context.config, &folder);
                let task = self.task(&what, argv, Some(call::remove_empty(&place)));
                let ran = context.rclone_patient(&task, &self.patience())?;
                if !is_missing(&ran) && !ran.ended.ok() {
                    // An empty folder does no harm, and a folder with foreign files stays.
                    context.warn(format!("{folder} stays, because it cannot be removed"));
                }
                Ok(())
            }
        }
    }

    fn aside(&self, context: &mut Context<'_>, file: &str, versions: &str) -> Result<(), Failure> {
        let to = format!("{}/{versions}", self.places.versions);
        let fits = file.chars().count() <= self.rules.longest_path;
        let kept = if fits {
            file.to_owned()
        } else {
            let mut hasher = archive::digest::Hasher::default();
            hasher.update(file.as_bytes());
            let key: String = hasher.finish().to_string().chars().take(32).collect();
            context.say(format!(
                "{file} is kept as long-name-{key} in {to}: its path is too long there"
            ));
            format!("long-name-{key}")
        };
        match self.shift(context, (&self.places.data, file), (&to, &kept)) {
            // It is not there: it was moved before, or somebody took it away.
            Ok(_) => Ok(()),
            Err(failure @ (Failure::Tool { .. } | Failure::Remote { .. })) => {
                let there = self.look(context, &self.places.data, file)?;
                if there.is_none() {
                    Ok(())
                } else {
                    Err(failure)
                }
            }
            Err(failure) => Err(failure),
        }
    }

    fn place(
        &self,
        context: &mut Context<'_>,
        from: &IncomingName,
        to: &str,
        size: u64,
        versions: &str,
    ) -> Result<(), Failure> {
        let incoming = &self.places.incoming;
        let mut tried = 0;
        loop {
            tried += 1;
            let moved = self.shift(context, (incoming, from.as_str()), (&self.places.data, to));
            let failure = match moved {
                Ok(true) => return Ok(()),
                Ok(false) => Failure::Verification(format!(
                    "the content {from} of {to} is not in {incoming} any more; the next sync looks at the mirror and repairs it"
                )),
                Err(failure @ (Failure::Tool { .. } | Failure::Remote { .. })) => failure,
                Err(failure) => return Err(failure),
            };
            let waiting = self.look(context, incoming, from.as_str())?;
            let placed = self.look(context, &self.places.data, to)?;
            if waiting.is_none() && placed == Some(size) {
                return Ok(());
            }
            if waiting.is_none() || tried == 3 {
                return Err(failure);
            }
            if placed.is_some() {
                context.warn(format!(
                    "a file that the mirror does not know is at {to}; it is put among the versions"
                ));
                self.aside(context, to, versions)?;
            }
        }
    }
}

/// A path of a step in rclone's form. Entries with names that have none are in the bundle.
fn name(path: &[u8]) -> Result<String, Failure> {
    rclone::name::standard(path)
        .ok_or_else(|| Failure::Verification("rclone cannot name a path of the mirror".into()))
}
