use proptest::prelude::*;

use super::*;
use crate::acl;
use crate::entry::{Attributes, Moment};

fn digest() -> Digest {
    crate::digest::Hasher::default().finish()
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
        gid: u32::MAX - 1,
        modified: Moment {
            seconds: -5,
            nanoseconds: 7,
        },
        size: u64::MAX >> 1,
        content: Some(digest()),
        attributes: NotedAttributes::All(Attributes(vec![
            (
                b"system.posix_acl_access".to_vec(),
                acl::to_binary(b"user::rw-,user:1:r--,group::r--,mask::rw-,other::---").unwrap(),
            ),
            (b"user.a=b \\".to_vec(), b"\0 = \\\xff".to_vec()),
            (b"user.empty".to_vec(), Vec::new()),
        ])),
        path,
        target,
        at: Some(512),
        hash: Some(RemoteHash {
            kind: "quickxor".into(),
            value: "00ff".into(),
        }),
    }
}

fn written(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, "n8n-2026-11-22.tar.gz").unwrap();
    records.iter().for_each(|r| writer.record(r).unwrap());
    for (offset, at) in [(0, 0), (90, 524_288)] {
        writer.member(Member { offset, at }).unwrap();
    }
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
    assert_eq!(reader.version(), Version::Two);
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
    const FIRST: &str = "backupctl-manifest 2 ";
    let members = "member 0 0\nmember 9 524288\n";
    all(&gzip(&format!("{FIRST}x\n{end}"))).unwrap();
    all(&gzip(&format!("{FIRST}x\n{members}{end}"))).unwrap();
    let entry = "d 0755 0 0 0.000000000 0 - data";
    for text in [
        format!("backupctl-manifest 3 x\n{end}"),
        format!("backupctl-manifest 1 x\n{members}{end}"),
        format!("{FIRST}x\n{members}{entry}\n{end}"),
        format!("{FIRST}x\nmember 5 0\n{end}"),
        format!("{FIRST}x\nmember 0 0\nmember 0 5\n{end}"),
        format!("{FIRST}x\nmember 00 0\n{end}"),
        format!("{FIRST}x\n{entry} other=1\n{end}"),
        format!("{FIRST}x\n{entry} at=01\n{end}"),
        format!("{FIRST}x\n{entry} at=1 to=x\n{end}"),
        format!("{FIRST}x\n{entry} hash=sha1:XY\n{end}"),
        format!("{FIRST}x\n{entry} acl=user:daemon:rwx\n{end}"),
        format!("{FIRST}x\n"),
        format!("{FIRST}x\n{end}more\n"),
        format!("{FIRST}x\nend 1 2 3\n"),
        format!("{FIRST}x\nnonsense\n{end}"),
        format!("{FIRST}x\n{}", end.trim_end()),
        // No owner: chown(2) would leave root as the owner.
        format!(
            "{FIRST}x\n{}\n{end}",
            entry.replace(" 0 0 ", " 4294967295 0 ")
        ),
        format!(
            "{FIRST}x\n{}\n{end}",
            entry.replace(" 0 0 ", " 0 4294967295 ")
        ),
    ] {
        assert!(all(&gzip(&text)).is_err(), "{text}");
    }
}

#[test]
fn version_one_is_read_as_it_was_written() {
    let mut record = record(b"data/a b".to_vec(), Some(b"x".to_vec()));
    record.attributes = NotedAttributes::Digest(Some(digest()));
    record.at = None;
    record.hash = None;
    let mut out = Vec::new();
    let mut writer = Writer::of_version(&mut out, "n8n-2026-11-22.tar.gz", Version::One).unwrap();
    writer.record(&record).unwrap();
    writer.finish(&totals()).unwrap();
    let mut reader = Reader::new(out.as_slice()).unwrap();
    assert_eq!(reader.version(), Version::One);
    assert_eq!(reader.record().unwrap(), Some(record));
    assert_eq!(reader.record().unwrap(), None);
}

proptest! {
    #[test]
    fn records_have_one_spelling(path in proptest::collection::vec(any::<u8>(), 1..30), target in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30))) {
        let record = record(path, target);
        let line = record.line(Version::Two);
        prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)));
        prop_assert_eq!(Record::parse(&line, Version::Two), Some(record));
    }

    #[test]
    fn arbitrary_lines_are_refused_or_printed_again(line in "[dfslhp] 0[0-7]{3} [0-9]{1,3} 0 -?[0-9]{1,3}\\.[0-9]{9} [0-9]{1,4} - (- )?(at=[0-9]{1,3} )?[ -~]{1,20}") {
        for version in Version::ALL {
            if let Some(record) = Record::parse(&line, version) {
                prop_assert_eq!(record.line(version), line.as_str());
            }
        }
    }
}
