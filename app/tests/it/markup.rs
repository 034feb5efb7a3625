//! Markup where text belongs: every stored value is shown, and never run.

use crate::browser::{base, set_up};
use crate::harness::{Server, encoded};
use crate::webdriver::Browser;
use serde_json::json;
use std::collections::{BTreeSet, VecDeque};

/// Closes the elements it may be in, and tries to run a script in several ways.
const MARKUP: &str = "'\"><img src=x onerror=pwned=1></script>";

/// The traces of markup on the open page.
const PWNED: &str = "return typeof pwned !== 'undefined' || !!document.querySelector('img[src=x], a[href^=\"javascript:\"], script:not([src])')";

#[test]
fn markup_in_anything_that_is_stored_stays_text() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    // A field for names refuses it, and shows it as text.
    for (path, fields) in [
        (
            "/add/task",
            vec![
                ("name", MARKUP),
                ("cron", MARKUP),
                ("zone", MARKUP),
                ("pool", MARKUP),
                ("step.name", MARKUP),
                ("step.command", MARKUP),
                ("step.args", MARKUP),
                ("step.env", MARKUP),
            ],
        ),
        ("/add/pool", vec![("name", MARKUP), ("slots", MARKUP)]),
        ("/add/variable", vec![("key", MARKUP), ("value", MARKUP)]),
        (
            "/add/script",
            vec![("name", MARKUP), ("text", MARKUP), ("base", "0")],
        ),
        (
            "/add/notification",
            vec![
                ("kind", "webhook"),
                ("name", MARKUP),
                ("url", MARKUP),
                ("scope", "some"),
                ("task", MARKUP),
            ],
        ),
        ("/login", vec![("name", MARKUP), ("password", MARKUP)]),
    ] {
        let answer = server.form(path, &fields);
        assert!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        assert!(!answer.text().contains("<img"), "{path}: {}", answer.text());
    }
    // A field for text takes it.
    let log = format!(
        "printf '%s\\n' \"$K\"; printf '\\033]0;{0}\\007\\033]8;;javascript:pwned=1\\033\\\\link\\033]8;;\\033\\\\\\033[31m{0}\\377\\n'; exit 1",
        "<img src=x onerror=pwned=1>"
    );
    let step =
        json!({"name": MARKUP, "command": "sh", "args": ["-c", log, MARKUP], "env": {"E": MARKUP}});
    server
        .post("/api/v1/tasks", json!({"name": "t", "steps": [step]}))
        .expect(201);
    server.json("PUT", "/api/v1/variables/K", json!({"value": MARKUP}));
    for text in [MARKUP, "# <b>changed</b> <img src=x onerror=pwned=1>\n"] {
        server
            .socket
            .send("PUT", "/api/v1/scripts/x.txt", &[], text.as_bytes());
    }
    let target = json!({"kind": "webhook", "url": format!("http://127.0.0.1:1/{}", "%3Cimg%20src=x%20onerror=pwned=1%3E")});
    server
        .post("/api/v1/channels", json!({"name": "c", "target": target}))
        .expect(201);
    server.run_to_end("t");
    let logged = server.get("/api/v1/runs/1/steps/0/log").expect(200);
    assert!(
        logged
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    set_up(&server, &browser);
    // Every page that a link leads to.
    let mut wait: VecDeque<String> = [
        "/".to_owned(),
        "/runs/1?step=1".to_owned(),
        format!("/tasks?{}", encoded(&[("q", MARKUP)])),
        format!("/add/notification?{}", encoded(&[("kind", MARKUP)])),
        format!("/tasks/{}", encoded(&[(MARKUP, "")])),
    ]
    .into();
    let mut seen = BTreeSet::new();
    while let Some(path) = wait.pop_front() {
        let shape: String = path
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        if !seen.insert(shape) {
            continue;
        }
        browser.goto(&format!("{}{path}", base(&server)));
        if browser.script("return !!document.querySelector('[data-log]')") == json!(true) {
            browser.wait_text("[data-log-state]", "complete");
        }
        assert_eq!(browser.script(PWNED), json!(false), "{path}");
        let refused = browser
            .complaints()
            .into_iter()
            .filter(|c| !c.contains("status of 4"));
        assert_eq!(refused.collect::<Vec<_>>(), Vec::<String>::new(), "{path}");
        let links = browser.script("return [...document.querySelectorAll('a[href^=\"/\"]:not([download])')].map(a => a.pathname + a.search)");
        let links = links
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l.as_str().unwrap().to_owned());
        wait.extend(links.filter(|l| !l.starts_with("/api/v1")));
    }
    for page in [
        "/tasks/t/edit",
        "/variables/K",
        "/scripts/x.txt",
        "/scripts/x.txt/versions/1",
        "/notifications/c",
    ] {
        assert!(
            seen.contains(&page.replace('1', "0")),
            "{page} was not visited: {seen:?}"
        );
    }
}
