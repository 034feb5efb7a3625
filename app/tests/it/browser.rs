//! The pages in a real Chromium.

use crate::harness::Server;
use crate::webdriver::Browser;
use serde_json::json;

pub(crate) fn base(server: &Server) -> String {
    format!("http://{}", server.address())
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
    browser.wait_present("svg.last .of-green");
    browser.click("a[href='/tasks/backup_vaultwarden']");
    browser.wait_text("h1", "backup_vaultwarden");
    let boxes = browser.script(
        "return [...document.querySelectorAll('.grid tbody .box')].map(b => b.classList[1])",
    );
    assert_eq!(boxes, json!(["green", "green", "grey", "green"]));
    // A keyboard learns the same as a pointer.
    browser.script("document.querySelector('.grid tbody .box.grey').focus()");
    browser.wait_text("[data-detail]", "archive, run 1: skipped, started");
    browser.click("a[href='/runs/1?step=2#log']");
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
