//! The write probe of `--doctor`, and the consequences of an old rclone for a remote of type onedrive.
//!
//! A program in rclone's place runs rclone, but reports another version, or refuses one verb as Microsoft would.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::{Answer, STATS, World, have_rclone};

/// A line as rclone logs an error.
const REFUSED: &str =
    r#"{"level":"error","msg":"Failed to copy: unauthenticated: Unauthenticated"}"#;

/// rclone.conf for a remote that is OneDrive by its type; a stand-in for rclone never looks at it.
const ONEDRIVE: &str = "[onedrive]\ntype: onedrive\ntoken: {\"access_token\":\"a\",\"refresh_token\":\"b\",\"expiry\":\"0001-01-01T00:00:00Z\"}\ndrive_id = d\ndrive_type = personal\n";

fn doctor(world: &World) -> Vec<Value> {
    fs::set_permissions(world.path("rclone.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    let answer = world.on_host(&["--doctor", "--json"]);
    serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {}", answer.err))
}

/// The findings of a hop as `VERDICT words`.
fn of_hop(findings: &[Value], hop: &str) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding["hop"] == hop)
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            let fixes = finding["fix"].as_array().unwrap();
            assert_eq!(fixes.is_empty(), finding["verdict"] == "OK", "{finding}");
            format!("{} {}", text("verdict"), text("what"))
        })
        .collect()
}

/// A stand-in that is version `version` of an rclone for OneDrive: it logs its verbs, stores one file, and refuses to
/// store it while a file `refuse` is there.
fn stand_in(world: &World, version: &str) {
    let here = world.path("").display().to_string();
    let program = world.script(
        "rclone",
        &format!(
            "echo $1 >> {here}/verbs\ncase $1 in\n\
             version) echo rclone v{version}; exit ;;\n\
             copyto) test -e {here}/refuse && {{ echo '{REFUSED}' >&2; exit 1; }}; cp $2 {here}/stored ;;\n\
             cat) cat {here}/stored ;;\n\
             about) echo '{{\"free\":1000}}' ;;\n\
             lsjson) echo '[]' ;;\n\
             sync) echo '{STATS}' >&2 ;;\n\
             esac\n"
        ),
    );
    world.configure_with("", &program);
    world.write("rclone.conf", ONEDRIVE);
}

fn verbs(world: &World) -> Vec<String> {
    let verbs = world.read("verbs").lines().map(str::to_owned).collect();
    let _ = fs::remove_file(world.path("verbs"));
    verbs
}

#[test]
fn the_doctor_stores_a_file_and_removes_it() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let findings = doctor(&world);
    let write = of_hop(&findings, "write");
    assert_eq!(write.len(), 1, "{write:?}");
    assert!(
        write[0]
            .starts_with("OK onedrive:/OdroidBackup: a small file was stored, compared by hash"),
        "{write:?}"
    );
    assert_eq!(world.listing(""), [""; 0]);
    assert!(world.read("audit.jsonl").contains("looked"));
}

#[test]
fn hashes_that_cannot_be_compared_are_a_warning_and_with_crypt_they_can() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let here = world.path("remote").display().to_string();
    // `rclone obscure secret`
    let password = std::process::Command::new("/usr/bin/rclone")
        .args(["obscure", "secret"])
        .output()
        .unwrap();
    let password = String::from_utf8(password.stdout).unwrap();
    world.write(
        "rclone.conf",
        &format!("[onedrive]\ntype: crypt\nremote: {here}\npassword: {password}\n"),
    );
    let write = of_hop(&doctor(&world), "write");
    assert!(write[0].starts_with("OK "), "{write:?}");
    // A chunker without hashes.
    fs::create_dir(world.path("remote/chunks")).unwrap();
    world.write(
        "rclone.conf",
        &format!("[onedrive]\ntype = chunker\nremote = {here}/chunks\nhash_type = none\n"),
    );
    let write = of_hop(&doctor(&world), "write");
    assert!(
        write[0].starts_with("WARN ") && write[0].contains("hashes cannot be compared"),
        "{write:?}"
    );
}

