//! The argument vectors of rclone: one function for each, used by the actions and by `--explain`.
//!
//! Invariant: every argument is a constant, a value of the configuration, or a place made of parsed names.

use crate::credentials;
use base::names::{Remote, ServiceName};
use config::Config;
use host::program::source_argument;

pub(super) fn argv(config: &Config, verb: &str, arguments: &[&str]) -> Vec<String> {
    let rclone = &config.rclone;
    let mut argv = vec![rclone.program.to_string(), verb.to_owned()];
    argv.extend(arguments.iter().map(|&word| word.to_owned()));
    argv.push("--config".into());
    argv.push(credentials::argument());
    // Without this option rclone would ask for the password of an encrypted configuration, and no answer can come.
    argv.push("--ask-password=false".into());
    // The gate reads rclone's output before people do, see `log`. Only at this level rclone reports that the remote
    // throttles it.
    for word in ["--use-json-log", "--log-level", "DEBUG"] {
        argv.push(word.into());
    }
    let mut add = |option: &str, value: String| argv.extend([option.to_owned(), value]);
    add("--retries", rclone.retries.to_string());
    add("--low-level-retries", rclone.low_level_retries.to_string());
    add("--contimeout", format!("{}s", rclone.contimeout));
    add("--timeout", format!("{}s", rclone.timeout));
    if rclone.tpslimit > 0 {
        add("--tpslimit", rclone.tpslimit.to_string());
        add("--tpslimit-burst", rclone.tpslimit_burst.to_string());
    }
    argv
}

/// Adds the options for bulk transfers.
pub(super) fn in_bulk(config: &Config, mut argv: Vec<String>) -> Vec<String> {
    let rclone = &config.rclone;
    let mut add = |option: &str, value: String| argv.extend([option.to_owned(), value]);
    add("--transfers", rclone.transfers.to_string());
    add("--checkers", rclone.checkers.to_string());
    add("--buffer-size", format!("{}Mi", rclone.buffer_mib));
    add("--onedrive-chunk-size", format!("{}Mi", rclone.chunk_mib));
    if let Some(limit) = &rclone.bwlimit {
        add("--bwlimit", limit.to_string());
    }
    // Buffers return to the system when they are empty.
    argv.push("--use-mmap".into());
    argv
}

pub(super) fn with_progress(mut argv: Vec<String>) -> Vec<String> {
    for word in ["--stats", "1s", "--stats-log-level", "NOTICE"] {
        argv.push(word.into());
    }
    argv
}

/// Keeps running and answers requests on the socket it inherits, without a time limit for uploads or pauses. With
/// `asks_briefly` it reports a remote that does not answer instead of waiting for it.
#[must_use]
pub fn serve(config: &Config, asks_briefly: bool) -> Vec<String> {
    let words = [
        "--rc-no-auth",
        "--rc-serve",
        "--rc-server-read-timeout",
        "0s",
        "--rc-server-write-timeout",
        "0s",
    ];
    let argv = in_bulk(config, argv(config, "rcd", &words));
    if asks_briefly { briefly(argv) } else { argv }
}

/// Lists the days for which replaced files are kept.
#[must_use]
pub fn days(config: &Config, versions: &str) -> Vec<String> {
    let words = [versions, "--dirs-only", "--no-modtime", "--no-mimetype"];
    argv(config, "lsjson", &words)
}

/// Removes a folder on the remote with all its contents.
#[must_use]
pub fn purge(config: &Config, folder: &str) -> Vec<String> {
    argv(config, "purge", &[folder])
}

/// Uploads one local file, and retries where that may help.
#[must_use]
pub fn upload(config: &Config, file: &str, to: &str) -> Vec<String> {
    let words = [
        file,
        to,
        "--retries",
        "3",
        "--retries-sleep",
        "5s",
        "--low-level-retries",
        "10",
    ];
    with_progress(in_bulk(config, argv(config, "copyto", &words)))
}

