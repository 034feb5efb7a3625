//! The pages in a real Chromium.

use crate::harness::Server;
use crate::http::Address;
use crate::webdriver::Browser;
use serde_json::json;
use std::path::Path;

pub(crate) fn base(server: &Server) -> String {
    let Address::Tcp(address) = &server.network else {
        unreachable!()
    };
    format!("http://{address}")
}

/// Makes the first admin with the link from the log, as a person would.
pub(crate) fn set_up(server: &Server, browser: &Browser) {
    browser.goto(&format!(
        "{}/setup?token={}",
        base(server),
        server.setup_token()
    ));
    browser.type_into("input[name=name]", "ann");
    browser.type_into("input[name=password]", "correct-horse");
    browser.type_into("input[name=repeat]", "correct-horse");
    browser.click("main button");
    browser.wait_text("h1", "Overview");
}

pub(crate) fn no_complaints(browser: &Browser) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn from_the_setup_link_to_four_boxes_and_a_log() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let always = json!({"rule": "always"});
    server.shell_task(
        "backup_vaultwarden",
        &[
            ("stop", "echo stopping", json!({})),
            ("sync", "echo '<b>not markup</b>'", json!({})),
            ("archive", "exit 75", json!({})),
            ("start", "echo started", always),
        ],
    );
    set_up(&server, &browser);
    browser.wait_text("[data-connection]", "live");
    browser.click("button[data-run=backup_vaultwarden]");
    browser.wait_present(".strip .box.green");
    browser.click("a[href='/tasks/backup_vaultwarden']");
    browser.wait_text("h1", "backup_vaultwarden");
    let boxes = browser.script(
        "return [...document.querySelectorAll('.grid tbody .box')].map(b => b.classList[1])",
    );
    assert_eq!(boxes, json!(["green", "green", "grey", "green"]));
    browser.click("a[href='/runs/1?step=2']");
    browser.wait_text("[data-log-state]", "complete");
    assert_eq!(browser.text("pre.log").unwrap(), "<b>not markup</b>");
    no_complaints(&browser);
}

#[test]
fn a_grid_and_a_log_live_while_they_are_watched() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let go = server.data().join("go");
    let script = format!(
        "echo first; while ! test -e {0}.1; do sleep 0.05; done; echo second; while ! test -e {0}.2; do sleep 0.05; done; false",
        go.display()
    );
    server.shell_task(
        "t",
        &[
            ("work", &script, json!({})),
            ("start", "echo back", json!({"rule": "always"})),
        ],
    );
    set_up(&server, &browser);
    browser.goto(&format!("{}/tasks/t", base(&server)));
    browser.click("button[data-run=t]");
    browser.wait_present(".grid tbody .box.blue");
    browser.click(".grid tbody .box.blue");
    browser.wait_text("pre.log", "first");
    std::fs::write(go.with_extension("1"), "").unwrap();
    let log = browser.wait_text("pre.log", "second");
    assert_eq!(log, "first\nsecond");
    std::fs::write(go.with_extension("2"), "").unwrap();
    browser.wait_text("[data-run-state]", "failed");
    browser.wait_text("[data-log-state]", "complete");
    no_complaints(&browser);
}

#[test]
fn a_run_is_cancelled_from_its_page() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    server.shell_task(
        "t",
        &[
            ("long", "sleep 60", json!({})),
            ("start", "true", json!({"rule": "always"})),
        ],
    );
    set_up(&server, &browser);
    let run = server.trigger("t");
    browser.goto(&format!("{}/runs/{run}", base(&server)));
    browser.click(&format!("button[data-cancel='{run}']"));
    browser.wait_text("[data-run-state]", "cancelled");
    assert_eq!(
        crate::harness::states(&server.run(run)),
        ["cancelled", "success"]
    );
}

#[test]
fn every_page_has_its_picture() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("screenshots");
    for (name, sync) in [
        ("backup_immich", "test $LIGHTFLOW_RUN_ID != 3"),
        ("backup_vaultwarden", "echo 'Transferred: 1.2 GiB'"),
    ] {
        server.shell_task(
            name,
            &[
                ("stop", "echo stopped in 2.1 s", json!({})),
                ("sync", sync, json!({})),
                ("archive", "exit 75", json!({})),
                ("start", "echo up again", json!({"rule": "always"})),
            ],
        );
        for _ in 0..4 {
            server.run_to_end(name);
        }
    }
    let host = json!({"value": "backup_ops@host.containers.internal"});
    server.json("PUT", "/api/v1/variables/BACKUP_HOST", host);
    let key = json!({"value": "-----BEGIN KEY-----\nabc\n", "secret": true});
    server.json("PUT", "/api/v1/variables/BACKUP_SSH_KEY", key);
    for text in ["import os\nprint(1)\n", "import os\n\nprint(os.environ)\n"] {
        let path = "/api/v1/scripts/backup.py";
        server.socket.send("PUT", path, &[], text.as_bytes());
    }
    browser.goto(&format!("{}/login", base(&server)));
    picture(&browser, &folder, "login");
    set_up(&server, &browser);
    for (name, path) in [
        ("overview", "/"),
        ("tasks", "/tasks"),
        ("task-new", "/add/task"),
        ("task-edit", "/tasks/backup_immich/edit"),
        ("task-duplicate", "/tasks/backup_immich/duplicate"),
        ("pools", "/pools"),
        ("pool", "/add/pool"),
        ("variables", "/variables"),
        ("variable", "/variables/BACKUP_SSH_KEY"),
        ("scripts", "/scripts"),
        ("script", "/scripts/backup.py"),
        ("version", "/scripts/backup.py/versions/1"),
        ("task", "/tasks/backup_immich"),
        ("run", "/runs/3"),
    ] {
        browser.goto(&format!("{}{path}", base(&server)));
        if browser.script("return !!document.querySelector('[data-live]')") == json!(true) {
            browser.wait_text("[data-connection]", "live");
        }
        picture(&browser, &folder, name);
        let wider = browser.script("return document.documentElement.scrollWidth > innerWidth");
        assert_eq!(wider, json!(false), "{name} scrolls sideways");
    }
    no_complaints(&browser);
}

pub(crate) fn picture(browser: &Browser, folder: &Path, name: &str) {
    for width in [390, 820, 1440] {
        for (theme, dark) in [("light", false), ("dark", true)] {
            browser.picture(
                width,
                dark,
                &folder.join(format!("{name}-{width}-{theme}.png")),
            );
        }
    }
}
