//! Valid requests that the gate refuses: the copy would destroy data, or could not be trusted.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::harness::{Answer, World, have_rclone, is_root};

#[test]
fn every_sync_of_a_day_keeps_what_it_replaced() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    for version in ["one", "two!", "three"] {
        world.write("root/app/data/db", version);
        world.request(&world.sync()).expect(0);
    }
    let date = &world.listing("app/.versions")[0];
    let kept: Vec<String> = world
        .listing(&format!("app/.versions/{date}"))
        .iter()
        .map(|time| {
            let path = format!("remote/OdroidBackup/app/.versions/{date}/{time}/db");
            fs::read_to_string(world.path(&path)).unwrap()
        })
        .collect();
    assert_eq!(kept, ["one", "two!"]);
}

/// Every action that uses rclone, as lines over SSH and as words on the host.
fn uses_of_rclone(world: &World) -> Vec<Answer> {
    let lines = [
        world.sync(),
        world.archive(),
        "backupctl --stop app".into(),
        "backupctl --sync-extra docs --remote onedrive:/OdroidBackup".into(),
    ];
    let on_host = ["--list", "--verify", "--restore"].map(|verb| world.on_host(&[verb, "app"]));
    let over_ssh = lines.iter().map(|line| world.request(line));
    over_ssh.chain(on_host).collect()
}

/// Insists that every request is refused with this command, and that no service was stopped and no file stored.
#[track_caller]
fn all_refused_with(world: &World, command: &str) {
    for answer in uses_of_rclone(world) {
        let answer = answer.expect(78);
        assert!(answer.err.contains(command), "{command}: {}", answer.err);
    }
    assert!(world.exists("up"), "the service was stopped");
    assert!(!world.exists("stopped"), "the service was stopped");
    assert!(!world.exists("remote/OdroidBackup"));
}

#[test]
fn a_configuration_of_rclone_that_others_may_read_or_write_is_refused_with_the_fix() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.script("stop", &format!("rm -f {here}up; : > {here}stopped\n"));
    world.write("extra/docs/page", "");
    let path = world.path("rclone.conf").display().to_string();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o666, 0o660] {
        world.set_mode("rclone.conf", mode);
        all_refused_with(&world, &format!("`chmod 0600 {path}`"));
    }
    world.set_mode("rclone.conf", 0o600);
    if is_root() {
        chown(&path, Some(4321), Some(4321)).unwrap();
        all_refused_with(&world, &format!("`chown root:root {path}`"));
        world.set_mode("rclone.conf", 0o644);
        let both = format!("`chown root:root {path} && chmod 0600 {path}`");
        all_refused_with(&world, &both);
        world.set_mode("rclone.conf", 0o600);
        chown(&path, Some(0), Some(0)).unwrap();
    }
    // The folder that holds it.
    let folder = here.trim_end_matches('/');
    world.set_mode("", 0o777);
    let answer = world.request(&world.sync()).expect(78);
    let command = format!("`chmod go-w {folder}`");
    assert!(answer.err.contains(&command), "{}", answer.err);
    world.set_mode("", 0o700);
    if have_rclone() {
        world.request(&world.sync()).expect(0);
    }
}

#[test]
fn a_key_file_of_rclones_configuration_that_others_may_read_is_refused_with_the_fix() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let here = world.path("").display().to_string();
    world.write("key", "secret");
    world.write("extra/docs/page", "");
    let text = world.read("rclone.conf");
    for setting in ["service_account_file", "key_file"] {
        world.write(
            "rclone.conf",
            &format!(
                "{text}{setting} = {here}key\n[other]\ntype = sftp\nkey_file = {here}unused\n"
            ),
        );
        world.set_mode("key", 0o640);
        let command = format!("`chmod 0600 {here}key`");
        all_refused_with(&world, &command);
        let doctor = world.on_host(&["--doctor"]).expect(69);
        let fix = format!("fix: chmod 0600 {here}key");
        assert!(doctor.out.contains(&fix), "{}", doctor.out);
    }
    // rclone works in the root folder.
    let relative = here.trim_start_matches('/');
    world.write("rclone.conf", &format!("{text}key_file = {relative}key\n"));
    world.set_mode("key", 0o604);
    all_refused_with(&world, &format!("`chmod 0600 {here}key`"));
    if is_root() {
        chown(world.path("key"), Some(1000), None).unwrap();
        let both = format!("`chown root:root {here}key && chmod 0600 {here}key`");
        all_refused_with(&world, &both);
        chown(world.path("key"), Some(0), None).unwrap();
    }
    world.set_mode("key", 0o600);
    world.request(&world.sync()).expect(0);
}