/// Compares these files of a local folder with those in a remote folder, by size, and by hash if both sides have one. A
/// crypt remote needs `cryptcheck`. The file names hold no characters with a meaning in rclone's filters.
#[must_use]
pub fn compare(
    config: &Config,
    folder: &str,
    to: &str,
    files: [&str; 2],
    encrypted: bool,
) -> Vec<String> {
    let verb = if encrypted { "cryptcheck" } else { "check" };
    let [one, other] = files.map(|file| format!("/{file}"));
    let words = [
        folder,
        to,
        "--one-way",
        "--include",
        &one,
        "--include",
        &other,
    ];
    argv(config, verb, &words)
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

/// Lists the files of a remote folder as JSON, with a hash of each that the remote tells.
#[must_use]
pub fn list_with_hash(config: &Config, folder: &str, hash: &str) -> Vec<String> {
    let mut argv = list(config, folder);
    argv.extend(["--hash", "--hash-type", hash].map(str::to_owned));
    argv
}

/// Adds short time limits: rclone reports a remote that does not answer instead of waiting for it.
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

/// A recursive listing of a folder.
pub(super) struct Tree {
    pub(super) folder: String,
    /// The number of levels below the folder.
    pub(super) depth: u8,
    /// The filter rules.
    pub(super) rules: &'static [&'static str],
    pub(super) files_only: bool,
}

/// Everything below a remote folder, or everything of one service, down to the archives and the days of `.versions`.
/// Mirrors are left out: they may hold a million files.
pub(super) fn inventory_tree(remote: &Remote, service: Option<&ServiceName>) -> Tree {
    let (folder, depth, rules): (String, u8, &[&str]) = match service {
        Some(service) => (
            remote.join(service.as_str()),
            2,
            &["- /data/**", "- /.incoming/**"],
        ),
        None => (
            remote.to_string(),
            3,
            &[
                "+ /extra/.manifests/*",
                "- /extra/*/**",
                "- /*/data/**",
                "- /*/.incoming/**",
            ],
        ),
    };
    Tree {
        folder,
        depth,
        rules,
        files_only: false,
    }
}

/// The archives that retention put aside, of all services or of one. No other folder is listed.
pub(super) fn aside_tree(remote: &Remote, service: Option<&ServiceName>) -> Tree {
    let (folder, depth, rules): (String, u8, &[&str]) = match service {
        Some(service) => (remote.join(service.as_str()), 3, &["+ /.pruned/**", "- *"]),
        None => (remote.to_string(), 4, &["+ /*/.pruned/**", "- *"]),
    };
    Tree {
        folder,
        depth,
        rules,
        files_only: true,
    }
}

fn tree(config: &Config, tree: &Tree) -> Vec<String> {
    let depth = tree.depth.to_string();
    let mut words = vec![tree.folder.as_str(), "--recursive", "--max-depth", &depth];
    if tree.files_only {
        words.push("--files-only");
    }
    words.extend(["--no-modtime", "--no-mimetype"]);
    words.extend(tree.rules.iter().flat_map(|rule| ["--filter", rule]));
    briefly(argv(config, "lsjson", &words))
}

/// Lists the inventory of a remote, or of one service on it, as JSON.
#[must_use]
pub fn inventory(config: &Config, remote: &Remote, service: Option<&ServiceName>) -> Vec<String> {
    tree(config, &inventory_tree(remote, service))
}

/// Lists the archives that retention put aside, as JSON.
#[must_use]
pub fn put_aside(config: &Config, remote: &Remote, service: Option<&ServiceName>) -> Vec<String> {
    tree(config, &aside_tree(remote, service))
}

/// Asks a remote for its free space, as JSON.
#[must_use]
pub fn about(config: &Config, name: &str) -> Vec<String> {
    let remote = format!("{name}:");
    briefly(argv(config, "about", &[&remote, "--json"]))
}

/// Asks for the free space while a person waits: rclone ends by itself within a few seconds, so the gate never has to
/// kill it during a token renewal.
#[must_use]
pub fn about_at_once(config: &Config, name: &str) -> Vec<String> {
    let mut argv = about(config, name);
    for word in [
        "--low-level-retries",
        "1",
        "--contimeout",
        "2s",
        "--timeout",
        "3s",
    ] {
        argv.push(word.into());
    }
    argv
}

/// Asks the program for its version.
#[must_use]
pub fn version(config: &Config) -> Vec<String> {
    let program = config.rclone.program.to_string();
    ["version", "--config", "/dev/null"]
        .iter()
        .fold(vec![program], |mut argv, &word| {
            argv.push(word.into());
            argv
        })
}

