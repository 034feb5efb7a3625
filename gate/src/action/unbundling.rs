//! The contents of a bundle → files in a flat folder.
//!
//! Invariant: each content becomes a new file, with the digest of its path as its name.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::night::flat_name;
use archive::contents::Part;
use base::error::Failure;

/// Writes the contents of a bundle into a flat folder, one part after the other.
pub(super) struct Unbundling<'f> {
    folder: &'f OwnedFd,
    file: Option<File>,
}

impl<'f> Unbundling<'f> {
    pub(super) fn into(folder: &'f OwnedFd) -> Self {
        Self { folder, file: None }
    }

    /// Writes one part.
    pub(super) fn write(
        &mut self,
        entry: &archive::entry::Entry,
        part: Part<'_>,
    ) -> Result<(), Failure> {
        let what = || format!("unpacking {} of the bundle", entry.display());
        match part {
            Part::Begin { size } => {
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
                let mode = Mode::S_IRUSR | Mode::S_IWUSR;
                let name = flat_name(&entry.path);
                let file = openat(self.folder, name.as_str(), flags, mode)
                    .map(File::from)
                    .map_err(Failure::errno(what()))?;
                file.set_len(size).map_err(Failure::io(what()))?;
                self.file = Some(file);
            }
            Part::Piece(piece) => {
                if let Some(file) = &self.file {
                    file.write_all_at(piece.bytes, piece.offset)
                        .map_err(Failure::io(what()))?;
                }
            }
            Part::End => self.file = None,
        }
        Ok(())
    }
}
