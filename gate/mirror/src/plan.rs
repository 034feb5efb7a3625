//! The steps from one night to the next on the remote, made of the last manifest and the delta on it.
//!
//! A step moves one file; none deletes one, and none moves onto a name that the manifest knows. The steps come in four
//! passes over both lists, so that nothing but the current entry is in memory.
//!
//! Invariant: carried out from the beginning after an interruption at any point, the steps lead to the same end. A step
//! whose source is not there any more was done before.

use std::cmp::Ordering;

use archive::ROOT;
use base::error::Failure;

use crate::diff::{Before, Known, has_content};
use crate::fits::LINK;
use crate::names::IncomingName;
use crate::order::{compare, within};

/// A line of a delta, as far as it matters for the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The path of the entry.
    pub path: Vec<u8>,
    /// The entry as it is now; `None` for one that is gone.
    pub now: Option<Now>,
}

/// See [`Changed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    /// The type of the entry.
    pub letter: char,
    /// The name of its content in the incoming folder.
    pub incoming: Option<IncomingName>,
    /// Its size, for a look after a step that failed.
    pub size: u64,
    /// True if its content is in the bundle.
    pub bundled: bool,
}

/// The delta, line by line in its order.
pub type Delta<'d> = &'d mut dyn FnMut() -> Result<Option<Changed>, Failure>;

/// One step. Paths are those of files below the data, without a slash at the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Moves a file from the data to the versions of this sync.
    Aside(Vec<u8>),
    /// Moves a content from the incoming folder into the data.
    Place {
        /// Its name there.
        from: IncomingName,
        /// The file.
        to: Vec<u8>,
        /// Its size.
        size: u64,
    },
    /// Removes a folder of the data, if nothing but empty folders is in it.
    RemoveFolder(Vec<u8>),
}

/// The four passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Files and folders that are in the way of an entry of another type.
    Blocking,
    /// Files with another content, each pair of steps together.
    Replaced,
    /// Files that were not there.
    New,
    /// Files and folders that are gone.
    Gone,
}

impl Pass {
    /// The order of the passes. Where the remote takes two names for one if they differ by case alone, the old name goes
    /// first.
    #[must_use]
    pub fn order(folds_case: bool) -> [Self; 4] {
        if folds_case {
            [Self::Blocking, Self::Replaced, Self::Gone, Self::New]
        } else {
            [Self::Blocking, Self::Replaced, Self::New, Self::Gone]
        }
    }
}

/// The file of an entry below the data.
#[must_use]
pub fn stored_at(path: &[u8], letter: char) -> Vec<u8> {
    let below = path.strip_prefix(ROOT.as_bytes()).unwrap_or(path);
    let mut file = below.strip_prefix(b"/").unwrap_or(below).to_vec();
    if letter == 'l' {
        file.extend(LINK);
    }
    file
}

/// Takes the steps one by one.
pub type Take<'t> = &'t mut dyn FnMut(Step) -> Result<(), Failure>;

/// Makes the steps of one pass.
///
/// # Errors
/// When a list cannot be read, or `take` ends it.
pub fn steps(
    before: Before<'_>,
    delta: Delta<'_>,
    pass: Pass,
    take: Take<'_>,
) -> Result<(), Failure> {
    let mut maker = Maker {
        pass,
        take,
        blocked: None,
        removed: None,
    };
    let mut old = before()?;
    let mut new = delta()?;
    loop {
        let order = match (&old, &new) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(known), Some(changed)) => compare(&known.record.path, &changed.path),
        };
        match order {
            Ordering::Less => old = before()?,
            Ordering::Greater => {
                if let Some(changed) = new.take() {
                    maker.change(None, &changed)?;
                }
                new = delta()?;
            }
            Ordering::Equal => {
                if let Some(changed) = new.take() {
                    maker.change(old.as_ref(), &changed)?;
                }
                old = before()?;
                new = delta()?;
            }
        }
    }
    maker.leave(None)
}

struct Maker<'t> {
    pass: Pass,
    take: Take<'t>,
    /// A folder that becomes another thing: all below it is in the way.
    blocked: Option<Vec<u8>>,
    /// A folder that is gone, with all below it.
    removed: Option<Vec<u8>>,
}

impl Maker<'_> {
    /// Ends the folders that `path` does not lie in.
    fn leave(&mut self, path: Option<&[u8]>) -> Result<(), Failure> {
        let is_left = |folder: &Vec<u8>| path.is_none_or(|path| !within(path, folder));
        if let Some(folder) = self.blocked.take_if(|folder| is_left(folder))
            && self.pass == Pass::Blocking
        {
            (self.take)(Step::RemoveFolder(stored_at(&folder, 'd')))?;
        }
        if let Some(folder) = self.removed.take_if(|folder| is_left(folder))
            && self.pass == Pass::Gone
        {
            (self.take)(Step::RemoveFolder(stored_at(&folder, 'd')))?;
        }
        Ok(())
    }

    fn change(&mut self, old: Option<&Known>, changed: &Changed) -> Result<(), Failure> {
        self.leave(Some(&changed.path))?;
        let stored = old
            .filter(|known| known.is_stored())
            .map(|known| stored_at(&changed.path, known.record.letter));
        let was_folder = old.is_some_and(|known| known.record.letter == 'd');
        let Some(now) = &changed.now else {
            if was_folder && self.removed.is_none() && self.blocked.is_none() {
                self.removed = Some(changed.path.clone());
            }
            let pass = match self.blocked {
                Some(_) => Pass::Blocking,
                None => Pass::Gone,
            };
            return match stored {
                Some(file) if self.pass == pass => (self.take)(Step::Aside(file)),
                _ => Ok(()),
            };
        };
        if was_folder && now.letter != 'd' {
            self.blocked = Some(changed.path.clone());
        }
        let place = now.incoming.as_ref().map(|from| Step::Place {
            from: from.clone(),
            to: stored_at(&changed.path, now.letter),
            size: now.size,
        });
        let is_kept = has_content(now.letter) && !now.bundled && now.incoming.is_none();
        match (stored, place) {
            (Some(file), Some(place)) if self.pass == Pass::Replaced => {
                (self.take)(Step::Aside(file))?;
                (self.take)(place)
            }
            // The content moves to the bundle, or the file becomes a thing without a content.
            (Some(file), None) if !is_kept && self.pass == Pass::Blocking => {
                (self.take)(Step::Aside(file))
            }
            (None, Some(place)) if self.pass == Pass::New => (self.take)(place),
            _ => Ok(()),
        }
    }
}
