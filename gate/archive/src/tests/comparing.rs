//! An archive that is not as it was packed is noticed, and where.

use super::*;

#[test]
fn a_damaged_archive_is_noticed_wherever_that_is() {
    let tree = Tree::new();
    for number in 0..50 {
        fs::write(tree.path(format!("{number}")), vec![7; 1000 * number]).unwrap();
    }
    let packed = tree.pack();
    let mut bytes = Vec::new();
    (&tree.archive).read_to_end(&mut bytes).unwrap();
    let read = |bytes: &[u8]| {
        tree.rewind();
        let comparison = Comparison::new(&tree.manifest, NAME)?;
        let report = check(bytes, Some(comparison), &mut (), &mut quiet)?;
        report.differences.unwrap().insist()
    };
    read(&bytes).unwrap();
    let length = usize::try_from(packed.totals.archive_bytes).unwrap();
    for at in (0..length).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let failure = read(&damaged).unwrap_err();
        assert!(
            matches!(failure, Failure::Verification(_)),
            "{at}: {failure}"
        );
        let failure = read(&bytes[..at]).unwrap_err();
        assert!(
            matches!(failure, Failure::Verification(_)),
            "{at}: {failure}"
        );
    }
    let twice = [bytes.clone(), bytes].concat();
    assert!(read(&twice).is_err());
}

/// The manifest of an archive of these entries.
fn manifest_of(entries: &[Entry], archive: &[u8]) -> Vec<u8> {
    let none: Option<Comparison<'_>> = None;
    let report = check(archive, none, &mut (), &mut quiet).unwrap();
    let mut content = digest::Hasher::default();
    content.update(b"content");
    let content = content.finish();
    let mut out = Vec::new();
    let mut writer = manifest::Writer::new(&mut out, NAME).unwrap();
    for entry in entries {
        let record = manifest::Record {
            at: None,
            ..manifest::Record::of(entry, content, 0)
        };
        writer.record(&record).unwrap();
    }
    writer
        .finish(&manifest::Totals {
            entries: report.entries,
            bytes: report.bytes,
            archive_bytes: report.archive_bytes,
            archive: report.archive,
        })
        .unwrap();
    out
}

#[test]
fn what_is_missing_extra_or_different_is_told_apart() {
    let entries: Vec<Entry> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| file(&format!("data/{name}")))
        .collect();
    let compare = |noted: &[Entry], found: &[Entry]| {
        let rooted = |entries: &[Entry]| [&[directory("data")], entries].concat();
        let (noted, found) = (&rooted(noted), &rooted(found));
        let manifest = manifest_of(noted, &archive_of(noted));
        let comparison = Comparison::new(manifest.as_slice(), NAME).unwrap();
        let archive = archive_of(found);
        let report = check(archive.as_slice(), Some(comparison), &mut (), &mut quiet).unwrap();
        report.differences.unwrap()
    };
    assert!(compare(&entries, &entries).is_empty());
    let missing = compare(&entries, &[&entries[..2], &entries[3..]].concat());
    assert_eq!(missing.missing.to_string(), "data/c");
    assert!(missing.different.is_empty() && missing.extra.is_empty() && missing.whole.count > 0);
    let extra = compare(&[&entries[..2], &entries[3..]].concat(), &entries);
    assert_eq!(extra.extra.to_string(), "data/c");
    assert!(extra.different.is_empty() && extra.missing.is_empty());
    let turned: Vec<Entry> = entries.iter().rev().cloned().collect();
    let turned = compare(&entries, &turned);
    assert!(turned.missing.is_empty() && turned.extra.is_empty() && turned.different.is_empty());
    assert!(!turned.is_empty());
    let mut other = entries.clone();
    other[1].mode = 0o4755;
    other[2].kind = Kind::File { size: 6 };
    other[3].uid += 1;
    let different = compare(&entries, &other).different;
    assert_eq!(
        different.to_string(),
        "data/b (mode), data/c (content), data/d (owner)"
    );
}

#[test]
fn a_manifest_of_another_archive_is_noticed() {
    let entries = [directory("data")];
    let archive = archive_of(&entries);
    let manifest = manifest_of(&entries, &archive);
    let comparison = Comparison::new(manifest.as_slice(), "app-2026-11-23.tar.gz").unwrap();
    let report = check(archive.as_slice(), Some(comparison), &mut (), &mut quiet).unwrap();
    let failure = report.differences.unwrap().insist().unwrap_err();
    assert!(failure.to_string().contains(NAME), "{failure}");
}

#[test]
fn a_copy_is_handed_over_on_its_way() {
    struct Copies(Vec<(String, Vec<u8>)>);
    impl check::Inspector for Copies {
        fn wants(&mut self, entry: &Entry, head: &[u8]) -> Result<Option<File>, Failure> {
            let wanted = entry.path.ends_with(b".db") && head.starts_with(b"SQLite");
            Ok(wanted.then(|| tempfile::tempfile().unwrap()))
        }
        fn received(&mut self, entry: &Entry, mut copy: File) -> Result<(), Failure> {
            let mut content = Vec::new();
            copy.rewind().unwrap();
            copy.read_to_end(&mut content).unwrap();
            self.0.push((entry.display().to_string(), content));
            Ok(())
        }
    }
    let tree = Tree::new();
    fs::write(tree.path("a.db"), "SQLite whole").unwrap();
    fs::write(tree.path("b.db"), "something else").unwrap();
    let holes = File::create(tree.path("c.db")).unwrap();
    holes.write_all_at(b"SQLite", 0).unwrap();
    holes.set_len(200_000).unwrap();
    tree.pack();
    let mut copies = Copies(Vec::new());
    let none: Option<Comparison<'_>> = None;
    check(&tree.archive, none, &mut copies, &mut quiet).unwrap();
    assert_eq!(copies.0[0], ("data/a.db".into(), b"SQLite whole".to_vec()));
    assert_eq!((copies.0.len(), copies.0[1].1.len()), (2, 200_000));
}
