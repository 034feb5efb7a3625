//! `--list` and `--status` show the existing data and its state, for people and for scripts, without changing anything.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Answer, World, have_rclone};

#[track_caller]
fn host(world: &World, arguments: &[&str], code: i32) -> Answer {
    Answer::of(&world.gate().args(arguments).output().unwrap()).expect(code)
}

#[track_caller]
fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {}", answer.out))
}

/// A terminal of 80 columns shows every line without wrapping, except for names that are longer.
#[track_caller]
fn fits_80_columns(world: &World, text: &str) {
    let here = world.path("").display().to_string();
    for line in text.lines().filter(|line| !line.contains(&here)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_list_names_mirrors_archives_and_what_is_left_over() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.write("extra/docs/page", "text");
    world.request(&world.sync()).expect(0);
    world.write("root/app/data/file", "changed");
    world.request(&world.sync()).expect(0);
    world.request(&world.archive()).expect(0);
    let archives = world.path("remote/OdroidBackup/app/archives");
    fs::write(archives.join("app-2026-01-02.tar.gz"), "old").unwrap();
    fs::write(archives.join("app-2026-01-09.tar.gz.partial"), "half").unwrap();
    let aside = world.path("remote/OdroidBackup/app/.pruned/2026-02-03");
    fs::create_dir_all(&aside).unwrap();
    fs::write(aside.join("app-2025-12-07.tar.gz"), "older").unwrap();
    fs::write(aside.join("app-2025-12-07.manifest.gz"), "m").unwrap();
    fs::create_dir_all(aside.with_file_name("photos")).unwrap();
    fs::write(aside.with_file_name("photos/app-2025-12-08.tar.gz"), "x").unwrap();
    fs::create_dir_all(world.path("remote/OdroidBackup/photos/album")).unwrap();
    fs::create_dir_all(world.path("root/app/restored-20260102-030405")).unwrap();
    fs::create_dir_all(world.path("spool/app")).unwrap();
    world.write("spool/app/app-2026-01-02.tar.gz.partial", "half");

    let list = json(&host(&world, &["--list", "--json"], 0));
    let remote = &list["remotes"][0];
    assert_eq!(remote["remote"], "onedrive:/OdroidBackup");
    assert_eq!(remote["problem"], Value::Null);
    let app = &remote["services"]["app"];
    assert_eq!(app["mirror"]["files"], 2);
    assert_eq!(app["mirror"]["bytes"], 19);
    assert_eq!(app["archives"].as_array().unwrap().len(), 2);
    assert_eq!(app["archives"][1]["date"], "2026-01-02");
    assert_eq!(app["archives"][1]["bytes"], 3);
    let put_aside = serde_json::json!([{
        "name": "app-2025-12-07.tar.gz", "date": "2025-12-07", "bytes": 5, "manifest": true,
        "put_aside": "2026-02-03", "kept_until": "2026-02-17"
    }]);
    assert_eq!(app["put_aside"], put_aside);
    assert_eq!(app["versions"].as_array().unwrap().len(), 1);
    assert_eq!(app["leftovers"][0]["name"], "app-2026-01-09.tar.gz.partial");
    assert_eq!(remote["services"]["lightflow"]["mirror"], Value::Null);
    assert_eq!(remote["extra"]["docs"]["mirror"], Value::Null);
    assert_eq!(remote["strangers"], serde_json::json!(["photos"]));
    assert_eq!(list["local"]["app"]["spool"][0]["bytes"], 4);
    let restored = list["local"]["app"]["restored"][0]["path"].as_str();
    assert!(restored.unwrap().ends_with("restored-20260102-030405"));

    let text = host(&world, &["--list"], 0).out;
    for words in [
        "onedrive:/OdroidBackup\n  app\n    mirror     2 files, 19 B\n",
        "  2026-01-02         3 B  ",
        "    put aside  2025-12-07         5 B  vanishes after 2026-02-17\n",
        "    versions   1 day, ",
        "    left over  app-2026-01-09.tar.gz.partial, 4 B\n",
        "  lightflow\n    mirror     none\n    archives   none\n",
        "  extra docs\n    mirror     none\n",
        "  not in the configuration\n    photos\n",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    fits_80_columns(&world, &text);

    let one = json(&host(&world, &["--list", "app", "--json"], 0));
    assert_eq!(one["remotes"][0]["services"]["app"], *app);
    assert_eq!(one["remotes"][0]["services"].as_object().unwrap().len(), 1);
}

#[test]
fn a_remote_that_does_not_answer_is_said_to_and_the_rest_is_shown() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("remotes = [\"gone:/Backup\", \"onedrive:/OdroidBackup\"]");
    world.request(&world.sync()).expect(0);
    let answer = host(&world, &["--list", "--json"], 69);
    let list = json(&answer);
    assert!(list["remotes"][0]["problem"].is_string(), "{list}");
    assert_eq!(list["remotes"][1]["services"]["app"]["mirror"]["files"], 2);
    assert!(answer.err.contains("gone:/Backup"), "{}", answer.err);
    assert_eq!(answer.err.lines().count(), 1, "{}", answer.err);
    let text = host(&world, &["--list"], 69).out;
    assert!(text.contains("gone:/Backup\n  cannot be read: "), "{text}");
    assert!(text.contains("mirror     2 files"), "{text}");
}

#[test]
fn a_status_tells_what_the_gate_did_and_does() {
    let world = World::new();
    host(&world, &["--stop", "app"], 0);
    // Locked as by an action.
    let lock = world.path("lock/app.lock");
    fs::write(&lock, "--sync (process 42)\n").unwrap();
    let mut holder = Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; read line"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut held).unwrap();
    let text = host(&world, &["--status"], 0).out;
    let status = json(&host(&world, &["--status", "app", "--json"], 0));
    drop(holder.stdin.take());
    holder.wait().unwrap();

    assert!(text.contains("app        down\n"), "{text}");
    assert!(text.contains("stopped by the gate "), "{text}");
    assert!(text.contains("comes back in "), "{text}");
    assert!(text.contains("busy with --sync (process 42)\n"), "{text}");
    assert!(text.contains("lightflow  never stopped\n"), "{text}");
    assert!(text.ends_with("0 of 1 services are up\n"), "{text}");
    fits_80_columns(&world, &text);
    assert_eq!(status.as_array().unwrap().len(), 1);
    assert_eq!(status[0]["state"], "down");
    assert_eq!(status[0]["was_up"], true);
    assert_eq!(status[0]["overdue"], false);
    assert!(status[0]["until"].is_string() && status[0]["back_at"].is_null());
    assert!(status[0]["stopped_at"].is_string());
    assert_eq!(status[0]["busy"], "--sync (process 42)");
}

#[test]
fn a_service_that_cannot_be_asked_does_not_hide_the_others() {
    let world = World::new();
    world.script("status", "echo no idea >&2\nexit 9\n");
    let answer = host(&world, &["--status"], 69);
    assert!(
        answer.out.contains("app        unclear\n"),
        "{}",
        answer.out
    );
    assert!(
        answer.out.contains("exit code 9 (no idea)"),
        "{}",
        answer.out
    );
    assert!(
        answer.out.contains("lightflow  never stopped"),
        "{}",
        answer.out
    );
}

#[test]
fn verbs_of_the_host_have_the_grammar_of_requests() {
    let world = World::new();
    for words in [
        &["--list", "app", "--json", "--json"][..],
        &["--list", "app", "app"],
        &["--list", "../x"],
        &["--list", "--timeout", "5"],
        &["--status", "--json", "yes"],
        &["--stop", "app", "--json"],
        &["--list", "--status"],
    ] {
        host(&world, words, 64);
    }
    host(&world, &["--list", "wiki"], 77);
    host(&world, &["--json", "--status"], 0);
    for line in [
        "backupctl --list app --json",
        "backupctl --json --status",
        "backupctl --doctor",
    ] {
        let answer = world.request(line).expect(77);
        assert!(answer.err.contains("only on the host"), "{}", answer.err);
    }
}
