//! `--only PATH`: files and folders of the data, named by raw bytes.
//!
//! Invariant: the option exists on the host's command line alone. Its words leave that line before the grammar of requests
//! reads it, so no request over SSH can hold one. A path leads to a place inside of the data.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::error::ParseError;
use super::table::ONLY;
use base::repair::quoted;

/// A path below the data of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerPath(Vec<u8>);

impl InnerPath {
    fn parse(word: &OsStr) -> Result<Self, ParseError> {
        let bytes = word.as_bytes();
        // Shells complete the name of a folder with a slash.
        let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
        let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && part.len() <= 255;
        match bytes.split(|&byte| byte == b'/').all(plain) {
            true => Ok(Self(bytes.to_vec())),
            false => Err(ParseError::InnerPath(word.display().to_string())),
        }
    }

    /// The bytes of the path, without a slash at either end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for InnerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = OsStr::from_bytes(&self.0).display().to_string();
        f.write_str(&quoted(&shown))
    }
}

/// Takes the chosen paths from the words of the host's command line; returns the other words and the paths.
///
/// # Errors
/// When a path is missing, or leads out of the data.
pub fn take_inner_paths(words: &[OsString]) -> Result<(Vec<OsString>, Vec<InnerPath>), ParseError> {
    let (mut others, mut paths) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word != ONLY.name {
            others.push(word.clone());
            continue;
        }
        let path = words.next().ok_or(ParseError::NoValue(ONLY.name))?;
        paths.push(InnerPath::parse(path)?);
    }
    Ok((others, paths))
}
