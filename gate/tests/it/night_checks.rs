//! A mirror with a manifest is checked: a restore names files that are missing or changed, `--verify --from mirror` and
//! `--list` tell its state.

use std::fs;
use std::path::PathBuf;

use crate::harness::{World, names};
use crate::night::{TwoNights, from_mirror, mirrored, ready, run, write_mirror};

/// The incomplete tree that a restore left.
fn incomplete(world: &World) -> PathBuf {
    let names = names(&world.path("root/app"));
    let found: Vec<&String> = names
        .iter()
        .filter(|name| name.ends_with(".incomplete"))
        .collect();
    assert_eq!(found.len(), 1, "{names:?}");
    assert!(
        names.iter().all(|name| !name.starts_with(".restoring")),
        "{names:?}"
    );
    world.path("root/app").join(found[0])
}

#[test]
fn missing_and_changed_files_are_named() {
    if !ready() {
        return;
    }
    let world = World::new();
    mirrored(&world);
    let data = world.path("remote/OdroidBackup/app/data");
    fs::write(data.join("file"), "two").unwrap();
    fs::remove_file(data.join("pg/base/1")).unwrap();
    fs::write(data.join("stranger"), "not in the manifest").unwrap();
    let answer = from_mirror(&world, &[]).expect(65);
    for line in ["different: file", "missing: pg/base/1"] {
        assert!(
            answer.err.lines().any(|told| told == line),
            "{}",
            answer.err
        );
    }
    let tree = incomplete(&world);
    assert!(!tree.join("stranger").exists() && tree.join("pg/PG_VERSION").exists());
    assert!(names(&tree).contains(&"CON".to_owned()));
    fs::remove_dir_all(&tree).unwrap();
    // A bundle that is gone: each of its entries is missing.
    let app = world.path("remote/OdroidBackup/app");
    let bundle = names(&app)
        .into_iter()
        .find(|name| name.starts_with("mirror.bundle-"))
        .unwrap();
    fs::rename(app.join(&bundle), app.join("elsewhere")).unwrap();
    let answer = from_mirror(&world, &[]).expect(65);
    for line in ["missing: CON", "missing: aux/x"] {
        assert!(
            answer.err.lines().any(|told| told == line),
            "{}",
            answer.err
        );
    }
    fs::remove_dir_all(incomplete(&world)).unwrap();
    // A bundle with another content than its name says is not taken for good.
    fs::write(app.join(&bundle), "no archive").unwrap();
    let answer = from_mirror(&world, &[]).expect(65);
    assert!(answer.err.contains("finding: "), "{}", answer.err);
}

#[test]
fn a_mirror_without_a_complete_night_is_named() {
    if !ready() {
        return;
    }
    let world = World::new();
    mirrored(&world);
    let app = world.path("remote/OdroidBackup/app");
    let manifest = app.join("mirror.manifest-000001.gz");
    let whole = fs::read(&manifest).unwrap();
    fs::write(&manifest, &whole[..whole.len() / 2]).unwrap();
    let answer = from_mirror(&world, &[]).expect(65);
    assert!(
        answer.err.contains("no manifest of") && answer.err.contains("damaged"),
        "{}",
        answer.err
    );
    let tree = incomplete(&world);
    assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "one");
    fs::remove_dir_all(&tree).unwrap();
    fs::remove_file(&manifest).unwrap();
    world.write(
        "remote/OdroidBackup/app/mirror.complete",
        "backupctl-mirror 1 app.mirror\nowner 0123456789abcdef\nfirst upload 3 of 10 files, 31 of 100 bytes\ncomplete never\nwritten 2026-12-01T03:00:00Z\n",
    );
    let answer = from_mirror(&world, &[]).expect(65);
    assert!(
        answer.err.contains("first upload") && answer.err.contains("31 %"),
        "{}",
        answer.err
    );
    assert_eq!(
        fs::read_to_string(incomplete(&world).join("file")).unwrap(),
        "one"
    );
}

