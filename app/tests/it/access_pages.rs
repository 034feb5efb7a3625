//! The pages about notifications, access and operation in a real Chromium.

use crate::browser::{no_complaints, set_up};
use crate::harness::Server;
use crate::receivers::WebServer;
use crate::webdriver::Browser;

#[test]
fn a_notification_is_set_up_by_clicks_and_tried() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let web = WebServer::start();
    set_up(&server, &browser);
    browser.navigate("/notifications");
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
