//! A step: its environment, its end, its processes.

use crate::harness::{Server, processes, states, wait_for};
use serde_json::json;

#[test]
fn exit_codes_become_colours() {
    let server = Server::start();
    server.shell_task(
        "t",
        &[
            ("ok", "true", json!({})),
            ("nothing", "exit 75", json!({})),
            ("bad", "exit 3", json!({})),
            ("after", "true", json!({})),
            ("tell", "true", json!({"rule": "on_failure"})),
            ("start", "true", json!({"rule": "always"})),
        ],
    );
    let run = server.run_to_end("t");
    assert_eq!(
        states(&run),
        [
            "success", "skipped", "failed", "not_run", "success", "success"
        ]
    );
    assert_eq!(run["state"], "failed");
    assert_eq!(run["steps"][2]["exit_code"], 3);
    assert_eq!(
        run["steps"][3]["reason"],
        "run rule on_success: step \"bad\" failed"
    );
}

#[test]
fn the_failure_of_a_step_that_may_fail_is_amber_and_breaks_nothing() {
    let server = Server::start();
    let may = json!({"may_fail": true});
    server.shell_task(
        "t",
        &[
            ("ping", "exit 3", may.clone()),
            ("copy", "true", json!({})),
            ("tell", "true", json!({"rule": "on_failure"})),
            (
                "hangs",
                "sleep 600",
                json!({"may_fail": true, "timeout": 1}),
            ),
            ("start", "true", json!({"rule": "always"})),
        ],
    );
    let run = server.run_to_end("t");
    assert_eq!(
        states(&run),
        ["failed", "success", "not_run", "failed", "success"]
    );
    assert_eq!(run["state"], "success");
    let page = server.get("/runs/1").expect(200).text();
    assert_eq!(page.matches("box amber").count(), 2, "{page}");
    assert!(!page.contains("box red"), "{page}");
    let grid = server.get("/tasks/t").expect(200).text();
    assert!(grid.contains("amber"), "{grid}");

    let exported = server.get("/api/v1/export").expect(200).text();
    assert!(exported.contains("may_fail = true"), "{exported}");
    // A failure that is not allowed still counts.
    server.shell_task("u", &[("a", "exit 1", may), ("b", "exit 1", json!({}))]);
    assert_eq!(server.run_to_end("u")["state"], "failed");
}

#[test]
fn the_environment_is_built_from_scratch() {
    let server = Server::start_with(&[("LEAK", "runner"), ("LIGHTFLOW_TZ", "Europe/Paris")]);
    server
        .json("PUT", "/api/v1/variables/PLAIN", json!({"value": "a\nb"}))
        .expect(200);
    server
        .json(
            "PUT",
            "/api/v1/variables/OVER",
            json!({"value": "variable"}),
        )
        .expect(200);
    let step = json!({"env": {"OVER": "step"}});
    server.shell_task("t", &[("env", "env -0 | tr '\\0' '|'", step)]);
    let run = server.run_to_end("t");
    let log = server.step_log(run["id"].as_i64().unwrap(), 0);
    let mut keys: Vec<&str> = log
        .split('|')
        .filter_map(|pair| Some(pair.split_once('=')?.0))
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "HOME",
            "LANG",
            "LIGHTFLOW_ATTEMPT",
            "LIGHTFLOW_DATA_DIR",
            "LIGHTFLOW_RUN_ID",
            "LIGHTFLOW_STEP",
            "LIGHTFLOW_TASK",
            "LIGHTFLOW_TRIGGER",
            "OVER",
            "PATH",
            "PLAIN",
            "PWD",
            "TZ",
        ]
    );
    for pair in [
        "PLAIN=a\nb|",
        "OVER=step|",
        "TZ=Europe/Paris|",
        "LIGHTFLOW_TASK=t|",
    ] {
        assert!(log.contains(pair), "{pair:?} in {log}");
    }
    assert!(
        log.contains(&format!("PWD={}/scripts|", server.data().display())),
        "{log}"
    );
}

#[test]
fn a_step_holds_no_descriptor_of_the_runner() {
    let server = Server::start();
    server.shell_task("t", &[("fds", "ls -l /proc/self/fd", json!({}))]);
    let run = server.run_to_end("t");
    let log = server.step_log(run["id"].as_i64().unwrap(), 0);
    // 0, 1, 2 and the directory that ls itself reads.
    assert_eq!(
        log.lines().filter(|line| line.contains("->")).count(),
        4,
        "{log}"
    );
    assert!(log.contains("0 -> /dev/null"), "{log}");
}

