//! `room_before_stop`: a service is not stopped for an archive that would not fit.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Answer, World, can_mount, is_root, wait_until};

const STOP: &str = "backupctl --stop app --timeout 20";
const LEASE: &str = "state/leases/app.json";

/// No disk has this much space beside an archive.
const TOO_MUCH: &str = "max_delete = 2\nspool_reserve = 4000000000000000000\n";
const NOTHING: &str = "max_delete = 2\nspool_reserve = 0\n";

/// A world with lines at the top of its configuration, and this reserve.
fn world(top: &str, reserve: &str) -> World {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.script("stop", &format!(": > {here}/stopped\nrm -f {here}/up\n"));
    world.configure(&format!("{top}\nlease = {{ keeper = \"process\" }}"));
    world.limit(reserve);
    world
}

/// The stop was refused for lack of space, and changed nothing.
#[track_caller]
fn refused(world: &World, answer: Answer) {
    let answer = answer.expect(73);
    for words in [
        "app is not stopped",
        "bytes free",
        "this archive may need",
        "limits.spool_reserve",
        "set spool_dir to a larger disk",
    ] {
        assert!(answer.err.contains(words), "{words}: {}", answer.err);
    }
    assert!(world.exists("up") && !world.exists("stopped"));
    assert!(!world.exists(LEASE) && world.keepers().is_empty());
}

#[track_caller]
fn stopped(world: &World, answer: Answer) {
    let answer = answer.expect(0);
    assert!(answer.out.contains("app is down\n"), "{}", answer.out);
    assert!(!world.exists("up") && world.exists(LEASE));
}

#[test]
fn a_service_whose_archive_would_not_fit_is_not_stopped() {
    let world = world("room_before_stop = true", TOO_MUCH);
    let answer = world.request(STOP);
    refused(&world, answer);
    // The runner's last step, which comes in every case.
    let answer = world.request("backupctl --start app").expect(0);
    assert!(answer.out.contains("was up already"), "{}", answer.out);
}

#[test]
fn a_service_whose_archive_fits_is_stopped() {
    let world = world("room_before_stop = true", NOTHING);
    let answer = world.request(STOP);
    stopped(&world, answer);
}

#[test]
fn nobody_who_did_not_ask_for_it_is_refused() {
    let plain = world("", TOO_MUCH);
    let answer = plain.request(STOP);
    stopped(&plain, answer);
    // A service can have its own setting.
    let but_this = world("room_before_stop = true", TOO_MUCH);
    but_this.configure_app("room_before_stop = false");
    let answer = but_this.request(STOP);
    stopped(&but_this, answer);
    let only_this = world("", TOO_MUCH);
    only_this.configure_app("room_before_stop = true");
    let answer = only_this.request(STOP);
    refused(&only_this, answer);
}

#[test]
fn a_service_that_is_down_is_not_asked_for() {
    let world = world("", TOO_MUCH);
    world.request(STOP).expect(0);
    let lease = world.read(LEASE);
    world.configure_app("room_before_stop = true");
    let answer = world.request(STOP).expect(0);
    assert!(
        answer.out.contains("app was down already"),
        "{}",
        answer.out
    );
    assert_eq!(world.read(LEASE), lease);
    world.request("backupctl --start app").expect(0);
    // A service that was not stopped by the gate.
    fs::remove_file(world.path("up")).unwrap();
    world.request(STOP).expect(0);
}

#[test]
fn what_an_earlier_stop_has_promised_is_kept_also_by_one_that_is_refused() {
    let world = world("", TOO_MUCH);
    world.request(STOP).expect(0);
    let lease = world.read(LEASE);
    // The service was started manually.
    world.write("up", "");
    fs::remove_file(world.path("stopped")).unwrap();
    world.configure_app("room_before_stop = true");
    world.request(STOP).expect(73);
    assert!(world.exists("up") && !world.exists("stopped"));
    assert_eq!(world.read(LEASE), lease);
    wait_until("it is kept", || world.keepers().len() == 2);
    world.request("backupctl --start app").expect(0);
}

#[test]
fn a_service_without_data_is_not_stopped_for_an_archive() {
    let world = world("room_before_stop = true", NOTHING);
    fs::remove_dir_all(world.path("root/app/data")).unwrap();
    fs::create_dir(world.path("root/app/data")).unwrap();
    // The same answer as from the archive.
    let answer = world.request(STOP).expect(76);
    assert!(answer.err.contains("empty"), "{}", answer.err);
    assert!(world.exists("up") && !world.exists("stopped") && !world.exists(LEASE));
}

