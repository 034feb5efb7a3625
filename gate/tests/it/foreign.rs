//! Archives that other tools made come back as data, or are refused; diff(1) compares the trees.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::check::Comparison;
use archive::extract::{Options, extract};
use base::error::Failure;

use crate::harness::{World, have, have_rclone, is_root};
use crate::restore::restored;

struct Place(tempfile::TempDir);

impl Place {
    /// A service's folder with data in it.
    fn new() -> Self {
        let base = fs::canonicalize(std::env::temp_dir()).unwrap();
        let place = Self(
            tempfile::Builder::new()
                .prefix("foreign")
                .tempdir_in(base)
                .unwrap(),
        );
        let data = place.data();
        fs::create_dir_all(data.join("folder/empty")).unwrap();
        fs::write(data.join("file"), "content").unwrap();
        fs::write(data.join("folder").join("l".repeat(180)), "long").unwrap();
        symlink("../file", data.join("folder/link")).unwrap();
        fs::hard_link(data.join("file"), data.join("folder/same")).unwrap();
        let holes = File::create(data.join("holes")).unwrap();
        for number in 0..40 {
            holes.write_all_at(b"some", number << 17).unwrap();
        }
        holes.set_len(8 << 20).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("srv/n8n/data")
    }

    /// An archive that a program makes with these words.
    fn archive(&self, program: &str, words: &[&str]) -> PathBuf {
        let path = self.path("archive.tar.gz");
        let done = Command::new(program)
            .arg("-czf")
            .arg(&path)
            .args(words)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{program} {words:?}: {said}");
        path
    }

    /// Makes the tree of an archive.
    fn made(&self, archive: &Path) -> Result<PathBuf, Failure> {
        let target = self.path("target");
        let _ = fs::remove_dir_all(&target);
        fs::create_dir(&target).unwrap();
        let none: Option<Comparison<'_>> = None;
        let options = Options {
            owners: is_root(),
            powers: false,
            reserve: 0,
        };
        let into = File::open(&target).unwrap().into();
        let archive = File::open(archive).unwrap();
        let made = extract(archive, none, into, options, &mut |_| Ok(()))?;
        assert!(made.skipped.is_empty(), "{}", made.skipped);
        Ok(target)
    }

    #[track_caller]
    fn comes_back(&self, what: &str, archive: &Path) {
        let target = self
            .made(archive)
            .unwrap_or_else(|failure| panic!("{what}: {failure}"));
        same(what, &self.data(), &target);
        let inode = |name: &str| fs::metadata(target.join(name)).unwrap().ino();
        assert_eq!(inode("file"), inode("folder/same"), "{what}");
    }
}

#[track_caller]
fn same(what: &str, one: &Path, other: &Path) {
    let done = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([one, other])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{what}: {said}");
}

#[test]
fn archives_of_every_usual_layout_come_back_as_data() {
    let place = Place::new();
    let absolute = place.data().display().to_string();
    for (what, words) in [
        ("the content", &["-C", "srv/n8n/data", "."][..]),
        ("./data", &["-C", "srv/n8n", "./data"]),
        ("the whole folder of the service", &["-C", "srv/n8n", "."]),
        ("SVC/data", &["-C", "srv", "n8n/data"]),
        ("an absolute path", &["-P", &absolute]),
        ("an absolute path without its slash", &[&absolute]),
        (
            "another name",
            &["-C", "srv/n8n", "--transform", "s,^data,monday,", "data"],
        ),
        ("a label", &["-V", "a label", "-C", "srv/n8n", "data"]),
        (
            "an incremental one",
            &["-g", "snapshot", "-C", "srv/n8n", "data"],
        ),
    ] {
        place.comes_back(what, &place.archive("tar", words));
    }
    if have("/usr/bin/bsdtar") {
        let words = ["--format", "pax", "-C", "srv", "n8n/data"];
        place.comes_back("bsdtar", &place.archive("bsdtar", &words));
    }
}

#[test]
fn sparse_files_of_every_form_come_back_with_their_holes() {
    let place = Place::new();
    for form in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let what = format!("{form:?}");
        let words = [form, &["-S", "-C", "srv/n8n", "data"]].concat();
        let archive = place.archive("tar", &words);
        assert!(fs::metadata(&archive).unwrap().len() < 100_000, "{what}");
        place.comes_back(&what, &archive);
        let made = fs::metadata(place.path("target/holes")).unwrap();
        assert!(made.blocks() * 512 < made.len() / 4, "{what}");
    }
}

#[test]
fn zeros_behind_the_end_are_passed_over_and_nothing_else_is() {
    let place = Place::new();
    let archive = place.archive("tar", &["-C", "srv/n8n", "data"]);
    let bytes = fs::read(&archive).unwrap();
    fs::write(&archive, [&bytes[..], &[0; 10_240]].concat()).unwrap();
    place.comes_back("padded", &archive);
    fs::write(&archive, [&bytes[..], &[0; 10_240], b"x"].concat()).unwrap();
    let failure = place.made(&archive).unwrap_err();
    assert!(failure.to_string().contains("damaged"), "{failure}");
}

/// An archive with a directory and an entry of some other type.
const ODD: &str = r#"
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w:gz") as tar:
    root = tarfile.TarInfo("data")
    root.type, root.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(root)
    odd = tarfile.TarInfo("data/odd")
    odd.type, odd.size = sys.argv[2].encode(), 3
    tar.addfile(odd, io.BytesIO(b"odd"))
"#;

#[test]
fn what_cannot_be_brought_back_is_refused_as_another_layout() {
    let place = Place::new();
    let archive = place.path("archive.tar.gz");
    for letter in ["M", "N", "A", "Z"] {
        let done = Command::new("python3")
            .args(["-c", ODD])
            .arg(&archive)
            .arg(letter)
            .status();
        assert!(done.unwrap().success());
        let failure = place.made(&archive).unwrap_err().to_string();
        assert!(failure.contains("another layout"), "{letter}: {failure}");
    }
    for words in [
        // Beside the data there is more.
        &["-C", "srv", "n8n/data/file", "n8n/data/folder"][..],
        &["-C", "srv/n8n", "data", "../n8n"],
    ] {
        let words = [&["--no-recursion"][..], words].concat();
        let failure = place.made(&place.archive("tar", &words)).unwrap_err();
        assert!(
            failure.to_string().contains("layout"),
            "{words:?}: {failure}"
        );
    }
}

#[test]
fn a_good_archive_without_a_manifest_is_said_to_be_sound() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let folder = world.path("remote/OdroidBackup/app/archives");
    fs::create_dir_all(&folder).unwrap();
    let done = Command::new("tar")
        .arg("-czf")
        .arg(folder.join("app-2026-11-22.tar.gz"))
        .arg("-C")
        .arg(world.path("root"))
        .arg("./app/data")
        .status();
    assert!(done.unwrap().success());
    let answer = world.on_host(&["--verify", "app"]).expect(65);
    let told = "the structure of app-2026-11-22.tar.gz is sound: 4 entries";
    assert!(answer.out.contains(told), "{}", answer.out);
    assert!(!answer.err.contains("damaged"), "{}", answer.err);
    world.on_host(&["--restore", "app"]).expect(0);
    same("restored", &world.path("root/app/data"), &restored(&world));
}
