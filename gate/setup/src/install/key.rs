//! The runner's key: made here; only the runner gets its private half.
//!
//! The public half is authorised first: if the installer ends in between, the key belongs to no process, and the next
//! run makes another one in its place.
//!
//! Invariant: the private half is in memory, for a moment in a folder that is in memory too, and in the runner's sealed
//! variable; it is on no disk and on no command line.

use std::fs;
use std::path::Path;

use super::change::{NewFile, Owner, Proof};
use super::files::put;
use super::scratch::in_memory;
use super::steps::{FORCED, KEY_COMMENT, is_gates, runner};
use super::tool::{Input, good, good_with, words};

const KEYGEN: &str = "/usr/bin/ssh-keygen";

/// Sets a variable of the runner's, with its value on standard input.
pub(super) fn set(user: &str, more: &[&str], value: &[u8]) -> Result<(), String> {
    let mut line = vec!["variable", "set"];
    line.extend(more);
    good_with(&runner::command(user, true, &line), &Input::Bytes(value)).map(drop)
}

/// Makes a pair, authorises one half and hands over the other.
pub(super) fn renew(user: &str, file: &Path, owner: &Owner) -> Result<(), String> {
    let (public, mut private) = pair()?;
    let former = fs::read_to_string(file).unwrap_or_default();
    authorise(file, owner, &with(&former, &public))?;
    let done = set(user, &[runner::KEY, "--secret", "--file", "-"], &private);
    private.fill(0);
    done
}

/// Takes the runner's key out of the account's.
pub(super) fn forget(file: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let say = |error: std::io::Error| format!("{}: {error}", file.display());
    let former = fs::read_to_string(file).map_err(say)?;
    let gid = nix::unistd::Gid::from_raw(fs::metadata(file).map_err(say)?.gid());
    let group = nix::unistd::Group::from_gid(gid).ok().flatten();
    let owner = Owner::of(
        "root",
        &group.map_or_else(|| gid.to_string(), |group| group.name),
    );
    authorise(file, &owner, &without(&former))
}

fn authorise(file: &Path, owner: &Owner, text: &str) -> Result<(), String> {
    put(&NewFile {
        path: file.to_owned(),
        bytes: text.as_bytes().to_vec(),
        owner: owner.clone(),
        mode: 0o640,
        proof: Proof::None,
        keep: false,
        theirs: true,
    })
}

fn pair() -> Result<(String, Vec<u8>), String> {
    let scratch = in_memory()?;
    let file = scratch.path().to_path_buf().join("key");
    let path = file.display().to_string();
    good(&words(&[
        KEYGEN,
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        KEY_COMMENT,
        "-f",
        &path,
    ]))?;
    let say = |error: std::io::Error| format!("the fresh key: {error}");
    let private = fs::read(&file).map_err(say)?;
    let public = fs::read_to_string(file.with_extension("pub")).map_err(say)?;
    Ok((public.trim().to_owned(), private))
}

/// The lines of others, and then ours.
fn with(former: &str, public: &str) -> String {
    format!("{}{FORCED} {public}\n", without(former))
}

/// The lines of others.
fn without(former: &str) -> String {
    let ours = |line: &str| is_gates(line) && line.trim_end().ends_with(&format!(" {KEY_COMMENT}"));
    former
        .lines()
        .filter(|line| !ours(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUTORIALS: &str = "# mine\nrestrict,command=\"sudo /usr/local/bin/backupctl --ssh-gate\" ssh-ed25519 AAAA lightflow-backup\n";

    #[test]
    fn a_new_key_takes_the_place_of_the_last_one_and_of_no_other() {
        let first = with(TUTORIALS, "ssh-ed25519 BBBB lightflow-appliance");
        assert!(first.starts_with(TUTORIALS));
        assert!(first.ends_with(
            "\nrestrict,command=\"sudo /usr/local/bin/backupctl --ssh-gate\" ssh-ed25519 BBBB lightflow-appliance\n"
        ));
        let second = with(&first, "ssh-ed25519 CCCC lightflow-appliance");
        assert!(!second.contains("BBBB") && second.contains("AAAA") && second.contains("CCCC"));
        assert_eq!(without(&second), TUTORIALS);
    }

    #[test]
    fn a_file_without_a_last_line_feed_is_no_trap() {
        assert_eq!(with("ssh-ed25519 A x", "B").lines().count(), 2);
    }
}
