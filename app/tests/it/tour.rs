//! A browser that goes from page to page of a [`World`], as the viewer of each.

use crate::browser::base;
use crate::harness::wait_for;
use crate::pages::{Page, Who};
use crate::people::PASSWORD;
use crate::webdriver::Browser;
use crate::world::World;
use serde_json::json;
use std::cell::Cell;

pub(crate) struct Tour {
    pub(crate) world: World,
    pub(crate) browser: Browser,
    who: Cell<Who>,
}

impl Tour {
    /// None where there is no browser. `rounds` is how many runs each task has.
    pub(crate) fn start(rounds: usize) -> Option<Self> {
        let browser = Browser::start()?;
        Some(Self {
            world: World::start(rounds),
            browser,
            who: Cell::new(Who::Stranger),
        })
    }

    /// Opens a page as its viewer, and waits until it is complete and live.
    pub(crate) fn open(&self, page: &Page) {
        self.open_as(page.who, page);
    }

    /// Opens a page as a user. After the first login, there is no first start any more.
    pub(crate) fn open_as(&self, who: Who, page: &Page) {
        if self.who.replace(who) != who {
            self.become_somebody(who);
        }
        let url = format!("{}{}", base(&self.world.server), self.world.path(page));
        self.browser.goto(&url);
        wait_for(&format!("{} to be complete", page.name), || {
            let complete = self
                .browser
                .script_with(COMPLETE, json!([page.name == "run-waiting"]));
            (complete == json!(true)).then_some(())
        });
    }

    fn become_somebody(&self, who: Who) {
        self.world.let_people_in();
        let name = match who {
            Who::Stranger => unreachable!("nobody comes back from being somebody"),
            Who::Admin => "ann",
            Who::Viewer => "bob",
        };
        self.browser
            .devtools("Network.clearBrowserCookies", json!({}));
        self.browser
            .goto(&format!("{}/login", base(&self.world.server)));
        self.browser.type_into("input[name=name]", name);
        self.browser.type_into("input[name=password]", PASSWORD);
        self.browser.click("main button");
        self.browser.wait_text("h1", "Overview");
    }
}

/// Reports if a page is complete while nothing happens. Told if the log is
/// still empty.
const COMPLETE: &str = r#"
    if (document.readyState !== "complete") return false;
    const live = document.querySelector("[data-live]") && document.querySelector("[data-connection]");
    if (live && live.textContent !== "live") return false;
    const log = document.querySelector("[data-log-state]");
    if (!log || log.textContent === "") return !log;
    return arguments[0] || document.querySelector("[data-log]").textContent !== "";
"#;
