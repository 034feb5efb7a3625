//! The promises of a run: it ends without force, `always` steps get all their attempts, and one thing that cannot be
//! read stops nothing else.

use crate::harness::{Server, processes, states, wait_for};
use serde_json::json;
use std::path::Path;

fn pool(server: &Server, name: &str, slots: u32) {
    server
        .post("/api/v1/pools", json!({"name": name, "slots": slots}))
        .expect(201);
}

fn resize(server: &Server, name: &str, slots: u32) {
    let path = format!("/api/v1/pools/{name}");
    let body = json!({"name": name, "slots": slots});
    server.json("PUT", &path, body).expect(200);
}

/// Gives a task another pool.
fn move_to(server: &Server, task: &str, pool: &str) {
    let path = format!("/api/v1/tasks/{task}");
    let mut body = server.get(&path).expect(200).json();
    for key in ["schedule", "next_fire", "last_run"] {
        body.as_object_mut().unwrap().remove(key);
    }
    body["pool"] = json!(pool);
    server.json("PUT", &path, body).expect(200);
}

fn sql(data: &Path, text: &str) {
    rusqlite::Connection::open(data.join("lightflow.db"))
        .unwrap()
        .execute_batch(text)
        .unwrap();
}

#[test]
fn a_run_whose_pool_is_deleted_between_two_attempts_still_ends() {
    let server = Server::start();
    pool(&server, "old", 1);
    let again = json!({"retries": 1, "retry_delay": 2});
    server.shell_task(
        "t",
        &[
            ("s", "test -e again || { touch again; exit 1; }", again),
            ("start", "true", json!({"rule": "always"})),
        ],
    );
    move_to(&server, "t", "old");
    let run = server.trigger("t");
    server.step_is(run, 0, "retrying");
    move_to(&server, "t", "default");
    server
        .socket
        .send("DELETE", "/api/v1/pools/old", &[], b"")
        .expect(204);
    let run = server.finished(run);
    assert_eq!(states(&run), ["success", "success"]);
}

#[test]
fn attempts_that_a_crash_ended_do_not_count() {
    let server = Server::start();
    // The first attempt dies with the server; the second finds the host not up yet.
    let script = "echo x >> stamps; n=$(wc -l < stamps); test $n -ge 2 || sleep 600; test $n -ge 3";
    let again = json!({"retries": 1, "retry_delay": 0, "rule": "always"});
    server.shell_task("t", &[("start", script, again)]);
    let run = server.trigger("t");
    wait_for("the first attempt", || {
        server.data().join("scripts/stamps").exists().then_some(())
    });
    let server = server.crash_and_restart();
    let run = server.finished(run);
    assert_eq!(states(&run), ["success"], "{run}");
    assert_eq!(run["steps"][0]["attempt"], 3);
}

#[test]
fn a_step_that_waited_for_its_second_attempt_was_interrupted() {
    let server = Server::start();
    pool(&server, "two", 2);
    server.shell_task(
        "a",
        &[("s", "while ! test -e end; do sleep 0.05; done", json!({}))],
    );
    let again = json!({"retries": 3, "retry_delay": 0});
    server.shell_task(
        "b",
        &[(
            "s",
            "touch up; while ! test -e go; do sleep 0.05; done; exit 1",
            again,
        )],
    );
    for task in ["a", "b"] {
        move_to(&server, task, "two");
    }
    let (first, second) = (server.trigger("a"), server.trigger("b"));
    server.step_is(first, 0, "running");
    wait_for("the step", || {
        server.data().join("scripts/up").exists().then_some(())
    });
    resize(&server, "two", 1);
    std::fs::write(server.data().join("scripts/go"), "").unwrap();
    server.step_is(second, 0, "queued");
    let server = server.crash_and_restart();
    let run = server.finished(second);
    assert_eq!(states(&run), ["interrupted"], "{run}");
}

#[test]
fn a_step_that_waits_for_its_second_attempt_is_cancelled_and_not_called_not_run() {
    let server = Server::start();
    pool(&server, "one", 1);
    let again = json!({"retries": 3, "retry_delay": 0});
    let wait = "touch up; while ! test -e go; do sleep 0.05; done; exit 1";
    server.shell_task("b", &[("s", wait, again), ("never", "true", json!({}))]);
    server.shell_task("a", &[("s", "sleep 600", json!({}))]);
    for task in ["a", "b"] {
        move_to(&server, task, "one");
    }
    let first = server.trigger("b");
    wait_for("the step", || {
        server.data().join("scripts/up").exists().then_some(())
    });
    let second = server.trigger("a");
    server.step_is(second, 0, "queued");
    resize(&server, "one", 2);
    server.step_is(second, 0, "running");
    resize(&server, "one", 1);
    // The first attempt fails, and the other run holds the only slot.
    std::fs::write(server.data().join("scripts/go"), "").unwrap();
    server.step_is(first, 0, "queued");
    server
        .post(&format!("/api/v1/runs/{first}/cancel"), json!({}))
        .expect(202);
    let run = server.finished(first);
    assert_eq!(states(&run), ["cancelled", "not_run"], "{run}");
    assert_eq!(run["steps"][0]["attempt"], 1);
}

