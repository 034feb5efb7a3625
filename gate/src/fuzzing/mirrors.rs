//! The books of a mirror as a remote gives them back: manifests, deltas and the file `complete`.
//!
//! Invariant: for any bytes, a book that is read has one spelling, and a night made of books is a tree.

use std::io::{Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use mirror::chain::Chain;
use mirror::complete::Complete;
use mirror::delta::{DeltaReader, DeltaWriter};
use mirror::manifest::{ManifestReader, ManifestWriter};

use super::held::must;

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), flate2::Compression::none());
    must(out.write_all(bytes));
    must(out.finish())
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    must(MultiGzDecoder::new(bytes).read_to_end(&mut text));
    text
}

/// A manifest, a delta or a `complete` file, before it is compressed.
pub fn mirror_books(bytes: &[u8]) {
    if let Ok(complete) = Complete::parse(bytes) {
        assert_eq!(complete.to_string().as_bytes(), bytes);
    }
    let packed = gzipped(bytes);
    full(bytes, &packed);
    difference(bytes, &packed);
}

fn full(bytes: &[u8], packed: &[u8]) {
    let Ok(mut reader) = ManifestReader::new(packed) else {
        return;
    };
    let mut writer = must(ManifestWriter::new(Vec::new(), reader.heading()));
    loop {
        match reader.entry() {
            Ok(Some(entry)) => must(writer.entry(&entry)),
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let (printed, totals) = must(writer.finish());
    assert_eq!(unpacked(&printed), bytes);
    assert_eq!(reader.totals(), Some(totals));
    let mut chain = must(Chain::new(packed, []));
    let mut folders = vec![];
    while let Ok(Some(current)) = chain.entry() {
        let record = current.entry.record;
        let parent = record.path.rsplitn(2, |&byte| byte == b'/').nth(1);
        assert!(parent.is_none_or(|parent| folders.iter().any(|folder| folder == parent)));
        if record.letter == 'd' {
            folders.push(record.path);
        }
    }
}

fn difference(bytes: &[u8], packed: &[u8]) {
    let Ok(mut reader) = DeltaReader::new(packed) else {
        return;
    };
    let mut writer = must(DeltaWriter::new(Vec::new(), reader.heading()));
    loop {
        match reader.change() {
            Ok(Some(change)) => must(writer.change(&change)),
            Ok(None) => break,
            Err(_) => return,
        }
    }
    let (printed, counts) = must(writer.finish());
    assert_eq!(unpacked(&printed), bytes);
    assert_eq!(reader.counts(), Some(counts));
}
