//! Packing and making again, within the process; `tests/it` checks archives with other programs.

mod changes;
mod comparing;
mod duplicates;
mod hostile;
mod round_trip;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::check::{Comparison, Report, check};
use super::entry::{Attributes, Entry, Kind, Moment};
use super::extract::{Extracted, Options, extract};
use super::pack::{Packed, pack};
use super::write::TarWriter;
use super::*;
use base::dirfd::PinnedDir;
use base::names::PlainPath;

const NAME: &str = "app-2026-11-22.tar.gz";

/// A source, an archive of the source, and a place to make it again.
struct Tree {
    root: tempfile::TempDir,
    archive: File,
    manifest: File,
}

impl Tree {
    fn new() -> Self {
        // The system's own folder may be reached through a link; the gate does not follow any.
        let base = fs::canonicalize(std::env::temp_dir()).unwrap();
        let root = tempfile::Builder::new()
            .prefix("archive")
            .tempdir_in(base)
            .unwrap();
        fs::create_dir(root.path().join("source")).unwrap();
        Self {
            root,
            archive: tempfile::tempfile().unwrap(),
            manifest: tempfile::tempfile().unwrap(),
        }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("source").join(name)
    }

    fn pinned(&self) -> PinnedDir {
        let path = self.root.path().join("source");
        PinnedDir::open(&PlainPath::parse(path.to_str().unwrap()).unwrap()).unwrap()
    }

    fn pack_watched(&self, watch: Watch<'_>) -> Result<Packed, Failure> {
        let packed = pack(&self.pinned(), NAME, &self.archive, &self.manifest, watch);
        self.rewind();
        packed
    }

    fn rewind(&self) {
        (&self.archive).rewind().unwrap();
        (&self.manifest).rewind().unwrap();
    }

    fn pack(&self) -> Packed {
        self.pack_watched(&mut quiet).unwrap()
    }

    fn check(&self) -> Result<Report, Failure> {
        let comparison = Comparison::new(&self.manifest, NAME)?;
        check(&self.archive, Some(comparison), &mut (), &mut quiet)
    }

    /// Makes the tree again, with its manifest, in a fresh directory.
    fn extract(&self) -> (PathBuf, Extracted) {
        let target = self.root.path().join("target");
        fs::create_dir(&target).unwrap();
        let comparison = Comparison::new(&self.manifest, NAME).unwrap();
        let made = extract(
            &self.archive,
            Some(comparison),
            File::open(&target).unwrap().into(),
            options(),
            &mut quiet,
        );
        (target, made.unwrap())
    }
}

fn options() -> Options {
    Options {
        owners: nix::unistd::geteuid().is_root(),
        powers: true,
        reserve: 0,
    }
}

fn quiet(_: u64) -> Result<(), Failure> {
    Ok(())
}

/// Facts that have to come back: kind, mode, owner, time, links, content, and the number of allocated blocks.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    names: u64,
    content: Vec<u8>,
}

fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    fn walk(path: &Path, below: &Path, seen: &mut BTreeMap<PathBuf, Seen>) {
        let meta = fs::symlink_metadata(path).unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec()
        } else if meta.is_file() && meta.len() < 1 << 20 {
            fs::read(path).unwrap()
        } else {
            Vec::new()
        };
        seen.insert(
            below.to_owned(),
            Seen {
                mode: meta.mode(),
                owner: (meta.uid(), meta.gid()),
                modified: (meta.mtime(), meta.mtime_nsec()),
                names: if meta.is_dir() { 1 } else { meta.nlink() },
                content,
            },
        );
        if meta.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                let name = entry.unwrap().file_name();
                walk(&path.join(&name), &below.join(&name), seen);
            }
        }
    }
    let mut seen = BTreeMap::new();
    walk(root, Path::new("."), &mut seen);
    seen
}

/// An archive of entries as they are given, with the content `content` for every file.
fn archive_of(entries: &[Entry]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for entry in entries {
        tar.entry(entry).unwrap();
        let mut left = entry.kind.stored();
        while left > 0 {
            let part = left.min(512);
            tar.content(&b"content ".repeat(64)[..usize::try_from(part).unwrap()])
                .unwrap();
            left -= part;
        }
    }
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    std::io::Write::write_all(&mut out, &tar.finish().unwrap()).unwrap();
    out.finish().unwrap()
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        kind,
        mode: 0o755,
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        modified: Moment::default(),
        attributes: Attributes::default(),
    }
}

fn directory(path: &str) -> Entry {
    entry(path, Kind::Directory)
}

fn file(path: &str) -> Entry {
    entry(path, Kind::File { size: 7 })
}

fn link(path: &str, target: &str) -> Entry {
    let target = target.as_bytes().to_vec();
    entry(path, Kind::Symlink { target })
}

fn name_of(path: &str, target: &str) -> Entry {
    let target = target.as_bytes().to_vec();
    entry(path, Kind::HardLink { target })
}

fn make(entries: &[Entry], target: &Path) -> Result<Extracted, Failure> {
    let target: OwnedFd = File::open(target).unwrap().into();
    let none: Option<Comparison<'_>> = None;
    extract(
        archive_of(entries).as_slice(),
        none,
        target,
        options(),
        &mut quiet,
    )
}
