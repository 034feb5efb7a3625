//! An option of the table of verbs, and the ways in which a verb uses it.
//!
//! Invariant: plain data; `table` says which verb has which options.

use super::value::Takes;

/// A word that goes with a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opt {
    /// With its two dashes.
    pub name: &'static str,
    /// Its value.
    pub takes: Takes,
    /// Half a sentence for people.
    pub help: &'static str,
}

/// The way in which a verb uses an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The verb needs it.
    Must(Opt),
    /// It may be given.
    May(Opt),
    /// One of the two may be given.
    Either(Opt, Opt),
    /// It may be given again and again, with raw bytes, and on the host's command line alone. No request can hold it.
    Repeat(Opt),
}

impl Use {
    /// The options in it.
    pub fn options(self) -> impl Iterator<Item = Opt> {
        let both = match self {
            Self::Must(option) | Self::May(option) | Self::Repeat(option) => [Some(option), None],
            Self::Either(first, second) => [Some(first), Some(second)],
        };
        both.into_iter().flatten()
    }
}