#[test]
fn the_doctor_says_which_step_failed() {
    if !have_rclone() {
        return;
    }
    for (verb, words) in [
        (
            "copyto",
            "storing a small file in onedrive:/OdroidBackup/.probe",
        ),
        ("check", "comparing the stored file"),
        ("moveto", "renaming the file"),
        ("deletefile", "deleting the file"),
    ] {
        let world = World::new();
        let error = r#"{"level":"error","msg":"invalidRequest: ObjectHandle is Invalid"}"#;
        let program = world.script(
            "rclone",
            &format!(
                "test $1 = {verb} && {{ echo '{error}' >&2; exit 1; }}\nexec /usr/bin/rclone \"$@\"\n"
            ),
        );
        world.configure_with("", &program);
        let write = of_hop(&doctor(&world), "write");
        assert!(
            write[0].starts_with("FAIL ") && write[0].contains(words),
            "{write:?}"
        );
        assert!(
            write[0].contains("choose the drive called OneDrive"),
            "{write:?}"
        );
        // No file is left behind.
        assert_eq!(world.listing(""), [""; 0]);
    }
    let world = World::new();
    let program = world.script(
        "rclone",
        "test $1 = cat && { echo damaged; exit 0; }\nexec /usr/bin/rclone \"$@\"\n",
    );
    world.configure_with("", &program);
    let write = of_hop(&doctor(&world), "write");
    assert!(write[0].contains("reading the file back"), "{write:?}");
}

#[test]
fn the_hidden_entry_takes_configured_remotes_alone_and_is_closed_to_ssh() {
    let world = World::new();
    for remote in ["onedrive:/Other", "--help", ":local:/etc"] {
        let answer = world.on_host(&["__facts", "probe", remote]).expect(69);
        assert!(
            answer.out.contains("not among the remotes"),
            "{}",
            answer.out
        );
    }
    world
        .request("backupctl __facts probe onedrive:/OdroidBackup")
        .expect(64);
    assert!(!world.exists("state/rclone.json"));
}

#[test]
fn an_old_rclone_is_red_for_onedrive_and_green_elsewhere() {
    let world = World::new();
    for (version, verdict) in [("1.60.1-DEV", "FAIL"), ("1.69.3", "WARN"), ("1.75.2", "OK")] {
        stand_in(&world, version);
        let found = of_hop(&doctor(&world), "rclone");
        assert!(
            found[0].starts_with(verdict) && found[0].contains(version),
            "{found:?}"
        );
        // A colon counts like an equals sign.
        assert!(found[1].contains("with a token"), "{found:?}");
    }
    if have_rclone() {
        let local = World::new();
        assert!(of_hop(&doctor(&local), "rclone")[0].starts_with("OK "));
    }
}

#[test]
fn an_rclone_that_is_too_old_is_refused_only_after_a_write_probe_failed() {
    let world = World::new();
    stand_in(&world, "1.60.1-DEV");
    world.write("refuse", "");
    for line in [world.sync(), world.archive()] {
        let answer = world.request(&line).expect(69);
        assert!(
            answer.err.contains("before 1.67") && answer.err.contains("rclone.program"),
            "{}",
            answer.err
        );
    }
    assert!(!verbs(&world).contains(&"copy".to_owned()));
    // No service is stopped for this, with or without an earlier probe.
    for memory in [true, false] {
        if !memory {
            fs::remove_file(world.path("state/rclone.json")).unwrap();
        }
        let answer = world.request("backupctl --stop app").expect(69);
        assert!(
            answer.err.contains("app is not stopped") && answer.err.contains("before 1.67"),
            "{}",
            answer.err
        );
        assert!(world.exists("up") && !world.exists("state/leases/app.json"));
        // One cheap request, and a probe if there was none before.
        assert_eq!(verbs(&world) == ["about"], memory);
    }
    // The account accepts the upload after all: the doctor notices this, and the next stop succeeds.
    fs::remove_file(world.path("refuse")).unwrap();
    let findings = doctor(&world);
    assert!(of_hop(&findings, "rclone")[0].starts_with("FAIL "));
    assert!(of_hop(&findings, "write")[0].starts_with("OK "));
    world.request("backupctl --stop app").expect(0);
    verbs(&world);
    let answer = world.request(&world.sync()).expect(0);
    assert!(answer.err.contains("need 1.67"), "{}", answer.err);
    // The gate repeats neither the version query nor the probe.
    assert!(!verbs(&world).contains(&"version".to_owned()));
    world.request("backupctl --start app").expect(0);
}

