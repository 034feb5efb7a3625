//! Users who may change a file, by its own owner and mode and those of every directory above it.
//!
//! Invariant: links are resolved once, here, and every level of the real path is checked. A sticky directory counts as
//! safe for the entries that a trusted user owns in it, as in `base::dirfd`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base::repair::{self, Closed, Seen};

/// One level of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Level {
    /// The path.
    pub(super) path: PathBuf,
    /// The owner.
    pub(super) uid: u32,
    /// The permissions.
    pub(super) mode: u32,
    /// True for a directory.
    pub(super) directory: bool,
}

/// A level that an untrusted user may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loose {
    /// The problem in words.
    pub(super) what: String,
    /// The commands that fix it.
    pub(super) fix: Vec<String>,
}

/// Every level of a path, from `/` down.
///
/// # Errors
/// When the path does not exist or cannot be examined.
pub(super) fn levels(path: &Path) -> Result<Vec<Level>, String> {
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let real = std::fs::canonicalize(path).map_err(say)?;
    let mut levels: Vec<Level> = Vec::new();
    for ancestor in real.ancestors() {
        let seen = std::fs::symlink_metadata(ancestor).map_err(say)?;
        levels.insert(
            0,
            Level {
                path: ancestor.to_owned(),
                uid: seen.uid(),
                mode: seen.mode() & 0o7777,
                directory: seen.is_dir(),
            },
        );
    }
    Ok(levels)
}

/// The levels that users other than root and `trusted` may change.
pub(super) fn loose(levels: &[Level], trusted: u32) -> Vec<Loose> {
    levels
        .iter()
        .filter_map(|level| {
            let seen = Seen {
                uid: level.uid,
                mode: level.mode,
                directory: level.directory,
            };
            let fix = repair::commands(&level.path, seen, trusted, Closed::Writing);
            let what = format!(
                "{} belongs to uid {} with mode {:04o}",
                level.path.display(),
                level.uid,
                level.mode
            );
            (!fix.is_empty()).then_some(Loose { what, fix })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(path: &str, uid: u32, mode: u32) -> Level {
        let directory = !path.ends_with(".toml");
        Level {
            path: path.into(),
            uid,
            mode,
            directory,
        }
    }

    #[test]
    fn each_loose_level_is_named_with_its_commands() {
        let levels = [
            level("/", 0, 0o755),
            level("/tmp", 0, 0o1777),
            level("/tmp/a", 1000, 0o755),
            level("/tmp/a/x.toml", 1000, 0o666),
        ];
        let found = loose(&levels, 0);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].fix, ["chown root:root /tmp/a"]);
        assert_eq!(
            found[1].fix,
            ["chown root:root /tmp/a/x.toml", "chmod go-w /tmp/a/x.toml"]
        );
        assert_eq!(loose(&levels[..3], 1000), []);
        // The sticky bit protects the entries of a directory; it does not protect a file.
        assert_eq!(loose(&[level("/x.toml", 0, 0o1666)], 0).len(), 1);
    }
}