#[test]
fn a_folder_in_the_place_of_rclones_configuration_gets_no_mode_of_a_file() {
    let world = World::new();
    fs::remove_file(world.path("rclone.conf")).unwrap();
    fs::create_dir(world.path("rclone.conf")).unwrap();
    let answer = world.request(&world.sync()).expect(78);
    let reason = "rclone.conf is not a regular file";
    assert!(answer.err.contains(reason), "{}", answer.err);
    assert!(!answer.err.contains("chmod"), "{}", answer.err);
}

#[test]
fn a_tree_without_a_bottom_is_refused_and_named() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let mut deep = world.path("root/app/data");
    for _ in 0..300 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let answer = world.request(&world.archive()).expect(69);
    assert!(
        answer.err.contains("200 directories deep"),
        "{}",
        answer.err
    );
}

#[test]
fn a_program_that_others_may_replace_is_not_run() {
    let world = World::new();
    let mode = |name: &str, mode| {
        fs::set_permissions(world.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    // The start command is checked before the service is stopped.
    mode("bin/start", 0o775);
    let answer = world.request("backupctl --stop app").expect(78);
    assert!(answer.err.contains("bin/start"), "{}", answer.err);
    assert!(world.exists("up"));
    mode("bin/start", 0o755);
    mode("bin", 0o777);
    world.request("backupctl --start app").expect(78);
    let rclone = world.script("rclone", "case $1 in lsjson) echo '[]' ;; esac\n");
    world.configure_with("", &rclone);
    let answer = world.request(&world.sync()).expect(78);
    assert!(answer.err.contains("chmod go-w"), "{}", answer.err);
    mode("bin", 0o755);
    world.request(&world.sync()).expect(0);
}

#[test]
fn a_folder_on_a_disk_that_is_not_mounted_is_not_made() {
    let world = World::new();
    let here = world.path("").display().to_string();
    world.set(&format!("spool_dir = \"{here}disk/backupctl/spool\""));
    let answer = world.request(&world.archive()).expect(69);
    assert!(answer.err.contains("mount its disk"), "{}", answer.err);
    assert!(!world.exists("disk"));
    fs::create_dir_all(world.path("disk/backupctl")).unwrap();
    if have_rclone() {
        world.request(&world.archive()).expect(0);
    }
}

#[test]
fn an_empty_source_wipes_nothing() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.request(&world.sync()).expect(0);
    fs::remove_dir_all(world.path("root/app/data")).unwrap();
    fs::create_dir(world.path("root/app/data")).unwrap();
    for line in [world.sync(), world.archive()] {
        let answer = world.request(&line).expect(76);
        assert!(answer.err.contains("empty"), "{}", answer.err);
    }
    assert_eq!(world.listing("app/data"), ["file", "folder"]);
}

#[test]
fn a_missing_rclone_is_named() {
    let world = World::new();
    world.configure_with("", "/nonexistent/rclone");
    let answer = world.request(&world.sync()).expect(69);
    assert!(answer.err.contains("/nonexistent/rclone"), "{}", answer.err);
}

/// The exit codes with a special meaning for the gate, a shell, timeout(1) or a signal.
const RESERVED: [i32; 14] = [64, 65, 69, 70, 73, 75, 76, 77, 78, 124, 125, 126, 127, 137];

#[test]
fn no_exit_code_of_a_program_is_taken_for_one_of_the_gate() {
    let world = World::new();
    let here = world.path("").display().to_string();
    for code in RESERVED {
        let program = world.script(
            "rclone",
            &format!("test $1 != version || exit 0\necho '0 source-replaced {here} was replaced' >&2\nexit {code}\n"),
        );
        world.configure_with("ask_before_stop = false", &program);
        let answer = world.request(&world.sync()).expect(69);
        let named = answer.err.contains(&format!("exit code {code}"));
        assert!(named, "{code}: {}", answer.err);
        // A stop command with this exit code has failed, and the service is brought back.
        world.script("stop", &format!("rm -f {here}up\nexit {code}\n"));
        let answer = world.request("backupctl --stop app --timeout 5").expect(69);
        let named = answer.err.contains(&format!("exit code {code}"));
        assert!(named, "{code}: {}", answer.err);
        assert!(world.exists("up"), "{code}: {}", answer.err);
    }
}

#[test]
fn a_status_that_ends_with_a_reserved_code_is_neither_up_nor_down() {
    let world = World::new();
    for code in RESERVED {
        world.script("status", &format!("exit {code}\n"));
        let answer = world.on_host(&["--status", "app"]).expect(69);
        assert!(answer.out.contains("unclear"), "{code}: {}", answer.out);
    }
}

#[test]
fn a_program_that_the_system_cannot_run_is_named() {
    let world = World::new();
    let program = world.script("rclone", "");
    fs::write(&program, "#!/nonexistent/interpreter\n").unwrap();
    world.configure_with("", &program);
    let answer = world.request(&world.sync()).expect(69);
    for words in [program.as_str(), "not started"] {
        assert!(answer.err.contains(words), "{}", answer.err);
    }
}
