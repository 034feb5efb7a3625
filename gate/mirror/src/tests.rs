//! Nights, written and read back: every sequence of deltas gives the tree of its last night.

use std::collections::BTreeMap;
use std::io::Cursor;

use archive::digest::Hasher;
use base::error::Failure;
use proptest::prelude::*;

use crate::books::{Catalog, Night};
use crate::chain::{Chain, Current};
use crate::complete::{Complete, Standing};
use crate::compose::Incoming;
use crate::delta::{Change, DeltaWriter};
use crate::entry::{Entry, Stored, tests::entry};
use crate::heading::{AsOf, Heading, Owner, VersionsFolder};
use crate::manifest::{ManifestReader, ManifestWriter};
use crate::names::{IncomingName, Number};
use crate::order::compare;

fn heading(delta: u32) -> Heading {
    let mut number = Number::full(1).unwrap();
    for _ in 0..delta {
        number = number.next_delta().unwrap();
    }
    Heading {
        subject: "n8n".into(),
        number,
        owner: Owner::of([7; 8]),
        as_of: AsOf::parse("2026-12-01T03:00:00Z").unwrap(),
        versions: (delta > 0).then(|| VersionsFolder::parse("2026-12-01/030000-007").unwrap()),
    }
}

fn sorted(tree: &BTreeMap<String, Entry>) -> Vec<&Entry> {
    let mut entries: Vec<&Entry> = tree.values().collect();
    entries.sort_by(|one, other| compare(&one.record.path, &other.record.path));
    entries
}

fn full(tree: &BTreeMap<String, Entry>) -> Vec<u8> {
    let mut writer = ManifestWriter::new(Vec::new(), &heading(0)).unwrap();
    for entry in sorted(tree) {
        writer.entry(entry).unwrap();
    }
    writer.finish().unwrap().0
}

/// The delta from one tree to the next; new contents come from the incoming folder.
fn difference(
    number: u32,
    before: &BTreeMap<String, Entry>,
    after: &BTreeMap<String, Entry>,
) -> Vec<u8> {
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let mut changes: Vec<Change> = gone
        .map(|path| Change::Gone(path.as_bytes().to_vec()))
        .collect();
    for (path, entry) in after {
        if before.get(path) != Some(entry) {
            let mut entry = entry.clone();
            if entry.has_content() {
                entry.stored = Stored::Incoming(IncomingName::of(entry.record.content.unwrap(), 1));
            }
            changes.push(Change::Put(entry));
        }
    }
    changes.sort_by(|one, other| compare(one.path(), other.path()));
    let mut writer = DeltaWriter::new(Vec::new(), &heading(number)).unwrap();
    changes
        .iter()
        .for_each(|change| writer.change(change).unwrap());
    writer.finish().unwrap().0
}

fn all(mut chain: Chain<'_>) -> Result<Vec<Current>, Failure> {
    let mut found = Vec::new();
    while let Some(current) = chain.entry()? {
        found.push(current);
    }
    Ok(found)
}

/// A tree of these paths, each a file with a content of this number; the directories around them are there.
fn tree(files: &BTreeMap<String, u8>) -> BTreeMap<String, Entry> {
    let mut tree = BTreeMap::from([("data".to_owned(), entry('d', "data"))]);
    for (path, content) in files {
        let path = format!("data/{path}");
        for (at, _) in path.match_indices('/') {
            let folder = &path[..at];
            tree.insert(folder.to_owned(), entry('d', folder));
        }
        let mut file = entry('f', &path);
        let mut hasher = Hasher::default();
        hasher.update(&[*content]);
        file.record.content = Some(hasher.finish());
        tree.entry(path).or_insert(file);
    }
    tree
}

fn files() -> impl Strategy<Value = BTreeMap<String, u8>> {
    // `a` and `a.b` and `a/b`: the order of components matters. A file `x` is never a directory, too.
    let path = "(a|b)(\\.c| c)?(/(a|b)(!|0)?){0,2}\\.f";
    proptest::collection::btree_map(path, 0_u8..4, 0..12)
}