#[test]
fn a_bad_zone_an_unknown_state_and_a_bad_pool_cost_nothing_else() {
    let server = Server::start();
    pool(&server, "odd", 1);
    for name in ["good", "bad", "old"] {
        server.shell_task(
            name,
            &[
                ("s", "true", json!({})),
                ("start", "true", json!({"rule": "always"})),
            ],
        );
    }
    server.run_to_end("old");
    server.shell_task(
        "hangs",
        &[
            ("s", "sleep 600", json!({})),
            ("start", "echo up", json!({"rule": "always"})),
        ],
    );
    let run = server.trigger("hangs");
    server.step_is(run, 0, "running");
    let server = server.crash_and_change(|data| {
        sql(data, "UPDATE tasks SET cron = '* * * * *', zone = 'Mars/Phobos', definition = json_set(definition, '$.zone', 'Mars/Phobos', '$.cron', '* * * * *') WHERE name IN ('bad', 'hangs');
                   UPDATE runs SET state = 'exploded' WHERE id = 1;
                   UPDATE pools SET slots = 99 WHERE name = 'odd';");
    });
    // The step that brings a service back runs, although its task cannot be read any more.
    assert_eq!(states(&server.finished(run)), ["interrupted", "success"]);
    for path in [
        "/",
        "/tasks",
        "/tasks/good",
        "/tasks/old",
        "/pools",
        "/api/v1/tasks",
        "/api/v1/runs",
        "/api/v1/pools",
        "/metrics",
        "/api/v1/export",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_eq!(server.run_to_end("good")["state"], "success");
    let page = server.get("/").text();
    assert!(
        page.contains("Mars/Phobos") && page.contains("left out"),
        "{page}"
    );
    assert!(server.log().contains("Mars/Phobos"));
}

#[test]
fn a_secret_that_cannot_be_opened_costs_no_step() {
    let server = Server::start();
    for key in ["ONE", "TWO"] {
        let body = json!({"value": "hunter2", "secret": true});
        server
            .json("PUT", &format!("/api/v1/variables/{key}"), body)
            .expect(200);
    }
    sql(
        server.data(),
        "UPDATE variables SET sealed = x'0102' WHERE key = 'ONE'",
    );
    server.shell_task("t", &[("s", "echo ${ONE-none} $TWO", json!({}))]);
    let run = server.run_to_end("t");
    assert_eq!(run["state"], "success");
    let log = server.step_log(1, 0);
    assert!(log.contains("the step runs without ONE"), "{log}");
    assert!(log.ends_with("none ••••\n"), "{log}");
}

#[test]
fn variables_that_are_too_large_together_cost_no_step() {
    let server = Server::start();
    for n in 0..30 {
        let body = json!({"value": "v".repeat(100_000 + n)});
        server
            .json("PUT", &format!("/api/v1/variables/BIG{n}"), body)
            .expect(200);
    }
    server
        .json("PUT", "/api/v1/variables/SMALL", json!({"value": "here"}))
        .expect(200);
    server.shell_task("t", &[("s", "echo $SMALL; env | grep -c ^BIG", json!({}))]);
    let run = server.run_to_end("t");
    assert_eq!(run["state"], "success", "{run}");
    let log = server.step_log(1, 0);
    assert!(
        log.contains("runs without BIG29") && !log.contains("without BIG0:"),
        "{log}"
    );
    assert!(log.contains("\nhere\n"), "{log}");
}

#[test]
fn a_killed_supervisor_leaves_nothing_and_an_always_step_is_tried_again() {
    let server = Server::start();
    let script = "echo x >> stamps; if test $(wc -l < stamps) = 1; then setsid sh -c 'sleep 4712' & sleep 4712; fi";
    server.shell_task("t", &[("start", script, json!({"rule": "always"}))]);
    let run = server.trigger("t");
    wait_for("the daemon", || {
        (processes("sleep\u{0}4712").len() >= 2).then_some(())
    });
    let supervisor = processes("__supervise-step")
        .into_iter()
        .find(|path| {
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            status.contains(&format!("PPid:\t{}\n", server.pid()))
        })
        .unwrap();
    let pid: i32 = supervisor
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    let run = server.finished(run);
    assert_eq!(states(&run), ["success"], "{run}");
    wait_for("the end of the daemon", || {
        processes("sleep\u{0}4712").is_empty().then_some(())
    });
}

#[test]
fn a_stop_is_no_cancel_in_the_log() {
    let server = Server::start();
    server.shell_task("t", &[("s", "echo up; exec sleep 600", json!({}))]);
    let run = server.trigger("t");
    server.step_is(run, 0, "running");
    wait_for("the step", || {
        server.step_log(run, 0).contains("up").then_some(())
    });
    let server = server.restart();
    let log = server.step_log(run, 0);
    assert!(log.contains("the runner went down"), "{log}");
    assert!(!log.contains("cancelled"), "{log}");
}

#[test]
fn a_token_keeps_its_task_when_names_change_hands() {
    use crate::accounts::as_token;
    use crate::people::make_token;
    let server = Server::start();
    for name in ["deploy", "other"] {
        server.shell_task(name, &[("s", "echo $LIGHTFLOW_TASK", json!({}))]);
    }
    let token = make_token(
        &server,
        json!({"name": "t", "role": "operator", "tasks": ["deploy"]}),
    );
    let (own, foreign) = (
        server.run_to_end("deploy")["id"].clone(),
        server.run_to_end("other")["id"].clone(),
    );
    let rename = |from: &str, to: &str| {
        let step = json!({"name": "s", "command": "sh", "args": ["-c", "echo $LIGHTFLOW_TASK"]});
        server
            .json(
                "PUT",
                &format!("/api/v1/tasks/{from}"),
                json!({"name": to, "steps": [step]}),
            )
            .expect(200);
    };
    rename("deploy", "release");
    rename("other", "deploy");
    let ask = |method: &str, path: &str| as_token(&server, &token, method, path).status;
    assert_eq!(ask("GET", &format!("/api/v1/runs/{own}")), 200);
    assert_eq!(ask("GET", &format!("/api/v1/runs/{own}/steps/0/log")), 200);
    assert_eq!(ask("GET", &format!("/api/v1/runs/{foreign}")), 403);
    assert_eq!(
        ask("GET", &format!("/api/v1/runs/{foreign}/steps/0/log")),
        403
    );
    assert_eq!(ask("GET", "/api/v1/tasks/deploy"), 403);
    assert_eq!(ask("GET", "/api/v1/tasks/nothing"), 403);
    assert_eq!(ask("GET", "/api/v1/tasks/release"), 200);
    assert_eq!(ask("POST", "/api/v1/tasks/deploy/run"), 403);
    assert_eq!(ask("POST", "/api/v1/tasks/release/run"), 202);
}

#[test]
fn a_task_of_ones_own_called_scratch_is_never_overwritten() {
    let server = Server::start();
    let put = |name: &str| {
        let path = format!("/api/v1/scripts/{name}");
        server
            .socket
            .send("PUT", &path, &[], b"#!/bin/sh\necho hi\n")
            .expect(200);
    };
    put("a.sh");
    let mine = json!({"name": "scratch", "steps": [{"name": "mine", "command": "true"}]});
    let refused = server.post("/api/v1/tasks", mine.clone()).expect(409);
    assert!(
        refused.text().contains("belongs to a task of the runner"),
        "{}",
        refused.text()
    );
    server
        .post("/api/v1/scripts/a.sh/run", json!({}))
        .expect(202);
    server.finished(1);
    assert!(!server.get("/api/v1/export").text().contains("scratch"));

    // As a version that did not refuse the name left it.
    let other = Server::start();
    other.shell_task("mine", &[("mine", "true", json!({}))]);
    let other = other.restart_after(|data| {
        sql(data, "UPDATE tasks SET name = 'scratch', definition = json_set(definition, '$.name', 'scratch')");
    });
    other
        .socket
        .send("PUT", "/api/v1/scripts/a.sh", &[], b"#!/bin/sh\n")
        .expect(200);
    let refused = other
        .post("/api/v1/scripts/a.sh/run", json!({}))
        .expect(409);
    assert!(
        refused.text().contains("is one of yours"),
        "{}",
        refused.text()
    );
    let task = other.get("/api/v1/tasks/scratch").expect(200).json();
    assert_eq!(task["steps"][0]["name"], "mine");
}

#[test]
fn a_body_that_comes_a_moment_later_is_read_before_the_answer() {
    use std::io::{Read, Write};
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let mut stream =
        std::os::unix::net::UnixStream::connect(server.data().join("lightflow.sock")).unwrap();
    write!(stream, "POST /api/v1/tasks/t/run HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n").unwrap();
    // Long enough for a server that does not wait to have answered and closed.
    stream
        .set_read_timeout(Some(std::time::Duration::from_millis(700)))
        .unwrap();
    let mut byte = [0];
    let early = stream.read(&mut byte);
    assert!(
        early.is_err(),
        "it answered before the body came: {early:?}"
    );
    stream.write_all(b"{}").unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(20)))
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}
