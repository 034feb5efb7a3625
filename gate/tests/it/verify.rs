//! `--verify` reads an archive back and checks all its content.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::harness::{Answer, RCLONE, World, have_rclone};

/// A database of some pages, in rollback mode.
pub(crate) fn database(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA page_size = 1024; CREATE TABLE t (id INTEGER PRIMARY KEY, words TEXT);
             CREATE INDEX i ON t (words);
             WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n WHERE x < 500)
             INSERT INTO t SELECT x, 'some words ' || x FROM n;",
        )
        .unwrap();
    connection
}

/// Overwrites the middle of every page except the first, so that these pages are invalid.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    for page in 1..bytes.len() / 1024 {
        bytes[page * 1024..page * 1024 + 100].fill(0xee);
    }
    fs::write(path, bytes).unwrap();
}

fn verify(world: &World) -> Answer {
    world.on_host(&["--verify", "app"])
}

/// A world with an archive of the data that `plant` creates for `app`.
pub(crate) fn archived(plant: impl FnOnce(&Path)) -> World {
    let world = World::new();
    plant(&world.path("root/app/data"));
    world.request(&world.archive()).expect(0);
    world
}

fn archive(world: &World) -> PathBuf {
    let names = world.archives();
    assert_eq!(names.len(), 1);
    world
        .path("remote/OdroidBackup/app/archives")
        .join(&names[0])
}

fn manifest(world: &World) -> PathBuf {
    let name = archive(world).display().to_string();
    PathBuf::from(name.replace(".tar.gz", ".manifest.gz"))
}

#[track_caller]
fn is_bad(world: &World, words: &[&str]) {
    let answer = verify(world).expect(65);
    for word in words {
        assert!(answer.err.contains(word), "{word} is not in {}", answer.err);
    }
    // Nothing stays behind on the disk of the spool.
    let left = crate::harness::names(&world.path("spool/.fetched/0"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_good_archive_is_said_to_be_good() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| drop(database(&data.join("folder/app.db"))));
    let answer = verify(&world).expect(0);
    assert!(
        answer.out.contains(" is good: 5 entries, ")
            && answer.out.contains(" 1 database checked, SHA-256 "),
        "{}",
        answer.out
    );
    assert_eq!(answer.err, "");
    let day = archive(&world).display().to_string();
    let day = &day[day.len() - 17..day.len() - 7];
    world
        .on_host(&[
            "--verify",
            "app",
            "--from",
            day,
            "--remote",
            "onedrive:/OdroidBackup",
        ])
        .expect(0);
    assert!(world.read("audit.jsonl").contains("backupctl --verify app"));
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| {
        let words: Vec<u8> = (0..200_000_u32)
            .flat_map(|n| n.wrapping_mul(n).to_le_bytes())
            .collect();
        fs::write(data.join("numbers"), words).unwrap();
    });
    let path = archive(&world);
    let good = fs::read(&path).unwrap();
    for at in [3, good.len() / 3, good.len() / 2, good.len() - 5] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        is_bad(&world, &["finding: ", "the archive"]);
    }
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    is_bad(&world, &["it ends in "]);
    // At the end of one of gzip's members, where only tar notices the end.
    fs::write(&path, "").unwrap();
    is_bad(&world, &["it ends in "]);
    fs::write(&path, &good).unwrap();
    verify(&world).expect(0);
    let path = manifest(&world);
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    fs::write(&path, bad).unwrap();
    is_bad(&world, &["the manifest"]);
    fs::write(&path, &good[..good.len() - 9]).unwrap();
    is_bad(&world, &["the manifest"]);
}

#[test]
fn an_archive_with_other_content_than_its_manifest_is_named_entry_by_entry() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| fs::write(data.join("only first"), "x").unwrap());
    let (archive_path, manifest_path) = (archive(&world), manifest(&world));
    let first = fs::read(&manifest_path).unwrap();
    fs::remove_file(world.path("root/app/data/only first")).unwrap();
    world.write("root/app/data/only second", "x");
    world.write("root/app/data/file", "CONTENT");
    world.request(&world.archive()).expect(0);
    assert_eq!(archive(&world), archive_path);
    fs::write(manifest_path, first).unwrap();
    is_bad(
        &world,
        &[
            "other than when it was packed: data/file (content, time)",
            "missing: data/only first",
            "not in the manifest: data/only second",
            "its SHA-256 is another one",
        ],
    );
}

#[test]
fn an_archive_without_its_manifest_is_not_called_good() {
    if !have_rclone() {
        return;
    }
    let world = archived(|_| {});
    fs::remove_file(manifest(&world)).unwrap();
    is_bad(&world, &["does not lie beside it"]);
}

#[test]
fn a_database_that_was_bad_when_it_was_packed_is_found() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| {
        for name in ["good.db", "bad.sqlite3", "no name at all"] {
            drop(database(&data.join(name)));
        }
        damage(&data.join("bad.sqlite3"));
        let path = data.join("no name at all");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..2048]).unwrap();
        // Not a database, although its name says so.
        fs::write(data.join("text.db"), "text").unwrap();
    });
    is_bad(&world, &["data/bad.sqlite3: ", "data/no name at all: "]);
    let answer = verify(&world);
    assert!(
        !answer.err.contains("good.db") && !answer.err.contains("text.db"),
        "{}",
        answer.err
    );
}

