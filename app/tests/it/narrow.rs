//! Pages on a phone and on a tablet: the whole navigation, tables that stay tables, and targets for fingers.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::Server;
use crate::webdriver::Browser;
use serde_json::json;

#[test]
fn the_whole_navigation_fits_every_width() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    set_up(&server, &browser);
    for (width, menu) in [(390, true), (820, true), (1440, false)] {
        browser.look(width, false);
        browser.goto(&base(&server));
        browser.wait_text("[data-connection]", "live");
        let visible = "return [...document.querySelectorAll('#nav a')].filter(a => {
            const box = a.getBoundingClientRect();
            return a.checkVisibility() && box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight && box.height >= 24;
        }).length";
        let all = "return document.querySelectorAll('#nav a').length";
        if menu {
            assert_eq!(browser.script(visible), json!(0), "{width}");
            browser.click("header .menu");
        }
        assert_eq!(browser.script(visible), browser.script(all), "{width}");
        browser.click("#nav a[href='/settings']");
        browser.wait_text("h1", "Server");
    }
    no_complaints(&browser);
}

#[test]
fn rows_are_cards_only_on_a_phone_and_long_names_widen_no_page() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    let long = "x".repeat(64);
    server.shell_task(&long, &[(&"y".repeat(64), "exit 3", json!({}))]);
    let run = server.run_to_end(&long)["id"].as_i64().unwrap();
    let variable = json!({"value": "v".repeat(500)});
    server
        .json(
            "PUT",
            &format!("/api/v1/variables/{}", "K".repeat(64)),
            variable,
        )
        .expect(200);
    set_up(&server, &browser);
    let paths = [
        "/".to_owned(),
        "/tasks".to_owned(),
        format!("/tasks/{long}"),
        format!("/runs/{run}"),
        "/runs".to_owned(),
        "/variables".to_owned(),
    ];
    for width in [390, 620, 820, 1440] {
        browser.look(width, false);
        for path in &paths {
            browser.goto(&format!("{}{path}", base(&server)));
            let wide = browser.script("return document.documentElement.scrollWidth");
            assert!(
                wide.as_u64().unwrap() <= u64::from(width),
                "{path} at {width}: {wide}"
            );
            let table = browser.script("const row = document.querySelector('.rows tbody tr'); return row ? getComputedStyle(row).display : ''");
            if table != json!("") {
                let expected = if width <= 600 { "grid" } else { "table-row" };
                assert_eq!(table, json!(expected), "{path} at {width}");
            }
        }
    }
    no_complaints(&browser);
}
