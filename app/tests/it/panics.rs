//! A panic ends the request, stream, notification or maintenance task that it happens in, and no run. A panic in the
//! engine ends the process, and the next start recovers.

use crate::harness::{Server, states, wait_for};
use crate::http::Answer;
use crate::receivers::WebServer;
use serde_json::json;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::Command;

fn fault(server: &Server, place: &str) -> Answer {
    server.post(&format!("/api/v1/faults/{place}"), json!({}))
}

fn panics(server: &Server) -> u64 {
    let text = server.get("/metrics").expect(200).text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("lightflow_panics_total "));
    line.unwrap().parse().unwrap()
}

/// A run that waits for the file `go`, with an `always` step behind.
fn waiting_run(server: &Server) -> i64 {
    let wait = "while ! test -e ../go; do sleep 0.02; done";
    let always = json!({"rule": "always"});
    server.shell_task("t", &[("work", wait, json!({})), ("start", "true", always)]);
    let run = server.trigger("t");
    server.step_is(run, 0, "running");
    run
}

fn let_it_end(server: &Server, run: i64) {
    std::fs::write(server.data().join("go"), "").unwrap();
    let ended = server.finished(run);
    assert_eq!(states(&ended), ["success", "success"]);
    assert_eq!(ended["state"], "success");
    assert_eq!(ended["steps"][0]["attempt"], 1);
}

#[test]
fn a_panic_in_a_request_is_an_answer_and_no_run_notices() {
    let server = Server::start();
    let run = waiting_run(&server);
    assert_eq!(panics(&server), 0);
    for (n, place) in ["handler", "store", "blocking"].into_iter().enumerate() {
        let answer = fault(&server, place).expect(500);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(answer.json()["status"], 500);
        // Guarded like every other answer.
        assert!(answer.header("content-security-policy").is_some());
        assert_eq!(panics(&server), n as u64 + 1);
    }
    // The store still reads, writes, and holds no open transaction.
    server
        .json("PUT", "/api/v1/variables/A", json!({"value": "b"}))
        .expect(200);
    let log = server.log();
    let line = "place=\"app/src/faults.rs:";
    assert!(log.contains(line), "{log}");
    assert!(log.contains("a test asked for a panic in Handler"), "{log}");
    let_it_end(&server, run);
}

#[test]
fn a_panic_in_a_body_breaks_that_answer_off() {
    let server = Server::start();
    let run = waiting_run(&server);
    let mut live = server
        .socket
        .open("POST", "/api/v1/faults/body", &[], b"{}");
    assert_eq!(live.status, 200);
    let mut body = Vec::new();
    // Neither an end nor a chunk follows; a complete answer would be taken for a whole file.
    let end = live.read_to_end(&mut body);
    assert!(!body.ends_with(b"0\r\n\r\n"));
    assert!(body.len() <= 4096, "{} bytes, {end:?}", body.len());
    assert_eq!(panics(&server), 1);
    let_it_end(&server, run);
}

#[test]
fn a_panic_while_sending_is_a_failed_attempt() {
    let receiver = WebServer::start();
    let server = Server::start();
    let run = waiting_run(&server);
    let channel = json!({"name": "hook", "target": {"kind": "webhook", "url": format!("http://{}/", receiver.address)}});
    server.post("/api/v1/channels", channel).expect(201);
    fault(&server, "notification").expect(204);
    let test = server.post("/api/v1/channels/hook/test", json!({}));
    assert_ne!(test.status, 204, "{}", test.text());
    server
        .post("/api/v1/channels/hook/test", json!({}))
        .expect(204);
    // The loop of the notifications starts again by itself.
    fault(&server, "maintenance").expect(204);
    server.shell_task("other", &[("s", "true", json!({}))]);
    server.run_to_end("other");
    wait_for("both panics to be counted", || {
        (panics(&server) == 2).then_some(())
    });
    let_it_end(&server, run);
}

#[test]
fn a_panic_in_the_engine_ends_the_process_and_the_next_start_recovers() {
    let server = Server::start();
    let run = waiting_run(&server);
    fault(&server, "engine").expect(204);
    // Any command reaches the engine; this one may get no answer.
    std::fs::write(server.data().join("go"), "").unwrap();
    let server = server.restart_after_its_end();
    let ended = server.finished(run);
    assert_eq!(states(&ended), ["interrupted", "success"]);
}

/// Sets how many processes and threads the server's user may have before the server gets no more.
fn limit(server: &Server, uid: u32, most: &str) {
    // As the same user, who may do so without any capability.
    let status = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string()])
        .arg(format!("--nproc={most}:"))
        .uid(uid)
        .gid(uid)
        .status()
        .unwrap();
    assert!(status.success());
}

/// The most that the server's user may allow itself.
fn hard_limit(server: &Server) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max processes"));
    line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn without_threads_requests_are_refused_and_an_always_step_waits() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: a limit of processes needs a user of its own, and so root");
        return;
    }
    // A user number for each test process: the limit counts all tasks of the user.
    let uid = 200_000 + std::process::id() % 100_000;
    let server = Server::start_as(uid);
    let always = json!({"rule": "always"});
    // The word says that the shell runs: its own limit is the one from before.
    let wait = "echo on; while ! test -e ../go; do sleep 0.02; done";
    server.shell_task(
        "t",
        &[("work", wait, json!({})), ("start", "echo back", always)],
    );
    let run = server.trigger("t");
    wait_for("the first step to run", || {
        (server.step_log(run, 0) == "on\n").then_some(())
    });
    let hard = hard_limit(&server);
    limit(&server, uid, "1");
    let refused = server.get("/api/v1/scripts");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    server.get("/healthz").expect(200);
    std::fs::write(server.data().join("go"), "").unwrap();
    // The first step is over; the second finds neither thread nor process.
    wait_for("the always step to wait", || {
        server.log().contains("cannot start yet").then_some(())
    });
    assert_eq!(server.run(run)["finished"], false);
    limit(&server, uid, &hard);
    let ended = server.finished(run);
    assert_eq!(states(&ended), ["success", "success"]);
    assert_eq!(ended["steps"][1]["attempt"], 1);
    assert_eq!(server.step_log(run, 1), "back\n");
    server.get("/api/v1/scripts").expect(200);
    assert_eq!(panics(&server), 0);
}
