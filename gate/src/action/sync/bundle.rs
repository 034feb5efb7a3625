//! The bundle of a night on its way: the entries with names that the remote cannot hold, copied, packed and uploaded.
//!
//! Invariant: the data is needed for the copies alone. The name of a bundle is that of its content, so a bundle is never
//! replaced by another one.

use super::state::{BUNDLED, LIST};
use super::work::Sync;
use crate::action::Context;
use crate::walk::{Pack, Stage};
use base::dirfd::PinnedDir;
use base::error::Failure;
use mirror::diff::Summary;
use mirror::names::{Book, BundleName};
use mirror::portion::Form;
use mirror::scan::Notes;

/// The folder of the copies among those of the sync.
const COPIES: &str = "bundle";

/// The folder of the packed bundle.
const PACKED: &str = "packed";

/// The bundle of a night.
pub(super) enum Bundle {
    /// Its entries are not copied.
    Missing,
    /// Copies of its entries, and their bytes.
    Copied(u64),
    /// The packed file, and its size.
    Packed(BundleName, u64),
}

impl Bundle {
    /// Copies its entries, if it changes and they are not copied yet.
    pub(super) fn copy(
        &mut self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
        summary: &Summary,
        notes: &mut Notes,
    ) -> Result<(), Failure> {
        if !summary.bundle_changes || !matches!(self, Self::Missing) {
            return Ok(());
        }
        sync.own.create(BUNDLED)?;
        if summary.bundled.is_empty() {
            return Ok(());
        }
        let copies = sync.own.folder(context, COPIES)?;
        let now = context.host.now();
        let waits = sync.capture.must_stage(context);
        let order = Stage {
            folder: sync.own.path.to_string(),
            list: LIST.to_owned(),
            staged: BUNDLED.to_owned(),
            have: None,
            copies: copies.to_string(),
            at: 0,
            form: Form::Bundle,
            bytes: u64::MAX,
            files: u64::MAX,
            seconds: waits.map(|until| until.saturating_duration_since(now).as_secs()),
            reserve: context.config.limits.spool_reserve,
        };
        let bytes = summary.bundle_bytes;
        let staged = context.stage(sync.capture.tree(), order, bytes, &sync.patience())?;
        if !staged.is_done {
            return Err(Failure::NoSpace(format!(
                "the entries of the bundle do not fit into {copies}; make room there or set spool_dir to a larger disk"
            )));
        }
        notes.add(&staged.notes);
        *self = Self::Copied(staged.bytes);
        Ok(())
    }

    /// Packs the copies.
    pub(super) fn pack(
        &mut self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let Self::Copied(bytes) = *self else {
            return Ok(());
        };
        let copies = sync.own.copies.below(&[COPIES]);
        let folder = sync.own.folder(context, PACKED)?;
        let (archive, manifest) = ("bundle.tar.gz", "bundle.manifest.gz");
        for name in [archive, manifest] {
            let path = format!("{folder}/{name}");
            std::fs::File::create_new(&path).map_err(Failure::io(format!("creating {path}")))?;
        }
        let order = Pack {
            name: archive.to_owned(),
            spool: folder.to_string(),
            archive: archive.to_owned(),
            manifest: manifest.to_owned(),
            reserve: context.config.limits.spool_reserve,
        };
        let tree = PinnedDir::open(&copies).map_err(Failure::errno(format!("opening {copies}")))?;
        let packed = context.pack(&tree, order, bytes, &sync.patience())?;
        let name = BundleName::of(packed.totals.archive);
        let file = Book::Bundle(name.clone()).name(&sync.places.prefix);
        std::fs::rename(format!("{folder}/{archive}"), format!("{folder}/{file}"))
            .map_err(Failure::io("naming the bundle"))?;
        *self = Self::Packed(name, packed.totals.archive_bytes);
        Ok(())
    }

    /// Packs and uploads the bundle, if it changes. Returns the name of the bundle after this night, and the bytes sent.
    pub(super) fn upload(
        &mut self,
        sync: &Sync<'_>,
        context: &mut Context<'_>,
        summary: &Summary,
    ) -> Result<(Option<String>, u64), Failure> {
        if !summary.bundle_changes {
            return Ok((sync.state.bundle.clone(), 0));
        }
        self.pack(sync, context)?;
        let Self::Packed(name, bytes) = self else {
            return Ok((None, 0));
        };
        let folder = sync.own.copies.below(&[PACKED]);
        let file = Book::Bundle(name.clone()).name(&sync.places.prefix);
        sync.put_book(context, &folder, &file, true)?;
        Ok((Some(name.to_string()), *bytes))
    }
}
