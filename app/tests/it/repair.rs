//! Tasks whose definition cannot be read: they are named, and repaired or deleted by API, command line and page.

use crate::harness::{BINARY, Server, command};
use serde_json::{Value, json};
use std::path::Path;

fn sql(data: &Path, text: &str) {
    rusqlite::Connection::open(data.join("lightflow.db"))
        .unwrap()
        .execute_batch(text)
        .unwrap();
}

/// A server with tasks of a zone that is none, and one with a definition that is no JSON.
fn damaged() -> Server {
    let server = Server::start();
    for task in ["good", "one", "two", "three", "four", "broken"] {
        server.shell_task(task, &[("s", "true", json!({}))]);
    }
    server.crash_and_change(|data| {
        sql(
            data,
            "UPDATE tasks SET definition = json_set(definition, '$.zone', 'Mars/Phobos') WHERE name NOT IN ('good', 'broken');
             UPDATE tasks SET definition = '{\"name\":' WHERE name = 'broken';",
        );
    })
}

fn names(server: &Server) -> Vec<String> {
    let list = server.get("/api/v1/tasks").expect(200).json();
    let damaged = list["damaged"].as_array().cloned().unwrap_or_default();
    damaged
        .iter()
        .map(|task| task["name"].as_str().unwrap().to_owned())
        .collect()
}

fn cli(server: &Server, line: &str) -> (bool, String) {
    let output = command(server.data())
        .args(line.split(' '))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_damaged_task_is_repaired_or_deleted_everywhere() {
    assert!(Path::new(BINARY).exists());
    let server = damaged();
    assert_eq!(names(&server), ["broken", "four", "one", "three", "two"]);
    let list = server.get("/api/v1/tasks").expect(200).json();
    let one = &list["damaged"][2];
    assert!(one["problem"].as_str().unwrap().contains("Mars/Phobos"));
    // By the API: a new definition, and a deletion.
    let mut body = one["definition"].clone();
    body["zone"] = Value::Null;
    server.json("PUT", "/api/v1/tasks/one", body).expect(200);
    assert_eq!(server.run_to_end("one")["state"], "success");
    server
        .json("DELETE", "/api/v1/tasks/broken", json!({}))
        .expect(204);
    // By the command line.
    let (_, text) = cli(&server, "task list");
    assert!(text.contains("the task two does not run"), "{text}");
    let (done, text) = cli(&server, "task edit two --tz Europe/Berlin");
    assert!(done, "{text}");
    assert_eq!(server.run_to_end("two")["state"], "success");
    let (done, text) = cli(&server, "task delete three --yes");
    assert!(done, "{text}");
    assert_eq!(names(&server), ["four"]);
    // By the page: the form holds the definition and names the field.
    let page = server.get("/tasks").expect(200).text();
    assert!(page.contains("/tasks/four/edit"), "{page}");
    let form = server.get("/tasks/four/edit").expect(200).text();
    assert!(
        form.contains("Mars/Phobos") && form.contains("refused-zone"),
        "{form}"
    );
    let fields = [
        ("name", "four"),
        ("zone", "UTC"),
        ("pool", "default"),
        ("on_missed", "skip"),
        ("keep_runs", "9"),
        ("keep_days", "9"),
        ("step.name", "s"),
        ("step.command", "true"),
        ("step.rule", "on_success"),
        ("step.timeout", "60"),
        ("step.retries", "0"),
        ("step.retry_delay", "0"),
    ];
    server.form("/tasks/four/edit", &fields).expect(303);
    assert!(names(&server).is_empty());
    let page = server.get("/").expect(200).text();
    assert!(!page.contains("cannot be read"), "{page}");
}

#[test]
fn an_import_and_the_page_write_a_lost_definition_anew() {
    let server = damaged();
    let form = server.get("/tasks/broken/edit").expect(200).text();
    assert!(form.contains("refused-name"), "{form}");
    let document = "[[tasks]]\nname = 'broken'\n[[tasks.steps]]\nname = 's'\ncommand = 'true'\n";
    server
        .socket
        .send("POST", "/api/v1/import", &[], document.as_bytes())
        .expect(200);
    assert_eq!(server.run_to_end("broken")["state"], "success");
    server.form("/tasks/one/delete", &[]).expect(303);
    assert_eq!(names(&server), ["four", "three", "two"]);
}