/// Copies one small file to one place, and gives up early if the remote does not take it.
#[must_use]
pub fn upload_probe(config: &Config, file: &str, to: &str) -> Vec<String> {
    briefly(argv(config, "copyto", &[file, to]))
}

/// Compares one file of a local folder with the file in a remote folder, by hash. A crypt remote needs `cryptcheck`.
#[must_use]
pub fn compare_probe(
    config: &Config,
    folder: &str,
    to: &str,
    file: &str,
    encrypted: bool,
) -> Vec<String> {
    let verb = if encrypted { "cryptcheck" } else { "check" };
    let file = format!("/{file}");
    let words = [folder, to, "--one-way", "--include", &file];
    briefly(argv(config, verb, &words))
}

/// Writes one small file on the remote to standard output.
#[must_use]
pub fn read_probe(config: &Config, file: &str) -> Vec<String> {
    briefly(argv(config, "cat", &[file]))
}

/// Renames one small file on the remote.
#[must_use]
pub fn rename_probe(config: &Config, from: &str, to: &str) -> Vec<String> {
    briefly(argv(config, "moveto", &[from, to]))
}

/// Removes one small file on the remote.
#[must_use]
pub fn delete_probe(config: &Config, file: &str) -> Vec<String> {
    briefly(argv(config, "deletefile", &[file]))
}

/// Removes the folder of a probe with all its contents.
#[must_use]
pub fn purge_probe(config: &Config, folder: &str) -> Vec<String> {
    briefly(argv(config, "purge", &[folder]))
}

/// Counts the files below a remote folder, and their bytes, as JSON.
#[must_use]
pub fn size(config: &Config, folder: &str) -> Vec<String> {
    briefly(argv(config, "size", &[folder, "--json"]))
}

/// Writes one remote file to standard output, starting at a byte offset. No retry: a second attempt would write the
/// file once more.
#[must_use]
pub fn cat(config: &Config, file: &str, from: u64) -> Vec<String> {
    let mut argv = argv(config, "cat", &[file]);
    if from > 0 {
        argv.extend(["--offset".to_owned(), from.to_string()]);
    }
    argv.extend(["--retries", "1"].map(str::to_owned));
    argv
}

/// Downloads a remote folder into a local one. Links stay plain files, as they are in a mirror: if rclone created a
/// link, the next file could be written through it.
#[must_use]
pub fn fetch(config: &Config, folder: &str, to: &str) -> Vec<String> {
    let mut argv = with_progress(in_bulk(config, argv(config, "copy", &[folder, to])));
    argv.push("--create-empty-src-dirs".into());
    argv
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

/// Copies the files of a local folder to a remote folder, without a look at the files there: their names are those of
/// contents, or nothing is there yet.
#[must_use]
pub fn send(config: &Config, folder: &str, to: &str) -> Vec<String> {
    // Two names that differ in their Unicode form alone stay two.
    let words = [
        folder,
        to,
        "--no-check-dest",
        "--no-traverse",
        "--no-unicode-normalization",
    ];
    with_progress(in_bulk(config, argv(config, "copy", &words)))
}

/// Copies one file of the opened source directory to one place.
#[must_use]
pub fn send_direct(config: &Config, path: &str, to: &str) -> Vec<String> {
    let from = format!("{}/{path}", source_argument(config.rclone.pin));
    upload(config, &from, to)
}

/// Copies one small file of the gate's own to a place at which no file is.
#[must_use]
pub fn put(config: &Config, file: &str, to: &str) -> Vec<String> {
    let mut argv = upload(config, file, to);
    argv.push("--no-check-dest".into());
    argv
}

/// Removes a folder with all empty folders in it.
#[must_use]
pub fn remove_empty(config: &Config, folder: &str) -> Vec<String> {
    argv(config, "rmdirs", &[folder])
}

/// Lists all files below a folder as JSON, one on each line.
#[must_use]
pub fn all_files(config: &Config, folder: &str, with_hashes: bool) -> Vec<String> {
    let words = [folder, "--recursive", "--files-only", "--no-mimetype"];
    let mut argv = argv(config, "lsjson", &words);
    if with_hashes {
        argv.push("--hash".into());
    }
    argv.extend(["--checkers".to_owned(), config.rclone.checkers.to_string()]);
    // A second attempt would list every file once more.
    argv.extend(["--retries", "1"].map(str::to_owned));
    argv
}
