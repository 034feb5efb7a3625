//! A click on each download, by an admin and by a viewer, in a real Chromium: the file is whole, and the server and its
//! running step do not notice.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::{Server, states, wait_for};
use crate::people::{PASSWORD, add_user};
use crate::webdriver::Browser;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Waits for a file that the browser has finished; it has another name until then.
fn downloaded(folder: &Path, fits: impl Fn(&str) -> bool) -> PathBuf {
    wait_for("a download", || {
        let mut files = std::fs::read_dir(folder).unwrap().flatten();
        let found = files.find(|file| fits(file.file_name().to_str().unwrap()))?;
        Some(found.path())
    })
}

#[test]
fn a_click_on_download_brings_the_whole_file() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    browser.devtools(
        "Browser.setDownloadBehavior",
        json!({"behavior": "allow", "downloadPath": folder.path()}),
    );
    let server = Server::start();
    // Larger than a piece of a stream, and easily compressed.
    let lines = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i + 1)); done";
    let wait = "while ! test -e ../go; do sleep 0.02; done";
    server.shell_task("short", &[("print", lines, json!({}))]);
    server.shell_task("long", &[("wait", wait, json!({}))]);
    let expected: String = (0..20000).map(|i| format!("line {i}\n")).collect();
    let run = server.run_to_end("short")["id"].as_i64().unwrap();
    let going_on = server.trigger("long");
    server.step_is(going_on, 0, "running");
    server.post("/api/v1/snapshots", json!({})).expect(201);

    set_up(&server, &browser);
    add_user(&server, "bob", "viewer");
    for who in ["admin", "viewer"] {
        browser.goto(&format!("{}/runs/{run}", base(&server)));
        browser.click("a[download$='.log']");
        let log = downloaded(folder.path(), |name| name.ends_with(".log"));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), expected, "{who}");
        std::fs::remove_file(log).unwrap();
        if who == "admin" {
            browser.goto(&format!("{}/settings/snapshots", base(&server)));
            browser.click("a[download][href^='/api/v1/snapshots/']");
            let snapshot = downloaded(folder.path(), |name| name.ends_with(".db"));
            let check = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
            let checked = Command::new("python3")
                .args(["-c", check])
                .arg(&snapshot)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&checked.stdout), "ok\n");
            browser.click("form[action='/logout'] button");
            browser.type_into("input[name=name]", "bob");
            browser.type_into("input[name=password]", PASSWORD);
            browser.click("main button");
            browser.wait_text("h1", "Overview");
        }
    }
    no_complaints(&browser);
    std::fs::write(server.data().join("go"), "").unwrap();
    let ended = server.finished(going_on);
    assert_eq!(states(&ended), ["success"]);
    assert_eq!(ended["steps"][0]["attempt"], 1);
}
