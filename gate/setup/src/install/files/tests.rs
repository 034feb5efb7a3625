use super::*;
use nix::unistd::{getegid, geteuid};
use std::os::unix::fs::{PermissionsExt, symlink};

/// The user who runs the tests.
fn me() -> Owner {
    let user = User::from_uid(geteuid()).unwrap().unwrap().name;
    let group = Group::from_gid(getegid()).unwrap().unwrap().name;
    Owner { user, group }
}

fn new(path: &Path, bytes: &[u8]) -> NewFile {
    NewFile {
        path: path.to_owned(),
        bytes: bytes.to_vec(),
        owner: me(),
        mode: 0o640,
        proof: Proof::None,
        keep: false,
        theirs: false,
    }
}

#[test]
fn a_file_is_replaced_as_a_whole_with_its_mode_and_nothing_is_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.conf");
    // Left-overs of a killed run.
    fs::write(folder.path().join(".a.conf.new"), "half").unwrap();
    put(&new(&path, b"first")).unwrap();
    put(&new(&path, b"second")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a"), folder.path().join("other"));
    fs::write(&other, "precious").unwrap();
    symlink(&other, &path).unwrap();
    put(&new(&path, b"ours")).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"precious");
    assert!(path.symlink_metadata().unwrap().is_file());
    // Neither is one that stands where the fresh file is written.
    symlink(&other, folder.path().join(".a.new")).unwrap();
    put(&new(&path, b"again")).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"precious");
}

#[test]
fn a_second_name_replaces_a_former_file_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    fs::write(&second, "former").unwrap();
    // A left-over of a killed run.
    fs::write(folder.path().join(".second.new"), "half").unwrap();
    for bytes in [b"one", b"two"] {
        put(&new(&first, bytes)).unwrap();
        // The second time is for names that are there already.
        for _ in 0..2 {
            second_name(&new(&second, bytes), &first).unwrap();
            assert_eq!(fs::read(&second).unwrap(), bytes);
            let [one, other] = [&first, &second].map(|path| fs::metadata(path).unwrap());
            assert_eq!((one.ino(), one.nlink()), (other.ino(), 2));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        }
    }
}

#[test]
fn owners_and_modes_reach_no_file_by_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "x").unwrap();
    fs::set_permissions(&precious, fs::Permissions::from_mode(0o600)).unwrap();
    let (hard, soft) = (folder.path().join("hard"), folder.path().join("soft"));
    fs::hard_link(&precious, &hard).unwrap();
    symlink(&precious, &soft).unwrap();
    for path in [&hard, &soft] {
        tighten(path, &me(), 0o644).unwrap_err();
    }
    fs::remove_file(&hard).unwrap();
    assert_eq!(
        fs::metadata(&precious).unwrap().permissions().mode() & 0o777,
        0o600
    );
    tighten(&precious, &me(), 0o640).unwrap();
    assert_eq!(
        fs::metadata(&precious).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[test]
fn a_link_is_no_folder() {
    let place = tempfile::tempdir().unwrap();
    let link = place.path().join("link");
    symlink("/tmp", &link).unwrap();
    super::folder(&link, &me(), 0o700).unwrap_err();
    let real = place.path().join("real");
    super::folder(&real, &me(), 0o700).unwrap();
    super::folder(&real, &me(), 0o750).unwrap();
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o750
    );
}
