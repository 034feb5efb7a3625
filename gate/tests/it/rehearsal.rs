//! `--rehearse` proves that the newest copy of a service can be restored, and finds each kind of damage.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Answer, World, have_rclone, names};
use crate::verify::database;

pub(crate) const REHEARSE: &str = "backupctl --rehearse app";

/// A world that allows rehearsals over SSH.
fn world(plant: impl FnOnce(&Path)) -> World {
    let world = World::new();
    world.set("[rehearsal]\nallowed = true");
    plant(&world.path("root/app/data"));
    world
}

fn archived(plant: impl FnOnce(&Path)) -> World {
    let world = world(plant);
    world.request(&world.archive()).expect(0);
    world
}

fn mirrored(plant: impl FnOnce(&Path)) -> World {
    let world = world(plant);
    world.request(&world.sync()).expect(0);
    world
}

/// The `result:` lines of rehearsals in an answer.
pub(crate) fn proofs(answer: &Answer) -> Vec<Value> {
    let lines = answer.out.lines();
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("result: ")?).ok())
        .filter(|line| line["kind"] == "proof")
        .collect()
}

/// Rehearses; returns the proof.
#[track_caller]
fn proven(world: &World) -> Value {
    let answer = world.request(REHEARSE).expect(0);
    let proof = proofs(&answer).pop().unwrap();
    assert_eq!(proof["proven"], true, "{}", answer.out);
    is_clean(world);
    proof
}

/// Rehearses a bad copy: the rehearsal fails with these words, and the record says so.
#[track_caller]
fn is_bad(world: &World, words: &[&str]) {
    let answer = world.request(REHEARSE).expect(65);
    for word in words {
        assert!(answer.err.contains(word), "{word} is not in {}", answer.err);
    }
    let proof = proofs(&answer).pop().unwrap();
    assert_eq!(proof["proven"], false, "{proof}");
    assert!(proof["finding"].is_string(), "{proof}");
    is_clean(world);
    let record: Value = serde_json::from_str(&world.read("state/proofs/app.json")).unwrap();
    let kept = record["proofs"].as_array().unwrap();
    assert_eq!(kept.last().unwrap()["proof"], without_kind(proof));
}

/// A line as the record has it.
fn without_kind(mut line: Value) -> Value {
    let fields = line.as_object_mut().unwrap();
    fields.remove("kind");
    fields.remove("version");
    line
}

/// No file of a rehearsal is left.
#[track_caller]
pub(crate) fn is_clean(world: &World) {
    for folder in ["spool/.rehearsal", "spool/.fetched"] {
        for one in names(&world.path(folder)) {
            let left = names(&world.path(folder).join(&one));
            assert!(left.is_empty(), "{folder}/{one}: {left:?}");
        }
    }
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

/// Flips one bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_good_archive_is_proven_and_not_read_again() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| drop(database(&data.join("folder/app.db"))));
    let before = world.read("up");
    let proof = proven(&world);
    assert_eq!(proof["copy"], "archive");
    assert_eq!(proof["name"], world.archives()[0]);
    assert_eq!(proof["remote"], "onedrive:/OdroidBackup");
    assert_eq!(
        (&proof["percent"], &proof["files"], &proof["databases"]),
        (&100.into(), &3.into(), &1.into())
    );
    // The service was not touched.
    assert_eq!(world.read("up"), before);
    assert!(!world.exists("state/leases/app.json"));
    let list = world.on_host(&["--list", "app"]).expect(0);
    assert!(list.out.contains("    proven     app-"), "{}", list.out);
    let list = world.on_host(&["--list", "app", "--json"]).expect(0).out;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(
        list["local"]["app"]["proofs"][0],
        without_kind(proof.clone())
    );
    // Not read again, and the runner gets the same proof.
    let again = world.request(REHEARSE).expect(0);
    assert!(again.out.contains("needs no rehearsal"), "{}", again.out);
    assert_eq!(proofs(&again), [proof]);
    // Another archive of the same day is another copy.
    world.write("root/app/data/file", "other content, and longer");
    world.request(&world.archive()).expect(0);
    assert_eq!(proofs(&world.request(REHEARSE).expect(0)).len(), 1);
}

#[test]
fn a_fault_is_in_the_list_of_copies() {
    if !have_rclone() {
        return;
    }
    let world = archived(|_| ());
    flip(&archive(&world));
    is_bad(&world, &["finding: "]);
    let list = world.on_host(&["--list", "app"]).expect(0);
    assert!(list.out.contains("    not proven app-"), "{}", list.out);
}

#[test]
fn archive_and_mirror_take_turns() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| drop(database(&data.join("app.db"))));
    world.request(&world.sync()).expect(0);
    let kinds: Vec<Value> = (0..2).map(|_| proven(&world)["copy"].clone()).collect();
    assert_eq!(kinds, ["archive", "mirror"]);
    let again = world.request(REHEARSE).expect(0);
    assert_eq!(proofs(&again).len(), 2, "{}", again.out);
    // A new night is another copy.
    world.write("root/app/data/file", "of the next night");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    world.request(&world.sync()).expect(0);
    let proof = proven(&world);
    assert_eq!(proof["copy"], "mirror");
    assert_eq!(
        (&proof["files"], &proof["databases"]),
        (&3.into(), &1.into())
    );
}

