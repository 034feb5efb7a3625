//! Words → options with their values, in any order, each once.
//!
//! Invariant: every word is either a word of the table or the value of such a word; no word is skipped.

use super::error::ParseError;
use super::table::{self, Takes};
use base::names::NameError;

/// The option that takes the fewest changes of letters: at most two, and fewer than half of the letters.
fn nearest(word: &str) -> Option<&'static str> {
    let bare = word.trim_start_matches('-');
    // Longer than any option, and costly to compare.
    if bare.len() > 32 {
        return None;
    }
    let names = table::words().map(|(verb, option)| option.map_or(verb.name, |option| option.name));
    names
        .map(|name| {
            let changes = strsim::osa_distance(bare, name.trim_start_matches('-'));
            (changes, name)
        })
        .filter(|(changes, _)| *changes <= 2 && 2 * changes < bare.len())
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, name)| name)
}

/// The options as typed: each with its value, not yet parsed.
#[derive(Default)]
pub(super) struct Typed<'a> {
    /// The verb, and its value if it has one.
    pub(super) verb: Option<(&'static str, Option<&'a str>)>,
    options: Vec<(&'static str, &'a str)>,
}

impl<'a> Typed<'a> {
    /// Finds verb and options in any order, each once.
    pub(super) fn read(words: &[&'a str]) -> Result<Self, ParseError> {
        let mut typed = Self::default();
        let mut rest = words.iter().copied().peekable();
        while let Some(word) = rest.next() {
            let (name, takes, is_verb) = match (table::verb_named(word), table::option_named(word))
            {
                (Some(verb), _) => (verb.name, verb.takes, true),
                (None, Some(option)) => (option.name, option.takes, false),
                (None, None) => {
                    return Err(ParseError::Unknown {
                        word: word.to_owned(),
                        nearest: nearest(word),
                    });
                }
            };
            let value = match takes {
                Takes::Nothing => None,
                Takes::One(_) | Takes::AtMostOne(_) => rest.next_if(|next| !next.starts_with("--")),
            };
            if matches!(takes, Takes::One(_)) && value.is_none() {
                return Err(ParseError::NoValue(name));
            }
            match typed.verb {
                Some((first, _)) if is_verb && first == name => {
                    return Err(ParseError::Twice(name));
                }
                Some((first, _)) if is_verb => return Err(ParseError::TwoVerbs(first, name)),
                None if is_verb => typed.verb = Some((name, value)),
                _ if typed.options.iter().any(|&(seen, _)| seen == name) => {
                    return Err(ParseError::Twice(name));
                }
                _ => typed.options.push((name, value.unwrap_or_default())),
            }
        }
        Ok(typed)
    }

    /// Takes an option without a value; true if it was given.
    pub(super) fn flag(&mut self, option: &'static str) -> bool {
        let at = self.options.iter().position(|&(name, _)| name == option);
        at.map(|at| self.options.swap_remove(at)).is_some()
    }

    /// Takes an optional option.
    pub(super) fn take<T>(
        &mut self,
        option: &'static str,
        parse: fn(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, ParseError> {
        let Some(at) = self.options.iter().position(|&(name, _)| name == option) else {
            return Ok(None);
        };
        let (_, value) = self.options.swap_remove(at);
        parse(value)
            .map(Some)
            .map_err(|source| ParseError::Value { option, source })
    }

    /// Takes a required option.
    pub(super) fn need<T>(
        &mut self,
        verb: &'static str,
        option: &'static str,
        parse: fn(&str) -> Result<T, NameError>,
    ) -> Result<T, ParseError> {
        self.take(option, parse)?
            .ok_or(ParseError::Missing { option, verb })
    }

    /// Refuses a remaining option: it does not belong to this verb.
    pub(super) fn done(self, verb: &'static str) -> Result<(), ParseError> {
        match self.options.first() {
            Some(&(option, _)) => Err(ParseError::Misplaced { option, verb }),
            None => Ok(()),
        }
    }
}
