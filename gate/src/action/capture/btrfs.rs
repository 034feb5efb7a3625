//! Read-only snapshots of btrfs, made and deleted by its own program.
//!
//! The data may be a subvolume, or a folder in one. A snapshot leaves an empty folder where another subvolume begins, so
//! data with such subvolumes inside is copied in another way.
//!
//! Invariant: the program gets the subvolume by descriptor, and the data in the snapshot is proven to be the data that
//! was opened: both have the same inode.

use std::path::Path;

use nix::sys::statfs::{BTRFS_SUPER_MAGIC, fstatfs};

use super::commands::run;
use crate::action::Context;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::names::PlainPath;
use host::Patience;
use host::program::{Output, Pin, Program, SOURCE_FD, Source, Tether};

/// Places of the program, on Debian and elsewhere.
const PROGRAMS: [&str; 3] = ["/usr/bin/btrfs", "/usr/sbin/btrfs", "/sbin/btrfs"];

/// The inode of the topmost folder of each subvolume.
const TOPMOST: u64 = 256;

/// The name of a snapshot in its folder.
const SNAPSHOT: &str = "snapshot";

fn program() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|path| Path::new(path).exists())
}

/// The subvolume that holds the data, and the path of the data in it.
struct Subvolume {
    top: PinnedDir,
    inside: Vec<String>,
}

/// The subvolume of the data; `None` on other file systems.
fn subvolume(data: &PinnedDir) -> Option<Subvolume> {
    let mut path = data.path().clone();
    let mut inside: Vec<String> = Vec::new();
    loop {
        let folder = PinnedDir::open(&path).ok()?;
        let kind = fstatfs(folder.fd()).ok()?.filesystem_type();
        if kind != BTRFS_SUPER_MAGIC {
            return None;
        }
        if inside.is_empty() && folder.identity() != data.identity() {
            return None;
        }
        if folder.identity().inode == TOPMOST {
            return Some(Subvolume {
                top: folder,
                inside,
            });
        }
        inside.insert(0, path.components().last()?.clone());
        path = path.parent()?;
    }
}

/// True if the data is on btrfs and the program for snapshots is there.
pub(super) fn is_likely(data: &PinnedDir) -> bool {
    program().is_some()
        && fstatfs(data.fd()).is_ok_and(|stat| stat.filesystem_type() == BTRFS_SUPER_MAGIC)
}

/// Makes a snapshot of the data in `folder`. Returns the path of the data in it, or `None` where a snapshot cannot hold
/// all of the data.
pub(super) fn snapshot(
    context: &mut Context<'_>,
    data: &PinnedDir,
    folder: &PlainPath,
    patience: &Patience<'_>,
) -> Result<Option<PlainPath>, Failure> {
    let (Some(program), Some(subvolume)) = (program(), subvolume(data)) else {
        return Ok(None);
    };
    if has_subvolumes(context, program, &subvolume, patience)? {
        return Ok(None);
    }
    let target = folder.below(&[SNAPSHOT]);
    let shown = target.to_string();
    let words = ["subvolume", "snapshot", "-r", &place(), &shown];
    ask(context, program, &subvolume, &words, patience)?;
    let parts: Vec<&str> = subvolume.inside.iter().map(String::as_str).collect();
    let tree = target.below(&parts);
    let taken = PinnedDir::open(&tree).map_err(Failure::errno(format!("opening {tree}")))?;
    if taken.identity().inode != data.identity().inode {
        return Err(Failure::SourceReplaced(data.path().to_path_buf()));
    }
    Ok(Some(tree))
}

/// Deletes the snapshot in a folder.
pub(super) fn delete(
    context: &mut Context<'_>,
    folder: &PlainPath,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let Some(program) = program() else {
        return Ok(());
    };
    let target = folder.below(&[SNAPSHOT]).to_string();
    let argv = [program, "subvolume", "delete", &target].map(str::to_owned);
    run(context, "deleting the snapshot", argv.into(), patience)
}

/// True if other subvolumes begin inside of the data.
fn has_subvolumes(
    context: &mut Context<'_>,
    program: &str,
    subvolume: &Subvolume,
    patience: &Patience<'_>,
) -> Result<bool, Failure> {
    let shown = ask(
        context,
        program,
        subvolume,
        &["subvolume", "show", &place()],
        patience,
    )?;
    let listed = ask(
        context,
        program,
        subvolume,
        &["subvolume", "list", "-o", &place()],
        patience,
    )?;
    let own = shown.lines().next().unwrap_or_default().trim();
    Ok(lists_inside(own, &subvolume.inside, &listed))
}

/// True if the answer of `subvolume list` names one inside of this path. `own` is the path of the subvolume in the file
/// system, `/` for the topmost one.
fn lists_inside(own: &str, inside: &[String], listed: &str) -> bool {
    let mut prefix = String::new();
    if own != "/" {
        prefix.push_str(own);
        prefix.push('/');
    }
    for part in inside {
        prefix.push_str(part);
        prefix.push('/');
    }
    listed.lines().any(|line| match line.split_once(" path ") {
        Some((_, path)) => path.starts_with(&prefix),
        // An unknown form: better to copy.
        None => !line.trim().is_empty(),
    })
}

fn place() -> String {
    format!("/proc/self/fd/{SOURCE_FD}")
}

fn ask(
    context: &mut Context<'_>,
    program: &str,
    subvolume: &Subvolume,
    words: &[&str],
    patience: &Patience<'_>,
) -> Result<String, Failure> {
    let what = format!("btrfs {}", words.get(..2).unwrap_or(words).join(" "));
    let mut argv = vec![program.to_owned()];
    argv.extend(words.iter().map(|&word| word.to_owned()));
    base::owners::trusted(&argv)?;
    let program = context.program(&what, argv, Tether::Tied, Output::Captured)?;
    let program = Program {
        source: Some(Source {
            directory: &subvolume.top,
            pin: Pin::Descriptor,
            mount_parent: context.config.state_dir.below(&["pin"]),
        }),
        ..program
    };
    let ended = context.host.run(&program, patience)?;
    if ended.ok() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    Err(Failure::Tool {
        what,
        detail: ended.describe(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subvolumes_inside_of_the_data_are_told_from_others() {
        let listed = "ID 257 gen 7 top level 256 path root/app/data\nID 259 gen 7 top level 256 path root/w/data/x/n2\n";
        let inside = |own: &str, parts: &[&str]| {
            let parts: Vec<String> = parts.iter().map(|&part| part.to_owned()).collect();
            lists_inside(own, &parts, listed)
        };
        assert!(inside("root", &["w", "data"]));
        assert!(!inside("root", &["app", "data"]), "that is the data itself");
        assert!(!inside("root", &["w", "dat"]));
        assert!(inside("root", &[]) && inside("/", &[]) && inside("/", &["root", "w"]));
        assert!(!lists_inside("root", &[], ""));
        assert!(lists_inside("root", &[], "something else\n"));
    }
}
