//! The files of a listing in the order of all lists. A listing comes in no order.
//!
//! Invariant: a listing is sorted in pieces that fit into memory, and the pieces are merged: memory holds one piece, for any
//! number of files.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};

use base::error::Failure;

use crate::changes::{Item, ItemReader, Work};
use crate::order::compare;
use crate::survey::{Listed, unknown};

/// Bytes of names of one piece.
const PIECE: usize = 8 << 20;

/// Sorts the files of a listing by their paths.
pub struct Sorter<'s> {
    make: Box<dyn FnMut() -> Result<File, Failure> + 's>,
    piece: Vec<Listed>,
    bytes: usize,
    pieces: Vec<File>,
}

fn sorting() -> impl FnOnce(std::io::Error) -> Failure {
    Failure::io("sorting the files of the remote")
}

impl<'s> Sorter<'s> {
    /// `make` makes an empty file for a piece.
    pub fn new(make: impl FnMut() -> Result<File, Failure> + 's) -> Self {
        Self {
            make: Box::new(make),
            piece: Vec::new(),
            bytes: 0,
            pieces: Vec::new(),
        }
    }

    /// Takes a file.
    ///
    /// # Errors
    /// When the disk does not take a piece.
    pub fn push(&mut self, listed: Listed) -> Result<(), Failure> {
        self.bytes += listed.path.len() + size_of::<Listed>();
        self.piece.push(listed);
        if self.bytes >= PIECE {
            self.spill()?;
        }
        Ok(())
    }

    pub(crate) fn spill(&mut self) -> Result<(), Failure> {
        self.piece
            .sort_by(|one, other| compare(&one.path, &other.path));
        let mut out = BufWriter::new((self.make)()?);
        for listed in self.piece.drain(..) {
            write(&mut out, &listed).map_err(sorting())?;
        }
        self.bytes = 0;
        let mut file = out
            .into_inner()
            .map_err(|error| sorting()(error.into_error()))?;
        file.rewind().map_err(sorting())?;
        self.pieces.push(file);
        Ok(())
    }

    /// All files, in the order of all lists.
    ///
    /// # Errors
    /// When a piece cannot be written or read.
    pub fn finish(mut self) -> Result<Sorted, Failure> {
        self.spill()?;
        let mut sorted = Sorted {
            pieces: self.pieces.into_iter().map(BufReader::new).collect(),
            heads: BinaryHeap::new(),
        };
        for at in 0..sorted.pieces.len() {
            sorted.pull(at)?;
        }
        Ok(sorted)
    }
}

fn write(out: &mut impl Write, listed: &Listed) -> std::io::Result<()> {
    let mut record = unknown(listed).record;
    record.size = listed.size;
    Item::new(Work::Describe, listed.modified.is_some(), record).write(out)
}

fn read(input: &mut BufReader<File>) -> Result<Option<Listed>, Failure> {
    let item = ItemReader::new(input, 0).item()?;
    Ok(item.map(|item| Listed {
        is_link: item.record.letter == 'l',
        size: item.record.size,
        modified: item.replaces.then_some(item.record.modified),
        hash: item.record.hash,
        path: item.record.path,
    }))
}

struct SortHead(Listed, usize);

impl PartialEq for SortHead {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SortHead {}

impl PartialOrd for SortHead {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SortHead {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0.path, &other.0.path)
            .then((self.0.is_link, self.1).cmp(&(other.0.is_link, other.1)))
    }
}

/// The sorted files of a listing.
pub struct Sorted {
    pieces: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<SortHead>>,
}

impl Sorted {
    fn pull(&mut self, at: usize) -> Result<(), Failure> {
        if let Some(piece) = self.pieces.get_mut(at)
            && let Some(listed) = read(piece)?
        {
            self.heads.push(Reverse(SortHead(listed, at)));
        }
        Ok(())
    }

    /// The next file.
    ///
    /// # Errors
    /// When a piece cannot be read.
    pub fn file(&mut self) -> Result<Option<Listed>, Failure> {
        let Some(Reverse(SortHead(listed, at))) = self.heads.pop() else {
            return Ok(None);
        };
        self.pull(at)?;
        Ok(Some(listed))
    }
}
