//! The pages about notifications, access and operation in a real Chromium.

use crate::browser::{base, no_complaints, picture, set_up};
use crate::harness::Server;
use crate::receivers::WebServer;
use crate::webdriver::Browser;
use serde_json::json;
use std::path::Path;

#[test]
fn a_notification_is_set_up_by_clicks_and_tried() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let web = WebServer::start();
    set_up(&server, &browser);
    browser.click("nav a[href='/notifications']");
    browser.click("a[href='/add/notification']");
    browser.click("a[href='/add/notification?kind=webhook']");
    browser.type_into("input[name=name]", "hook");
    browser.type_into("input[name=url]", &format!("http://{}/in", web.address));
    browser.click("form[data-guard] button.main");
    browser.wait_text("tbody th", "hook");
    browser.click("form[action='/notifications/hook/test'] button");
    browser.wait_text("[role=alert]", "took the test message");
    assert!(web.next().body.contains("\"event\":\"test\""));
    no_complaints(&browser);
}

#[test]
fn these_pages_have_their_pictures() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("screenshots");
    server.shell_task("backup_immich", &[("sync", "false", json!({}))]);
    let (good, bad) = (WebServer::start(), WebServer::start());
    bad.answer_with(403);
    for (name, to) in [("phone", &good), ("tablet", &bad)] {
        let target = json!({"kind": "ntfy", "url": format!("http://{}/topic", to.address)});
        server
            .post("/api/v1/channels", json!({"name": name, "target": target}))
            .expect(201);
    }
    server.run_to_end("backup_immich");
    good.next();
    bad.next();
    set_up(&server, &browser);
    for (name, path) in [
        ("notifications", "/notifications"),
        ("notification-kinds", "/add/notification"),
        ("notification-mail", "/add/notification?kind=email"),
        ("notification", "/notifications/phone"),
    ] {
        browser.goto(&format!("{}{path}", base(&server)));
        picture(&browser, &folder, name);
        let wider = browser.script("return document.documentElement.scrollWidth > innerWidth");
        assert_eq!(wider, json!(false), "{name} scrolls sideways");
    }
    no_complaints(&browser);
}