proptest! {
    #[test]
    fn a_chain_gives_the_tree_of_its_last_night(nights in proptest::collection::vec(files(), 1..6)) {
        let trees: Vec<_> = nights.iter().map(tree).collect();
        let first = full(&trees[0]);
        let deltas: Vec<Vec<u8>> = trees
            .windows(2)
            .enumerate()
            .map(|(at, pair)| difference(at as u32 + 1, &pair[0], &pair[1]))
            .collect();
        let chain = Chain::new(first.as_slice(), deltas.iter().map(Vec::as_slice)).unwrap();
        let found = all(chain).unwrap();
        let last = trees.last().unwrap();
        let wanted: Vec<_> = sorted(last).into_iter().map(|entry| entry.record.clone()).collect();
        let records: Vec<_> = found.iter().map(|current| current.entry.record.clone()).collect();
        prop_assert_eq!(records, wanted);
        for current in &found {
            let old = trees.len() > 1 && trees[trees.len() - 2].values().any(|e| e.record == current.entry.record);
            prop_assert_eq!(current.is_of_last, trees.len() > 1 && !old);
            let coming = matches!(current.entry.stored, Stored::Incoming(_));
            prop_assert_eq!(coming, current.is_of_last && current.entry.has_content());
        }
    }

    #[test]
    fn a_changed_or_shortened_manifest_is_never_intact(at in 0_usize..10_000, bit in 0_u8..8, cuts in any::<bool>()) {
        let whole = full(&tree(&BTreeMap::from([("a.f".into(), 1), ("b/a.f".into(), 2)])));
        let mut bytes = whole.clone();
        let at = at % bytes.len();
        if cuts {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        let read = |bytes: &[u8]| -> Result<Vec<Entry>, Failure> {
            let mut reader = ManifestReader::new(bytes)?;
            let mut entries = Vec::new();
            while let Some(entry) = reader.entry()? {
                entries.push(entry);
            }
            Ok(entries)
        };
        // gzip's header has a time and a system, which mean nothing.
        if let Ok(entries) = read(&bytes) {
            prop_assert_eq!(entries, read(&whole).unwrap());
        }
    }
}

fn catalog(names: &[&str]) -> Catalog {
    Catalog::of("mirror.", names.iter().copied())
}

fn choose(files: &BTreeMap<&str, Vec<u8>>) -> Result<Night<Cursor<Vec<u8>>>, Vec<String>> {
    let names: Vec<&str> = files.keys().copied().collect();
    Night::choose(&catalog(&names), "n8n", |number| {
        let name = crate::names::Book::Manifest(number).name("mirror.");
        Ok(Cursor::new(files[name.as_str()].clone()))
    })
    .unwrap()
}

#[test]
fn a_last_delta_that_is_cut_off_counts_as_absent() {
    let trees = [1, 2, 3].map(|content| tree(&BTreeMap::from([("a.f".to_owned(), content)])));
    let deltas = [
        difference(1, &trees[0], &trees[1]),
        difference(2, &trees[1], &trees[2]),
    ];
    let cut = |bytes: &Vec<u8>| bytes[..bytes.len() - 3].to_vec();
    let names = [
        "mirror.manifest-000001.gz",
        "mirror.manifest-000001.0001.gz",
        "mirror.manifest-000001.0002.gz",
    ];
    let mut files = BTreeMap::from([
        (names[0], full(&trees[0])),
        (names[1], deltas[0].clone()),
        (names[2], deltas[1].clone()),
    ]);
    let night = choose(&files).unwrap();
    assert_eq!(
        (night.heading.number, night.findings.len()),
        (heading(2).number, 0)
    );
    files.insert(names[2], cut(&deltas[1]));
    let mut night = choose(&files).unwrap();
    assert_eq!(
        (night.heading.number, night.findings.len()),
        (heading(1).number, 0)
    );
    assert_eq!(all(night.entries().unwrap()).unwrap().len(), 2);
    // Twice: the files are read from their beginning.
    assert_eq!(all(night.entries().unwrap()).unwrap().len(), 2);
    // One in the middle hides the nights behind it.
    files.insert(names[1], cut(&deltas[0]));
    files.insert(names[2], deltas[1].clone());
    let night = choose(&files).unwrap();
    assert_eq!(
        (night.heading.number, night.findings.len()),
        (heading(0).number, 1)
    );
    files.insert(names[0], cut(&full(&trees[0])));
    assert_eq!(choose(&files).unwrap_err().len(), 1);
    // A new full manifest that was cut off does not hide the night before.
    files.insert(names[0], full(&trees[0]));
    files.insert(names[1], deltas[0].clone());
    files.insert(names[2], deltas[1].clone());
    files.insert("mirror.manifest-000002.gz", cut(&full(&trees[2])));
    let night = choose(&files).unwrap();
    assert_eq!(
        (night.heading.number, night.findings.len()),
        (heading(2).number, 0)
    );
    files.remove("mirror.manifest-000002.gz");
    // A gap ends the deltas.
    files.insert(names[0], full(&trees[0]));
    files.remove(names[1]);
    assert_eq!(choose(&files).unwrap().heading.number, heading(0).number);
}

#[test]
fn files_of_another_mirror_or_number_are_damaged() {
    let one = full(&tree(&BTreeMap::new()));
    let files = BTreeMap::from([("mirror.manifest-000002.gz", one.clone())]);
    assert!(choose(&files).unwrap_err()[0].contains("says that it is 000001.0000"));
    let names = catalog(&["mirror.manifest-000001.gz", "other", "mirror.complete"]);
    assert!(names.complete && names.manifests.len() == 1);
    let other = Night::choose(&names, "wiki", |_| Ok(Cursor::new(one.clone()))).unwrap();
    assert!(other.unwrap_err()[0].contains("is that of n8n"));
}

#[test]
fn a_result_that_is_no_tree_is_damaged() {
    let trees = [
        tree(&BTreeMap::from([("a/b.f".to_owned(), 1)])),
        tree(&BTreeMap::new()),
    ];
    let first = full(&trees[0]);
    for changes in [
        // The directory goes, its content stays.
        vec![Change::Gone(b"data/a".to_vec())],
        vec![Change::Gone(b"data/c".to_vec())],
        vec![Change::Put(entry('f', "data/b/c"))],
        vec![Change::Put(entry('f', "data/a"))],
    ] {
        let mut writer = DeltaWriter::new(Vec::new(), &heading(1)).unwrap();
        changes
            .iter()
            .for_each(|change| writer.change(change).unwrap());
        let delta = writer.finish().unwrap().0;
        let chain = Chain::new(first.as_slice(), [delta.as_slice()]).unwrap();
        assert!(all(chain).is_err(), "{changes:?}");
    }
    let twice = difference(1, &trees[0], &trees[1]);
    let mut writer = DeltaWriter::new(Vec::new(), &heading(2)).unwrap();
    writer
        .change(&Change::Gone(b"data/a/b.f".to_vec()))
        .unwrap();
    let again = writer.finish().unwrap().0;
    let chain = Chain::new(first.as_slice(), [twice.as_slice(), &again]).unwrap();
    assert!(all(chain).is_err());
    assert!(Chain::new(first.as_slice(), [again.as_slice()]).is_err());
}

#[test]
fn writers_refuse_disorder() {
    let mut writer = ManifestWriter::new(Vec::new(), &heading(0)).unwrap();
    writer.entry(&entry('d', "data")).unwrap();
    writer.entry(&entry('f', "data/b")).unwrap();
    assert!(writer.entry(&entry('f', "data/a")).is_err());
    let mut coming = entry('f', "data/c");
    coming.stored = Stored::Incoming(IncomingName::of(Hasher::default().finish(), 1));
    assert!(writer.entry(&coming).is_err());
    assert!(ManifestWriter::new(Vec::new(), &heading(1)).is_err());
    assert!(DeltaWriter::new(Vec::new(), &heading(0)).is_err());
}

#[test]
fn one_listing_decides_where_a_content_is() {
    let name = IncomingName::of(Hasher::default().finish(), 2);
    let mut entry = entry('f', "data/a");
    entry.stored = Stored::Incoming(name.clone());
    let mut current = Current {
        entry,
        is_of_last: true,
    };
    let listing = Incoming::of([(name.as_str(), 3), ("other", 3)]);
    assert_eq!(listing.place(&current), Stored::Incoming(name.clone()));
    assert_eq!(Incoming::default().place(&current), Stored::Data);
    // One of another size was cut off.
    assert_eq!(
        Incoming::of([(name.as_str(), 2)]).place(&current),
        Stored::Data
    );
    let first = IncomingName::of(Hasher::default().finish(), 1);
    assert_eq!(
        Incoming::of([(first.as_str(), 3)]).place(&current),
        Stored::Data
    );
    current.is_of_last = false;
    assert_eq!(listing.place(&current), Stored::Data);
}

#[test]
fn the_complete_file_settles_a_night() {
    let files = BTreeMap::from([("mirror.manifest-000001.gz", full(&tree(&BTreeMap::new())))]);
    let night = choose(&files).unwrap();
    let mut complete = Complete {
        subject: "n8n".into(),
        owner: Owner::of([7; 8]),
        standing: Standing::Complete {
            number: night.heading.number,
            manifest: night.digest,
            as_of: night.heading.as_of,
        },
        written: night.heading.as_of,
    };
    assert!(night.is_settled(Some(&complete)) && !night.is_disputed(Some(&complete)));
    assert!(!night.is_settled(None) && !night.is_disputed(None));
    complete.standing = Standing::Complete {
        number: night.heading.number,
        manifest: Hasher::default().finish(),
        as_of: night.heading.as_of,
    };
    assert!(!night.is_settled(Some(&complete)) && night.is_disputed(Some(&complete)));
}

#[test]
fn a_whole_delta_that_cannot_be_read_is_a_finding() {
    let trees = [1, 2].map(|content| tree(&BTreeMap::from([("a.f".to_owned(), content)])));
    let delta = difference(1, &trees[0], &trees[1]);
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::MultiGzDecoder::new(delta.as_slice()),
        &mut text,
    )
    .unwrap();
    let lines = text.rsplit_once("end ").unwrap().0;
    for changed in [
        lines.replace("delta 1", "delta 2"),
        lines.replace(" in=incoming", " at=5 in=incoming"),
        lines.replace("000001.0001", "000001.0002"),
    ] {
        let mut hasher = Hasher::default();
        hasher.update(changed.as_bytes());
        let whole = format!("{changed}end 1 0 3 {}\n", hasher.finish());
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
        std::io::Write::write_all(&mut packed, whole.as_bytes()).unwrap();
        let files = BTreeMap::from([
            ("mirror.manifest-000001.gz", full(&trees[0])),
            ("mirror.manifest-000001.0001.gz", packed.finish().unwrap()),
        ]);
        let night = choose(&files).unwrap();
        assert_eq!(
            (night.heading.number, night.findings.len()),
            (heading(0).number, 1),
            "{changed}"
        );
    }
}
