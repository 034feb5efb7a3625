//! A packed tree comes back unchanged.

use proptest::prelude::*;

use super::*;

#[test]
fn a_tree_comes_back_as_it_was() {
    let tree = Tree::new();
    let long = "x".repeat(250);
    let deep = format!("{}/{}", "d".repeat(200), "e".repeat(200));
    fs::create_dir_all(tree.path(&deep)).unwrap();
    for name in ["a", long.as_str(), &format!("{deep}/f"), "é", "zero"] {
        fs::write(tree.path(name), name).unwrap();
    }
    fs::write(tree.path("zero"), "").unwrap();
    fs::write(tree.path(OsStr::from_bytes(b"odd\n\xff =\\")), "odd").unwrap();
    fs::write(
        tree.path(OsStr::from_bytes(&[&b"\xff"[..], &[b'y'; 200]].concat())),
        "long and odd",
    )
    .unwrap();
    fs::create_dir(tree.path("empty")).unwrap();
    fs::set_permissions(tree.path("empty"), fs::Permissions::from_mode(0o2711)).unwrap();
    fs::set_permissions(tree.path("a"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("/etc/passwd", tree.path("link")).unwrap();
    symlink("t".repeat(300), tree.path("long link")).unwrap();
    fs::hard_link(tree.path("a"), tree.path("b")).unwrap();
    fs::hard_link(tree.path("a"), tree.path(&deep).join("c")).unwrap();
    nix::unistd::mkfifo(&tree.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let old = Moment {
        seconds: -2,
        nanoseconds: 250_000_000,
    };
    let old = nix::sys::time::TimeSpec::new(old.seconds, old.nanoseconds.into());
    let file = File::open(tree.path(&long)).unwrap();
    nix::sys::stat::futimens(&file, &old, &old).unwrap();
    let holes = File::create(tree.path("holes")).unwrap();
    holes.set_len(1 << 30).unwrap();
    holes.write_all_at(b"in the middle", 500 << 20).unwrap();

    let packed = tree.pack();
    assert_eq!(packed.notes, pack::Notes::default());
    let report = tree.check().unwrap();
    assert_eq!(report.differences, Some(check::Differences::default()));
    assert_eq!(report.entries, packed.totals.entries);
    assert!(report.archive_bytes < 1 << 20);
    tree.rewind();
    let (target, made) = tree.extract();
    assert!(made.report.differences.unwrap().is_empty());
    assert!(made.skipped.is_empty() && made.attributes.is_empty());
    let mut expected = look(&tree.path(""));
    if !options().owners {
        // Who is not root gives no file away, and so gets no setuid either.
        for seen in expected.values_mut() {
            seen.mode &= !0o6000;
        }
    }
    assert_eq!(look(&target), expected);
    let again = File::open(target.join("holes")).unwrap();
    let mut middle = [0; 13];
    again.read_exact_at(&mut middle, 500 << 20).unwrap();
    assert_eq!(&middle, b"in the middle");
    let allocated = |path: PathBuf| fs::metadata(path).unwrap().blocks();
    assert_eq!(
        allocated(target.join("holes")),
        allocated(tree.path("holes"))
    );
}

#[test]
fn two_archives_of_one_tree_are_the_same() {
    let tree = Tree::new();
    for number in 0..500 {
        fs::write(tree.path(format!("{number}")), number.to_string()).unwrap();
    }
    let first = tree.pack().totals;
    let other = tempfile::tempfile().unwrap();
    let second = pack(
        &tree.pinned(),
        NAME,
        &other,
        &tempfile::tempfile().unwrap(),
        &mut quiet,
    );
    assert_eq!(second.unwrap().totals, first);
}

#[test]
fn a_socket_is_left_out_with_a_note() {
    let tree = Tree::new();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("socket")).unwrap();
    assert_eq!(tree.pack().notes.skipped.to_string(), "data/socket");
}

#[test]
fn what_is_deeper_than_the_limit_is_refused_and_what_is_not_comes_back() {
    let tree = Tree::new();
    let mut path = tree.path("");
    for _ in 0..MAX_DEPTH {
        path.push("d");
        fs::create_dir(&path).unwrap();
    }
    fs::write(path.join("file"), "deep").unwrap();
    tree.pack();
    let (target, _) = tree.extract();
    assert_eq!(look(&target), look(&tree.path("")));
    fs::create_dir(path.join("d")).unwrap();
    let failure = tree.pack_watched(&mut quiet).unwrap_err();
    assert!(failure.to_string().contains("deep"), "{failure}");
    let failure = estimate::estimate(&tree.pinned(), &mut quiet).unwrap_err();
    assert!(failure.to_string().contains("deep"), "{failure}");
}

#[test]
fn the_estimate_is_above_what_is_packed_and_not_far() {
    let tree = Tree::new();
    let mut noise = vec![0; 3 << 20];
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut noise)
        .unwrap();
    fs::write(tree.path("noise"), noise).unwrap();
    for number in 0..300 {
        fs::write(tree.path(format!("{number:0200}")), "small").unwrap();
    }
    let holes = File::create(tree.path("holes")).unwrap();
    holes.set_len(1 << 40).unwrap();
    let estimate = estimate::estimate(&tree.pinned(), &mut quiet).unwrap();
    let packed = tree.pack();
    let took = packed.totals.archive_bytes + tree.manifest.metadata().unwrap().len();
    assert!(estimate.bound > took, "{estimate:?}, {took}");
    assert!(estimate.bound < took + (2 << 20), "{estimate:?}, {took}");
    assert_eq!(estimate.entries, packed.totals.entries);
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(1_u8..=255, 1..40).prop_filter("a plain name", |name| {
        !name.contains(&b'/') && name != b"." && name != b".."
    })
}

#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>, u32),
    Hole(u64, Vec<u8>),
    Link(Vec<u8>),
    Folder(Vec<(Vec<u8>, Node)>),
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        (
            proptest::collection::vec(any::<u8>(), 0..2000),
            0o400_u32..0o1000
        )
            .prop_map(|(content, mode)| Node::File(content, mode | 0o400)),
        (
            0_u64..1 << 22,
            proptest::collection::vec(any::<u8>(), 0..10)
        )
            .prop_map(|(at, content)| Node::Hole(at, content)),
        proptest::collection::vec(1_u8..=255, 1..200).prop_map(Node::Link),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        proptest::collection::vec((name(), inner), 0..5).prop_map(Node::Folder)
    })
}

fn plant(path: &Path, node: &Node) {
    match node {
        Node::File(content, mode) => {
            fs::write(path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        Node::Hole(at, content) => {
            let file = File::create(path).unwrap();
            file.write_all_at(content, *at).unwrap();
            file.set_len(at + 5000).unwrap();
        }
        Node::Link(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
        Node::Folder(nodes) => {
            fs::create_dir(path).unwrap();
            for (name, node) in nodes {
                let path = path.join(OsStr::from_bytes(name));
                if path.symlink_metadata().is_err() {
                    plant(&path, node);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_is_packed_is_made_again(nodes in proptest::collection::vec((name(), node()), 0..6)) {
        let tree = Tree::new();
        fs::remove_dir(tree.path("")).unwrap();
        plant(&tree.path(""), &Node::Folder(nodes));
        let packed = tree.pack();
        prop_assert!(packed.notes == pack::Notes::default());
        let (target, made) = tree.extract();
        prop_assert!(made.report.differences.unwrap().is_empty());
        let mut expected = look(&tree.path(""));
        if !options().owners {
            expected.values_mut().for_each(|seen| seen.mode &= !0o6000);
        }
        prop_assert_eq!(look(&target), expected);
    }
}
