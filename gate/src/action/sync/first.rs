//! The first upload: contents go straight to the data, over several nights if they have to.
//!
//! Invariant: there is no manifest on the remote before all files are up, so nothing is taken for a complete copy. The
//! list of the files that are up grows with each portion.

use std::time::Duration;

use super::draft::{Draft, read_live};
use super::state::{FINAL, LIST, STAGED};
use super::tell::NightEnd;
use super::upload::Contents;
use super::work::Sync;
use crate::action::Context;
use base::error::Failure;
use mirror::complete::Standing;
use mirror::diff::Summary;
use mirror::heading::VersionsFolder;
use mirror::plan::Pass;

/// The time for the last words of a first upload that was interrupted.
const LAST_WORDS: Duration = Duration::from_secs(15);

impl Sync<'_> {
    /// The first upload: contents go straight to the data, where nothing can be replaced.
    pub(super) fn make_first(
        &mut self,
        context: &mut Context<'_>,
        draft: &mut Draft,
    ) -> Result<(), Failure> {
        let Draft {
            summary,
            as_of,
            told,
            upload,
            ..
        } = draft;
        // Files of an earlier night that are gone or another thing now.
        let versions = VersionsFolder::of(context.host.local());
        for pass in [Pass::Blocking, Pass::Gone] {
            self.steps(LIST, pass, None, &mut |step| {
                self.step(context, &step, versions.as_str())
            })?;
        }
        upload.copy_bundle(self, context, summary)?;
        let uploaded = upload.run(self, context);
        told.uploaded(upload);
        if uploaded.is_err() {
            self.say_first(context, summary, upload, told);
        }
        uploaded?;
        let bundle = upload.upload_bundle(self, context, summary)?;
        self.merge(summary.bundle_changes)?;
        let memory = self.applied(FINAL, None)?;
        self.state.memory = Some(memory.to_owned());
        self.state.bundle = bundle;
        self.state.up = 0;
        self.own.save(&self.state)?;
        if self.live {
            self.say_first(context, summary, upload, told);
            return Err(read_live());
        }
        self.state.as_of = Some(as_of.to_string());
        self.state.compared = Some(self.began);
        self.state.first = false;
        self.state.incoming = false;
        // The state is written with the number of the manifest, so that a death before leaves a first upload.
        self.renew_full(context)
    }

    /// Tells on the remote how far the first upload came, if there is time for it.
    fn say_first(
        &mut self,
        context: &mut Context<'_>,
        summary: &Summary,
        upload: &Contents,
        told: &mut NightEnd,
    ) {
        let before = summary.total.saturating_sub(summary.bytes);
        told.first = Some((before + upload.done_bytes, summary.total));
        let standing = Standing::FirstUpload {
            done: (
                summary.mirrored + upload.done_files,
                before + upload.done_bytes,
            ),
            all: (summary.mirrored + summary.files, summary.total),
        };
        self.last_words = Some(context.host.now() + LAST_WORDS);
        if let Ok(text) = self.write_complete(context, standing) {
            self.state.complete = Some(text);
        }
        self.last_words = None;
        // The list of the files that are up stays in any case.
        let _ = self.own.save(&self.state);
    }

    /// Takes the files that an interrupted first upload brought up into the entries.
    pub(super) fn resume_first(&mut self) -> Result<(), Failure> {
        if self.state.first && self.state.up > 0 {
            let memory = self.applied(STAGED, Some(self.state.up))?;
            self.state.memory = Some(memory.to_owned());
            self.state.up = 0;
            self.own.save(&self.state)?;
        }
        Ok(())
    }
}