#[test]
fn a_script_is_found_by_its_bare_name() {
    let server = Server::start();
    let body = b"import sys; print('hello', *sys.argv[1:])";
    server
        .socket
        .send("PUT", "/api/v1/scripts/hello.py", &[], body)
        .expect(200);
    let step = json!({"name": "s", "command": "python3", "args": "hello.py --stop 'a b'"});
    server
        .post("/api/v1/tasks", json!({"name": "t", "steps": [step]}))
        .expect(201);
    let run = server.run_to_end("t");
    assert_eq!(run["state"], "success");
    assert_eq!(server.step_log(1, 0), "hello --stop a b\n");
}

#[test]
fn a_command_that_does_not_exist_fails_and_its_log_says_so() {
    let server = Server::start();
    let steps = json!([{"name": "s", "command": "no-such-program"}, {"name": "d", "command": "true", "working_dir": "nowhere", "rule": "always"}]);
    server
        .post("/api/v1/tasks", json!({"name": "t", "steps": steps}))
        .expect(201);
    let run = server.run_to_end("t");
    assert_eq!(states(&run), ["failed", "failed"]);
    assert_eq!(run["steps"][0]["exit_code"], 127);
    let log = server.step_log(1, 0);
    assert!(
        log.contains("no program \"no-such-program\" in the folders of PATH"),
        "{log}"
    );
    assert!(log.contains("looked in PATH"), "{log}");
    let log = server.step_log(1, 1);
    assert!(log.contains("scripts/nowhere does not exist"), "{log}");
}

/// The issue's worst step: its child forks twice into a session of its own, ignores TERM,
/// and holds the log open. It never ends by itself, so a run that finishes shows that it was killed.
const DAEMON: &str = r#"
trap '' TERM
python3 - <<'PY' &
import os, signal, time, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(os.environ['MARK'], 'w').write(str(os.getpid()))
print('daemon up', flush=True)
while True: time.sleep(1)
PY
while :; do sleep 1; done
"#;

fn daemon_step(server: &Server, script: &str) -> (i64, u32) {
    let mark = server.data().join("daemon.pid");
    let more = json!({"timeout": 2, "env": {"MARK": mark}});
    server.shell_task("t", &[("daemon", script, more)]);
    let run = server.trigger("t");
    let pid = wait_for("the daemon", || {
        std::fs::read_to_string(&mark).ok()?.parse().ok()
    });
    (run, pid)
}

#[test]
fn a_daemon_that_ignores_term_is_gone_at_the_limit() {
    let server = Server::start();
    let (run, daemon) = daemon_step(&server, DAEMON);
    let run = server.finished(run);
    assert_eq!(states(&run), ["failed"]);
    assert_eq!(run["steps"][0]["reason"], "timed out after 2 s");
    assert!(!std::path::Path::new(&format!("/proc/{daemon}")).exists());
    let log = server.step_log(1, 0);
    assert!(
        log.contains("daemon up") && log.contains("lightflow: timed out"),
        "{log}"
    );
}

#[test]
fn a_daemon_that_holds_the_log_after_its_command_ended_times_out() {
    let server = Server::start();
    let left = DAEMON.replace("while :; do sleep 1; done\n", "sleep 0.5");
    let (run, daemon) = daemon_step(&server, &left);
    let run = server.finished(run);
    assert_eq!(states(&run), ["failed"]);
    let reason = run["steps"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("held its output open"), "{reason}");
    assert!(!std::path::Path::new(&format!("/proc/{daemon}")).exists());
}

#[test]
fn what_a_finished_step_left_running_is_killed_and_told() {
    let server = Server::start();
    let script = "setsid sleep 4711 >/dev/null 2>&1 & echo done";
    server.shell_task("t", &[("s", script, json!({}))]);
    let run = server.run_to_end("t");
    assert_eq!(states(&run), ["success"]);
    let log = server.step_log(1, 0);
    assert!(log.contains("killed 1 process(es)"), "{log}");
    assert!(processes("sleep\x004711").is_empty());
}

