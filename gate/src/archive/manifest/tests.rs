use proptest::prelude::*;

use super::*;

fn digest() -> Digest {
    crate::archive::digest::Hasher::default().finish()
}

fn totals() -> Totals {
    Totals {
        entries: 1,
        bytes: 2,
        archive_bytes: 3,
        archive: digest(),
    }
}

fn record(path: Vec<u8>, target: Option<Vec<u8>>) -> Record {
    Record {
        letter: 'f',
        mode: 0o4755,
        uid: 0,
        gid: u32::MAX,
        modified: Moment {
            seconds: -5,
            nanoseconds: 7,
        },
        size: u64::MAX,
        content: Some(digest()),
        attributes: None,
        path,
        target,
    }
}

fn written(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, "n8n-2026-11-22.tar.gz").unwrap();
    records.iter().for_each(|r| writer.record(r).unwrap());
    writer.finish(&totals()).unwrap();
    out
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let records = [
        record(b"data/a b\\\n\xff".to_vec(), None),
        record(b"data/l".to_vec(), Some(b"/etc/\x1b".to_vec())),
    ];
    let bytes = written(&records);
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    assert_eq!(reader.archive(), "n8n-2026-11-22.tar.gz");
    for record in records {
        assert_eq!(reader.record().unwrap(), Some(record));
    }
    assert_eq!(reader.record().unwrap(), None);
    assert_eq!(reader.totals(), Some(totals()));
}

#[test]
fn a_manifest_that_ends_early_or_says_more_is_refused() {
    let gzip = |text: &str| {
        let mut out = GzEncoder::new(Vec::new(), Compression::new(1));
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    };
    let all = |bytes: &[u8]| -> Result<(), Failure> {
        let mut reader = Reader::new(bytes)?;
        while reader.record()?.is_some() {}
        Ok(())
    };
    let bytes = written(&[record(b"data".to_vec(), None)]);
    all(&bytes).unwrap();
    for cut in [0, 5, 20, bytes.len() - 1] {
        assert!(all(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let end = format!("end 1 2 3 {}\n", digest());
    all(&gzip(&format!("{FIRST}x\n{end}"))).unwrap();
    for text in [
        format!("backupctl-manifest 2 x\n{end}"),
        format!("{FIRST}x\n"),
        format!("{FIRST}x\n{end}more\n"),
        format!("{FIRST}x\nend 1 2 3\n"),
        format!("{FIRST}x\nnonsense\n{end}"),
        format!("{FIRST}x\n{}", end.trim_end()),
    ] {
        assert!(all(&gzip(&text)).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn records_have_one_spelling(path in proptest::collection::vec(any::<u8>(), 1..30), target in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30))) {
        let record = record(path, target);
        let line = record.to_string();
        prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)));
        prop_assert_eq!(Record::parse(&line), Some(record));
    }

    #[test]
    fn arbitrary_lines_are_refused_or_printed_again(line in "[dfslhp] 0[0-7]{3} [0-9]{1,3} 0 -?[0-9]{1,3}\\.[0-9]{9} [0-9]{1,4} - - [ -~]{1,20}") {
        if let Some(record) = Record::parse(&line) {
            prop_assert_eq!(record.to_string(), line);
        }
    }
}
