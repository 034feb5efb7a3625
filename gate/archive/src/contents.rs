//! The contents of an archive's files, one after the other, without making a tree of them.
//!
//! Invariant: holes are not handed out; the receiver gets the size of each file, and the offset of each piece.

use std::io::Read;

use super::Watch;
use super::entry::{Entry, Kind};
use super::input::Input;
use super::read::Piece;
use base::error::Failure;

/// A part of a file's content.
#[derive(Debug)]
pub enum Part<'p> {
    /// The file begins; its size includes its holes.
    Begin {
        /// In bytes.
        size: u64,
    },
    /// A piece of its data.
    Piece(Piece<'p>),
    /// The file is complete.
    End,
}

/// Reads a whole `.tar.gz`, and hands out the content of each file in it.
///
/// # Errors
/// When the archive is damaged or cannot be read, or `watch` or `each` say so.
pub fn contents<A: Read>(
    mut archive: A,
    watch: Watch<'_>,
    each: &mut dyn FnMut(&Entry, Part<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut input = Input::new(&mut archive);
    while let Some(entry) = input.next(watch)? {
        let (Kind::File { size } | Kind::Sparse { size, .. }) = entry.kind else {
            input.content(watch, &mut |_| Ok(()))?;
            continue;
        };
        each(&entry, Part::Begin { size })?;
        input.content(watch, &mut |piece| each(&entry, Part::Piece(piece)))?;
        each(&entry, Part::End)?;
    }
    input.finish(None).map(|_| ())
}
