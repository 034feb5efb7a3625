//! The programs of the host, their manual pages and completions.
//!
//! Invariant: a foreign podmanctl stays, and the gate uses it.

use std::path::{Path, PathBuf};

use super::super::change::{Change, Proof};
use super::super::target::{PROGRAMS, Target};
use config::BUNDLED_RCLONE;

/// Debian's folder for files that come from no package.
const SHARE: &str = "/usr/local/share";

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, bytes) in &target.release.files {
        let Some((path, mode)) = place(name) else {
            continue;
        };
        if name == "bin/podmanctl" && target.is_strangers(&path.display().to_string()) {
            continue;
        }
        let parents = target.parents(&path);
        changes.extend(
            parents
                .into_iter()
                .filter(|change| !changes.contains(change))
                .collect::<Vec<_>>(),
        );
        changes.extend(target.file(path, bytes, mode, Proof::None));
    }
    changes
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
