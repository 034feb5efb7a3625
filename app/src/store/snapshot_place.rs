//! The places where a copy may be written: never over a file of the server, nor over one that is no copy.
//!
//! Invariant: the decision comes before any folder or file is made.

use super::migrate::APPLICATION_ID;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Offset of the application's number in the header of a database (SQLite, "Database File Format", 1.3).
const APPLICATION_AT: usize = 68;

/// Accepts `target` as the place of a copy of the database in the folder `data`.
///
/// # Errors
/// Says why not, and what to do.
pub(super) fn check(data: &Path, target: &Path) -> io::Result<()> {
    outside_or_in(data, target, Some(Path::new("backup")))?;
    let found = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !found.is_file() {
        return refused("it is no file; name a file, or remove it first");
    }
    if is_copy(target)? {
        return Ok(());
    }
    refused("a file that is no snapshot lies there; choose another name, or remove it first")
}

/// Accepts `target` as a file that may be written: outside the data directory, or in its folder `allowed`, and no
/// file of the data directory under another name.
///
/// # Errors
/// Says why not, and what to do.
pub fn outside_or_in(data: &Path, target: &Path, allowed: Option<&Path>) -> io::Result<()> {
    let data = data.canonicalize()?;
    let place = resolved(target)?;
    if let Ok(inside) = place.strip_prefix(&data)
        && !allowed.is_some_and(|folder| inside.starts_with(folder) && inside != folder)
    {
        return refused(
            "it lies in the data directory; write to the folder backup there, or to another folder",
        );
    }
    // A hard link or a bind mount has another path and the same file.
    if let Ok(found) = fs::metadata(target)
        && found.is_file()
        && is_ours(&data, allowed, &found)?
    {
        return refused("it is a file of the server under another name; choose another name");
    }
    Ok(())
}

fn refused<T>(why: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// The path without links, also where its end does not exist yet.
fn resolved(target: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(target)?;
    let mut ancestors = absolute.ancestors();
    let Some((found, existing)) =
        ancestors.find_map(|path| Some((path, path.canonicalize().ok()?)))
    else {
        return Ok(absolute);
    };
    let rest = absolute.strip_prefix(found).unwrap_or(Path::new(""));
    if rest.components().any(|part| part == Component::ParentDir) {
        return refused(
            "it holds '..' after a folder that does not exist; write the path without it",
        );
    }
    Ok(if rest.as_os_str().is_empty() {
        existing
    } else {
        existing.join(rest)
    })
}

/// Reports if `found` is a file below `folder`, but for the folder `allowed` in it.
fn is_ours(data: &Path, allowed: Option<&Path>, found: &Metadata) -> io::Result<bool> {
    let allowed = allowed.map(|folder| data.join(folder));
    let mut open = vec![data.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            // A file that went meanwhile is none of ours any more.
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                if allowed.as_ref() != Some(&path) {
                    open.push(path);
                }
            } else if (metadata.dev(), metadata.ino()) == (found.dev(), found.ino()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Reports if a file is a database of this program.
fn is_copy(path: &Path) -> io::Result<bool> {
    let mut header = Vec::new();
    File::open(path)?.take(100).read_to_end(&mut header)?;
    let number = header.get(APPLICATION_AT..APPLICATION_AT + 4);
    Ok(header.starts_with(b"SQLite format 3\0") && number == Some(&APPLICATION_ID.to_be_bytes()))
}
