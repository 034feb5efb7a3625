//! What rclone is asked to do: one function an argument vector, used by the actions and by `--explain` alike.
//!
//! Invariant: every argument is a constant, a value of the configuration, or a place made of parsed names.

use chrono::NaiveDateTime;

use crate::config::{Config, Pin};
use crate::credentials;
use crate::names::{Remote, ServiceName};
use crate::policy::Mirror;
use crate::program::source_argument;

fn argv(config: &Config, verb: &str, arguments: &[&str]) -> Vec<String> {
    let mut argv = vec![config.rclone.program.to_string(), verb.to_owned()];
    argv.extend(arguments.iter().map(|&word| word.to_owned()));
    argv.push("--config".into());
    argv.push(credentials::argument());
    // Asking for the password of an encrypted configuration would wait for an answer that cannot come.
    argv.push("--ask-password=false".into());
    // What it says is read by a program first, see `log`.
    argv.push("--use-json-log".into());
    argv
}

fn with_progress(mut argv: Vec<String>) -> Vec<String> {
    for word in ["--stats", "1s", "--stats-log-level", "NOTICE"] {
        argv.push(word.into());
    }
    argv
}

/// Makes the copy like the source; what that replaces or deletes is kept in a folder of this sync's own,
/// under the date: a second sync on the same day must not replace what the first one kept.
#[must_use]
pub fn sync(config: &Config, mirror: &Mirror, now: NaiveDateTime) -> Vec<String> {
    with_progress(mirroring(config, mirror, now))
}

/// The same without changing anything: rclone's `--max-delete` stops a sync only after that many deletions,
/// so too many of them are found before the first.
#[must_use]
pub fn rehearsal(config: &Config, mirror: &Mirror, now: NaiveDateTime) -> Vec<String> {
    let mut argv = mirroring(config, mirror, now);
    argv.push("--dry-run".into());
    // Not a line for every file that would be copied; what would be refused is an error and is shown.
    argv.push("--quiet".into());
    argv
}

fn mirroring(config: &Config, mirror: &Mirror, now: NaiveDateTime) -> Vec<String> {
    let mut argv = argv(
        config,
        "sync",
        &[&source_argument(config.rclone.pin), &mirror.destination],
    );
    let mut add = |option: &str, value: Option<String>| {
        argv.push(option.into());
        argv.extend(value);
    };
    let versions = format!("{}/{}", mirror.versions, now.format("%Y-%m-%d/%H%M%S-%3f"));
    add("--backup-dir", Some(versions));
    add("--max-delete", Some(config.limits.max_delete.to_string()));
    add("--transfers", Some(config.rclone.transfers.to_string()));
    add("--checkers", Some(config.rclone.checkers.to_string()));
    add("--create-empty-src-dirs", None);
    match config.rclone.pin {
        Pin::Mount => add("--links", None),
        Pin::Descriptor => add("--skip-links", None),
    }
    if mirror.hot {
        add("--local-no-check-updated", None);
    }
    argv
}

/// Copies one local file to one place.
#[must_use]
pub fn upload(config: &Config, file: &str, to: &str) -> Vec<String> {
    with_progress(argv(config, "copyto", &[file, to]))
}

/// Compares a local folder's files with those in a remote folder, by size and by hash where both have one.
#[must_use]
pub fn compare(config: &Config, folder: &str, to: &str) -> Vec<String> {
    argv(config, "check", &[folder, to, "--one-way"])
}

/// Lists the files of a remote folder as JSON.
#[must_use]
pub fn list(config: &Config, folder: &str) -> Vec<String> {
    argv(
        config,
        "lsjson",
        &[folder, "--files-only", "--no-modtime", "--no-mimetype"],
    )
}

/// Asks briefly: a remote that does not answer is told, not waited for.
fn briefly(mut argv: Vec<String>) -> Vec<String> {
    for word in [
        "--retries",
        "1",
        "--low-level-retries",
        "2",
        "--contimeout",
        "10s",
        "--timeout",
        "30s",
    ] {
        argv.push(word.into());
    }
    argv
}

/// Lists what a remote folder holds, or one service's folder on it, down to the archives and the days of
/// `.versions`, as JSON. Mirrors are left out: they may hold a million files.
#[must_use]
pub fn inventory(config: &Config, remote: &Remote, service: Option<&ServiceName>) -> Vec<String> {
    let (folder, depth, mirrors) = match service {
        Some(service) => (remote.join(service.as_str()), "2", "- /data/**"),
        None => (remote.to_string(), "3", "- /*/data/**"),
    };
    let words = [
        folder.as_str(),
        "--recursive",
        "--max-depth",
        depth,
        "--no-modtime",
        "--no-mimetype",
        "--filter",
        mirrors,
        "--filter",
        "- /extra/*/**",
    ];
    briefly(argv(config, "lsjson", &words))
}

/// Asks a remote how much room it has, as JSON.
#[must_use]
pub fn about(config: &Config, name: &str) -> Vec<String> {
    let remote = format!("{name}:");
    briefly(argv(config, "about", &[&remote, "--json"]))
}

/// Counts the files below a remote folder, and their bytes, as JSON.
#[must_use]
pub fn size(config: &Config, folder: &str) -> Vec<String> {
    briefly(argv(config, "size", &[folder, "--json"]))
}

/// Renames a file on the remote.
#[must_use]
pub fn rename(config: &Config, from: &str, to: &str) -> Vec<String> {
    argv(config, "moveto", &[from, to])
}

/// Removes one file on the remote.
#[must_use]
pub fn delete(config: &Config, file: &str) -> Vec<String> {
    argv(config, "deletefile", &[file])
}
