//! Warnings of the gate (`result:` lines of kind `warning`): on the page of a run at their step, in the API, and in
//! the command line's text.

use crate::harness::Server;
use serde_json::{Value, json};

/// A shell command that prints one warning.
fn warns(message: &str) -> String {
    format!(
        r#"echo 'result: {{"version":1,"kind":"warning","code":"service_up","subject":"n8n","message":"{message}"}}'"#
    )
}

fn messages(step: &Value) -> Vec<&str> {
    let warnings = step["warnings"].as_array().unwrap();
    warnings
        .iter()
        .map(|warning| warning["message"].as_str().unwrap())
        .collect()
}

#[test]
fn a_warning_stands_at_its_step_as_text() {
    let server = Server::start();
    let archive = format!(
        "{}; {}",
        warns("it runs; <b>the copy</b> may be torn"),
        warns("a second one \\u001b[31m")
    );
    server.shell_task(
        "night",
        &[
            ("archive", &archive, json!({})),
            ("start", "echo up", json!({})),
        ],
    );
    let run = server.run_to_end("night");
    assert_eq!(run["state"], "success");
    let expected = ["it runs; <b>the copy</b> may be torn", "a second one ?[31m"];
    assert_eq!(messages(&run["steps"][0]), expected);
    assert_eq!(run["steps"][0]["warnings"][0]["code"], "service_up");
    assert_eq!(run["steps"][0]["warnings"][0]["subject"], "n8n");
    assert_eq!(messages(&run["steps"][1]), [""; 0]);

    let server = server.restart();
    let page = server.get("/runs/1").expect(200).text();
    let row = |name: &str| {
        let rows = page.split("<tr").filter(|row| row.contains("step="));
        let link = format!(">{name}</a>");
        let mut rows = rows.filter(|row| row.contains(&link));
        rows.next().unwrap().to_owned()
    };
    let archive = row("archive");
    assert_eq!(
        archive.matches("<li>Warning: n8n: ").count(),
        2,
        "{archive}"
    );
    assert!(archive.contains("a second one ?[31m"), "{archive}");
    assert!(archive.contains("the copy"), "{archive}");
    assert!(!archive.contains("<b>"), "{archive}");
    assert!(!row("start").contains("Warning"), "{page}");
}

#[test]
fn warnings_are_those_of_the_last_attempt_and_are_masked() {
    let server = Server::start();
    let secret = json!({"value": "pass\"word", "secret": true});
    server
        .json("PUT", "/api/v1/variables/PIN", secret)
        .expect(200);
    let script = format!(
        "if [ -e once ]; then {}; else touch once; {}; exit 1; fi",
        warns("second try pass\\\"word"),
        warns("first try")
    );
    let again = json!({"retries": 1, "retry_delay": 0});
    server.shell_task("night", &[("archive", &script, again)]);
    let run = server.run_to_end("night");
    assert_eq!(messages(&run["steps"][0]), ["second try ••••"], "{run}");
}
