//! The path of a file below the data of a service.
//!
//! Invariant: it leads neither out of the data nor to the data itself.

use serde::Deserialize;

/// A path below the data of a service, as in `config/secret.key`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DataPath(String);

impl DataPath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DataPath {
    type Error = String;
    fn try_from(path: String) -> Result<Self, String> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
        let has_control = path.chars().any(char::is_control);
        if has_control || path.len() > 1024 || !path.split('/').all(plain) {
            return Err(format!(
                "'{}' is no path below the data of a service; write it as in config/secret.key",
                path.escape_debug()
            ));
        }
        Ok(Self(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_data_are_taken() {
        for path in ["a", "a b/\u{e9}", "config/secret.key"] {
            assert!(DataPath::try_from(path.to_owned()).is_ok(), "{path}");
        }
        for path in ["", "/a", "a/", "../a", "a/../b", "a//b", ".", "a\nb"] {
            assert!(DataPath::try_from(path.to_owned()).is_err(), "{path}");
        }
    }
}
