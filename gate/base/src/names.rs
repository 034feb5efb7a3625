//! The names a request can hold, one grammar each.
//!
//! Invariant: fields are private and constructors refuse, so that a value of one of these types is well
//! formed wherever it turns up. Well formed is not allowed: that is for `policy` to say.

mod error;
mod label;
mod origin;
pub mod usable;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use error::NameError;
use error::refuse;
pub use label::{folded, suggestion};
pub use origin::{Day, Origin};

/// One component of a path: what may stand between two slashes.
fn component(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 128
        && word != "."
        && word != ".."
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! string_newtype {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// When the word does not fit this name's grammar.
            pub fn parse(word: &str) -> Result<Self, NameError> {
                let parse: fn(&str) -> Result<String, NameError> = $parse;
                parse(word).map(Self)
            }

            /// The name as it was typed.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(word: String) -> Result<Self, NameError> {
                Self::parse(&word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

string_newtype!(
    /// A service: a stack of containers, or whatever its configured commands control.
    ServiceName,
    label::service
);

string_newtype!(
    /// An account of this host.
    UserName,
    label::user
);

string_newtype!(
    /// An extra directory of the host that is mirrored under a name of its own.
    TargetName,
    label::target
);

/// `NAME:FOLDER`: an rclone remote and a folder on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Remote {
    name: String,
    folder: String,
}

impl Remote {
    const EXPECTED: &'static str = "a remote: NAME:FOLDER, as in onedrive:/OdroidBackup, without '.', '..', '//' or a slash at the end";

    /// Reads `NAME:FOLDER`.
    ///
    /// # Errors
    /// When either part does not fit. In particular a name may not begin with `:` or `-`, so that rclone
    /// takes it neither for a backend made up on the spot nor for an option.
    pub fn parse(word: &str) -> Result<Self, NameError> {
        let (name, folder) = word
            .split_once(':')
            .ok_or_else(|| refuse(word, Self::EXPECTED))?;
        let name_fits = name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
            && name.len() <= 64
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let relative = folder.strip_prefix('/').unwrap_or(folder);
        if name_fits && relative.split('/').all(component) {
            Ok(Self {
                name: name.to_owned(),
                folder: folder.to_owned(),
            })
        } else {
            Err(refuse(word, Self::EXPECTED))
        }
    }

    /// The section of rclone's configuration that it names.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place of something below this folder, as rclone wants it.
    #[must_use]
    pub fn join(&self, below: &str) -> String {
        format!("{self}/{below}")
    }
}

impl TryFrom<String> for Remote {
    type Error = NameError;
    fn try_from(word: String) -> Result<Self, NameError> {
        Self::parse(&word)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.folder)
    }
}

/// An absolute path in its only spelling: nothing to normalise, nothing to resolve.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PlainPath(Vec<String>);

impl PlainPath {
    const EXPECTED: &'static str = "a plain absolute path: no '.', '..', '//' or slash at the end, and only letters, digits, '.', '_' and '-' in its parts";

    /// Reads an absolute path.
    ///
    /// # Errors
    /// When it could be spelt in another way, or holds anything but plain components.
    pub fn parse(word: &str) -> Result<Self, NameError> {
        let below_root = word
            .strip_prefix('/')
            .ok_or_else(|| refuse(word, Self::EXPECTED))?;
        let components: Vec<String> = below_root.split('/').map(str::to_owned).collect();
        if components.iter().all(|part| component(part)) {
            Ok(Self(components))
        } else {
            Err(refuse(word, Self::EXPECTED))
        }
    }

    /// The parts between the slashes, never empty.
    #[must_use]
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// This path with more components below it.
    #[must_use]
    pub fn below(&self, parts: &[&str]) -> Self {
        let mut components = self.0.clone();
        components.extend(parts.iter().map(|&part| part.to_owned()));
        Self(components)
    }

    /// The directory that it lies in; none for one that lies in `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        (!parent.is_empty()).then(|| Self(parent.to_vec()))
    }

    /// For the functions of the standard library.
    #[must_use]
    pub fn to_path_buf(&self) -> PathBuf {
        Path::new("/").join(self.0.join("/"))
    }
}

impl TryFrom<String> for PlainPath {
    type Error = NameError;
    fn try_from(word: String) -> Result<Self, NameError> {
        Self::parse(&word)
    }
}

impl fmt::Display for PlainPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            write!(f, "/{part}")?;
        }
        Ok(())
    }
}

fn decimal(word: &str, digits: usize) -> Option<u32> {
    let plain = word.len() <= digits
        && word.bytes().all(|b| b.is_ascii_digit())
        && (word == "0" || !word.starts_with('0'));
    if plain { word.parse().ok() } else { None }
}

/// A number of seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(u32);

impl Seconds {
    /// Reads a decimal number of seconds.
    ///
    /// # Errors
    /// For 0, signs, leading zeros, units and more than seven digits (115 days).
    pub fn parse(word: &str) -> Result<Self, NameError> {
        match decimal(word, 7) {
            Some(seconds) if seconds > 0 => Ok(Self(seconds)),
            _ => Err(refuse(
                word,
                "a number of seconds from 1 to 9999999, in plain digits",
            )),
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many archives to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(u32);

impl Count {
    /// Reads a decimal count.
    ///
    /// # Errors
    /// For signs, leading zeros and more than four digits.
    pub fn parse(word: &str) -> Result<Self, NameError> {
        decimal(word, 4)
            .map(Self)
            .ok_or_else(|| refuse(word, "a count from 0 to 9999, in plain digits"))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_options_or_paths_are_refused() {
        for word in [
            "",
            "-a",
            "--stop",
            "a/b",
            "..",
            ".",
            "a.",
            "é",
            "_a",
            &"a".repeat(65),
        ] {
            assert!(ServiceName::parse(word).is_err(), "{word}");
        }
        for word in ["n8n", "A", "immich-server", "my.app", &"a".repeat(64)] {
            assert!(ServiceName::parse(word).is_ok(), "{word}");
        }
    }

    #[test]
    fn a_path_has_one_spelling() {
        for word in [
            "", "/", "a", "a/b", "/a/", "//a", "/a//b", "/a/./b", "/a/../b", "/..",
        ] {
            assert!(PlainPath::parse(word).is_err(), "{word}");
        }
        let path = PlainPath::parse("/media/ssd/podman/n8n/data").unwrap();
        assert_eq!(path.to_string(), "/media/ssd/podman/n8n/data");
    }

    #[test]
    fn remotes_on_the_spot_and_option_like_ones_are_refused() {
        for word in [
            ":local:/etc",
            "onedrive",
            "onedrive:",
            "onedrive:/",
            "-x:/a",
            "a:b:c",
            "a:/../b",
        ] {
            assert!(Remote::parse(word).is_err(), "{word}");
        }
        assert_eq!(
            Remote::parse("onedrive:/B").unwrap().join("n8n/data"),
            "onedrive:/B/n8n/data"
        );
    }

    #[test]
    fn numbers_are_plain_decimals() {
        for word in [
            "0",
            "+1",
            "-1",
            "01",
            "1s",
            "1.5",
            "10000000",
            "99999999999999999999",
            "",
        ] {
            assert!(Seconds::parse(word).is_err(), "{word}");
        }
        assert_eq!(Seconds::parse("3600").unwrap().get(), 3600);
        assert_eq!(Count::parse("0").unwrap().get(), 0);
        assert!(Count::parse("00").is_err());
    }
}