#[test]
fn a_database_is_checked_with_its_log() {
    if !have_rclone() {
        return;
    }
    let mut saved = Vec::new();
    let world = archived(|data| {
        let path = data.join("app.db");
        let connection = database(&path);
        let mode: String = connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
        // Writes every page anew, but only to the log.
        connection
            .execute_batch(
                "PRAGMA wal_autocheckpoint = 0; UPDATE t SET words = upper(words) || ' and more';",
            )
            .unwrap();
        let pages = [
            fs::read(&path).unwrap(),
            fs::read(data.join("app.db-wal")).unwrap(),
        ];
        drop(connection);
        fs::write(&path, &pages[0]).unwrap();
        damage(&path);
        fs::write(data.join("app.db-wal"), &pages[1]).unwrap();
        saved = pages[1].clone();
    });
    assert!(saved.len() > 20_000);
    // The pages in the database are invalid, but the pages in the log have replaced them.
    let answer = verify(&world).expect(0);
    assert!(answer.out.contains(" 1 database checked"), "{}", answer.out);
    fs::remove_file(world.path("root/app/data/app.db-wal")).unwrap();
    world.request(&world.archive()).expect(0);
    is_bad(&world, &["data/app.db: "]);
}

#[test]
fn a_database_that_needs_its_program_is_told_and_not_condemned() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| {
        let connection = database(&data.join("app.db"));
        // As if the program used its own collation; SQLite makes no such table without it.
        connection
            .execute_batch("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (words COLLATE own)' WHERE name = 'i';")
            .unwrap();
    });
    let answer = verify(&world).expect(0);
    assert!(
        answer.err.contains("data/app.db: SQLite cannot check it") && answer.err.contains("own"),
        "{}",
        answer.err
    );
}

#[test]
fn the_runners_own_database_may_be_torn_when_its_snapshot_is_sound() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let data = world.path("root/lightflow/data");
    fs::create_dir(data.join("backup")).unwrap();
    drop(database(&data.join("lightflow.db")));
    fs::copy(data.join("lightflow.db"), data.join("backup/lightflow.db")).unwrap();
    damage(&data.join("lightflow.db"));
    let archive = format!(
        "backupctl --archive lightflow --path {} --remote onedrive:/OdroidBackup",
        data.display()
    );
    world.request(&archive).expect(0);
    let verify = || world.on_host(&["--verify", "lightflow"]);
    let answer = verify().expect(0);
    assert!(
        answer
            .err
            .contains("backup/lightflow.db is the one to restore"),
        "{}",
        answer.err
    );
    damage(&data.join("backup/lightflow.db"));
    world.request(&archive).expect(0);
    let answer = verify().expect(65);
    assert!(
        answer.err.contains("finding: data/lightflow.db: "),
        "{}",
        answer.err
    );
}

#[test]
fn an_archive_that_is_not_there_is_said_with_those_that_are() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let answer = verify(&world).expect(69);
    assert!(
        answer
            .err
            .contains("there is no archive of app, and none of any other day"),
        "{}",
        answer.err
    );
    let folder = world.path("remote/OdroidBackup/app/archives");
    fs::create_dir_all(&folder).unwrap();
    for day in ["2026-01-02", "2026-01-09"] {
        fs::write(folder.join(format!("app-{day}.tar.gz")), "").unwrap();
    }
    let answer = world
        .on_host(&["--verify", "app", "--from", "2026-01-03"])
        .expect(69);
    assert!(
        answer.err.contains(
            "there is no archive of app of 2026-01-03; there are those of 2026-01-09, 2026-01-02"
        ),
        "{}",
        answer.err
    );
}

#[test]
fn verify_is_for_the_host_alone_and_its_words_are_parsed() {
    let world = World::new();
    for line in ["--verify app", "--verify app --from 2026-11-22"] {
        world.request(&format!("backupctl {line}")).expect(77);
    }
    for words in [
        &["--verify"][..],
        &["--verify", "../x"],
        &["--verify", "app", "--from"],
        &["--verify", "app", "--from", "2026-1-2"],
        &["--verify", "app", "--json"],
        &["--stop", "app", "--from", "2026-11-22"],
    ] {
        world.on_host(words).expect(64);
    }
    world.on_host(&["--verify", "wiki"]).expect(77);
    world
        .on_host(&["--verify", "app", "--remote", "other:/Folder"])
        .expect(77);
}

#[test]
fn a_database_for_which_there_is_no_room_ends_it() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| drop(database(&data.join("app.db"))));
    world.limit("spool_reserve = 1000000000000000\nmax_delete = 2\n");
    let answer = verify(&world).expect(73);
    assert!(
        answer.err.contains("limits.spool_reserve"),
        "{}",
        answer.err
    );
}

#[test]
fn a_remote_that_breaks_off_is_not_taken_for_a_bad_archive() {
    if !have_rclone() {
        return;
    }
    let world = archived(|_| {});
    // The part that it has sent until then is the beginning of a good archive.
    let program = world.script(
        "breaks",
        &format!("case \"$*\" in\n*cat*tar.gz*) {RCLONE} \"$@\" | head -c 200; exit 5 ;;\nesac\nexec {RCLONE} \"$@\"\n"),
    );
    world.configure_with("", &program);
    let answer = verify(&world).expect(69);
    assert!(answer.err.contains("exit code 5"), "{}", answer.err);
}
