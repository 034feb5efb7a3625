//! `ask_before_stop`: a service stays up when no remote would take its backup, and for no lesser reason.

use std::fs;

use crate::harness::{Answer, World, is_root};

const STOP: &str = "backupctl --stop app --timeout 20";

const REVOKED: &str =
    r#"{"level":"error","msg":"couldn't fetch token: invalid_grant: maybe it has expired?"}"#;
const OFFLINE: &str = r#"{"level":"error","msg":"couldn't fetch token - maybe it has expired?: Post \"https://login.example\": dial tcp: lookup login.example: no such host"}"#;
const UNKNOWN: &str = r#"{"level":"error","msg":"didn't find section in config file"}"#;

/// A world with the remotes `onedrive` and `second`, and a stand-in for rclone that answers for each with a line of shell.
fn world(first: &str, second: &str) -> World {
    let world = World::new();
    answers(&world, first, second);
    world
}

fn answers(world: &World, first: &str, second: &str) {
    let here = world.path("").display().to_string();
    let program = world.script(
        "rclone",
        &format!(
            "echo \"$1 $2\" >> {here}/asked\ncase \"$1 $2\" in\n'about onedrive:') {first} ;;\n'about second:') {second} ;;\n*) exit 1 ;;\nesac\n"
        ),
    );
    world.configure_with(
        "remotes = [\"onedrive:/OdroidBackup\", \"onedrive:/Other\", \"second:/Backup\"]\nlease = { keeper = \"process\" }",
        &program,
    );
}

fn no(line: &str) -> String {
    format!("echo '{}' >&2; exit 1", line.replace('\'', "'\\''"))
}

const QUOTA: &str = "echo '{\"total\":10,\"free\":5}'";
const FULL: &str = "echo '{\"total\":10,\"free\":0}'";

fn asked(world: &World) -> String {
    let asked = world.read("asked");
    let _ = fs::remove_file(world.path("asked"));
    asked
}

#[track_caller]
fn stays_up(world: &World, answer: Answer, code: i32) -> Answer {
    let answer = answer.expect(code);
    assert!(
        answer
            .err
            .contains("app is not stopped, because no remote would take its backup"),
        "{}",
        answer.err
    );
    assert!(world.exists("up") && !world.exists("state/leases/app.json"));
    assert!(world.keepers().is_empty());
    answer
}

#[track_caller]
fn is_stopped(world: &World, answer: Answer) {
    answer.expect(0);
    assert!(!world.exists("up"));
    world.request("backupctl --start app").expect(0);
}

#[test]
fn a_definite_no_of_every_remote_keeps_the_service_up() {
    let world = world(&no(REVOKED), &no(UNKNOWN));
    let answer = stays_up(&world, world.request(STOP), 69);
    for words in [
        "no longer accepts the stored sign-in",
        "config reconnect onedrive:",
        "knows no remote 'second'",
    ] {
        assert!(answer.err.contains(words), "{words}: {}", answer.err);
    }
    // One request for each remote, for any number of folders on it.
    assert_eq!(asked(&world), "about onedrive:\nabout second:\n");
    // The runner's last step comes in any case.
    let answer = world.request("backupctl --start app").expect(0);
    assert!(answer.out.contains("was up already"), "{}", answer.out);
    // Full drives have their own exit code.
    answers(&world, FULL, FULL);
    let answer = stays_up(&world, world.request(STOP), 73);
    assert!(answer.err.contains("the remote is full"), "{}", answer.err);
    answers(&world, FULL, &no(REVOKED));
    stays_up(&world, world.request(STOP), 69);
}

#[test]
fn one_remote_that_may_take_it_is_enough() {
    let world = world(&no(REVOKED), QUOTA);
    is_stopped(&world, world.request(STOP));
    answers(&world, QUOTA, &no(REVOKED));
    asked(&world);
    is_stopped(&world, world.request(STOP));
    // The gate need not ask the others then.
    assert_eq!(asked(&world), "about onedrive:\n");
}

