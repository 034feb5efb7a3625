use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;
use crate::names::PlainPath;

struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        // The system's own folder may be reached through a link; the gate does not follow any.
        let base = fs::canonicalize(std::env::temp_dir()).unwrap();
        let root = tempfile::Builder::new()
            .prefix("spool")
            .tempdir_in(base)
            .unwrap();
        fs::create_dir(root.path().join("source")).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("source").join(name)
    }

    fn pinned(&self) -> PinnedDir {
        let path = self.root.path().join("source");
        PinnedDir::open(&PlainPath::parse(path.to_str().unwrap()).unwrap()).unwrap()
    }

    fn pack(&self, watch: Watch<'_>) -> Result<(Packed, File), Failure> {
        pack(&self.pinned(), tempfile::tempfile().unwrap(), watch)
    }
}

fn quiet() -> impl FnMut(u64) -> Result<(), Failure> {
    |_| Ok(())
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let tree = Tree::new();
    let long = "x".repeat(180);
    fs::write(tree.path("a"), b"hello").unwrap();
    fs::write(tree.path(&long), b"long").unwrap();
    fs::write(tree.path("").join(OsStr::from_bytes(b"odd\n\xff")), b"odd").unwrap();
    fs::create_dir(tree.path("empty")).unwrap();
    symlink("/etc/passwd", tree.path("link")).unwrap();
    let (packed, mut file) = tree.pack(&mut quiet()).unwrap();
    assert_eq!((packed.entries, packed.bytes), (6, 12));
    assert!(packed.changed.is_empty() && packed.skipped.is_empty());
    verify(file.try_clone().unwrap(), &packed, &mut quiet()).unwrap();
    file.rewind().unwrap();
    let out = tempfile::tempdir().unwrap();
    tar::Archive::new(GzDecoder::new(file))
        .unpack(out.path())
        .unwrap();
    let data = out.path().join(ROOT);
    assert_eq!(fs::read(data.join("a")).unwrap(), b"hello");
    assert_eq!(fs::read(data.join(&long)).unwrap(), b"long");
    assert_eq!(
        fs::read(data.join(OsStr::from_bytes(b"odd\n\xff"))).unwrap(),
        b"odd"
    );
    assert_eq!(
        fs::read_link(data.join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert!(data.join("empty").is_dir());
}

#[test]
fn a_socket_is_left_out_with_a_note() {
    let tree = Tree::new();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("socket")).unwrap();
    let (packed, _) = tree.pack(&mut quiet()).unwrap();
    assert_eq!(packed.skipped.to_string(), "data/socket");
}

#[test]
fn a_file_that_shrinks_or_grows_is_named() {
    for (name, size) in [("shrinks", 10), ("grows", 4 << 20)] {
        let tree = Tree::new();
        let path = tree.path(name);
        fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        let mut done = false;
        let (packed, file) = tree
            .pack(&mut |bytes| {
                if bytes > 0 && !done {
                    done = true;
                    File::options()
                        .write(true)
                        .open(&path)
                        .unwrap()
                        .set_len(size)
                        .unwrap();
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(packed.changed.to_string(), format!("data/{name}"));
        verify(file, &packed, &mut quiet()).unwrap();
    }
}

#[test]
fn a_damaged_spool_is_noticed() {
    let tree = Tree::new();
    fs::write(tree.path("a"), vec![7; 100_000]).unwrap();
    let (packed, mut file) = tree.pack(&mut quiet()).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(io::SeekFrom::Start(length - 6)).unwrap();
    file.write_all(&[0xaa]).unwrap();
    assert!(matches!(
        verify(file.try_clone().unwrap(), &packed, &mut quiet()),
        Err(Failure::Verification(_))
    ));
    file.set_len(length / 2).unwrap();
    assert!(matches!(
        verify(file, &packed, &mut quiet()),
        Err(Failure::Verification(_))
    ));
}
