//! The argument vectors for reading the contents of a mirror: to a folder of this host, or to their digests.
//!
//! Invariant: as in `argv`. The link files of a mirror are left out: its manifest holds the links themselves.

use super::argv::{argv, in_bulk, with_progress};
use config::Config;

/// Links of a mirror: text files with a suffix of rclone's. A mirror's manifest holds the links themselves.
const LINK_FILES: &str = "*.rclonelink";

/// Downloads the contents of a mirror into a local folder, without its link files. rclone would take two names that
/// differ only in their Unicode form for one.
#[must_use]
pub fn fetch_contents(config: &Config, folder: &str, to: &str) -> Vec<String> {
    let mut argv = with_progress(in_bulk(config, argv(config, "copy", &[folder, to])));
    argv.extend(["--no-unicode-normalization", "--exclude", LINK_FILES].map(str::to_owned));
    argv
}

/// Downloads those files of a remote folder that a local list names, one in a line.
#[must_use]
pub fn fetch_listed(config: &Config, folder: &str, to: &str, names: &str) -> Vec<String> {
    let words = [
        folder,
        to,
        "--files-from-raw",
        names,
        "--no-traverse",
        "--no-unicode-normalization",
    ];
    with_progress(in_bulk(config, argv(config, "copy", &words)))
}

/// Reads the contents of a mirror, without its link files, and writes the SHA-256 of each into a local file.
#[must_use]
pub fn digests(config: &Config, folder: &str, into: &str) -> Vec<String> {
    let words = [
        "sha256",
        folder,
        "--download",
        "--output-file",
        into,
        "--exclude",
        LINK_FILES,
    ];
    with_progress(in_bulk(config, argv(config, "hashsum", &words)))
}

/// Does the same for those files of a remote folder that a local list names, one in a line.
#[must_use]
pub fn digests_listed(config: &Config, folder: &str, into: &str, names: &str) -> Vec<String> {
    let words = [
        "sha256",
        folder,
        "--download",
        "--output-file",
        into,
        "--files-from-raw",
        names,
    ];
    with_progress(in_bulk(config, argv(config, "hashsum", &words)))
}

/// Lets rclone send twice as many requests a second. OneDrive answers the request for a file with its address on
/// another host, and rclone's limit counts both requests. So the requests that OneDrive counts stay within the limit.
#[must_use]
pub fn with_redirects(config: &Config, mut argv: Vec<String>) -> Vec<String> {
    let limit = u32::from(config.rclone.tpslimit) * 2;
    if limit > 0 {
        // Of an option that comes twice rclone takes the last.
        argv.extend(["--tpslimit".to_owned(), limit.to_string()]);
    }
    argv
}

/// Ends a download that brings more bytes than these: the remote may send more than its lists say.
#[must_use]
pub fn with_most(mut argv: Vec<String>, bytes: u64) -> Vec<String> {
    let words = [
        "--max-transfer",
        &format!("{bytes}B"),
        "--cutoff-mode",
        "hard",
    ];
    argv.extend(words.map(str::to_owned));
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_each_file_once() {
        let last = |text: &str| {
            let config = Config::parse(&format!("remotes = [\"a:/B\"]\n{text}")).unwrap();
            let argv = with_redirects(&config, fetch_contents(&config, "a:/B/app/data", "/x"));
            let at = argv.iter().rposition(|word| word == "--tpslimit");
            at.map(|at| argv[at + 1].clone())
        };
        assert_eq!(last("").as_deref(), Some("20"));
        assert_eq!(last("[rclone]\ntpslimit = 3\n").as_deref(), Some("6"));
        assert_eq!(last("[rclone]\ntpslimit = 0\n"), None);
    }
}
