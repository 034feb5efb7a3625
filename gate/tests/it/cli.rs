//! The command line: exact output and exit codes.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{Answer, World, is_root};

#[track_caller]
fn host(world: &World, arguments: &[&str], code: i32) -> Answer {
    Answer::of(&world.gate().args(arguments).output().unwrap()).expect(code)
}

#[test]
fn help_names_every_verb_and_version_is_one_line() {
    let world = World::new();
    let help = host(&world, &["--help"], 0).out;
    for verb in [
        "--stop",
        "--start",
        "--sync",
        "--archive",
        "--sync-extra",
        "--list",
        "--status",
        "--doctor",
        "--explain",
    ] {
        assert!(help.contains(&format!("backupctl {verb} ")), "{verb}");
    }
    assert_eq!(
        host(&world, &["--version"], 0).out,
        format!("backupctl {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_unset_or_empty_request_is_refused() {
    let world = World::new();
    let words = "backupctl: no request: SSH_ORIGINAL_COMMAND is unset or empty; send one as in `ssh HOST backupctl --stop SERVICE`, and let sudo keep the variable (env_keep)\n";
    let unset = Answer::of(
        &world
            .gate()
            .arg("--ssh-gate")
            .env_remove("SSH_ORIGINAL_COMMAND")
            .output()
            .unwrap(),
    );
    assert_eq!(
        (unset.code, unset.err.as_str(), unset.out.as_str()),
        (64, words, "")
    );
    let empty = world.request("");
    assert_eq!((empty.code, empty.err.as_str()), (64, words));
}

#[test]
fn refusals_say_why_in_one_line() {
    let world = World::new();
    let check = |line: &str, code: i32, words: &str| {
        let answer = world.request(line).expect(code);
        assert_eq!(answer.err, format!("backupctl: {words}\n"));
    };
    check(
        "rm -rf /",
        64,
        "a request begins with the word backupctl, not 'rm'",
    );
    check(
        "backupctl --stop app;id",
        64,
        "byte 21 of the request is ';', which is not allowed; words consist of letters, digits and . _ / : -",
    );
    check(
        "backupctl --stop app --timeout 0",
        64,
        "--timeout: '0' is not a number of seconds from 1 to 9999999, in plain digits",
    );
    check(
        "backupctl --stop wiki",
        77,
        "refused: service 'wiki' is not in the allow-list; add [services.wiki] to the configuration on the host",
    );
    check(
        "backupctl --list",
        77,
        "refused: --list is done only on the host, not over SSH",
    );
    check(
        "backupctl --stop lightflow",
        77,
        "refused: service 'lightflow' is copied while it runs and is never stopped or started from here",
    );
}

#[test]
fn the_hosts_command_line_has_the_same_grammar_and_more() {
    let world = World::new();
    host(&world, &["--stop", "app", "--timeout", "5"], 0);
    assert!(!world.exists("up"));
    let status = host(&world, &["--status", "app"], 0).out;
    assert!(
        status.starts_with("app  down\n") && status.contains("stopped by the gate "),
        "{status}"
    );
    host(&world, &["--start", "app"], 0);
    assert_eq!(
        host(&world, &["--status", "app"], 0).out,
        "app  up\n1 of 1 services are up\n"
    );
    host(&world, &["--status", "wiki"], 77);
    host(&world, &["--stop", "app --timeout"], 64);
    host(&world, &["--stop app"], 64);
    host(&world, &[], 64);
    host(&world, &["--ssh-gate", "--config", "/x"], 64);
}

#[test]
fn a_configuration_that_others_can_write_is_refused() {
    let world = World::new();
    let file = world.path("gate.toml");
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for bad in [0o666, 0o664, 0o602] {
        mode(&file, bad);
        let answer = world.request("backupctl --stop app").expect(78);
        assert!(
            answer.err.contains("gate.toml belongs to uid"),
            "{}",
            answer.err
        );
    }
    mode(&file, 0o600);
    mode(&world.path(""), 0o777);
    world.request("backupctl --stop app").expect(78);
    mode(&world.path(""), 0o700);
    let real = world.path("real.toml");
    std::fs::rename(&file, &real).unwrap();
    std::os::unix::fs::symlink(&real, &file).unwrap();
    let answer = world.request("backupctl --stop app").expect(78);
    assert!(answer.err.contains("is a link"), "{}", answer.err);
    std::fs::remove_file(&file).unwrap();
    world.request("backupctl --stop app").expect(78);
    std::fs::rename(&real, &file).unwrap();
    if is_root() {
        std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
        world.request("backupctl --stop app").expect(78);
    } else {
        eprintln!("SKIPPED: only root can give a file away");
    }
    assert!(world.exists("up"));
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    let world = World::new();
    for (text, word) in [
        ("colour = 1", "colour"),
        ("data_root = \"relative\"", "relative"),
        ("[services.app]\nready = [\"x\"]", "absolute"),
        ("= broken", "gate.toml"),
    ] {
        world.write("gate.toml", text);
        let answer = world.request("backupctl --stop app").expect(78);
        assert!(answer.err.contains(word), "{text}: {}", answer.err);
    }
}

#[test]
fn without_a_configuration_of_its_own_the_gate_needs_root() {
    if is_root() {
        eprintln!("SKIPPED: this is about ordinary users");
        return;
    }
    let gate = Command::new(env!("CARGO_BIN_EXE_backupctl"))
        .arg("--list")
        .output()
        .unwrap();
    let answer = Answer::of(&gate).expect(78);
    assert!(answer.err.contains("needs root"), "{}", answer.err);
}

#[test]
fn every_decision_and_every_outcome_is_one_audit_line() {
    let world = World::new();
    world.request("backupctl --stop app").expect(0);
    world.request("backupctl --stop wiki").expect(77);
    world.request("backupctl --stop app\nforged").expect(64);
    let lines: Vec<serde_json::Value> = world
        .read("audit.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["accepted", "done", "refused", "refused"]);
    assert_eq!(lines[1]["status"], "0");
    assert_eq!(lines[2]["status"], "77");
    assert_eq!(lines[3]["request"], "backupctl --stop app\\nforged");
    assert!(lines.iter().all(|line| line["door"] == "ssh"));
}

#[test]
fn the_hidden_entry_is_for_the_gate_itself() {
    let entry = Command::new(env!("CARGO_BIN_EXE_backupctl"))
        .args(["__exec", "1", "free", "none", "/", "/", "/bin/echo", "ran"])
        .output()
        .unwrap();
    let answer = Answer::of(&entry).expect(125);
    assert_eq!(answer.out, "");
}

#[test]
fn an_action_that_cannot_be_audited_says_so() {
    let world = World::new();
    if std::path::Path::new("/run/systemd/journal/socket").exists()
        || std::path::Path::new("/dev/log").exists()
    {
        eprintln!("SKIPPED: this system has a journal");
        return;
    }
    std::fs::create_dir(world.path("audit.jsonl")).unwrap();
    let answer = world.request("backupctl --stop app").expect(0);
    assert!(answer.err.contains("audit line"), "{}", answer.err);
}

#[test]
fn a_typing_error_is_told_before_the_configuration_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let run = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_backupctl"))
            .arg("--config")
            .arg(&missing)
            .args(words)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        Answer::of(&output)
    };
    for words in [&["-h"][..], &["help"], &["--help"]] {
        let answer = run(words).expect(0);
        assert!(answer.out.contains("backupctl --stop SVC"), "{words:?}");
    }
    let answer = run(&[]).expect(64);
    assert!(answer.err.contains("no action is named"), "{}", answer.err);
    for (word, meant) in [
        ("--stpo", "--stop"),
        ("--archve", "--archive"),
        ("list", "--list"),
    ] {
        let answer = run(&[word, "app"]).expect(64);
        let hint = format!("unknown option '{word}'; did you mean {meant}?");
        assert!(answer.err.contains(&hint), "{}", answer.err);
    }
    let answer = run(&["--frobnicate"]).expect(64);
    assert!(
        answer.err.contains("see backupctl --help"),
        "{}",
        answer.err
    );
    // A line without an error needs the configuration.
    let answer = run(&["--stop", "app"]).expect(78);
    assert!(answer.err.contains("none.toml"), "{}", answer.err);
}

#[test]
fn a_fault_of_the_configuration_is_one_sentence_with_its_line() {
    let world = World::new();
    for (text, told) in [
        (
            "data_root = \"/x\"\nremotes = [1\n",
            "line 2 (remotes = [1): unclosed array",
        ),
        ("data_rot = \"/x\"\n", "unknown field `data_rot`"),
    ] {
        world.write("gate.toml", text);
        let answer = world.on_host(&["--status"]).expect(78);
        assert!(answer.err.contains(told), "{}", answer.err);
        assert!(!answer.err.contains('|'), "{}", answer.err);
        assert_eq!(answer.err.lines().count(), 1, "{}", answer.err);
    }
}

#[test]
fn a_long_line_that_is_refused_leaves_a_short_one_in_the_audit() {
    let world = World::new();
    let line = format!("backupctl --stop {}", "a".repeat(4000));
    let answer = world.request(&line);
    assert_ne!(answer.code, 0);
    let audit = world.read("audit.jsonl");
    let last = audit.lines().last().unwrap();
    assert!(last.contains("bytes in all"), "{last}");
    assert!(last.len() < 2500, "{} bytes", last.len());
}
