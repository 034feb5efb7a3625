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
    let words = [folder, to, "--files-from-raw", names, "--no-traverse"];
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
