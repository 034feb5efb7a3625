//! Every refusal names the field and the fix, and nothing is changed.

use crate::harness::Server;
use serde_json::{Value, json};

fn task(more: Value) -> Value {
    let mut body = json!({"name": "t", "steps": [{"name": "s", "command": "true"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn a_refused_field_is_named_with_the_fix() {
    let server = Server::start();
    let step = |more: Value| {
        let mut step = json!({"name": "s", "command": "true"});
        for (key, value) in more.as_object().unwrap() {
            step[key] = value.clone();
        }
        json!({"steps": [step]})
    };
    for (body, field, words) in [
        (task(json!({"name": ""})), "name", "empty"),
        (task(json!({"name": "a b"})), "name", "use letters"),
        (task(json!({"cron": "0 25 * * *"})), "cron", "0 to 23"),
        (task(json!({"cron": "* * * *"})), "cron", ""),
        (
            task(json!({"zone": "Europe/Parsi"})),
            "zone",
            "Europe/Paris",
        ),
        (task(json!({"pool": "nowhere"})), "pool", "default"),
        (
            task(json!({"on_missed": "never"})),
            "on_missed",
            "run_once or skip",
        ),
        (task(json!({"keep_runs": 0})), "keep_runs", "1 to"),
        (task(json!({"steps": []})), "steps", "at least one"),
        (
            task(step(json!({"timeout": 0}))),
            "steps[0].timeout",
            "1 to",
        ),
        (
            task(step(json!({"rule": "maybe"}))),
            "steps[0].rule",
            "always",
        ),
        (
            task(step(json!({"args": "'open"}))),
            "steps[0].args",
            "close it",
        ),
        (
            task(step(json!({"retries": 99}))),
            "steps[0].retries",
            "0 to",
        ),
        (
            task(step(json!({"env": {"A=B": "x"}}))),
            "steps[0].env.A=B",
            "environment variable",
        ),
        (
            task(step(json!({"env": {"LIGHTFLOW_X": "x"}}))),
            "steps[0].env.LIGHTFLOW_X",
            "runner",
        ),
    ] {
        let answer = server
            .post("/api/v1/tasks", body.clone())
            .expect(422)
            .json();
        let error = &answer["errors"][0];
        assert_eq!(error["field"], field, "{body}: {answer}");
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{answer}"
        );
    }
    assert_eq!(server.get("/api/v1/tasks").json()["tasks"], json!([]));
}

#[test]
fn a_name_that_is_taken_is_told() {
    let server = Server::start();
    server.post("/api/v1/tasks", task(json!({}))).expect(201);
    let answer = server
        .post("/api/v1/tasks", task(json!({})))
        .expect(409)
        .json();
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("already a task \"t\""),
        "{answer}"
    );
    let answer = server
        .post("/api/v1/pools", json!({"name": "default", "slots": 1}))
        .expect(409);
    assert!(answer.text().contains("already a pool"));
}

#[test]
fn a_body_that_cannot_be_read_is_told() {
    let server = Server::start();
    let json = [("Content-Type", "application/json")];
    let broken = server
        .socket
        .send("POST", "/api/v1/tasks", &json, b"{\"name\": ")
        .expect(400);
    assert!(
        broken.json()["detail"].as_str().unwrap().contains("line 1"),
        "{}",
        broken.text()
    );
    let unknown = server
        .post("/api/v1/tasks", task(json!({"crno": "x"})))
        .expect(400);
    assert!(unknown.text().contains("crno"), "{}", unknown.text());
    server
        .socket
        .send("POST", "/api/v1/tasks", &[], b"{}")
        .expect(400);
    let huge = vec![b' '; 1_100_000];
    let large = server
        .socket
        .send("POST", "/api/v1/tasks", &json, &huge)
        .expect(413);
    assert!(large.text().contains("1048576 bytes"), "{}", large.text());
}

#[test]
fn a_script_name_is_never_a_path() {
    let server = Server::start();
    for name in [
        "..",
        "%2e%2e",
        "..%2Fescape.py",
        "a%2Fb.py",
        "%2Fetc%2Fpasswd",
        ".hidden",
        "a%00b",
        "a%5Cb",
    ] {
        let path = format!("/api/v1/scripts/{name}");
        for method in ["PUT", "GET", "DELETE"] {
            let answer = server.socket.send(method, &path, &[], b"x");
            assert!(
                [404, 422].contains(&answer.status),
                "{method} {name}: {}",
                answer.status
            );
        }
    }
    assert_eq!(
        std::fs::read_dir(server.data().join("scripts"))
            .unwrap()
            .count(),
        0
    );
    assert!(!server.data().join("escape.py").exists());
    let answer = server
        .socket
        .send("PUT", "/api/v1/scripts/..%2Fx", &[], b"x")
        .expect(422);
    assert!(answer.text().contains("is a path"), "{}", answer.text());
    let large = vec![b'x'; 1_048_577];
    server
        .socket
        .send("PUT", "/api/v1/scripts/large", &[], &large)
        .expect(413);
}

#[test]
fn a_variable_that_no_environment_can_hold_is_refused() {
    let server = Server::start();
    let nul = server
        .json("PUT", "/api/v1/variables/A", json!({"value": "a\u{0}b"}))
        .expect(422);
    assert!(nul.text().contains("NUL"), "{}", nul.text());
    let large = "x".repeat(130_000);
    server
        .json("PUT", "/api/v1/variables/A", json!({"value": large}))
        .expect(422);
    server
        .json("PUT", "/api/v1/variables/1A", json!({"value": "x"}))
        .expect(422);
    server
        .json(
            "PUT",
            "/api/v1/variables/S",
            json!({"value": "ab", "secret": true}),
        )
        .expect(422);
}

#[test]
fn what_is_in_use_stays() {
    let server = Server::start();
    server.shell_task("t", &[("s", "sleep 60", json!({}))]);
    let run = server.trigger("t");
    let busy = server
        .json("DELETE", "/api/v1/tasks/t", json!({}))
        .expect(409);
    assert!(
        busy.text().contains(&format!("run {run}")),
        "{}",
        busy.text()
    );
    server
        .post("/api/v1/pools", json!({"name": "p", "slots": 0}))
        .expect(422);
    server
        .json("DELETE", "/api/v1/pools/default", json!({}))
        .expect(409);
    server
        .json("DELETE", "/api/v1/pools/none", json!({}))
        .expect(404);
}

#[test]
fn an_unknown_address_or_method_is_a_problem_too() {
    let server = Server::start();
    let none = server.get("/api/v1/nothing").expect(404);
    assert_eq!(
        none.header("content-type"),
        Some("application/problem+json")
    );
    let method = server.json("PUT", "/api/v1/tasks", json!({})).expect(405);
    assert_eq!(
        method.header("content-type"),
        Some("application/problem+json")
    );
}

#[test]
fn a_number_that_is_none_is_a_problem_too() {
    let server = Server::start();
    for path in [
        "/api/v1/runs/abc",
        "/api/v1/tasks/%ff",
        "/api/v1/runs?limit=x",
    ] {
        let answer = server.get(path).expect(400);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{path}"
        );
    }
}

#[test]
fn a_file_that_is_no_script_is_neither_shown_nor_exported() {
    let server = Server::start();
    let scripts = server.data().join("scripts");
    let large = std::fs::File::create(scripts.join("dump.bin")).unwrap();
    large.set_len(3_000_000_000).unwrap();
    nix::unistd::mkfifo(&scripts.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let path = "/api/v1/scripts/a.py";
    server
        .socket
        .send("PUT", path, &[], b"print('x')\n")
        .expect(200);
    server.get("/api/v1/scripts/dump.bin").expect(404);
    server.get("/api/v1/scripts/pipe").expect(404);
    let text = server.get("/api/v1/export").expect(200).text();
    assert!(
        text.contains("\"a.py\" = ") && !text.contains("\"dump.bin\" = "),
        "{}",
        text.len()
    );
}

#[test]
fn an_import_whose_script_cannot_be_written_is_told_and_changes_nothing_else() {
    let server = Server::start();
    std::fs::create_dir_all(server.data().join("scripts/a.py/inside")).unwrap();
    let text = "[pools]\nbackup = 1\n[scripts]\n\"a.py\" = \"x\"\n[[tasks]]\nname = \"t\"\npool = \"backup\"\ncron = \"@daily\"\n[[tasks.steps]]\nname = \"s\"\ncommand = \"true\"\n";
    server
        .socket
        .send("POST", "/api/v1/import", &[], text.as_bytes())
        .expect(500);
    server.get("/api/v1/tasks/t").expect(404);
    let pools = server.get("/api/v1/pools").json();
    assert_eq!(pools["pools"].as_array().unwrap().len(), 1, "{pools}");
}
