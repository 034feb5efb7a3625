//! The tutorial's chapter "Configure Lightflow (in the UI)", clicked and typed in a real
//! Chromium from an empty data directory.

use crate::browser::{no_complaints, set_up};
use crate::harness::{Server, wait_for};
use crate::webdriver::Browser;
use serde_json::{Value, json};

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

/// Stands in for the tutorial's script: it reads its arguments as that one does.
const SCRIPT: &str = r#"#!/usr/bin/env python3
import os, sys
today = "sunday"
action, service = sys.argv[1], sys.argv[2]
known = os.environ["BACKUP_HOST"] == "backup_ops@host.containers.internal"
whole = os.environ["BACKUP_SSH_KEY"].count("\n") == 4
print(action, service, known, whole)
sys.exit(1) if not known or not whole else None
sys.exit(75) if action == "--archive" and os.environ["ARCHIVE_WEEKDAY"] != today else None
"#;

const STEPS: [(&str, &str, &str, &str); 4] = [
    ("stop", "--stop", "on_success", "30"),
    ("sync", "--sync", "on_success", "300"),
    ("archive", "--archive", "on_success", "600"),
    ("start", "--start", "always", "180"),
];

#[test]
fn from_an_empty_data_directory_to_four_boxes() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    set_up(&server, &browser);
    add_pool(&browser);
    add_variables(&browser);
    let page = browser.text("main").unwrap();
    assert!(!page.contains("b3BlbnNzaC1rZXk"), "{page}");
    add_script(&browser);
    add_task(&browser);
    browser.click("button[data-run=backup_vaultwarden]");
    wait_for_boxes(&browser, json!(["green", "green", "green", "green"]));
    // On a day that is not the archive's, that box is grey.
    browser.navigate("/variables");
    browser.click("a[href='/variables/ARCHIVE_WEEKDAY']");
    browser.type_into("textarea[name=value]", "monday");
    browser.click("button.main");
    browser.wait_present("a[href='/add/variable']");
    browser.navigate("/tasks");
    browser.click("[data-key=run-backup_vaultwarden]");
    browser.click("a[href='/tasks/backup_vaultwarden']");
    wait_for_boxes(&browser, json!(["green", "green", "grey", "green"]));
    duplicate(&browser);
    let stored = server.get("/api/v1/tasks/backup_immich").expect(200).json();
    assert_eq!(
        stored["steps"][3]["args"],
        json!(["backup.py", "--start", "immich"])
    );
    assert_eq!(stored["steps"][3]["rule"], "always");
    assert_eq!(stored["pool"], "backup");
    no_complaints(&browser);
}

/// Waits until the newest column of the grid has these colours.
fn wait_for_boxes(browser: &Browser, colours: Value) {
    let newest = "return [...document.querySelectorAll('.grid tbody tr')].map(r => r.lastElementChild.querySelector('.box')?.classList[1])";
    wait_for(&format!("boxes {colours}"), || {
        (browser.script(newest) == colours).then_some(())
    });
}

fn add_script(browser: &Browser) {
    browser.navigate("/scripts");
    browser.click("a[href='/add/script']");
    browser.type_into("input[name=name]", "backup.py");
    browser.type_into("[data-editor]", SCRIPT);
    browser.click("[data-save]");
    browser.wait_text("h1", "backup.py");
}

fn add_task(browser: &Browser) {
    browser.navigate("/tasks");
    browser.click("a[href='/add/task']");
    browser.type_into("input[name=name]", "backup_vaultwarden");
    browser.type_into("input[name=cron]", "0 3 * * *");
    browser.wait_text("[data-cron-preview]", "every day at 03:00");
    browser.click("select[name=pool] option[value=backup]");
    for (index, (name, action, rule, timeout)) in STEPS.iter().enumerate() {
        if index > 0 {
            browser.click("[data-do=add]");
        }
        let field =
            |name: &str| format!("[data-step]:nth-child({}) [name='step.{name}']", index + 1);
        browser.type_into(&field("name"), name);
        browser.type_into(&field("command"), "python3");
        browser.type_into(&field("args"), &format!("backup.py {action} vaultwarden"));
        browser.click(&format!("{} option[value={rule}]", field("rule")));
        browser.type_into(&field("timeout"), timeout);
    }
    browser.click("button.main");
    browser.wait_text("h1", "backup_vaultwarden");
}

fn duplicate(browser: &Browser) {
    browser.click("a[href='/tasks/backup_vaultwarden/duplicate']");
    browser.type_into("input[name=by]", "immich");
    browser.click("button.main");
    browser.wait_text("h1", "backup_immich");
}

fn add_pool(browser: &Browser) {
    browser.navigate("/pools");
    browser.click("a[href='/add/pool']");
    browser.type_into("input[name=name]", "backup");
    browser.type_into("input[name=slots]", "1");
    browser.click("button.main");
    browser.wait_present("a[href='/pools/backup']");
}

fn add_variables(browser: &Browser) {
    browser.navigate("/variables");
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