#[test]
fn data_that_belongs_to_others_is_measured() {
    if !is_root() {
        eprintln!("SKIPPED: only root can give files away");
        return;
    }
    let world = world("room_before_stop = true", NOTHING);
    for name in ["root/app/data/folder", "root/app/data"] {
        let path = world.path(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&path, Some(1234), Some(1234)).unwrap();
    }
    let answer = world.request(STOP);
    stopped(&world, answer);
}

/// A spool of two mebibytes; the gate is started where it is mounted.
fn in_small_spool(world: &World) -> Answer {
    let spool = world.path("spool").display().to_string();
    let mount = "mount -t tmpfs -o size=2m,mode=0700 tmpfs \"$0\" && { test ! -e \"$0.left\" || { mkdir -m 700 \"$0/app\" && cp \"$0.left\" \"$0/app/app-2026-11-01.tar.gz.partial\"; }; } && exec \"$@\"";
    let mut gate = Command::new("unshare");
    gate.args(if is_root() {
        &["-m"][..]
    } else {
        &["-Ur", "-m"]
    })
    .args(["sh", "-c", mount, &spool, env!("CARGO_BIN_EXE_backupctl")])
    .arg("--config")
    .arg(world.path("gate.toml"))
    .args(["--stop", "app", "--timeout", "20"])
    .stdin(Stdio::null());
    Answer::of(&gate.output().unwrap())
}

/// Incompressible data of this size.
fn noise(path: &Path, bytes: u32) {
    let noise: Vec<u8> = (0..bytes / 4)
        .flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes())
        .collect();
    fs::write(path, noise).unwrap();
}

#[test]
fn a_disk_that_is_too_small_is_noticed_before_the_stop() {
    if !can_mount() {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    }
    let world = world("room_before_stop = true", NOTHING);
    fs::create_dir(world.path("spool")).unwrap();
    let big = world.path("root/app/data/big");
    noise(&big, 3 << 20);
    let answer = in_small_spool(&world);
    refused(&world, answer);
    noise(&big, 1 << 20);
    let answer = in_small_spool(&world);
    stopped(&world, answer);
}

#[test]
fn what_a_killed_gate_left_in_the_spool_does_not_count_and_what_one_at_work_has_there_does() {
    if !can_mount() {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    }
    let world = world("room_before_stop = true", NOTHING);
    fs::create_dir(world.path("spool")).unwrap();
    noise(&world.path("root/app/data/big"), 1 << 20);
    noise(&world.path("spool.left"), 3 << 19);
    fs::create_dir(world.path("lock")).unwrap();
    fs::set_permissions(world.path("lock"), fs::Permissions::from_mode(0o700)).unwrap();
    let lock = fs::File::create(world.path("lock/archive.app.lock")).unwrap();
    lock.lock().unwrap();
    let answer = in_small_spool(&world);
    refused(&world, answer);
    lock.unlock().unwrap();
    let answer = in_small_spool(&world);
    stopped(&world, answer);
}

#[test]
fn explain_says_so() {
    let what = |top: &str| {
        let world = world(top, NOTHING);
        let answer = world
            .on_host(&["--explain", "backupctl --stop app"])
            .expect(0);
        let answer: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
        let steps = answer["steps"].as_array().unwrap().clone();
        let at = |word: &str| {
            let said = |step: &serde_json::Value| step["what"].as_str().unwrap().contains(word);
            steps.iter().position(said)
        };
        let room = at("exit code 73");
        if let Some(room) = room {
            assert_eq!(steps[room]["source"], world.data());
            assert!(Some(room) < at("brought back") && at("brought back") < at("stop it"));
        }
        room
    };
    assert_eq!(what(""), None);
    // Checked after the remotes.
    assert_eq!(what("room_before_stop = true"), Some(2));
}

#[test]
fn the_spool_folder_is_the_gates_own() {
    let world = world("room_before_stop = true", NOTHING);
    world.request(STOP).expect(0);
    let made = fs::metadata(world.path("spool/app")).unwrap();
    assert_eq!(made.mode() & 0o7777, 0o700);
    // A spool that another user may write to cannot hold an archive, so the gate does not stop the service for it.
    world.request("backupctl --start app").expect(0);
    fs::remove_file(world.path("stopped")).unwrap();
    fs::set_permissions(world.path("spool/app"), fs::Permissions::from_mode(0o777)).unwrap();
    let answer = world.request(STOP);
    assert_ne!(answer.code, 0);
    assert!(world.exists("up") && !world.exists("stopped") && !world.exists(LEASE));
}
