//! The file `audit_log`: appended to, and rotated by size.
//!
//! A file that has reached [`LARGEST`] becomes `NAME.1`, that one `NAME.2`, and so on up to [`KEPT`]; the oldest is
//! removed. So refused requests, which a stolen key can send in any number, fill a bounded part of the disk.
//!
//! Invariant: the file and its former versions hold at most [`LARGEST`] bytes each, or twice that if a gate was stopped
//! in the middle of a rotation. If the files cannot be renamed, lines are lost, but the disk does not fill up.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// The size at which a file is rotated.
const LARGEST: u64 = 8 << 20;

/// The number of former files to keep.
const KEPT: u32 = 4;

/// Appends one line.
pub(super) fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    append_within(path, line, LARGEST)
}

fn append_within(path: &Path, line: &[u8], largest: u64) -> io::Result<()> {
    let mut file = open(path)?;
    if file.metadata()?.len().saturating_add(line.len() as u64) > largest {
        file = rotate(path, file, line.len() as u64, largest)?;
    }
    file.write_all(line)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(path)
}

/// Renames the full file, and opens a new one. Only one gate can hold the lock on the full file; the others find the
/// new file.
fn rotate(path: &Path, full: File, more: u64, largest: u64) -> io::Result<File> {
    let full = match Flock::lock(full, FlockArg::LockExclusiveNonblock) {
        Ok(full) => full,
        // Another gate rotates, and was perhaps stopped by a signal: do not wait for it.
        Err((full, _)) if full.metadata()?.len() < largest.saturating_mul(2) => return open(path),
        Err((_, errno)) => return Err(errno.into()),
    };
    let now = open(path)?;
    let (seen, held) = (now.metadata()?, full.metadata()?);
    if (seen.dev(), seen.ino()) != (held.dev(), held.ino()) {
        // Another gate has already rotated.
        return Ok(now);
    }
    // Devices and pipes do not grow.
    if !held.is_file() || held.len().saturating_add(more) <= largest {
        return Ok(now);
    }
    for number in (1..=KEPT).rev() {
        let from = match number {
            1 => path.to_owned(),
            _ => former(path, number - 1),
        };
        match rename(&from, former(path, number)) {
            Ok(()) => {}
            Err(error) if number > 1 && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    open(path)
}

fn former(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(folder: &Path) -> Vec<(String, u64)> {
        let mut sizes: Vec<(String, u64)> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, entry.metadata().unwrap().len())
            })
            .collect();
        sizes.sort();
        sizes
    }

    #[test]
    fn the_files_are_bounded_in_size_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..200 {
                        let line = format!("{{\"writer\":{writer},\"number\":{number:04}}}\n");
                        // Another thread may be in the middle of a rotation.
                        while append_within(path, line.as_bytes(), 1000).is_err() {}
                    }
                });
            }
        });
        let sizes = sizes(folder.path());
        let names: Vec<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "audit.jsonl",
                "audit.jsonl.1",
                "audit.jsonl.2",
                "audit.jsonl.3",
                "audit.jsonl.4"
            ]
        );
        for (name, size) in &sizes {
            assert!(*size <= 2000 + 4 * 40, "{name}: {size}");
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(
                text.lines()
                    .all(|line| line.starts_with('{') && line.ends_with('}'))
            );
        }
    }

    #[test]
    fn what_cannot_be_renamed_does_not_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, vec![b'x'; 1000]).unwrap();
        // Folders take the names of the rotated files.
        for number in 1..=KEPT {
            std::fs::create_dir_all(former(&path, number).join("a")).unwrap();
        }
        assert!(append_within(&path, b"line\n", 1000).is_err());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1000);
    }
}
