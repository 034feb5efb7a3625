//! The tutorial's chapter "Configure Lightflow (in the UI)", clicked and typed in a real
//! Chromium from an empty data directory.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::Server;
use crate::webdriver::Browser;

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nBG5vbmUAAAAEbm9uZQ\n-----END OPENSSH PRIVATE KEY-----\n";

const VARIABLES: [(&str, &str, bool); 8] = [
    ("BACKUP_HOST", "backup_ops@host.containers.internal", false),
    ("BACKUP_SSH_KEY", KEY, true),
    (
        "BACKUP_KNOWN_HOSTS",
        "host.containers.internal ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        false,
    ),
    ("ONEDRIVE_REMOTE", "onedrive", false),
    ("ONEDRIVE_FOLDER", "/OdroidBackup", false),
    ("ARCHIVE_WEEKDAY", "sunday", false),
    ("KEEP_WEEKLY", "3", false),
    ("KEEP_MONTHLY", "12", false),
];

#[test]
fn pool_and_variables_are_added_as_the_tutorial_says() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    set_up(&server, &browser);
    add_pool(&browser);
    add_variables(&browser);
    let stored = server.get("/api/v1/variables").json();
    assert_eq!(stored["variables"].as_array().unwrap().len(), 8);
    browser.goto(&format!("{}/variables", base(&server)));
    let page = browser.text("main").unwrap();
    assert!(!page.contains("b3BlbnNzaC1rZXk"), "{page}");
    no_complaints(&browser);
}

fn add_pool(browser: &Browser) {
    browser.click("nav a[href='/pools']");
    browser.click("a[href='/add/pool']");
    browser.type_into("input[name=name]", "backup");
    browser.type_into("input[name=slots]", "1");
    browser.click("button.main");
    browser.wait_present("a[href='/pools/backup']");
}

fn add_variables(browser: &Browser) {
    browser.click("nav a[href='/variables']");
    for (key, value, secret) in VARIABLES {
        browser.click("a[href='/add/variable']");
        browser.type_into("input[name=key]", key);
        browser.type_into("textarea[name=value]", value);
        if secret {
            browser.click("input[name=secret]");
        }
        browser.click("button.main");
        browser.wait_present(&format!("a[href='/variables/{key}']"));
    }
}
