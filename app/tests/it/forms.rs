//! The forms of the pages, sent as a browser without JavaScript sends them.

use crate::harness::{Server, encoded};
use serde_json::json;

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nb3BlbnNzaC1rZXk\r\n-----END OPENSSH PRIVATE KEY-----\r\n";

#[test]
fn a_pool_is_added_changed_and_deleted() {
    let server = Server::start();
    let added = server
        .form("/add/pool", &[("name", "backup"), ("slots", "1")])
        .expect(303);
    assert_eq!(added.header("location"), Some("/pools#saved"));
    server.form("/pools/backup", &[("slots", "3")]).expect(303);
    let pools = server.get("/api/v1/pools").json();
    assert_eq!(pools["pools"][0]["slots"], 3);
    server.form("/pools/backup/delete", &[]).expect(303);
    server.get("/pools/backup").expect(404);
}

#[test]
fn a_refused_form_comes_back_as_it_was_filled_in() {
    let server = Server::start();
    let page = server
        .form("/add/pool", &[("name", "my <pool>"), ("slots", "0x")])
        .expect(422)
        .text();
    assert!(page.contains("value=\"my &#60;pool&#62;\""), "{page}");
    assert!(page.contains("value=\"0x\""), "{page}");
    assert!(page.contains("is not a whole number"), "{page}");
    let page = server
        .form("/add/pool", &[("name", "default"), ("slots", "1")])
        .expect(422)
        .text();
    assert!(page.contains("id=\"refused-name\""), "{page}");
    let page = server.form("/pools/default/delete", &[]).expect(422).text();
    assert!(page.contains("cannot be removed"), "{page}");
}

#[test]
fn a_pasted_key_keeps_its_lines_and_is_never_shown_again() {
    let server = Server::start();
    let fields = [("key", "BACKUP_SSH_KEY"), ("value", KEY), ("secret", "yes")];
    server.form("/add/variable", &fields).expect(303);
    server.shell_task(
        "t",
        &[(
            "s",
            "printf %s \"$BACKUP_SSH_KEY\" | wc -l; printf %s \"$BACKUP_SSH_KEY\" | tr -cd '\\r' | wc -c",
            json!({}),
        )],
    );
    let run = server.run_to_end("t");
    let log = server.step_log(run["id"].as_i64().unwrap(), 0);
    assert_eq!(log, "3\n0\n", "lines, and carriage returns among them");
    for path in ["/variables", "/variables/BACKUP_SSH_KEY"] {
        let page = server.get(path).expect(200).text();
        assert!(!page.contains("b3BlbnNzaC1rZXk"), "{path}");
    }
    let list = server.get("/variables").text();
    assert!(list.contains("step s"), "where used: {list}");
}

#[test]
fn the_empty_field_of_a_secret_keeps_its_value() {
    let server = Server::start();
    let fields = [
        ("key", "TOKEN"),
        ("value", "s3cret-value"),
        ("secret", "yes"),
    ];
    server.form("/add/variable", &fields).expect(303);
    let path = "/variables/TOKEN";
    server
        .form(path, &[("value", ""), ("secret", "yes")])
        .expect(303);
    let page = server.form(path, &[("value", "")]).expect(422).text();
    assert!(page.contains("cannot be read back"), "{page}");
    server.shell_task("t", &[("s", "echo ${#TOKEN}", json!({}))]);
    let run = server.run_to_end("t");
    assert_eq!(server.step_log(run["id"].as_i64().unwrap(), 0), "12\n");
    // The same key again is a mistake, not a change.
    let again = server.form("/add/variable", &fields).expect(422).text();
    assert!(again.contains("exists already"), "{again}");
    assert!(again.contains("s3cret-value"), "what was typed stays");
}

#[test]
fn everything_is_paused_and_what_was_on_comes_back() {
    let server = Server::start();
    for (name, auto) in [("a", true), ("b", false)] {
        let body = json!({"name": name, "cron": "0 3 * * *", "auto": auto,
            "steps": [{"name": "s", "command": "true"}]});
        server.post("/api/v1/tasks", body).expect(201);
    }
    let on = |name: &str| server.get(&format!("/api/v1/tasks/{name}")).json()["auto"] == true;
    server.form("/schedules/pause", &[]).expect(303);
    assert!(!on("a") && !on("b"));
    let page = server.get("/tasks").text();
    assert!(page.contains("1 task is paused"), "{page}");
    server.form("/schedules/resume", &[]).expect(303);
    assert!(on("a") && !on("b"));
    server.form("/tasks/b/auto", &[("auto", "on")]).expect(303);
    assert!(on("b"));
}