#[test]
fn a_probe_that_fails_for_another_reason_refuses_nothing() {
    let world = World::new();
    stand_in(&world, "1.60.1-DEV");
    let text = world.read("bin/rclone");
    // The line breaks once, and later uploads pass.
    let here = world.path("").display().to_string();
    let once = format!("rm {here}/refuse; exit 1; }}");
    let text = text
        .replace("unauthenticated: Unauthenticated", "unexpected EOF")
        .replace("exit 1; }", &once);
    let body = text.strip_prefix("#!/bin/sh\n").unwrap().to_owned();
    world.script("rclone", &body);
    world.write("refuse", "");
    let answer = world.request(&world.sync()).expect(0);
    assert!(
        answer.err.contains("the test did not pass"),
        "{}",
        answer.err
    );
    assert!(verbs(&world).contains(&"copy".to_owned()));
    world.request("backupctl --stop app").expect(0);
    world.request("backupctl --start app").expect(0);
}

#[test]
fn a_newer_rclone_is_not_probed_and_another_program_is_asked_again() {
    let world = World::new();
    stand_in(&world, "1.75.2");
    // This stand-in answers no requests, as such a version would; the verdict about it comes before that.
    world.request(&world.sync());
    assert_eq!(verbs(&world).first().map(String::as_str), Some("version"));
    world.request(&world.sync());
    assert!(!verbs(&world).contains(&"version".to_owned()));
    stand_in(&world, "1.69.3");
    let answer = world.request(&world.sync());
    assert!(answer.err.contains("need 1.70"), "{}", answer.err);
    assert_eq!(verbs(&world).first().map(String::as_str), Some("version"));
}

/// rclone's own reading of a configuration decides.
#[test]
fn the_gate_reads_rclone_conf_as_rclone_does() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let here = world.path("remote").display().to_string();
    for text in [
        format!("[onedrive]\ntype: alias\nremote: {here}\n"),
        format!("[ onedrive ]\n\"type\" = `alias`\nremote = \"\"\"{here}\"\"\"\n"),
        format!("# x\n;y\n[onedrive]\ntype=x\ntype=alias\nremote={here}"),
        format!("[other]\nx = 1\n[onedrive]\nremote = {here}\ntype : alias\n"),
    ] {
        world.write("rclone.conf", &text);
        let dump = std::process::Command::new("/usr/bin/rclone")
            .args(["config", "dump", "--config"])
            .arg(world.path("rclone.conf"))
            .output()
            .unwrap();
        let dump: Value = serde_json::from_slice(&dump.stdout).unwrap();
        assert_eq!(dump["onedrive"]["type"], "alias", "{text}");
        let found = of_hop(&doctor(&world), "rclone");
        assert!(
            found.contains(&"OK [onedrive] is of type alias, and needs no token".to_owned()),
            "{text}: {found:?}"
        );
    }
    world.write("rclone.conf", "[onedrive]\ntype = alias\nnonsense\n");
    let answer = Answer::of(
        &std::process::Command::new("/usr/bin/rclone")
            .args(["config", "dump", "--config"])
            .arg(world.path("rclone.conf"))
            .output()
            .unwrap(),
    );
    assert_ne!(answer.code, 0);
    let found = of_hop(&doctor(&world), "rclone");
    assert!(
        found
            .iter()
            .any(|found| found.contains("cannot read line 3")),
        "{found:?}"
    );
}
