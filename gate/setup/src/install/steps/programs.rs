//! The programs of the host, their manual pages and completions.
//!
//! `podmanctl` is a second name of `backupctl-setup`, which lies beside it.
//!
//! Invariant: a foreign podmanctl stays, and the gate uses it.

use std::path::{Path, PathBuf};

use super::super::change::{Change, NewFile, Proof};
use super::super::target::{PROGRAMS, Target};
use config::BUNDLED_RCLONE;

const SETUP: &str = "bin/backupctl-setup";
const PODMANCTL: &str = "bin/podmanctl";

/// Debian's folder for files that come from no package.
const SHARE: &str = "/usr/local/share";

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, bytes) in &target.release.files {
        let Some((path, mode)) = place(name) else {
            continue;
        };
        if name == PODMANCTL && target.is_strangers(&path.display().to_string()) {
            continue;
        }
        let parents = target.parents(&path);
        changes.extend(
            parents
                .into_iter()
                .filter(|change| !changes.contains(change))
                .collect::<Vec<_>>(),
        );
        let change = target.file(path, bytes, mode, Proof::None);
        changes.extend(change.map(|change| match name.as_str() {
            SETUP => written(change, bytes),
            PODMANCTL => second_name(target, written(change, bytes)),
            _ => change,
        }));
    }
    changes
}

/// Writes the file anew where only its owner or mode is wrong: they are those of a second name as well.
fn written(change: Change, bytes: &[u8]) -> Change {
    match change {
        Change::Tighten { path, owner, mode } => Change::File(NewFile {
            path,
            bytes: bytes.to_vec(),
            owner,
            mode,
            proof: Proof::None,
            keep: false,
            theirs: false,
        }),
        change => change,
    }
}

/// Takes no room for a file that the release has under two names.
fn second_name(target: &Target<'_>, change: Change) -> Change {
    match (change, place(SETUP)) {
        (Change::File(file), Some((of, _))) if target.release.bytes(SETUP) == file.bytes => {
            Change::SecondName(file, of)
        }
        (change, _) => change,
    }
}

/// The place of a file of the release, if it belongs to this step.
fn place(name: &str) -> Option<(PathBuf, u32)> {
    let (folder, file) = name.split_once('/')?;
    let share = Path::new(SHARE);
    let at = match folder {
        // Not in the search path: other users of the host keep the rclone that they have.
        "bin" if file == "rclone" => return Some((BUNDLED_RCLONE.into(), 0o755)),
        "bin" => return Some((Path::new(PROGRAMS).join(file), 0o755)),
        "man" => {
            let section = file.rsplit('.').next()?;
            share.join(format!("man/man{section}"))
        }
        "completions" if file.starts_with('_') => share.join("zsh/site-functions"),
        "completions" => match file.rsplit_once('.')? {
            (stem, "bash") => {
                return Some((share.join("bash-completion/completions").join(stem), 0o644));
            }
            (_, "fish") => share.join("fish/vendor_completions.d"),
            _ => return None,
        },
        _ => return None,
    };
    Some((at.join(file), 0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_file_has_its_place() {
        for (name, expected) in [
            ("bin/backupctl", "/usr/local/bin/backupctl"),
            ("bin/rclone", "/usr/local/lib/backupctl/rclone"),
            (
                "man/backupctl.toml.5",
                "/usr/local/share/man/man5/backupctl.toml.5",
            ),
            (
                "completions/_backupctl",
                "/usr/local/share/zsh/site-functions/_backupctl",
            ),
            (
                "completions/lightflow.bash",
                "/usr/local/share/bash-completion/completions/lightflow",
            ),
            (
                "completions/backupctl.fish",
                "/usr/local/share/fish/vendor_completions.d/backupctl.fish",
            ),
        ] {
            assert_eq!(place(name).unwrap().0, Path::new(expected));
        }
        assert_eq!(place("etc/sudoers"), None);
    }
}