#[test]
fn damage_of_an_archive_is_found() {
    if !have_rclone() {
        return;
    }
    let numbers = |data: &Path| {
        let words: Vec<u8> = (0..50_000_u32)
            .flat_map(|n| n.wrapping_mul(n).to_le_bytes())
            .collect();
        fs::write(data.join("numbers"), words).unwrap();
    };
    let world = archived(numbers);
    let good = fs::read(archive(&world)).unwrap();
    flip(&archive(&world));
    is_bad(&world, &["finding: "]);
    fs::write(archive(&world), &good).unwrap();
    proven(&world);

    let world = archived(numbers);
    flip(&manifest(&world));
    is_bad(&world, &["the manifest"]);

    let world = archived(numbers);
    fs::remove_file(manifest(&world)).unwrap();
    is_bad(&world, &["manifest.gz is missing"]);
}

#[test]
fn an_archive_of_another_service_is_found() {
    if !have_rclone() {
        return;
    }
    let world = archived(|_| ());
    world.add_service("other");
    fs::create_dir_all(world.path("root/other/data")).unwrap();
    world.write("root/other/data/file", "of the other service");
    let line = world.archive().replace("app", "other");
    world.request(&line).expect(0);
    for (theirs, ours) in [
        ("tar.gz", archive(&world)),
        ("manifest.gz", manifest(&world)),
    ] {
        let name = ours.file_name().unwrap().to_str().unwrap();
        let name = name.replace("app-", "other-");
        assert!(name.ends_with(theirs));
        let from = world.path("remote/OdroidBackup/other/archives").join(name);
        fs::copy(from, &ours).unwrap();
        is_bad(&world, &["app-"]);
    }
}

#[test]
fn a_truncated_database_is_found_in_both_kinds_of_copies() {
    if !have_rclone() {
        return;
    }
    let truncated = |data: &Path| {
        let path = data.join("app.db");
        drop(database(&path));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    };
    is_bad(&archived(truncated), &["data/app.db: "]);
    is_bad(&mirrored(truncated), &["data/app.db: "]);
}

#[test]
fn a_missing_or_empty_key_file_is_found() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| {
        fs::create_dir(data.join("config")).unwrap();
        fs::write(data.join("config/secret.key"), "").unwrap();
        fs::write(data.join("other.key"), "key").unwrap();
    });
    world.configure_app("must_hold = [\"config/secret.key\", \"file\"]");
    is_bad(&world, &["data/config/secret.key: empty"]);
    world.configure_app("must_hold = [\"other.key\", \"lost.key\"]");
    is_bad(&world, &["data/lost.key: missing"]);
    world.configure_app("must_hold = [\"other.key\"]");
    proven(&world);
}

#[test]
fn damage_of_a_mirror_is_found() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(|data| fs::write(data.join("key"), "secret").unwrap());
    let data = world.path("remote/OdroidBackup/app/data");
    let keep = |name: &str| fs::read(data.join(name)).unwrap();
    let good = keep("file");
    flip(&data.join("file"));
    is_bad(&world, &["different: file"]);
    fs::write(data.join("file"), good).unwrap();
    let key = keep("key");
    fs::remove_file(data.join("key")).unwrap();
    is_bad(&world, &["missing: key"]);
    fs::write(data.join("key"), key).unwrap();
    assert_eq!(proven(&world)["copy"], "mirror");

    let world = mirrored(|_| ());
    let books = world.path("remote/OdroidBackup/app");
    let book = names(&books)
        .into_iter()
        .find(|name| name.starts_with("mirror.manifest-"));
    let book = book.unwrap_or_else(|| panic!("{:?}", names(&books)));
    flip(&books.join(book));
    is_bad(&world, &["manifest"]);
}

#[test]
fn shares_of_a_large_mirror_cover_all_of_it_within_the_rehearsals() {
    if !have_rclone() {
        return;
    }
    let world = mirrored(|data| {
        fs::create_dir(data.join("many")).unwrap();
        for number in 0..40 {
            fs::write(data.join(format!("many/{number:02} é")), vec![number; 9000]).unwrap();
        }
        drop(database(&data.join("many/05.db")));
    });
    world.set("[rehearsal]\nallowed = true\nmax_bytes = 200000\nrehearsals = 6");
    let mut files = 0;
    let mut covered = Vec::new();
    let mut databases = 0;
    while covered.last() != Some(&100) {
        let proof = proven(&world);
        assert!(proof["percent"].as_u64().unwrap() < 100, "{proof}");
        files += proof["files"].as_u64().unwrap();
        databases += proof["databases"].as_u64().unwrap();
        covered.push(proof["covered"].as_u64().unwrap());
        assert!(covered.len() <= 6, "{covered:?}");
    }
    assert_eq!((files, databases), (43, 1), "{covered:?}");
    assert!(covered.is_sorted(), "{covered:?}");
    // A damaged file is found within as many rehearsals, and the share with it is read again.
    flip(&world.path("remote/OdroidBackup/app/data/many/33 é"));
    let found = (0..6).any(|_| world.request(REHEARSE).code == 65);
    assert!(found);
    is_bad(&world, &["other than the manifest says", "33"]);
    // A share that does not fit is no proof.
    world.set("[rehearsal]\nmax_bytes = 20000");
    let answer = world.request(REHEARSE).expect(73);
    assert!(answer.err.contains("rehearsal.max_bytes"), "{}", answer.err);
}