#[test]
fn no_answer_is_not_a_no() {
    for unclear in [
        no(OFFLINE),
        no(r#"{"level":"error","msg":"unexpected EOF"}"#),
        no(r#"{"level":"error","msg":"couldn't fetch token: unexpected EOF"}"#),
        no(r#"{"level":"error","msg":"503 Service Unavailable"}"#),
        no(r#"{"level":"error","msg":"about: doesn't support about"}"#),
        "exit 1".to_owned(),
        "echo nonsense".to_owned(),
    ] {
        let world = world(&no(REVOKED), &unclear);
        is_stopped(&world, world.request(STOP));
    }
}

#[test]
fn a_remote_that_hangs_delays_a_stop_by_seconds() {
    let world = world("sleep 60", &no(REVOKED));
    let answer = world.request("backupctl --stop app --timeout 15");
    // A stop that waits for rclone to end meets its deadline of 15 s first, and ends with 124.
    is_stopped(&world, answer);
    assert!(
        !world
            .processes()
            .iter()
            .any(|line| line.contains("bin/rclone"))
    );
}

#[test]
fn the_lease_begins_after_the_remotes_were_asked() {
    let world = World::new();
    let here = world.path("").display().to_string();
    let slow = format!("sleep 1; date +%s.%N > {here}/answered; {QUOTA}");
    answers(&world, &slow, QUOTA);
    world.request(STOP).expect(0);
    let answered: f64 = world.read("answered").trim().parse().unwrap();
    let lease: serde_json::Value =
        serde_json::from_str(&world.read("state/leases/app.json")).unwrap();
    let stopped = lease["stopped"]["utc"].as_str().unwrap();
    let stopped = chrono::DateTime::parse_from_rfc3339(stopped).unwrap();
    let stopped = stopped.timestamp_micros() as f64 / 1e6;
    assert!(stopped >= answered, "{stopped} is before {answered}");
}

/// rclone 1.60 repeats the request for longer than the gate waits, and reports that at the level of debugging.
#[test]
fn a_refused_sign_in_counts_although_rclone_goes_on_asking() {
    let said = r#"{"level":"debug","msg":"onedrive: Token refresh failed try 1/5: oauth2: cannot fetch token: 400 Bad Request\nResponse: {\"error\": \"invalid_grant\"}"}"#;
    let stubborn = format!("printf '%s\\n' '{said}' >&2; exec sleep 60");
    let world = world(&stubborn, &no(REVOKED));
    let answer = stays_up(&world, world.request(STOP), 69);
    assert!(
        answer.err.contains("config reconnect onedrive:"),
        "{}",
        answer.err
    );
}

#[test]
fn whoever_does_not_want_it_is_not_asked() {
    let world = world(&no(REVOKED), &no(REVOKED));
    // On the host a person decides.
    world.on_host(&["--stop", "app"]).expect(0);
    assert_eq!(asked(&world), "");
    // A service that is down already has nothing to lose.
    world.request(STOP).expect(0);
    assert_eq!(asked(&world), "");
    world.request("backupctl --start app").expect(0);
    world.set("ask_before_stop = false");
    is_stopped(&world, world.request(STOP));
    assert_eq!(asked(&world), "");
}

#[test]
fn without_rclone_or_its_configuration_no_remote_takes_anything() {
    let world = world(QUOTA, QUOTA);
    fs::rename(world.path("rclone.conf"), world.path("away")).unwrap();
    let answer = stays_up(&world, world.request(STOP), 78);
    assert!(answer.err.contains("rclone.conf"), "{}", answer.err);
    fs::rename(world.path("away"), world.path("rclone.conf")).unwrap();
    fs::remove_file(world.path("bin/rclone")).unwrap();
    let answer = stays_up(&world, world.request(STOP), 69);
    assert!(answer.err.contains("cannot be run"), "{}", answer.err);
}

#[test]
fn a_renewed_token_comes_back_with_its_group() {
    let world = World::new();
    let here = world.path("").display().to_string();
    let program = world.script(
        "rclone",
        &format!(
            "while test $# -gt 1; do test $1 = --config && config=$2; shift; done\nsed s/former/renewed/ $config > $config.new\nmv $config.new $config\necho '{{\"free\":1}}'\n: > {here}/asked\n"
        ),
    );
    world.configure_with("", &program);
    world.write(
        "rclone.conf",
        "[onedrive]\ntype = hidrive\ntoken = {\"access_token\":\"former\",\"expiry\":\"2026-01-01T00:00:00Z\"}\n",
    );
    if is_root() {
        std::os::unix::fs::chown(world.path("rclone.conf"), None, Some(4)).unwrap();
    }
    world.request(STOP).expect(0);
    assert!(world.exists("asked"));
    assert!(world.read("rclone.conf").contains("renewed"));
    if is_root() {
        let seen = fs::metadata(world.path("rclone.conf")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::gid(&seen), 4);
    }
    world.request("backupctl --start app").expect(0);
}

#[test]
fn explain_says_so() {
    let world = world(QUOTA, QUOTA);
    let steps = |world: &World| {
        let answer = world
            .on_host(&["--explain", "backupctl --stop app"])
            .expect(0);
        let answer: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
        let steps = answer["steps"].as_array().unwrap().clone();
        let asks = |step: &&serde_json::Value| step["argv"][1] == "about";
        steps.iter().filter(asks).count()
    };
    assert_eq!(steps(&world), 2);
    world.set("ask_before_stop = false");
    assert_eq!(steps(&world), 0);
}
