//! The completions that shells offer, tested in the shells themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Answer, World, have};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions")
}

/// A world with several names to complete in its configuration.
fn world() -> World {
    let world = World::new();
    world.write(
        "gate.toml",
        "data_root = \"/srv/podman\"\nremotes = [\"onedrive:/OdroidBackup\", \"second:Folder\"]\n[services.immich]\n[services.immich-kiosk]\n  [services.\"n8n\"]\n[services.Nextcloud]\n[services.\"my.app\"]\n[services.Nextcloud.limits]\n[extra.docs]\npath = \"/srv/docs\"\n",
    );
    world
}

/// The completions of bash for this line, with the cursor at its end.
#[track_caller]
fn bash(world: &World, line: &str) -> Vec<String> {
    let line = line.replace("FILE", &world.path("gate.toml").display().to_string());
    let script = r#"
        source "$1"
        COMP_LINE=$2 COMP_POINT=${#2}
        # As readline has it: broken at colons too, which are words of their own.
        read -ra COMP_WORDS <<<"${2//:/ : }"
        [[ $2 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        function=$(complete -p "${COMP_WORDS[0]}") function=${function#*-F } function=${function%% *}
        "$function" && printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let done = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .arg(folder().join("backupctl.bash"))
        .arg(line)
        .output();
    let answer = Answer::of(&done.unwrap());
    assert_eq!(answer.err, "");
    let words = answer.out.lines().map(str::to_owned);
    words.filter(|word| !word.is_empty()).collect()
}

#[test]
fn bash_offers_verbs_options_and_names() {
    if !have("/usr/bin/bash") {
        return;
    }
    let world = world();
    let check = |line: &str, expected: &[&str]| {
        assert_eq!(bash(&world, line), expected, "{line}");
    };
    check("backupctl --sy", &["--sync", "--sync-extra"]);
    check(
        "backupctl --config FILE --stop i",
        &["immich", "immich-kiosk"],
    );
    check(
        "backupctl --config FILE --stop ",
        &["immich", "immich-kiosk", "n8n", "Nextcloud", "my.app"],
    );
    check("backupctl --config FILE --sync-extra ", &["docs"]);
    check("backupctl --config FILE --stop my.", &["my.app"]);
    check(
        "backupctl --config FILE --sync n8n --path ",
        &["/srv/podman/n8n/data"],
    );
    check(
        "backupctl --config FILE --sync n8n --remote ",
        &["onedrive:/OdroidBackup", "second:Folder"],
    );
    // The part before the colon is already on the line.
    check(
        "backupctl --config FILE --sync n8n --remote onedrive:",
        &["/OdroidBackup"],
    );
    check(
        "backupctl --sync n8n --timeout 5 --",
        &["--path", "--remote"],
    );
    check("backupctl --list --", &["--json"]);
    check("backupctl --completions ", &["bash", "zsh", "fish"]);
    check("backupctl --config FILE --status n8n --", &["--json"]);
    check("podmanctl --st", &["--status", "--stop", "--start"]);
    check("podmanctl --config FILE --stop n", &["n8n"]);
    check("podmanctl --list ", &[]);
}

#[test]
fn bash_offers_nothing_where_the_configuration_cannot_be_read() {
    if !have("/usr/bin/bash") {
        return;
    }
    let world = world();
    assert!(bash(&world, "backupctl --config /nonexistent --stop ").is_empty());
}

#[test]
fn bash_runs_nothing_that_stands_in_a_configuration_or_on_the_line() {
    if !have("/usr/bin/bash") {
        return;
    }
    let world = world();
    let ran = world.path("ran").display().to_string();
    let command = format!("$(touch${{IFS}}{ran})");
    world.write(
        "gate.toml",
        &format!("data_root = \"/srv/{command}\"\nremotes = [\"onedrive:/{command}\", \"second:Folder\"]\n"),
    );
    let offered = bash(&world, "backupctl --config FILE --sync n8n --remote ");
    assert_eq!(offered, ["second:Folder"]);
    let line = format!("backupctl --config FILE --sync {command} --path ");
    assert!(bash(&world, &line).is_empty());
    assert!(!world.exists("ran"));
}

#[test]
fn fish_offers_verbs_options_and_names() {
    if !have("/usr/bin/fish") {
        return;
    }
    let world = world();
    let offered = |line: &str| -> Vec<String> {
        let line = line.replace("FILE", &world.path("gate.toml").display().to_string());
        let script = folder().join("backupctl.fish").display().to_string();
        let done = Command::new("fish")
            .args(["--no-config", "-c"])
            .arg(format!("source {script}; complete -C '{line}'"))
            .env("HOME", world.path(""))
            .output();
        let answer = Answer::of(&done.unwrap());
        assert_eq!(answer.err, "");
        let words = answer
            .out
            .lines()
            .filter_map(|line| line.split('\t').next());
        words.map(str::to_owned).collect()
    };
    assert_eq!(offered("backupctl --sy"), ["--sync", "--sync-extra"]);
    assert_eq!(
        offered("backupctl --config FILE --stop i"),
        ["immich", "immich-kiosk"]
    );
    assert_eq!(
        offered("backupctl --config FILE --sync n8n --remote second"),
        ["second:Folder"]
    );
    assert_eq!(offered("backupctl --list --js"), ["--json"]);
    assert!(offered("backupctl --list --sto").is_empty());
}

#[test]
fn zsh_reads_its_file() {
    if !have("/usr/bin/zsh") {
        return;
    }
    let done = Command::new("zsh")
        .args(["-f", "-n"])
        .arg(folder().join("_backupctl"))
        .output();
    assert_eq!(Answer::of(&done.unwrap()).expect(0).err, "");
}

#[test]
fn the_program_brings_them_along() {
    let world = World::new();
    for (shell, file) in [
        ("bash", "backupctl.bash"),
        ("zsh", "_backupctl"),
        ("fish", "backupctl.fish"),
    ] {
        let printed = world.gate().args(["--completions", shell]).output();
        let expected = std::fs::read_to_string(folder().join(file)).unwrap();
        assert_eq!(Answer::of(&printed.unwrap()).expect(0).out, expected);
    }
    let other = world.gate().args(["--completions", "tcsh"]).output();
    let answer = Answer::of(&other.unwrap()).expect(64);
    assert!(answer.err.contains("bash, zsh or fish"), "{}", answer.err);
}
