//! Programs that only root, and the gate's own user, could have replaced.
//!
//! Unlike the gate's own files, programs are often reached through links (`/bin`, `/usr/bin/python3`). A link is as
//! good as the folder that it lies in, so every folder on the way is looked at, before and behind it.
//!
//! Invariant: a trusted program stays trusted, unless a trusted user changes it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::Failure;
use crate::repair::{self, Closed, Seen};
use crate::trusted::Trusted;

/// As the kernel has it: path_resolution(7).
const LINKS: u32 = 40;

/// Looks at the program of an argument vector.
///
/// # Errors
/// Another user could have replaced it.
pub fn trusted(argv: &[String]) -> Result<(), Failure> {
    let uid = nix::unistd::geteuid().as_raw();
    let program = Path::new(argv.first().map_or("", String::as_str));
    program_is_trusted(program, Trusted { uid }).map_err(Failure::Config)
}

/// Looks at a program and at everything on the way to it.
///
/// # Errors
/// A sentence that names the wrong level, its fault, and the next step. A missing program is no error here.
pub fn program_is_trusted(program: &Path, trusted: Trusted) -> Result<(), String> {
    let mut here = PathBuf::from("/");
    let mut rest: VecDeque<OsString> = parts(program);
    let mut links = 0;
    level(&here, trusted)?;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&part);
        let Ok(seen) = next.symlink_metadata() else {
            return Ok(());
        };
        if seen.is_symlink() {
            links += 1;
            let target = std::fs::read_link(&next)
                .map_err(|error| format!("{}: {error}", next.display()))?;
            if links > LINKS {
                return Err(format!("{}: too many links", program.display()));
            }
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            let mut behind = parts(&target);
            behind.append(&mut rest);
            rest = behind;
            continue;
        }
        here = next;
        level(&here, trusted)?;
    }
    Ok(())
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

fn level(path: &Path, trusted: Trusted) -> Result<(), String> {
    let seen = path
        .symlink_metadata()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let seen = Seen {
        uid: seen.uid(),
        mode: seen.mode() & 0o7777,
        directory: seen.is_dir(),
    };
    let commands = repair::commands(path, seen, trusted.uid, Closed::Writing);
    if commands.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} belongs to uid {} with mode {:04o}, and whoever may change it decides what the gate runs; it must belong to {} and not be writable by group or others; run `{}`",
        path.display(),
        seen.uid,
        seen.mode,
        trusted.words(),
        commands.join(" && ")
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn every_level_counts_before_and_behind_a_link() {
        let base = fs::canonicalize(std::env::temp_dir()).unwrap();
        let folder = tempfile::tempdir_in(base).unwrap();
        let path = |name: &str| folder.path().join(name);
        let mode = |name: &str, mode| {
            fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
        };
        for name in ["one", "two"] {
            fs::create_dir(path(name)).unwrap();
            mode(name, 0o755);
        }
        fs::write(path("two/program"), "").unwrap();
        mode("two/program", 0o755);
        symlink("../two/program", path("one/link")).unwrap();
        let trusted = Trusted {
            uid: nix::unistd::geteuid().as_raw(),
        };
        let check = |name: &str| program_is_trusted(&path(name), trusted);
        assert_eq!(check("one/link"), Ok(()));
        assert_eq!(check("one/missing"), Ok(()));
        for loose in ["one", "two", "two/program"] {
            mode(loose, 0o775);
            let words = check("one/link").unwrap_err();
            assert!(
                words.contains(&path(loose).display().to_string()),
                "{words}"
            );
            mode(loose, 0o755);
        }
        mode("one", 0o1777);
        assert_eq!(check("one/link"), Ok(()));
        symlink("loop", path("two/loop")).unwrap();
        assert!(check("two/loop").unwrap_err().contains("links"));
    }
}