#[test]
fn cancel_stops_everything_of_the_step_and_still_runs_always() {
    let server = Server::start();
    server.shell_task(
        "t",
        &[
            ("long", "setsid sleep 4712 & sleep 4712", json!({})),
            ("next", "true", json!({})),
            ("start", "true", json!({"rule": "always"})),
        ],
    );
    let run = server.trigger("t");
    wait_for("both sleeps", || {
        (processes("sleep\x004712").len() >= 2).then_some(())
    });
    server
        .post(&format!("/api/v1/runs/{run}/cancel"), json!({}))
        .expect(202);
    let run = server.finished(run);
    assert_eq!(states(&run), ["cancelled", "not_run", "success"]);
    assert_eq!(run["state"], "cancelled");
    assert!(processes("sleep\x004712").is_empty());
    let again = server.post("/api/v1/runs/1/cancel", json!({}));
    assert_eq!(again.status, 409);
}

#[test]
fn force_does_not_run_always() {
    let server = Server::start();
    let always = json!({"rule": "always"});
    server.shell_task(
        "t",
        &[("long", "sleep 60", json!({})), ("start", "true", always)],
    );
    let run = server.trigger("t");
    server.step_is(run, 0, "running");
    server
        .post(
            &format!("/api/v1/runs/{run}/cancel"),
            json!({"force": true}),
        )
        .expect(202);
    assert_eq!(states(&server.finished(run)), ["cancelled", "not_run"]);
}

#[test]
fn a_failed_attempt_is_tried_again_with_a_log_of_its_own() {
    let server = Server::start();
    let script = "echo attempt $LIGHTFLOW_ATTEMPT; test $LIGHTFLOW_ATTEMPT = 3";
    server.shell_task("t", &[("s", script, json!({"retries": 2}))]);
    let run = server.run_to_end("t");
    assert_eq!(run["state"], "success");
    assert_eq!(run["steps"][0]["attempt"], 3);
    for attempt in 1..=3 {
        let log = server
            .get(&format!("/api/v1/runs/1/steps/0/log?attempt={attempt}"))
            .text();
        assert_eq!(log, format!("attempt {attempt}\n"));
    }
}

#[test]
fn a_task_never_overlaps_itself() {
    let server = Server::start();
    server.shell_task("t", &[("s", "sleep 60", json!({}))]);
    let run = server.trigger("t");
    let second = server.post("/api/v1/tasks/t/run", json!({})).expect(409);
    let detail = second.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&format!("run {run}")), "{detail}");
}

#[test]
fn one_slot_means_one_step_and_the_first_run_finishes_first() {
    let server = Server::start();
    server
        .post("/api/v1/pools", json!({"name": "backup", "slots": 1}))
        .expect(201);
    let order = server.data().join("order");
    for name in ["a", "b", "c"] {
        let script = format!("echo {name} >> {}; sleep 0.1", order.display());
        let step = |step: &str| json!({"name": step, "command": "sh", "args": ["-c", script]});
        let body = json!({"name": name, "pool": "backup", "steps": [step("one"), step("two")]});
        server.post("/api/v1/tasks", body).expect(201);
    }
    let runs: Vec<i64> = ["a", "b", "c"].map(|name| server.trigger(name)).into();
    let pools = server.get("/api/v1/pools").json();
    assert_eq!(pools["pools"][0]["name"], "backup");
    assert_eq!(pools["pools"][0]["running"], json!([runs[0]]));
    assert_eq!(pools["pools"][0]["waiting"], json!([runs[1], runs[2]]));
    for run in &runs {
        assert_eq!(server.finished(*run)["state"], "success");
    }
    assert_eq!(
        std::fs::read_to_string(order).unwrap(),
        "a\na\nb\nb\nc\nc\n"
    );
}

#[test]
fn shutting_down_starts_nothing_new() {
    let server = Server::start();
    let marks = server.data().join("marks");
    let script = format!("echo $LIGHTFLOW_ATTEMPT >> {}; exit 1", marks.display());
    server.shell_task(
        "retry",
        &[("s", &script, json!({"retries": 3, "retry_delay": 1}))],
    );
    server.shell_task(
        "stubborn",
        &[("s", "trap '' TERM; while :; do sleep 0.1; done", json!({}))],
    );
    let stubborn = server.trigger("stubborn");
    server.step_is(stubborn, 0, "running");
    let retry = server.trigger("retry");
    server.step_is(retry, 0, "retrying");
    // Neither step ends by itself: the restart comes back only because the server kills the one and drops the other.
    let server = server.restart();
    assert_eq!(std::fs::read_to_string(marks).unwrap(), "1\n");
    assert_eq!(server.finished(retry)["state"], "interrupted");
    assert_eq!(server.finished(stubborn)["state"], "interrupted");
}
