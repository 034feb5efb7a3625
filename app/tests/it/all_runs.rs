//! All runs with filters, the failing line first, and the way from a waiting run to the one that it waits for.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::{BINARY, Server};
use crate::webdriver::Browser;
use serde_json::{Value, json};

/// 120 runs of two tasks: every third one of `b` failed, one a day up to 2026-03-30.
fn history(server: &Server) {
    server.shell_task("a", &[("s", "true", json!({}))]);
    server.shell_task("b", &[("s", "true", json!({}))]);
    let database = rusqlite::Connection::open(server.data().join("lightflow.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO runs (id, task_id, task_name, trigger, state, created_at, started_at, finished_at)
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 120)
             SELECT n, 1 + n % 2, CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END,
                 CASE n % 5 WHEN 0 THEN 'manual' ELSE 'schedule' END,
                 CASE WHEN n % 2 = 1 AND n % 3 = 0 THEN 'failed' ELSE 'success' END,
                 at, at, at + 1000 FROM (SELECT n, (unixepoch('2026-03-30 12:00') - (120 - n) * 86400) * 1000 AS at FROM n)",
        )
        .unwrap();
}

fn ids(list: &Value) -> Vec<i64> {
    let runs = list["runs"].as_array().unwrap().iter();
    runs.map(|run| run["id"].as_i64().unwrap()).collect()
}

#[test]
fn runs_are_filtered_and_paged() {
    let server = Server::start();
    history(&server);
    let list = |query: &str| {
        server
            .get(&format!("/api/v1/runs?{query}"))
            .expect(200)
            .json()
    };
    assert_eq!(ids(&list("state=failed&limit=2")), [117, 111]);
    assert_eq!(ids(&list("task=b&trigger=manual&limit=2")), [115, 105]);
    assert_eq!(ids(&list("from=2026-03-29")), [120, 119]);
    assert_eq!(ids(&list("to=2025-12-03")), [3, 2, 1]);
    assert_eq!(
        ids(&list("from=2026-03-28T12:00:00Z&to=2026-03-29T12:00:00Z")),
        [118]
    );
    for wrong in ["state=broken", "trigger=wind", "from=yesterday"] {
        let problem = server.get(&format!("/api/v1/runs?{wrong}")).expect(422);
        assert!(problem.text().contains("use "), "{}", problem.text());
    }
    // Every run is on one page exactly.
    let mut path = "/runs".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.get(&path).expect(200).text();
        let rows = page.split("<th scope=\"row\"><a href=\"/runs/").skip(1);
        seen.extend(rows.map(|row| row.split('"').next().unwrap().parse::<i64>().unwrap()));
        let Some((head, _)) = page.split_once("\">Older runs</a>") else {
            break;
        };
        path = head.rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    }
    assert_eq!(seen, (1..=120).rev().collect::<Vec<_>>());
    let failed = server
        .get("/runs?task=b&state=failed&trigger=&from=&to=")
        .expect(200)
        .text();
    assert_eq!(failed.matches(" failed</a>").count(), 20);
    assert!(
        failed.contains("<option selected>failed</option>"),
        "{failed}"
    );
    let task = server.get("/tasks/a").expect(200).text();
    assert!(task.contains("href=\"/runs?task=a\""), "{task}");
}

#[test]
fn the_command_line_filters_runs_and_prints_the_last_logs_of_a_task() {
    let server = Server::start();
    history(&server);
    let server = server.restart();
    let said = |args: &[&str]| {
        let answer = std::process::Command::new(BINARY)
            .env("LIGHTFLOW_DATA_DIR", server.data())
            .args(args)
            .output()
            .unwrap();
        (
            answer.status.code(),
            String::from_utf8_lossy(&answer.stdout).into_owned(),
        )
    };
    let (code, text) = said(&[
        "run",
        "list",
        "--task",
        "b",
        "--state",
        "failed",
        "--to",
        "2025-12-10",
        "--json",
    ]);
    assert_eq!(
        (code, ids(&serde_json::from_str(&text).unwrap())),
        (Some(0), vec![9, 3])
    );
    assert_eq!(said(&["run", "list", "--state", "broken"]).0, Some(2));
    server.shell_task("c", &[("s", "echo from the last run", json!({}))]);
    assert_eq!(said(&["run", "logs", "c"]).0, Some(1));
    server.run_to_end("c");
    let (code, text) = said(&["run", "logs", "c", "s"]);
    assert_eq!((code, text.as_str()), (Some(0), "from the last run\n"));
}

#[test]
fn a_failed_run_shows_its_last_lines_first() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let secret = json!({"value": "hunter2-hunter2", "secret": true});
    server
        .json("PUT", "/api/v1/variables/PASSWORD", secret)
        .expect(200);
    let noisy = "seq 300; printf '\\033[31mERROR\\033[0m: no space left, password %s\\n' \"$PASSWORD\" >&2; exit 3";
    server.shell_task(
        "t",
        &[
            ("stop", "echo stopped", json!({})),
            ("sync", noisy, json!({})),
            ("start", "echo up", json!({"rule": "always"})),
        ],
    );
    let run = server.run_to_end("t")["id"].as_i64().unwrap();
    let page = server.get(&format!("/runs/{run}")).expect(200).text();
    let lines = page
        .split("<pre class=\"said\"")
        .nth(1)
        .unwrap()
        .split("</pre>")
        .next()
        .unwrap();
    assert!(
        lines.ends_with("300\nERROR: no space left, password ••••"),
        "{lines}"
    );
    assert!(page.find("exit code 3").unwrap() < page.find("<table").unwrap());
    set_up(&server, &browser);
    browser.look(390, false);
    browser.goto(&format!("{}/runs/{run}", base(&server)));
    browser.wait_text("[data-connection]", "live");
    let seen = "const box = document.querySelector('.failure .said').getBoundingClientRect(); return box.top > 0 && box.bottom <= innerHeight";
    browser.wait_script(seen);
    // A step leads to its log.
    browser.click(".steps th a[href$='step=3#log']");
    browser.wait_text("[data-log]", "up");
    browser.wait_script("return Math.abs(document.querySelector('#log').getBoundingClientRect().top) < innerHeight / 2");
    no_complaints(&browser);
}

#[test]
fn a_waiting_run_names_the_one_that_it_waits_for() {
    let server = Server::start();
    let pool = json!({"name": "default", "slots": 1});
    server
        .json("PUT", "/api/v1/pools/default", pool)
        .expect(200);
    let mut runs = Vec::new();
    for name in ["first", "second", "third"] {
        server.shell_task(name, &[("s", "exec sleep 600", json!({}))]);
        let run = server.trigger(name);
        server.step_is(run, 0, if name == "first" { "running" } else { "queued" });
        runs.push(run);
    }
    let page = server.get(&format!("/runs/{}", runs[2])).expect(200).text();
    let link = format!(
        "Waits for <a href=\"/runs/{}\">first</a>: second in the queue of the pool default",
        runs[0]
    );
    assert!(page.contains(&link), "{page}");
}
