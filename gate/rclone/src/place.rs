//! A place on a remote, in the form that requests to a running rclone use.
//!
//! Invariant: each place begins with its configured remote, so rclone looks each folder up once.

use std::fmt::Write;

use config::Config;

/// A place on a remote in the form of rclone's requests: the configured remote, and the rest of the path. The requests
/// of an action share one such remote, so rclone looks each folder up once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) top: String,
    pub(super) rest: String,
}

impl Place {
    /// Splits `path`, for example `onedrive:/Backup/app/archives`.
    #[must_use]
    pub fn of(config: &Config, path: &str) -> Self {
        let remotes = config.remotes.iter().map(ToString::to_string);
        let within = remotes.filter_map(|top| {
            let rest = path.strip_prefix(&top)?;
            let rest = if rest.is_empty() {
                rest
            } else {
                rest.strip_prefix('/')?
            };
            Some((rest.to_owned(), top))
        });
        // The longest remote leaves the shortest rest.
        let nearest = within.min_by_key(|(rest, _)| rest.len());
        let (rest, top) = nearest.unwrap_or_else(|| (String::new(), path.to_owned()));
        Self { top, rest }
    }

    /// The address of the file at this place; `None` if the remote's own name is ambiguous.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        if self.top.contains([']', '\n']) || self.rest.is_empty() {
            return None;
        }
        let mut address = String::from("/%5B");
        escape(&self.top, &mut address);
        address.push_str("%5D/");
        escape(&self.rest, &mut address);
        Some(address)
    }

    pub(super) fn below(&self, name: &str) -> String {
        if self.rest.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.rest)
        }
    }
}

/// Appends a text to an address, escaped.
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse("remotes = [\"a:/B\", \"a:/B/C\"]").unwrap()
    }

    #[test]
    fn a_place_begins_with_its_remote() {
        let of = |path: &str| {
            let place = Place::of(&config(), path);
            (place.top, place.rest)
        };
        let pair = |top: &str, rest: &str| (top.to_owned(), rest.to_owned());
        assert_eq!(of("a:/B/app/archives"), pair("a:/B", "app/archives"));
        assert_eq!(of("a:/B/C/app"), pair("a:/B/C", "app"));
        assert_eq!(of("a:/B"), pair("a:/B", ""));
        assert_eq!(of("a:/Bare/app"), pair("a:/Bare/app", ""));
    }

    #[test]
    fn a_file_has_an_address() {
        let address = |path: &str| Place::of(&config(), path).address();
        assert_eq!(
            address("a:/B/app/archives/x y%.gz").as_deref(),
            Some("/%5Ba%3A/B%5D/app/archives/x%20y%25.gz")
        );
        assert_eq!(address("a:/B"), None);
    }
}