#[test]
fn a_viewer_sees_the_lists_and_no_form() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let made = server.post("/api/v1/tokens", json!({"name": "v", "role": "viewer"}));
    let bearer = format!("Bearer {}", made.json()["token"].as_str().unwrap());
    let head = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    for path in ["/", "/tasks", "/pools", "/variables"] {
        let page = server.network.send("GET", path, &head, b"").expect(200);
        assert!(!page.text().contains("/add/"), "{path}");
        assert!(!page.text().contains("▶ Run"), "{path}");
    }
    for path in [
        "/add/pool",
        "/add/variable",
        "/add/task",
        "/pools/default",
        "/tasks/t/edit",
        "/tasks/t/duplicate",
    ] {
        server.network.send("GET", path, &head, b"").expect(403);
    }
    let body = encoded(&[("name", "p"), ("slots", "1"), ("auto", "off")]);
    for path in [
        "/add/pool",
        "/add/variable",
        "/pools/default",
        "/pools/default/delete",
        "/variables/X",
        "/variables/X/delete",
        "/add/task",
        "/tasks/t/edit",
        "/tasks/t/duplicate",
        "/tasks/t/delete",
        "/tasks/t/auto",
        "/tasks/t/run",
        "/schedules/pause",
        "/schedules/resume",
    ] {
        let answer = server.network.send("POST", path, &head, body.as_bytes());
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[test]
fn the_list_finds_tasks_by_any_of_their_words() {
    let server = Server::start();
    server.shell_task("backup_immich", &[("sync", "echo photos", json!({}))]);
    server.shell_task("backup_planka", &[("sync", "echo boards", json!({}))]);
    let found = server.get("/fragments/tasks?q=SYNC+photo").text();
    assert!(found.contains("backup_immich"), "{found}");
    assert!(!found.contains("backup_planka"), "{found}");
    assert!(
        server
            .get("/tasks?q=nothing")
            .text()
            .contains("No task has")
    );
}

#[test]
fn a_notification_is_added_tried_changed_and_deleted() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let web = crate::receivers::WebServer::start();
    let page = server.get("/add/notification").expect(200).text();
    assert!(
        page.contains("href=\"/add/notification?kind=ntfy\""),
        "{page}"
    );
    let url = format!("http://{}/SECRET-TOPIC", web.address);
    let wrong = [
        ("kind", "ntfy"),
        ("name", "my phone"),
        ("url", url.as_str()),
        ("failure", "yes"),
        ("scope", "some"),
        ("task", "t"),
    ];
    let page = server.form("/add/notification", &wrong).expect(422).text();
    assert!(page.contains("id=\"refused-name\""), "{page}");
    assert!(
        page.contains("value=\"t\" checked") && page.contains("SECRET-TOPIC"),
        "{page}"
    );
    assert!(
        !page.contains("name=\"overdue\" value=\"yes\" checked"),
        "{page}"
    );
    let mut right = wrong;
    right[1].1 = "phone";
    server.form("/add/notification", &right).expect(303);
    // Not ticked: it is there and off.
    let page = server.get("/notifications").expect(200).text();
    assert!(page.contains("phone</a> <small>off"), "{page}");
    let page = server
        .form("/notifications/phone/test", &[])
        .expect(200)
        .text();
    assert!(page.contains("phone took the test message"), "{page}");
    assert_eq!(web.next().line, "POST /SECRET-TOPIC HTTP/1.1");
    web.answer_with(403);
    let page = server
        .form("/notifications/phone/test", &[])
        .expect(502)
        .text();
    assert!(page.contains("failed") && page.contains("403"), "{page}");
    assert!(!page.contains("SECRET"), "{page}");
    let page = server.get("/notifications/phone").expect(200).text();
    assert!(!page.contains("SECRET"), "{page}");
    let changed = [
        ("kind", "ntfy"),
        ("name", "phone"),
        ("scope", "all"),
        ("enabled", "yes"),
        ("url", ""),
    ];
    server.form("/notifications/phone", &changed).expect(303);
    let channel = server.get("/api/v1/channels/phone").json();
    assert_eq!(
        (&channel["enabled"], &channel["tasks"]),
        (&json!(true), &json!(null))
    );
    server.form("/notifications/phone/delete", &[]).expect(303);
    server.get("/notifications/phone").expect(404);
}
