//! Python packages: installed by pip as a run, found by every step, removed with all files.

use crate::browser::{base, set_up};
use crate::harness::Server;
use crate::webdriver::Browser;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Makes a wheel, which is a ZIP archive with a list of its files.
const WHEEL: &str = r#"
import sys, zipfile
folder, version = sys.argv[1:]
info = f"demo_pkg-{version}.dist-info"
with zipfile.ZipFile(f"{folder}/demo_pkg-{version}-py3-none-any.whl", "w") as z:
    files = {"demo_pkg/__init__.py": f"version = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: demo-pkg\nVersion: {version}\nSummary: A <b>demo</b>\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files[f"{info}/RECORD"] = "".join(f"{n},,\n" for n in files) + f"{info}/RECORD,,\n"
    for name, text in files.items():
        z.writestr(name, text)
"#;

/// A server with a pip that finds two versions of a package in a folder and asks no network.
fn with_wheels() -> Option<(Server, tempfile::TempDir)> {
    let pip = Command::new("/usr/bin/python3")
        .args(["-m", "pip", "--version"])
        .output();
    if !pip.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: /usr/bin/python3 has no pip");
        return None;
    }
    let wheels = tempfile::tempdir().unwrap();
    for version in ["1.0", "2.0"] {
        let folder = wheels.path().to_str().unwrap();
        let made = Command::new("/usr/bin/python3")
            .args(["-c", WHEEL, folder, version])
            .status();
        assert!(made.unwrap().success());
    }
    let server = Server::start();
    variable(&server, "PIP_NO_INDEX", "1");
    variable(&server, "PIP_FIND_LINKS", wheels.path().to_str().unwrap());
    variable(&server, "PATH", "/usr/bin:/bin");
    Some((server, wheels))
}

fn variable(server: &Server, key: &str, value: &str) {
    let path = format!("/api/v1/variables/{key}");
    server.json("PUT", &path, json!({"value": value}));
}

fn install(server: &Server, package: &str) -> serde_json::Value {
    let body = json!({"packages": [package]});
    let run = server.post("/api/v1/libraries", body).expect(202).json()["run"].clone();
    server.finished(run.as_i64().unwrap())
}

#[test]
fn a_package_is_installed_upgraded_found_by_steps_and_removed() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    let listed = || server.get("/api/v1/libraries").expect(200).json()["libraries"].clone();
    assert_eq!(listed(), json!([]));
    // A script that is called like a part of pip is not taken for it.
    server.socket.send(
        "PUT",
        "/api/v1/scripts/pip.py",
        &[],
        b"raise SystemExit('wrong pip')",
    );
    for version in ["1.0", "2.0"] {
        let run = install(&server, &format!("demo-pkg == {version}"));
        assert_eq!(
            run["state"],
            "success",
            "{}",
            server.step_log(run["id"].as_i64().unwrap(), 0)
        );
        assert_eq!(
            listed(),
            json!([{"name": "demo-pkg", "version": version, "summary": "A <b>demo</b>"}])
        );
    }
    // Nothing of the older version stays, not even its description.
    let libs = server.data().join("python-libs");
    assert!(!libs.join("demo_pkg-1.0.dist-info").exists());
    server.shell_task(
        "t",
        &[(
            "s",
            "python3 -c 'import demo_pkg; print(demo_pkg.version)'",
            json!({}),
        )],
    );
    let run = server.run_to_end("t")["id"].as_i64().unwrap();
    assert_eq!(server.step_log(run, 0), "2.0\n");
    server
        .json("DELETE", "/api/v1/libraries/Demo_Pkg", json!({}))
        .expect(204);
    assert_eq!(listed(), json!([]));
    assert_eq!(std::fs::read_dir(libs).unwrap().count(), 0);
    server
        .json("DELETE", "/api/v1/libraries/demo-pkg", json!({}))
        .expect(404);
}

#[test]
fn what_cannot_be_installed_says_why() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    let run = install(&server, "no-such-package");
    assert_eq!(run["state"], "failed");
    let log = server.step_log(run["id"].as_i64().unwrap(), 0);
    assert!(log.ends_with("Nothing was installed.\n"), "{log}");
    // An index without a server stands for a machine without a network.
    server.json("DELETE", "/api/v1/variables/PIP_NO_INDEX", json!({}));
    variable(&server, "PIP_INDEX_URL", "http://127.0.0.1:9/simple");
    let run = install(&server, "no-such-package");
    let log = server.step_log(run["id"].as_i64().unwrap(), 0);
    assert!(log.contains("The package index cannot be reached"), "{log}");
    variable(&server, "PATH", Path::new("/nowhere").to_str().unwrap());
    let run = install(&server, "demo-pkg");
    let reason = run["steps"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("python3") && reason.contains("/nowhere"),
        "{reason}"
    );
    for bad in [
        "--index-url=http://x",
        "-r /etc/passwd",
        "./x",
        "a @ http://x",
        "",
    ] {
        let body = json!({"packages": [bad]});
        let refused = server.post("/api/v1/libraries", body).expect(422).json();
        assert_eq!(refused["errors"][0]["field"], "packages", "{bad}");
    }
}

#[test]
fn a_package_is_installed_and_removed_by_clicks() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    set_up(&server, &browser);
    browser.click("nav a[href='/libraries']");
    browser.type_into("textarea", "demo-pkg==1.0\n--index-url=x");
    browser.click("form[action='/libraries'] button");
    browser.wait_text(".error#refused-packages", "is an option");
    // Nothing typed is lost.
    let typed = browser.script("return document.querySelector('textarea').value");
    assert_eq!(typed, "demo-pkg==1.0\n--index-url=x");
    browser.type_into("textarea", "demo-pkg==1.0");
    browser.click("form[action='/libraries'] button");
    browser.wait_text("pre.log", "Successfully installed demo-pkg-1.0");
    browser.wait_text("[data-run-state]", "success");
    browser.goto(&format!("{}/libraries", base(&server)));
    browser.wait_text("tbody tr", "A <b>demo</b>");
    browser.click("form[action='/libraries/demo-pkg/delete'] button");
    browser.wait_text("[data-live]", "Nothing is installed yet");
    let complaints = browser.complaints();
    // The refused form answers with 422, which the browser notes.
    assert!(
        complaints.iter().all(|line| line.contains("422")),
        "{complaints:?}"
    );
}
