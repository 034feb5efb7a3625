//! The proof that an archive arrived as it was sent: a hash, or every byte read back; never the size alone.

use std::fs;
use std::process::Command;

use crate::harness::{RCLONE, World, have_rclone};

/// rclone's form of a password in its configuration.
fn obscured(password: &str) -> String {
    let output = Command::new(RCLONE)
        .args(["obscure", password])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Makes the remote an encrypted one, over a storage with hashes or without hashes.
fn encrypt(world: &World, hashes: bool) {
    let storage = match hashes {
        true => world.path("remote").display().to_string(),
        false => "chunks:".to_owned(),
    };
    world.write(
        "rclone.conf",
        &format!(
            "[onedrive]\ntype = crypt\nremote = {storage}\nfilename_encryption = off\ndirectory_name_encryption = false\npassword = {}\n{}",
            obscured("secret"),
            chunks(world, "chunks"),
        ),
    );
}

/// A storage without hashes for files above 100 bytes.
fn chunks(world: &World, name: &str) -> String {
    format!(
        "[{name}]\ntype = chunker\nremote = {}\nchunk_size = 100B\nhash_type = none\n",
        world.path("remote").display()
    )
}

/// The one result line about an archive.
fn checked(out: &str) -> String {
    let lines: Vec<serde_json::Value> = out
        .lines()
        .filter_map(|line| line.strip_prefix("result: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .filter(|line: &serde_json::Value| line["kind"] == "archive")
        .collect();
    let [line] = &lines[..] else {
        panic!("{out}");
    };
    assert_eq!(
        (&line["version"], &line["subject"]),
        (&1.into(), &"app".into())
    );
    line["checked"].as_str().unwrap().to_owned()
}

#[test]
fn the_figures_of_an_archive_are_those_of_the_file() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    fs::hard_link(
        world.path("root/app/data/file"),
        world.path("root/app/data/other name"),
    )
    .unwrap();
    std::os::unix::fs::symlink("file", world.path("root/app/data/link")).unwrap();
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(checked(&answer.out), "hash");
    let archives = world.archives();
    let file = world
        .path("remote/OdroidBackup/app/archives")
        .join(&archives[0]);
    let sum = Command::new("sha256sum").arg(&file).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let bytes = fs::metadata(&file).unwrap().len();
    let listed = Command::new("tar").arg("-tvf").arg(&file).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files = listed.lines().filter(|line| line.starts_with(['-', 'h']));
    let files = files.count();
    assert!(files > 1 && files < listed.lines().count(), "{listed}");
    let line = format!(
        r#"result: {{"version":1,"kind":"archive","subject":"app","name":"{}","bytes":{bytes},"files":{files},"sha256":"{}","checked":"hash"}}"#,
        archives[0],
        &sum[..64]
    );
    assert!(
        answer.out.lines().any(|said| said == line),
        "{}",
        answer.out
    );
}

#[test]
fn an_encrypted_archive_is_compared_by_hash() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    encrypt(&world, true);
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(checked(&answer.out), "hash");
    assert!(answer.out.contains("compared by hash"), "{}", answer.out);
}

#[test]
fn without_a_common_hash_an_archive_is_read_back() {
    if !have_rclone() {
        return;
    }
    for encrypted in [false, true] {
        let world = World::new();
        if encrypted {
            encrypt(&world, false);
        } else {
            world.write("rclone.conf", &chunks(&world, "onedrive"));
        }
        let answer = world.request(&world.archive()).expect(0);
        assert_eq!(checked(&answer.out), "read", "{encrypted}");
        assert!(answer.out.contains("read back and compared"));
        world.on_host(&["--verify", "app"]).expect(0);
    }
}

/// The size is the same, and no hash shows the damage.
#[test]
fn damage_is_noticed_without_a_hash() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let here = world.path("").display().to_string();
    let program = world.script(
        "damaging",
        &format!(
            "/usr/bin/rclone \"$@\" || exit\ntest $1 = copyto && for f in {here}/remote/OdroidBackup/app/archives/*.rclone_chunk.001; do printf x | dd of=$f bs=1 seek=50 conv=notrunc 2> /dev/null; done\nexit 0\n"
        ),
    );
    world.configure_with("", &program);
    world.write("rclone.conf", &chunks(&world, "onedrive"));
    let answer = world.request(&world.archive()).expect(65);
    assert!(answer.err.contains("other than"), "{}", answer.err);
    assert!(!answer.out.contains("\"kind\":\"archive\""));
    assert_eq!(world.listing("app/archives"), Vec::<String>::new());
}

/// An rclone that compares no file and reports success proves nothing.
#[test]
fn a_comparison_of_nothing_is_no_proof() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let program = world.script(
        "blind",
        "test $1 = check && exit 0\nexec /usr/bin/rclone \"$@\"\n",
    );
    world.configure_with("", &program);
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(checked(&answer.out), "read");
}
