//! The first page: its facts of each task, its small size, and that it stands still.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::Server;
use crate::webdriver::Browser;
use serde_json::json;

/// Lines as the gate prints them.
const STORED: &str = r#"echo 'result: {"version":1,"kind":"archive","subject":"n8n","name":"n8n-2026-03-01.tar.gz","bytes":3145728,"files":12,"sha256":"ab","checked":"hash"}'"#;
const UP: &str = r#"echo 'result: {"version":1,"kind":"downtime","subject":"n8n","ms":12300}'"#;

/// Gives every task a month of nightly runs that ended before now, as if it had been there.
pub(crate) fn a_month_of_runs(server: &Server) {
    let database = rusqlite::Connection::open(server.data().join("lightflow.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO runs (id, task_id, task_name, trigger, due, state, created_at, started_at, finished_at)
             WITH RECURSIVE days (day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < 30),
             fires AS (SELECT id AS task, name, day, (unixepoch() - day * 86400) * 1000 AS at FROM days, tasks)
             SELECT 1000 + (30 - day) * 100 + task, task, name, 'schedule', at,
                 CASE WHEN (day * 7 + task) % 23 = 0 THEN 'failed' WHEN (day + task) % 11 = 0 THEN 'missed' ELSE 'success' END,
                 at, at, at + 60000 + (day * task % 17) * 7000 FROM fires;
             INSERT INTO step_runs (run_id, position, definition, state, attempt, started_at, finished_at, down_ms, stored_bytes)
             SELECT id, 0, json_object('name', 'sync', 'command', 'sh'),
                 CASE state WHEN 'failed' THEN 'failed' ELSE 'success' END, 1, started_at, finished_at,
                 9000 + id % 100 * 100, 1000000000 + id % 1000 * 100000 + id * id
             FROM runs WHERE id >= 1000 AND state <> 'missed';",
        )
        .unwrap();
}

#[test]
fn it_tells_what_the_gate_said_and_shows_what_is_wrong_first() {
    let server = Server::start();
    let always = json!({"rule": "always"});
    server.shell_task(
        "a_fine",
        &[("archive", STORED, json!({})), ("start", UP, always)],
    );
    server.shell_task("b_broken", &[("sync", "exit 3", json!({}))]);
    let fine = server.run_to_end("a_fine");
    assert_eq!(fine["steps"][0]["stored_bytes"], 3_145_728);
    assert_eq!(fine["steps"][1]["down_ms"], 12_300);
    server.run_to_end("b_broken");
    let page = server.get("/").expect(200).text();
    let of = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(of("1 of 2 tasks needs a look") < of("href=\"/tasks/b_broken\""));
    assert!(of("href=\"/tasks/b_broken\"") < of("sync: exit code 3"));
    assert!(of("sync: exit code 3") < of("href=\"/tasks/a_fine\""));
    assert!(of("href=\"/tasks/a_fine\"") < of("data-label=\"Downtime\">12 s"));
    of("3.0 MiB");
    assert_eq!(page.matches("class=\"box day").count(), 60);
    assert_eq!(page.matches("class=\"box day none\"").count(), 58);
}

#[test]
fn a_task_that_did_not_succeed_for_too_long_is_overdue() {
    let server = Server::start();
    let step = json!({"name": "s", "command": "true"});
    for name in ["late", "young"] {
        let task = json!({"name": name, "cron": "0 3 * * *", "steps": [step]});
        server.post("/api/v1/tasks", task).expect(201);
    }
    let database = rusqlite::Connection::open(server.data().join("lightflow.db")).unwrap();
    let long_ago = "UPDATE tasks SET watched_from = 1700000000000 WHERE name = 'late'";
    database.execute(long_ago, []).unwrap();
    let page = server.get("/").expect(200).text();
    assert_eq!(page.matches(">overdue</strong>").count(), 1);
    let row = page
        .split("<tr")
        .find(|row| row.contains("/tasks/late"))
        .unwrap();
    assert!(row.contains(">overdue</strong>"), "{row}");
    assert!(row.starts_with(" class=\"wrong\""), "{row}");
    assert!(page.contains("1 of 2 tasks needs a look"));
    // Switched off, it is expected no more.
    server
        .json("PATCH", "/api/v1/tasks/late", json!({"auto": false}))
        .expect(200);
    let page = server.get("/").expect(200).text();
    assert!(!page.contains(">overdue</strong>"), "{page}");
}

#[test]
fn twenty_tasks_weigh_less_than_60_kb_on_the_wire() {
    let server = Server::start();
    for number in 0..20 {
        server.shell_task(
            &format!("backup_service_{number:02}"),
            &[("sync", "true", json!({}))],
        );
    }
    a_month_of_runs(&server);
    let plain = server.get("/").expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    let head = [("Accept-Encoding", "gzip, deflate, br")];
    let mut wire = 0;
    for path in ["/", "/assets/style.css", "/assets/live.js"] {
        let answer = server.socket.send("GET", path, &head, b"").expect(200);
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
        wire += answer.body.len();
    }
    println!(
        "20 tasks: {} bytes of HTML, {wire} on the wire with style and module",
        plain.body.len()
    );
    assert!(wire < 60_000, "{wire}");
    assert!(plain.text().matches("class=\"box day red\"").count() > 20);
}

#[test]
fn nothing_on_it_jumps() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    for number in 0..20 {
        let task = json!({
            "name": format!("backup_service_{number:02}"), "cron": "0 3 * * *",
            "steps": [{"name": "sync", "command": "true"}],
        });
        server.post("/api/v1/tasks", task).expect(201);
    }
    a_month_of_runs(&server);
    set_up(&server, &browser);
    let watch = "window.shifts = []; new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
    }).observe({type: 'layout-shift', buffered: true});";
    for width in [390, 820, 1440] {
        browser.resize(width);
        browser.goto(&base(&server));
        browser.script(watch);
        browser.wait_text("[data-connection]", "live");
        // The list is replaced once the stream is there.
        browser.wait_script("return performance.getEntriesByName(location.origin + '/fragments/overview').length > 0");
        let shifts = browser.script("return window.shifts.reduce((a, b) => a + b, 0)");
        assert!(shifts.as_f64().unwrap() < 0.01, "{width}: {shifts}");
    }
    no_complaints(&browser);
}
