use super::*;

/// A release of this repository's own files, with made-up programs.
pub(in crate::install) fn sample() -> Release {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = repository.ancestors().nth(2).unwrap();
    for name in REQUIRED {
        let place = match *name {
            "etc/backupctl.example.toml" => repository.join("gate/backupctl.example.toml"),
            name => repository.join(name),
        };
        let mut bytes = fs::read(place).unwrap_or_else(|_| name.as_bytes().to_vec());
        if *name == "bin/podmanctl" {
            bytes = b"bin/backupctl-setup".to_vec();
        }
        files.insert((*name).to_owned(), bytes);
    }
    files.insert("man/backupctl.8".into(), b"page".to_vec());
    files.insert("completions/backupctl.bash".into(), b"words".to_vec());
    Release {
        version: "1.2.3".into(),
        files,
        programs: "/release/bin".into(),
        image: Image {
            archive: "/release/image".into(),
            id: "cd".repeat(32),
        },
    }
}

/// Puts a release on the disk.
fn unpacked(root: &Path) {
    let sample = sample();
    let mut sums = String::new();
    let mut add = |name: &str, bytes: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        sums.push_str(&format!(
            "{}  {name}\n",
            super::super::record::digest(bytes)
        ));
    };
    for (name, bytes) in &sample.files {
        add(&name.replacen("bin/", "bin/x86_64/", 1), bytes);
    }
    add(
        "image/lightflow-amd64.oci.tar",
        &oci::tests::archive(&"ef".repeat(32)),
    );
    fs::write(root.join(SUMS), sums).unwrap();
}

#[test]
fn a_whole_release_is_read_for_its_machine() {
    let folder = tempfile::tempdir().unwrap();
    unpacked(folder.path());
    let release = Release::open(folder.path(), "x86_64").unwrap();
    assert_eq!(release.image.id, "ef".repeat(32));
    assert_eq!(release.bytes("bin/backupctl"), b"bin/backupctl");
    let other = Release::open(folder.path(), "aarch64").unwrap_err();
    assert!(other.contains("for aarch64"), "{other}");
}

#[test]
fn a_file_that_was_changed_or_is_not_listed_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "bin/x86_64/podmanctl",
        "etc/sudoers",
        "image/lightflow-amd64.oci.tar",
    ] {
        unpacked(folder.path());
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(b'#');
        fs::write(&path, bytes).unwrap();
        let error = Release::open(folder.path(), "x86_64").unwrap_err();
        assert!(error.contains("damaged"), "{error}");
    }
    unpacked(folder.path());
    let sums = fs::read_to_string(folder.path().join(SUMS)).unwrap();
    let without: Vec<&str> = sums
        .lines()
        .filter(|line| !line.contains("etc/sudoers"))
        .collect();
    fs::write(folder.path().join(SUMS), without.join("\n")).unwrap();
    assert!(
        Release::open(folder.path(), "x86_64")
            .unwrap_err()
            .contains("etc/sudoers")
    );
}

#[test]
fn names_that_lead_out_of_the_release_are_refused() {
    for line in [
        "0  /etc/shadow",
        "x",
        "",
        &format!("{}  ../x", "0".repeat(64)),
    ] {
        assert!(sums_of(&format!("{line}\n")).is_err(), "{line}");
    }
}