#[test]
fn an_archive_above_the_bound_is_compared_without_unpacking() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| drop(database(&data.join("app.db"))));
    world.set("[rehearsal]\nmax_bytes = 1000");
    let proof = proven(&world);
    assert_eq!(
        (&proof["percent"], &proof["databases"]),
        (&100.into(), &1.into())
    );
    assert!(
        proof["reason"]
            .as_str()
            .unwrap()
            .contains("rehearsal.max_bytes")
    );
    let world = archived(|_| ());
    world.set("[rehearsal]\nmax_bytes = 1000");
    flip(&archive(&world));
    is_bad(&world, &["finding: "]);
}

#[test]
fn a_data_folder_of_postgresql_is_checked() {
    if !have_rclone() {
        return;
    }
    let cluster = |damage: bool| {
        move |data: &Path| {
            fs::create_dir_all(data.join("pg/global")).unwrap();
            fs::write(data.join("pg/PG_VERSION"), "15\n").unwrap();
            // The size and the place of the checksum are those of PostgreSQL 15.
            let mut control = vec![0_u8; 8192];
            control[0..8].copy_from_slice(&7_u64.to_le_bytes());
            control[16] = 1;
            let crc = python_crc32c(&control[..288]);
            control[288..292].copy_from_slice(&crc.to_le_bytes());
            if damage {
                control[40] ^= 1;
            }
            fs::write(data.join("pg/global/pg_control"), control).unwrap();
            fs::set_permissions(data.join("pg"), fs::Permissions::from_mode(0o700)).unwrap();
        }
    };
    let world = archived(cluster(false));
    assert_eq!(proven(&world)["clusters"], 1);
    is_bad(&archived(cluster(true)), &["data/pg: global/pg_control"]);
}

/// CRC-32C by a table in Python, which shares no code with the gate.
fn python_crc32c(bytes: &[u8]) -> u32 {
    let script = "import sys
t=[]
for i in range(256):
    c=i
    for _ in range(8): c=(c>>1)^(0x82F63B78 if c&1 else 0)
    t.append(c)
c=0xffffffff
for b in bytes.fromhex(sys.argv[1]): c=(c>>8)^t[(c^b)&255]
print(c^0xffffffff)";
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let output = std::process::Command::new("python3")
        .args(["-c", script, &hex])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn over_ssh_the_configuration_has_to_allow_it() {
    if !have_rclone() {
        return;
    }
    let world = archived(|_| ());
    world.set("[rehearsal]\nallowed = false");
    let answer = world.request(REHEARSE).expect(77);
    assert!(answer.err.contains("rehearsal.allowed"), "{}", answer.err);
    world.on_host(&["--rehearse", "app"]).expect(0);
    world.set("[rehearsal]\nallowed = true");
    world.request("backupctl --rehearse other").expect(77);
    world
        .request("backupctl --rehearse app --remote other:/Folder")
        .expect(77);
    world
        .request("backupctl --rehearse app --timeout 86401")
        .expect(77);
    // A host without a copy.
    let world = self::world(|_| ());
    let answer = world.request(REHEARSE).expect(69);
    assert!(
        answer.err.contains("there is no archive of app"),
        "{}",
        answer.err
    );
}

#[test]
fn a_backup_does_not_wait_for_a_rehearsal() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| fs::write(data.join("big"), vec![7; 3 << 20]).unwrap());
    // An rclone that waits in the middle of the archive.
    let here = world.path("").display().to_string();
    let slow = world.script(
        "rclone-slow",
        &format!(
            "case \"$*\" in *cat*|*rcd*) if [ -e {here}/slow ]; then : > {here}/waits; while [ -e {here}/slow ]; do sleep 0.05; done; fi;; esac\nexec /usr/bin/rclone \"$@\"\n"
        ),
    );
    world.set(&format!(
        "[rclone]\nprogram = \"{slow}\"\nlandlock = \"off\"\nhelpers = [\"/bin/sh\"]"
    ));
    world.write("slow", "");
    let mut rehearsal = world.spawn(REHEARSE);
    crate::harness::wait_long("the rehearsal reads", || world.exists("waits"));
    world.set("[rclone]\nprogram = \"/usr/bin/rclone\"");
    world.request("backupctl --stop app").expect(0);
    world.request(&world.sync()).expect(0);
    world.request(&world.archive()).expect(0);
    world.request("backupctl --start app").expect(0);
    fs::remove_file(world.path("slow")).unwrap();
    rehearsal.wait().unwrap();
}
