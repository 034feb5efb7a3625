//! No archive makes anything outside of its target.

use proptest::prelude::*;

use super::*;

#[test]
fn a_hostile_archive_makes_nothing_outside_of_its_target() {
    let root = directory("data");
    for (what, entries) in [
        ("nothing", vec![]),
        ("no root", vec![file("data/a")]),
        ("two roots", vec![root.clone(), directory("data")]),
        ("a root that is a file", vec![file("data")]),
        ("a root that is a link", vec![link("data", "/tmp")]),
        ("another root", vec![root.clone(), file("other/a")]),
        ("an absolute path", vec![root.clone(), file("/data/a")]),
        ("a path upwards", vec![root.clone(), file("data/../a")]),
        (
            "a path upwards at its end",
            vec![root.clone(), directory("data/..")],
        ),
        ("a dot", vec![root.clone(), file("data/./a")]),
        (
            "a file through a link",
            vec![root.clone(), link("data/l", ".."), file("data/l/a")],
        ),
        (
            "a file through an absolute link",
            vec![root.clone(), link("data/l", "OUTSIDE"), file("data/l/a")],
        ),
        (
            "a file onto a link",
            vec![root.clone(), link("data/l", "OUTSIDE/a"), file("data/l")],
        ),
        (
            "a directory onto a link",
            vec![root.clone(), link("data/l", "OUTSIDE"), directory("data/l")],
        ),
        (
            "a link onto a directory",
            vec![root.clone(), directory("data/d"), link("data/d", "OUTSIDE")],
        ),
        (
            "another name of a file outside",
            vec![root.clone(), name_of("data/a", "../secret")],
        ),
        (
            "another name of an absolute path",
            vec![root.clone(), name_of("data/a", "OUTSIDE/secret")],
        ),
        (
            "another name through a link",
            vec![
                root.clone(),
                link("data/l", "OUTSIDE"),
                name_of("data/a", "data/l/secret"),
            ],
        ),
        (
            "another name of a link",
            vec![
                root.clone(),
                link("data/l", "OUTSIDE/secret"),
                name_of("data/a", "data/l"),
            ],
        ),
        (
            "another name of a directory",
            vec![
                root.clone(),
                directory("data/d"),
                name_of("data/a", "data/d"),
            ],
        ),
        (
            "another name of the root",
            vec![root.clone(), name_of("data/a", "data")],
        ),
        (
            "a file twice",
            vec![root.clone(), file("data/a"), file("data/a")],
        ),
        (
            "a file below a file",
            vec![root.clone(), file("data/a"), file("data/a/b")],
        ),
        (
            "a file before its directory",
            vec![root.clone(), file("data/d/a")],
        ),
    ] {
        let place = tempfile::tempdir().unwrap();
        let (outside, target) = (place.path().join("outside"), place.path().join("target"));
        fs::create_dir(&outside).unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        let before = look(&outside);
        let mut entries = entries;
        for entry in &mut entries {
            if let Kind::Symlink { target } | Kind::HardLink { target } = &mut entry.kind {
                let text = String::from_utf8(target.clone()).unwrap();
                *target = text
                    .replace("OUTSIDE", outside.to_str().unwrap())
                    .into_bytes();
            }
        }
        let failure = make(&entries, &target).expect_err(what);
        assert!(
            matches!(failure, Failure::Verification(_) | Failure::Io { .. }),
            "{what}: {failure}"
        );
        assert_eq!(look(&outside), before, "{what}");
        let beside: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
        assert_eq!(beside.len(), 2, "{what}");
    }
}

#[test]
fn a_device_is_not_made() {
    let place = tempfile::tempdir().unwrap();
    let device = Kind::Other {
        letter: b'3',
        stored: 0,
    };
    let made = make(
        &[directory("data"), entry("data/sda", device)],
        place.path(),
    )
    .unwrap();
    assert_eq!(made.skipped.to_string(), "data/sda");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_making_stops_before_the_disk_is_full() {
    let place = tempfile::tempdir().unwrap();
    let none: Option<Comparison<'_>> = None;
    let options = Options {
        reserve: u64::MAX >> 1,
        ..options()
    };
    let archive = archive_of(&[directory("data"), file("data/a")]);
    let target = File::open(place.path()).unwrap().into();
    let failure = extract(archive.as_slice(), none, target, options, &mut quiet).unwrap_err();
    assert!(matches!(failure, Failure::NoSpace(_)), "{failure}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

proptest! {
    #[test]
    fn arbitrary_bytes_make_nothing_and_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..3000), cut in 0_usize..2000) {
        let none: Option<Comparison<'_>> = None;
        prop_assert!(check(bytes.as_slice(), none, &mut (), &mut quiet).is_err());
        // As the tar inside.
        let whole = archive_of(&[directory("data"), file("data/a")]);
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(whole.as_slice()).read_to_end(&mut tar).unwrap();
        let at = cut.min(tar.len());
        let end = (at + bytes.len()).min(tar.len());
        tar[at..end].copy_from_slice(&bytes[..end - at]);
        let mut entries = read::Entries::new(tar.as_slice());
        while let Ok(Some(_)) = entries.next(&mut quiet) {}
    }
}