#[test]
fn a_whole_mirror_is_good() {
    if !ready() {
        return;
    }
    let world = World::new();
    mirrored(&world);
    let verify = || world.on_host(&["--verify", "app", "--from", "mirror"]);
    let told = verify().expect(0).out;
    assert!(
        told.contains("is good: 27 entries, 15 files")
            && told.contains("complete as of 2026-12-01"),
        "{told}"
    );
    let data = world.path("remote/OdroidBackup/app/data");
    // Of the same size and time as before.
    run(
        "touch -r \"$1\"/big \"$2\"; printf x | dd of=\"$1\"/big conv=notrunc status=none; touch -r \"$2\" \"$1\"/big",
        &[&data, &world.path("time")],
    );
    fs::remove_file(data.join("new\nline")).unwrap();
    fs::write(data.join("dir/stranger"), "x").unwrap();
    let told = verify().expect(65).err;
    for line in [
        "finding: other than the manifest says: data/big",
        "finding: missing: data/new?line",
        "finding: not in the manifest: dir/stranger",
    ] {
        assert!(told.lines().any(|one| one == line), "{line}: {told}");
    }
    let app = world.path("remote/OdroidBackup/app");
    let bundle = names(&app)
        .into_iter()
        .find(|name| name.starts_with("mirror.bundle-"))
        .unwrap();
    fs::remove_file(app.join(bundle)).unwrap();
    let told = verify().expect(65).err;
    assert!(told.contains("missing: data/CON"), "{told}");
    fs::remove_dir_all(&data).unwrap();
    let told = verify().expect(65).err;
    assert!(told.contains("missing: data/file"), "{told}");
    fs::remove_dir_all(&app).unwrap();
    let told = verify().expect(69).err;
    assert!(told.contains("no mirror of app with a manifest"), "{told}");
}

#[test]
fn a_mirror_in_the_middle_of_a_transition_is_good() {
    if !ready() {
        return;
    }
    let world = World::new();
    let nights = TwoNights::new(&world);
    let (_, commit) = nights.at(0);
    for (point, night) in [
        (commit - 1, "2026-12-01"),
        (commit, "2026-12-02"),
        (commit + 4, "2026-12-02"),
    ] {
        nights.at(point);
        let told = world
            .on_host(&["--verify", "app", "--from", "mirror"])
            .expect(0)
            .out;
        assert!(
            told.contains("is good") && told.contains(&format!("complete as of {night}")),
            "{told}"
        );
        assert_eq!(told.contains("interrupted"), point >= commit, "{told}");
    }
}

#[test]
fn the_list_tells_the_night_of_each_mirror() {
    if !ready() {
        return;
    }
    let world = World::new();
    let nights = TwoNights::new(&world);
    let (_, commit) = nights.at(0);
    let extra = world.path("remote/OdroidBackup/extra");
    let (books, data) = (extra.join(".manifests/docs."), extra.join("docs"));
    let (books, data) = (books.to_str().unwrap(), data.to_str().unwrap());
    fs::create_dir_all(extra.join(".manifests")).unwrap();
    write_mirror(&[
        "whole",
        nights.first.to_str().unwrap(),
        books,
        data,
        "extra-docs",
    ]);
    let list = |words: &[&str]| world.on_host(&[&["--list"], words].concat()).expect(0).out;
    let mirror = |words: &[&str], place: &str| -> serde_json::Value {
        let told: serde_json::Value = serde_json::from_str(&list(words)).unwrap();
        let remote = &told["remotes"][0];
        remote.pointer(place).unwrap()["mirror"].clone()
    };
    let told = list(&[]);
    assert_eq!(
        told.matches("complete as of 2026-12-01T03:00:00Z").count(),
        2,
        "{told}"
    );
    for words in [&["app", "--json"][..], &["--json"]] {
        let app = mirror(words, "/services/app");
        assert_eq!(app["complete_as_of"], "2026-12-01T03:00:00Z", "{app}");
        assert_eq!(
            (&app["transition"], &app["first_upload"]),
            (&false.into(), &serde_json::Value::Null)
        );
    }
    assert_eq!(
        mirror(&["--json"], "/extra/docs")["complete_as_of"],
        "2026-12-01T03:00:00Z"
    );
    nights.at(commit + 2);
    let told = list(&["app"]);
    assert!(
        told.contains("complete as of 2026-12-02T03:00:00Z") && told.contains("still has to move"),
        "{told}"
    );
    assert_eq!(
        mirror(&["app", "--json"], "/services/app")["transition"],
        true
    );
    // A delta that was cut off did not happen.
    let delta = nights.app.join("mirror.manifest-000001.0001.gz");
    let whole = fs::read(&delta).unwrap();
    fs::write(&delta, &whole[..whole.len() - 9]).unwrap();
    assert!(list(&["app"]).contains("complete as of 2026-12-01T03:00:00Z"));
    fs::remove_file(nights.app.join("mirror.complete")).unwrap();
    assert!(list(&["app"]).contains("complete as of: unknown"));
    world.write(
        "remote/OdroidBackup/app/mirror.complete",
        "backupctl-mirror 1 app.mirror\nowner 0123456789abcdef\nfirst upload 3 of 10 files, 31000 of 100000 bytes\ncomplete never\nwritten 2026-12-01T03:00:00Z\n",
    );
    let told = list(&["app"]);
    assert!(
        told.contains("complete as of: never") && told.contains("first upload: 31 %"),
        "{told}"
    );
    let first = mirror(&["app", "--json"], "/services/app")["first_upload"].clone();
    assert_eq!(first["of_bytes"], 100_000, "{first}");
}
