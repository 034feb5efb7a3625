//! Archives and manifests as a remote gives them back.
//!
//! Invariant: for any bytes, no file is made outside of the target, and no check passes for missing content.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::held::must;
use archive::check::{Comparison, Report, check};
use archive::entry::Kind;
use archive::extract::{Options, extract};
use archive::manifest::{Line, Reader, Writer};
use archive::read::Entries;
use base::error::Failure;

/// The block of a tar archive.
const BLOCK: u64 = 512;

fn quiet(_: u64) -> Result<(), Failure> {
    Ok(())
}

/// As it would have to look for a fuzzer to get beyond the checksum.
fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), flate2::Compression::none());
    must(std::io::Write::write_all(&mut out, bytes));
    must(out.finish())
}

/// A tar archive, entry by entry.
pub fn tar_read(bytes: &[u8]) {
    let length = bytes.len() as u64;
    let mut entries = Entries::new(bytes);
    let (mut count, mut passed) = (0, 0);
    while let Ok(Some(entry)) = entries.next(&mut quiet) {
        count += 1;
        assert!(count * BLOCK <= length, "more entries than headers");
        let size = match entry.kind {
            Kind::File { size } | Kind::Sparse { size, .. } => size,
            _ => u64::MAX,
        };
        let mut at = 0;
        let content = entries.content(&mut quiet, &mut |piece| {
            let end = piece.offset + piece.bytes.len() as u64;
            assert!(piece.offset >= at && end <= size, "{entry:?}");
            at = end;
            passed += piece.bytes.len() as u64;
            Ok(())
        });
        assert!(passed <= length, "more content than bytes");
        if content.is_err() {
            return;
        }
    }
}

/// A tar archive, made into a tree.
pub fn tar_extract(bytes: &[u8]) {
    let place = TargetFolder::new();
    let none: Option<Comparison<'_>> = None;
    let options = Options {
        owners: false,
        powers: false,
        reserve: 0,
    };
    let target: OwnedFd = must(File::open(place.0.join("target"))).into();
    let archive = gzipped(bytes);
    let made = extract(archive.as_slice(), none, target, options, &mut quiet);
    place.is_untouched();
    let none: Option<Comparison<'_>> = None;
    let checked = check(archive.as_slice(), none, &mut (), &mut quiet);
    // An archive that can be extracted can be verified, and is the same archive.
    if let Ok(made) = made {
        assert_eq!(must(checked), made.report);
    }
}

/// A folder with a target, and a file beside it that must stay untouched.
struct TargetFolder(PathBuf);

impl TargetFolder {
    fn new() -> Self {
        let name = format!("backupctl-fuzzing-{}", std::process::id());
        let place = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&place.0);
        must(fs::create_dir_all(place.0.join("target")));
        must(fs::write(place.0.join("secret"), "secret"));
        place
    }

    fn is_untouched(&self) {
        let names = |folder: &Path| must(fs::read_dir(folder)).count();
        assert_eq!(names(&self.0), 2, "something was made beside the target");
        let secret = self.0.join("secret");
        assert_eq!(must(fs::read_to_string(&secret)), "secret");
        use std::os::unix::fs::MetadataExt;
        assert_eq!(must(fs::metadata(&secret)).nlink(), 1);
    }
}

impl Drop for TargetFolder {
    fn drop(&mut self) {
        open_up(&self.0);
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Modes come from the archive, and the fuzzer may not run as root.
fn open_up(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// A manifest, before it is compressed.
pub fn manifest(bytes: &[u8]) {
    let packed = gzipped(bytes);
    let Ok(mut reader) = Reader::new(packed.as_slice()) else {
        return;
    };
    let name = reader.archive().to_owned();
    let version = reader.version();
    let (mut records, mut members) = (Vec::new(), Vec::new());
    loop {
        match reader.next_line() {
            Ok(Some(Line::Entry(record))) => records.push(record),
            Ok(Some(Line::Member(member))) => members.push(member),
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let Some(totals) = reader.totals() else {
        unreachable!("a manifest ended without its last line");
    };
    // Print the parsed value: the same bytes.
    let mut printed = Vec::new();
    let mut writer = must(Writer::of_version(&mut printed, &name, version));
    for record in &records {
        must(writer.record(record));
    }
    for member in members {
        must(writer.member(member));
    }
    must(writer.finish(&totals));
    let mut again = Vec::new();
    must(MultiGzDecoder::new(printed.as_slice()).read_to_end(&mut again));
    assert_eq!(again, bytes);
    // It also agrees with a correct archive.
    let mut comparison = must(Comparison::new(packed.as_slice(), &name));
    for record in records {
        must(comparison.saw(record));
    }
    let report = Report {
        entries: totals.entries,
        files: 0,
        bytes: totals.bytes,
        archive_bytes: totals.archive_bytes,
        archive: totals.archive,
        differences: None,
    };
    let differences = must(comparison.finish(&report));
    assert!(differences.is_empty(), "{differences:?}");
}
