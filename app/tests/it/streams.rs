//! Live streams: changes, and logs that are followed, cut and resumed.

use crate::harness::{Server, event};
use crate::http::Events;
use serde_json::json;

#[test]
fn whoever_subscribed_first_sees_every_state_of_a_run() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let mut events = server.events("/api/v1/events");
    event(&mut events, |e| e.name == "hello");
    let run = server.trigger("t");
    let first = event(&mut events, |e| e.name == "run").json();
    assert_eq!(first["id"], run);
    assert_eq!(first["steps"][0]["state"], "running");
    let last = event(&mut events, |e| {
        e.name == "run" && e.json()["finished"] == true
    });
    assert_eq!(last.json()["state"], "success");
}

fn text(events: &[crate::http::Event]) -> String {
    events
        .iter()
        .filter(|e| e.name == "chunk")
        .map(|e| e.json()["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_log_is_followed_while_it_grows_and_resumed_without_gap_or_double() {
    let server = Server::start();
    let go = server.data().join("go");
    let script = format!(
        "printf 'one\\ntw'; while ! test -e {}; do sleep 0.02; done; printf 'o €uro\\n'",
        go.display()
    );
    server.shell_task("t", &[("s", &script, json!({}))]);
    let run = server.trigger("t");
    let path = format!("/api/v1/runs/{run}/steps/0/log/stream");
    let mut live = server.events(&path);
    let first = event(&mut live, |e| e.name == "chunk");
    assert_eq!(first.json()["text"], "one\ntw");
    // The connection is cut; meanwhile the log grows.
    drop(live);
    std::fs::write(go, "").unwrap();
    let id = first.id.clone().unwrap();
    let resumed = server
        .socket
        .open("GET", &path, &[("Last-Event-ID", &id)], b"");
    let rest: Vec<_> = Events::new(resumed).collect();
    assert_eq!(text(&rest), "o €uro\n");
    assert_eq!(rest.last().unwrap().name, "end");
    assert_eq!(
        rest.last().unwrap().json()["length"],
        "one\ntwo €uro\n".len()
    );
}

#[test]
fn a_log_can_be_followed_before_its_step_began() {
    let server = Server::start();
    let go = server.data().join("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    server.shell_task(
        "t",
        &[
            ("first", &wait, json!({})),
            ("second", "echo here", json!({})),
        ],
    );
    let run = server.trigger("t");
    let events = server.events(&format!("/api/v1/runs/{run}/steps/1/log/stream"));
    std::fs::write(go, "").unwrap();
    let all: Vec<_> = events.collect();
    assert_eq!(text(&all), "here\n");
}

#[test]
fn the_log_of_a_step_that_never_ran_is_empty_and_ends() {
    let server = Server::start();
    server.shell_task(
        "t",
        &[("first", "false", json!({})), ("second", "true", json!({}))],
    );
    let run = server.run_to_end("t");
    let id = run["id"].as_i64().unwrap();
    let all: Vec<_> = server
        .events(&format!("/api/v1/runs/{id}/steps/1/log/stream"))
        .collect();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].name, "end");
    assert_eq!(server.step_log(id, 1), "");
}

#[test]
fn a_dropped_part_is_a_gap_with_its_offsets() {
    let server = Server::start_with(&[("LIGHTFLOW_LOG_LIMIT", "65536")]);
    server.shell_task("t", &[("s", "yes | head -c 1000000", json!({}))]);
    let run = server.run_to_end("t");
    let id = run["id"].as_i64().unwrap();
    let all: Vec<_> = server
        .events(&format!("/api/v1/runs/{id}/steps/0/log/stream"))
        .collect();
    let gap = all.iter().find(|e| e.name == "gap").unwrap().json();
    assert_eq!(gap["from"], 16384);
    let mut next = 0;
    for event in &all {
        let data = event.json();
        match event.name.as_str() {
            "chunk" => {
                assert_eq!(data["offset"], next);
                next = data["next"].as_u64().unwrap();
            }
            "gap" => next = data["to"].as_u64().unwrap(),
            "end" => assert_eq!(data["length"], 1_000_000),
            other => panic!("{other}"),
        }
    }
    assert_eq!(next, 1_000_000);
}

#[test]
fn the_newest_lines_of_a_running_burst_are_readable() {
    let server = Server::start_with(&[("LIGHTFLOW_LOG_LIMIT", "65536")]);
    server.shell_task(
        "t",
        &[(
            "s",
            "yes | head -c 3000000; echo newest; sleep 60",
            json!({}),
        )],
    );
    let run = server.trigger("t");
    let mut events = server.events(&format!("/api/v1/runs/{run}/steps/0/log/stream"));
    event(&mut events, |e| {
        e.name == "chunk" && e.json()["text"].as_str().unwrap().ends_with("newest\n")
    });
}

#[test]
fn a_log_as_text_ends_where_it_is_now() {
    let server = Server::start();
    server.shell_task("t", &[("s", "echo so far; sleep 60", json!({}))]);
    let run = server.trigger("t");
    let mut live = server.events(&format!("/api/v1/runs/{run}/steps/0/log/stream"));
    event(&mut live, |e| e.name == "chunk");
    assert_eq!(server.step_log(run, 0), "so far\n");
}
