//! Running the end of a run again, and removing runs: API, command line and page.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::{Server, command, states};
use crate::webdriver::Browser;
use serde_json::json;

/// A task with a second step that fails until `go` is there.
fn mended_later(server: &Server) -> std::path::PathBuf {
    let go = server.data().join("go");
    let script = format!("test -e {}", go.display());
    server.shell_task(
        "backup",
        &[
            ("stop", "echo down", json!({})),
            ("sync", &script, json!({})),
            ("archive", "true", json!({})),
            ("start", "echo up", json!({"rule": "always"})),
        ],
    );
    go
}

#[test]
fn a_retry_begins_with_what_failed_and_always_steps_still_run() {
    let server = Server::start();
    let go = mended_later(&server);
    let failed = server.run_to_end("backup");
    assert_eq!(states(&failed), ["success", "failed", "not_run", "success"]);
    std::fs::write(go, "").unwrap();
    let retry = |body| server.post("/api/v1/runs/1/retry", body);
    let run = retry(json!({})).expect(202).json()["run"].as_i64().unwrap();
    let again = server.finished(run);
    assert_eq!(states(&again), ["not_run", "success", "success", "success"]);
    assert_eq!(again["state"], "success");
    assert_eq!(again["trigger"], "retry");
    assert_eq!(again["retry_of"], 1);
    assert_eq!(again["steps"][0]["reason"], "taken from run 1: success");
    // A step that is named, also one that did not fail.
    let run = retry(json!({"from": "archive"})).expect(202).json()["run"]
        .as_i64()
        .unwrap();
    let again = server.finished(run);
    assert_eq!(states(&again), ["not_run", "not_run", "success", "success"]);
    let refused = retry(json!({"from": "upload"})).expect(422).json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("stop, sync, archive, start"), "{detail}");
    server.post("/api/v1/runs/99/retry", json!({})).expect(404);
}

#[test]
fn a_task_that_runs_is_not_retried_and_its_run_not_cleared() {
    let server = Server::start();
    server.shell_task("t", &[("s", "sleep 60", json!({}))]);
    let run = server.trigger("t");
    server.step_is(run, 0, "running");
    let path = format!("/api/v1/runs/{run}");
    server.post(&format!("{path}/retry"), json!({})).expect(409);
    let refused = server.json("DELETE", &path, json!({})).expect(409).json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("cancel it first"), "{detail}");
    server
        .post(&format!("{path}/cancel"), json!({"force": true}))
        .expect(202);
    server.finished(run);
    let logs = server.data().join("logs").join(run.to_string());
    assert!(logs.exists());
    server.json("DELETE", &path, json!({})).expect(204);
    server.get(&path).expect(404);
    assert!(!logs.exists());
    // The number does not come back.
    assert!(server.trigger("t") > run);
}

#[test]
fn the_command_line_retries_waits_and_clears() {
    let server = Server::start();
    let go = mended_later(&server);
    server.run_to_end("backup");
    let run = |args: &[&str]| {
        let output = command(server.data()).args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = run(&["run", "retry", "1", "--wait"]);
    assert_eq!(code, Some(1), "{text}");
    std::fs::write(go, "").unwrap();
    let (code, text) = run(&["run", "retry", "1", "--from", "2", "--wait"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run(&["run", "show", "3"]);
    assert!(text.contains("taken from run 1: success"), "{text}");
    assert_eq!(code, Some(0));
    assert_eq!(
        run(&["run", "delete", "1"]),
        (Some(0), "run 1 deleted\n".to_owned())
    );
    assert_ne!(run(&["run", "show", "1"]).0, Some(0));
}

#[test]
fn a_run_is_retried_and_cleared_by_clicks() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let go = mended_later(&server);
    server.run_to_end("backup");
    std::fs::write(go, "").unwrap();
    set_up(&server, &browser);
    browser.goto(&format!("{}/runs/1", base(&server)));
    browser.click("button[name=from][value=sync]");
    browser.wait_text("h1", "run 2");
    browser.wait_text("[data-run-state]", "success");
    browser.wait_text("main", "as a retry of run 1");
    browser.click(".more summary");
    browser.click("form[action='/runs/2/delete'] button");
    browser.wait_text("h1", "backup");
    server.get("/api/v1/runs/2").expect(404);
    no_complaints(&browser);
}

#[test]
fn whoever_looks_at_a_run_that_somebody_deletes_is_told() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    server.shell_task("t", &[("a", "true", json!({}))]);
    server.run_to_end("t");
    set_up(&server, &browser);
    browser.goto(&format!("{}/runs/1", base(&server)));
    browser.wait_text("[data-connection]", "live");
    server
        .json("DELETE", "/api/v1/runs/1", json!(null))
        .expect(204);
    browser.wait_text("[data-notice]", "The subject of this page was deleted.");
}

#[test]
fn a_step_shows_how_far_it_is_while_it_runs() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let go = server.data().join("go");
    let script = format!(
        "echo 'progress: 42% 1234567 of 2939393 bytes, 12 of 30 files, 3.1 MB/s, 9 s left (uploading)'; while ! test -e {0}.1; do sleep 0.05; done; echo 'progress: 77% nearly'; while ! test -e {0}.2; do sleep 0.05; done",
        go.display()
    );
    server.shell_task("t", &[("upload", &script, json!({}))]);
    set_up(&server, &browser);
    let run = server.trigger("t");
    browser.goto(&format!("{}/runs/{run}", base(&server)));
    browser.wait_text("[data-progress='1'] small", "42% 1.1 MiB of 2.8 MiB");
    std::fs::write(go.with_extension("1"), "").unwrap();
    browser.wait_text("[data-progress='1'] small", "77% nearly");
    let value = browser.script("return document.querySelector('progress').value");
    assert_eq!(value, 77);
    std::fs::write(go.with_extension("2"), "").unwrap();
    browser.wait_text("[data-run-state]", "success");
    no_complaints(&browser);
}

#[test]
fn a_run_that_is_cancelled_can_still_be_stopped_by_force() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let always = json!({"rule": "always"});
    server.shell_task(
        "t",
        &[("a", "sleep 60", json!({})), ("b", "sleep 61", always)],
    );
    set_up(&server, &browser);
    let run = server.trigger("t");
    browser.goto(&format!("{}/runs/{run}", base(&server)));
    browser.click("button[data-cancel]:not([data-force])");
    server.step_is(run, 1, "running");
    browser.wait_text(".actions", "the always steps still run");
    browser.click(".more summary");
    browser.click("button[data-force]");
    browser.wait_text("[data-run-state]", "cancelled");
    assert_eq!(states(&server.run(run)), ["cancelled", "cancelled"]);
    no_complaints(&browser);
}
