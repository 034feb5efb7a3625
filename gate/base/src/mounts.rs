//! The mounts of this host, as `/proc/self/mountinfo` lists them; see proc_pid_mountinfo(5).
//!
//! Invariant: nothing on a mount is touched, so a mount that hangs delays nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The mount point.
    pub at: PathBuf,
    /// The folder of its file system that is mounted there.
    pub root: PathBuf,
    /// The type of its file system.
    pub kind: String,
    /// The device, or another name of its source.
    pub source: String,
}

/// Undoes the octal escapes of spaces, tabs, line feeds and backslashes.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let digits = more.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if first == b'\\' => {
                bytes.push(code);
                rest = more.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

fn parse(line: &str) -> Option<Mount> {
    let (head, tail) = line.split_once(" - ")?;
    let head: Vec<&str> = head.split(' ').collect();
    let mut tail = tail.split(' ');
    Some(Mount {
        root: unescape(head.get(3)?),
        at: unescape(head.get(4)?),
        kind: tail.next()?.to_owned(),
        source: unescape(tail.next()?).display().to_string(),
    })
}

/// All mounts; empty without procfs.
#[must_use]
pub fn all() -> Vec<Mount> {
    let text = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(parse)
        .collect()
}

/// The mounts below a directory, without one on the directory itself.
#[must_use]
pub fn below<'a>(mounts: &'a [Mount], directory: &Path) -> Vec<&'a Mount> {
    let inside = |mount: &&Mount| mount.at != directory && mount.at.starts_with(directory);
    mounts.iter().filter(inside).collect()
}

/// The bind mount on a directory: a part of a file system that is mounted there. A subvolume of btrfs is none.
#[must_use]
pub fn bind_on<'a>(mounts: &'a [Mount], directory: &Path) -> Option<&'a Mount> {
    let on = mounts.iter().rev().find(|mount| mount.at == directory)?;
    (on.root != Path::new("/") && on.kind != "btrfs").then_some(on)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r"22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
30 22 8:3 / /srv/a\040b/data rw shared:2 - ext4 /dev/sda3 rw
31 30 8:2 /srv/other /srv/a\040b/data/sub rw shared:1 - ext4 /dev/sda2 rw
32 22 0:40 /@n8n /srv/c/data rw - btrfs /dev/sdb rw
33 22 8:2 /srv/wrong /srv/d/data rw - ext4 /dev/sda2 rw";

    #[test]
    fn bind_mounts_and_mounts_inside_are_told_from_disks() {
        let mounts: Vec<Mount> = TEXT.lines().filter_map(parse).collect();
        assert_eq!(mounts.len(), 5);
        let data = Path::new("/srv/a b/data");
        assert_eq!(bind_on(&mounts, data), None);
        let inside: Vec<&Path> = below(&mounts, data)
            .iter()
            .map(|m| m.at.as_path())
            .collect();
        assert_eq!(inside, [Path::new("/srv/a b/data/sub")]);
        assert_eq!(bind_on(&mounts, Path::new("/srv/c/data")), None);
        let wrong = bind_on(&mounts, Path::new("/srv/d/data")).unwrap();
        assert_eq!(wrong.root, Path::new("/srv/wrong"));
        assert!(below(&mounts, Path::new("/srv/d/dat")).is_empty());
    }
}
