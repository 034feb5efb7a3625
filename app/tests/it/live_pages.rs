//! Pages while something happens: a step that fails, and everything done by keyboard.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::Server;
use crate::webdriver::Browser;
use serde_json::json;

const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";

#[test]
fn a_failing_step_is_red_in_the_grid_and_its_log_says_why() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    server.shell_task(
        "t",
        &[
            ("stop", "echo stopped", json!({})),
            ("sync", "echo 'no space left' >&2; exit 3", json!({})),
            ("archive", "true", json!({})),
            ("start", "echo up", json!({"rule": "always"})),
        ],
    );
    set_up(&server, &browser);
    browser.goto(&format!("{}/tasks/t", base(&server)));
    browser.wait_text("[data-connection]", "live");
    browser.click("button[data-run=t]");
    browser.wait_present(".grid tbody tr:nth-child(4) .box.green");
    let boxes = browser.script(
        "return [...document.querySelectorAll('.grid tbody .box')].map(b => b.classList[1])",
    );
    assert_eq!(boxes, json!(["green", "red", "grey", "green"]));
    // By colour and by shape and in words.
    let label = browser
        .script("return document.querySelector('.grid tbody .box.red').getAttribute('aria-label')");
    assert!(label.as_str().unwrap().contains("failed"), "{label}");
    assert!(label.as_str().unwrap().contains('3'), "exit code: {label}");
    browser.click(".grid tbody .box.red");
    browser.wait_text("[data-run-state]", "failed");
    browser.wait_text("[data-log]", "no space left");
    browser.wait_text("[data-log-state]", "complete");
    no_complaints(&browser);
}

/// Presses Tab until the focus is on the element that `css` selects.
fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..100 {
        browser.press(&[TAB]);
        let there = "return document.activeElement.matches(arguments[0])";
        if browser.script_with(there, json!([css])) == json!(true) {
            return;
        }
    }
    panic!("Tab never reaches {css}");
}

#[test]
fn by_keyboard_alone_from_the_login_to_run_now() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    server.shell_task("another", &[("s", "true", json!({}))]);
    server.shell_task("t", &[("s", "true", json!({}))]);
    let user = json!({"name": "ann", "password": "correct-horse", "role": "admin"});
    server.post("/api/v1/users", user).expect(201);
    browser.goto(&format!("{}/login", base(&server)));
    let typed = |text: &str| {
        let keys: Vec<String> = text.chars().map(String::from).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        browser.press_each(&keys, 1);
    };
    // The field for the name has the focus.
    typed("ann");
    browser.press(&[TAB]);
    typed("correct-horse");
    browser.press(&[ENTER]);
    browser.wait_text("h1", "Overview");
    browser.wait_text("[data-connection]", "live");
    // Past the navigation in one step.
    browser.press(&[TAB]);
    browser.press(&[ENTER]);
    assert_eq!(browser.script("return location.hash"), json!("#main"));
    tab_to(&browser, "main a[href='/tasks/t']");
    browser.press(&[ENTER]);
    browser.wait_text("h1", "t");
    browser.wait_text("[data-connection]", "live");
    tab_to(&browser, "button[data-run=t]");
    browser.press(&[ENTER]);
    browser.wait_present(".grid tbody .box.green");
    // The list was replaced meanwhile; the focus is still where it was.
    browser.wait_script("return !document.querySelector('button[data-run=t]').disabled");
    no_complaints(&browser);
}
