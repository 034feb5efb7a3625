//! `--doctor` finds and names each deliberate fault, prints a command for it, and continues with the other checks.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;

use crate::harness::{Answer, World, have_rclone, is_root};

#[track_caller]
fn examine(world: &World, code: i32) -> Vec<Value> {
    let doctor = world.gate().args(["--doctor", "--json"]).output();
    let answer = Answer::of(&doctor.unwrap()).expect(code);
    serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {}", answer.out))
}

/// The first finding of a hop that has this verdict and contains these words.
#[track_caller]
fn finding<'a>(findings: &'a [Value], hop: &str, verdict: &str, words: &str) -> &'a Value {
    findings
        .iter()
        .find(|finding| {
            finding["hop"] == hop
                && finding["verdict"] == verdict
                && finding["what"].as_str().unwrap().contains(words)
        })
        .unwrap_or_else(|| panic!("no {verdict} of {hop} with {words:?} in {findings:#?}"))
}

/// A world for an account that every Debian has, with the test's own file of keys.
fn world(keys: &str) -> World {
    let world = World::new();
    let file = world.path("authorized_keys");
    world.configure(&format!(
        "[account]\nuser = \"games\"\nkeys = \"{}\"",
        file.display()
    ));
    fs::set_permissions(world.path("rclone.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    world.write("authorized_keys", keys);
    world.write("root/lightflow/data/lightflow.db", "x");
    world.write("extra/docs/page", "x");
    world
}

#[test]
fn every_hop_is_looked_at_and_whatever_is_wrong_comes_with_a_command() {
    if !have_rclone() {
        return;
    }
    let world = world("");
    let findings = examine(&world, if is_root() { 69 } else { 0 });
    for hop in [
        "config", "program", "folders", "data", "rclone", "remote", "archives", "leases",
        "services", "sudo", "kernel", "clock", "audit",
    ] {
        assert!(
            findings.iter().any(|finding| finding["hop"] == hop),
            "{hop}"
        );
    }
    for finding in &findings {
        let fixes = finding["fix"].as_array().unwrap().len();
        let wrong = finding["verdict"] == "WARN" || finding["verdict"] == "FAIL";
        assert_eq!(wrong, fixes > 0, "{finding}");
    }
    finding(
        &findings,
        "config",
        "OK",
        "2 services, 1 extra target, 1 remote",
    );
    finding(&findings, "remote", "OK", "onedrive answers");
    finding(&findings, "services", "OK", "app is up");

    let text = Answer::of(&world.gate().arg("--doctor").output().unwrap());
    let here = world.path("").display().to_string();
    let mut commands = false;
    for line in text.out.lines() {
        // Commands are meant to be copied, so their lines are not wrapped.
        commands = line.contains(" fix: ") || (commands && line.starts_with(&" ".repeat(21)));
        assert!(
            commands || line.chars().count() <= 80 || line.contains(&here),
            "{line}"
        );
    }
    // `--doctor` created and changed only the gate's own folders; its test file on the remote is deleted again.
    assert!(!world.exists("spool") && world.listing("").is_empty() && world.exists("up"));
}

#[test]
fn a_configuration_that_cannot_be_used_does_not_end_the_examination() {
    let world = world("");
    fs::set_permissions(world.path("gate.toml"), fs::Permissions::from_mode(0o666)).unwrap();
    let findings = examine(&world, 78);
    let found = finding(&findings, "config", "FAIL", "gate.toml belongs to uid");
    assert_eq!(
        found["fix"][0],
        format!("chmod go-w {}", world.path("gate.toml").display())
    );
    finding(&findings, "clock", "OK", "the clock shows");
    fs::remove_file(world.path("gate.toml")).unwrap();
    let findings = examine(&world, 78);
    let found = finding(&findings, "config", "FAIL", "gate.toml");
    assert!(found["fix"][0].as_str().unwrap().starts_with("install "));
    world.write("gate.toml", "colour = 1");
    let findings = examine(&world, 78);
    let found = finding(&findings, "config", "FAIL", "colour");
    assert!(found["fix"][0].as_str().unwrap().starts_with("editor "));
}

#[test]
fn broken_sources_programs_and_permissions_are_found() {
    let world = world("");
    fs::rename(world.path("root/app/data"), world.path("root/app/real")).unwrap();
    symlink(world.path("root/app/real"), world.path("root/app/data")).unwrap();
    fs::remove_dir_all(world.path("root/lightflow/data")).unwrap();
    fs::remove_file(world.path("extra/docs/page")).unwrap();
    fs::set_permissions(world.path("rclone.conf"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(world.path("bin/stop"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::create_dir(world.path("state")).unwrap();
    fs::set_permissions(world.path("state"), fs::Permissions::from_mode(0o777)).unwrap();
    let findings = examine(&world, 69);
    finding(&findings, "data", "FAIL", "symbolic link");
    finding(&findings, "data", "FAIL", "lightflow");
    finding(&findings, "data", "WARN", "extra docs");
    finding(&findings, "folders", "FAIL", "state_dir: ");
    finding(&findings, "services", "FAIL", "bin/stop is run as root");
    let rclone = finding(&findings, "rclone", "FAIL", "others may read it");
    let path = world.path("rclone.conf").display().to_string();
    assert_eq!(rclone["fix"][0], format!("chmod 0600 {path}"));
}

#[test]
fn rclones_words_become_a_fix_and_nothing_of_them_reaches_the_terminal_unseen() {
    let world = world("");
    let program = world.script(
        "rclone",
        "case $1 in version) echo rclone v1.60.1 ;; *) printf '\\033[2Jinvalid_grant: \\033[31mexpired\\n' >&2; exit 1 ;; esac\n",
    );
    world.configure_with("", &program);
    world.write(
        "rclone.conf",
        "[onedrive]\ntype = onedrive\ntoken = {\"access_token\":\"SECRET\",\"refresh_token\":\"SECRET\",\"expiry\":\"2020-01-01T00:00:00Z\"}\n",
    );
    let findings = examine(&world, 69);
    let remote = finding(&findings, "remote", "FAIL", "no longer accepts");
    assert!(
        remote["fix"][0]
            .as_str()
            .unwrap()
            .contains("config reconnect onedrive:")
    );
    finding(&findings, "rclone", "FAIL", "was last refreshed");
    assert!(!findings.iter().any(|finding| finding["hop"] == "archives"));
    let text = Answer::of(&world.gate().arg("--doctor").output().unwrap());
    for shown in [
        &text.out,
        &text.err,
        &serde_json::to_string(&findings).unwrap(),
    ] {
        assert!(
            !shown.contains("SECRET") && !shown.contains('\u{1b}'),
            "{shown}"
        );
    }
}

#[test]
fn keys_without_a_leash_are_failures() {
    if !is_root() {
        eprintln!("SKIPPED: only root looks at another account's keys");
        return;
    }
    let gate = env!("CARGO_BIN_EXE_backupctl");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfake test";
    let good = format!("restrict,command=\"sudo {gate} --ssh-gate\" {key}\n");
    let world = world(&format!("{good}{key}\n"));
    let findings = examine(&world, 69);
    finding(&findings, "keys", "OK", "1 key in ");
    finding(&findings, "keys", "FAIL", "line 2 of ");
    finding(&findings, "sudo", "FAIL", "games may not run");
    finding(&findings, "account", "FAIL", "nologin");
    world.write("authorized_keys", &good);
    let findings = examine(&world, 69);
    assert!(
        !findings
            .iter()
            .any(|finding| finding["hop"] == "keys" && finding["verdict"] == "FAIL")
    );
}

#[test]
fn an_account_that_is_not_there_is_a_finding() {
    let world = World::new();
    world.configure("[account]\nuser = \"no_such_account\"");
    let code = if is_root() { 69 } else { 0 };
    fs::set_permissions(world.path("rclone.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    let findings = examine(&world, code);
    let verdict = if is_root() { "FAIL" } else { "SKIP" };
    finding(
        &findings,
        "account",
        verdict,
        "there is no account no_such_account",
    );
}

#[test]
fn a_folder_above_the_data_that_the_services_user_owns_is_named() {
    if !is_root() {
        return;
    }
    let world = world("");
    let folder = world.path("root").display().to_string();
    let owned = |uid, text: &str| {
        std::os::unix::fs::chown(&folder, Some(uid), None).unwrap();
        let findings = examine(&world, 69);
        let what = format!("app, lightflow: {folder} can be written to by {text}");
        let found = finding(&findings, "data", "WARN", &what).clone();
        assert_eq!(found["fix"][0], format!("sudo chown root:root {folder}"));
    };
    owned(1234, "uid 1234");
    owned(65534, "uid 65534 (nobody)");
    // With the user of the service in the configuration.
    world.without_commands();
    world.configure_app("user = \"nobody\"");
    owned(65534, "nobody, the user of app");
    std::os::unix::fs::chown(&folder, Some(0), None).unwrap();
    world.set_mode("root", 0o775);
    let findings = examine(&world, 69);
    let found = finding(&findings, "data", "WARN", "by its group or others");
    assert_eq!(found["fix"][0], format!("sudo chmod go-w {folder}"));
}

#[test]
fn the_former_floors_are_told_with_a_command_that_takes_them_out() {
    let world = world("");
    let text = world.read("gate.toml");
    let with = format!(
        "{text}[retention]\nfloor_weekly = 2\n  floor_monthly=3 # of old\nkeep_weekly = 5\n[versions]\nkeep_days = 30\n"
    );
    world.write("gate.toml", &with);
    let findings = examine(&world, 69);
    let found = finding(&findings, "config", "WARN", "floor_weekly = 2");
    let fix = found["fix"][0].as_str().unwrap();
    let fix = fix.strip_prefix("sudo ").unwrap();
    let done = std::process::Command::new("sh").args(["-c", fix]).status();
    assert!(done.unwrap().success());
    let commented = with
        .replace("floor_weekly = 2", "# floor_weekly = 2")
        .replace("  floor_monthly=3 # of old", "#   floor_monthly=3 # of old");
    assert_eq!(world.read("gate.toml"), commented);
    let findings = examine(&world, 69);
    let told = |f: &Value| f["what"].as_str().unwrap().contains("floor");
    assert!(!findings.iter().any(told), "{findings:?}");
}

#[test]
fn the_former_default_of_early_start_is_told_with_a_command_that_takes_it_out() {
    let world = world("");
    world.configure_app("early_start = false");
    let before = format!("early_start = false # of old\n{}", world.read("gate.toml"));
    world.write("gate.toml", &before);
    let findings = examine(&world, 69);
    let found = finding(&findings, "config", "WARN", "early_start = false");
    let fix = found["fix"][0].as_str().unwrap();
    let fix = fix.strip_prefix("sudo ").unwrap();
    let done = std::process::Command::new("sh").args(["-c", fix]).status();
    assert!(done.unwrap().success());
    let after = before.replacen(
        "early_start = false # of old",
        "# early_start = false # of old",
        1,
    );
    assert_eq!(world.read("gate.toml"), after);
    let findings = examine(&world, 69);
    let told = |f: &Value| f["what"].as_str().unwrap().contains("early_start");
    assert!(!findings.iter().any(told), "{findings:?}");
}
