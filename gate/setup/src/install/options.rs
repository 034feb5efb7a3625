//! Options of `--install` and `--uninstall`.
//!
//! Invariant: every word is known and every name and path well formed before anything on the host is looked at.

use std::ffi::OsString;

use base::names::{NameError, PlainPath};

/// For `--install --help`.
pub(super) const HELP: &str = include_str!("help.txt");

/// The longest name of a user that useradd(8) takes.
const LONGEST_NAME: usize = 32;

/// The given options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// Only print the changes.
    pub(super) dry_run: bool,
    /// Import the files of another installation of the gate.
    pub(super) import: bool,
    /// User of the runner's container, if given.
    pub(super) user: Option<String>,
    /// Folder of the services' data, if given.
    pub(super) data_root: Option<PlainPath>,
    /// A folder of this host that takes the place of a remote in a first configuration.
    pub(super) local_remote: Option<PlainPath>,
}

/// The request of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Print the help.
    Help,
    /// To do it.
    This(Options),
}

/// Reads the words behind the verb.
///
/// # Errors
/// A sentence.
pub(super) fn parse(words: &[OsString], uninstall: bool) -> Result<Asked, String> {
    let mut options = Options {
        dry_run: false,
        import: false,
        user: None,
        data_root: None,
        local_remote: None,
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let word = word.to_str().ok_or("an option is not UTF-8")?;
        let mut value = || {
            let value = rest.next().and_then(|value| value.to_str());
            value.ok_or(format!("{word} needs a value"))
        };
        match word {
            "--help" | "-h" => return Ok(Asked::Help),
            "--dry-run" if !options.dry_run => options.dry_run = true,
            "--import" if !uninstall && !options.import => options.import = true,
            "--user" if !uninstall && options.user.is_none() => {
                options.user = Some(user(value()?)?);
            }
            "--data-root" if !uninstall && options.data_root.is_none() => {
                options.data_root = Some(path(value()?)?);
            }
            "--local-remote" if !uninstall && options.local_remote.is_none() => {
                options.local_remote = Some(path(value()?)?);
            }
            other => {
                let known = ["--import", "--user", "--data-root", "--local-remote"];
                let twice = known.contains(&other) || other == "--dry-run";
                return Err(match (twice, uninstall) {
                    (true, true) => format!("{other} does not go with --uninstall"),
                    (true, false) => format!("{other} is given twice"),
                    _ => format!("'{other}' is not an option of the installer; see --help"),
                });
            }
        }
    }
    Ok(Asked::This(options))
}

fn path(word: &str) -> Result<PlainPath, String> {
    PlainPath::parse(word).map_err(|error: NameError| error.to_string())
}

/// As useradd(8) on Debian recommends names.
fn user(word: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    let first = word
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    if word == "root" {
        return Err(
            "--user root: the runner is a rootless container; name another user, or none".into(),
        );
    }
    if first && word.len() <= LONGEST_NAME && word.bytes().all(plain) {
        Ok(word.to_owned())
    } else {
        Err(format!("'{word}' is not a user's name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Asked, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&words, false)
    }

    #[test]
    fn each_option_comes_once_and_is_well_formed() {
        let Asked::This(options) =
            read(&["--user", "debian", "--data-root", "/srv/pods", "--dry-run"]).unwrap()
        else {
            panic!("help");
        };
        assert!(options.dry_run && !options.import);
        assert_eq!(options.user.as_deref(), Some("debian"));
        for (words, reason) in [
            (&["--user"][..], "needs a value"),
            (&["--user", "root"], "rootless"),
            (&["--user", "a b"], "not a user's name"),
            (&["--user", "a", "--user", "b"], "given twice"),
            (&["--data-root", "srv"], "srv"),
            (&["--data-root", "/srv/../etc"], "/srv/../etc"),
            (&["--force"], "not an option"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.contains(reason), "{words:?}: {error}");
        }
        let words = [OsString::from("--import")];
        assert!(parse(&words, true).unwrap_err().contains("does not go"));
    }

    #[test]
    fn the_help_fits_a_terminal() {
        for line in HELP.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
