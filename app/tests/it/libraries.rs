//! Python packages: installed by pip as a run, found by every step, changed whole or not at all.

use crate::browser::{base, set_up};
use crate::harness::{PATIENCE, Server, processes, wait_for};
use crate::webdriver::Browser;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Makes wheels, which are ZIP archives with a list of their files.
const WHEELS: &str = r#"
import sys, zipfile
def wheel(name, version, files, head="", program=None):
    plain = name.replace("-", "_").replace(".", "_")
    info = f"{plain}-{version}.dist-info"
    with zipfile.ZipFile(f"{sys.argv[1]}/{plain}-{version}-py3-none-any.whl", "w") as z:
        files = dict(files)
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: A <b>demo</b>\n{head}"
        files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        if program:
            files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{program} = {plain}:main\n"
        files[f"{info}/RECORD"] = "".join(f"{n},,\n" for n in files) + f"{info}/RECORD,,\n"
        for path, text in files.items():
            z.writestr(path, text)
for version in "1.0", "2.0":
    init = f"import sys\nversion = '{version}'\ndef main(): print('{version}', sys.prefix)\n"
    wheel("demo-pkg", version, {"demo_pkg/__init__.py": init, "demo_pkg/late.py": f"late = '{version}'\n"}, program="demo-tool")
wheel("space.one", "1", {"space/one/__init__.py": ""})
wheel("space.two", "1", {"space/two/__init__.py": ""})
wheel("needs-demo", "1", {"needs_demo.py": ""}, head="Requires-Dist: demo-pkg (<2)\n")
"#;

/// A server with a pip that finds packages in a folder and asks no network.
fn with_wheels() -> Option<(Server, tempfile::TempDir)> {
    let pip = Command::new("/usr/bin/python3")
        .args(["-m", "pip", "--version"])
        .output();
    if !pip.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: /usr/bin/python3 has no pip");
        return None;
    }
    let wheels = tempfile::tempdir().unwrap();
    let made = Command::new("/usr/bin/python3")
        .args(["-c", WHEELS])
        .arg(wheels.path())
        .status();
    assert!(made.unwrap().success());
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

fn start(server: &Server, package: &str) -> i64 {
    let body = json!({"packages": [package]});
    let answer = server.post("/api/v1/libraries", body).expect(202).json();
    answer["run"].as_i64().unwrap()
}

/// Waits until a run is over; pip takes its time on a busy machine.
#[track_caller]
fn finished(server: &Server, run: i64) -> Value {
    let begin = Instant::now();
    loop {
        if let Some(run) = server.run_that_is_over(run) {
            return run;
        }
        assert!(begin.elapsed() < 4 * PATIENCE, "run {run} does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn install(server: &Server, package: &str) -> Value {
    finished(server, start(server, package))
}

fn remove(server: &Server, package: &str) -> Value {
    let path = format!("/api/v1/libraries/{package}");
    let answer = server.json("DELETE", &path, json!({})).expect(202).json();
    finished(server, answer["run"].as_i64().unwrap())
}

#[track_caller]
fn succeeded(server: &Server, run: &Value) -> String {
    let log = server.step_log(run["id"].as_i64().unwrap(), 0);
    assert_eq!(run["state"], "success", "{log}");
    log
}

fn listed(server: &Server) -> Vec<String> {
    let found = server.get("/api/v1/libraries").expect(200).json();
    let text = |one: &Value| {
        let part = |key: &str| one[key].as_str().unwrap().to_owned();
        format!("{} {}", part("name"), part("version"))
    };
    let libraries = found["libraries"].as_array().unwrap();
    libraries.iter().map(text).collect()
}

/// Names in the folder of packages, without the file of the lock.
fn folder(server: &Server) -> Vec<String> {
    let entries = std::fs::read_dir(server.data().join("python-libs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != ".lock").collect();
    names.sort();
    names
}

/// Waits until one environment is left.
fn swept(server: &Server) -> PathBuf {
    let name = wait_for("the former environments to go", || {
        let names = folder(server);
        (names.len() == 1).then(|| names[0].clone())
    });
    server.data().join("python-libs").join(name)
}

/// The log of a step that runs a command.
fn step(server: &Server, task: &str, script: &str) -> String {
    server.shell_task(task, &[("s", script, json!({}))]);
    let run = server.run_to_end(task);
    succeeded(server, &run)
}

#[test]
fn a_package_is_installed_upgraded_found_by_steps_and_removed() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    assert!(listed(&server).is_empty());
    // A script that is called like a part of pip is not taken for it.
    server.socket.send(
        "PUT",
        "/api/v1/scripts/pip.py",
        &[],
        b"raise SystemExit('wrong pip')",
    );
    for version in ["1.0", "2.0"] {
        succeeded(
            &server,
            &install(&server, &format!("demo-pkg == {version}")),
        );
        assert_eq!(listed(&server), [format!("demo-pkg {version}")]);
    }
    let environment = swept(&server);
    let said = step(
        &server,
        "t",
        "python3 -c 'import demo_pkg; print(demo_pkg.version)'",
    );
    assert_eq!(said, "2.0\n");
    // The program runs in the present environment, by a PATH that a variable sets.
    let said = step(&server, "program", "demo-tool");
    assert_eq!(said, format!("2.0 {}\n", environment.display()));
    succeeded(&server, &remove(&server, "Demo_Pkg"));
    assert!(listed(&server).is_empty());
    let missing = "python3 -c 'import demo_pkg' 2>/dev/null || ! command -v demo-tool";
    step(&server, "gone", missing);
    server
        .json("DELETE", "/api/v1/libraries/demo-pkg", json!({}))
        .expect(404);
}

#[test]
fn packages_that_share_a_folder_and_programs_stay_whole() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    for package in ["demo-pkg", "space.one", "space.two"] {
        succeeded(&server, &install(&server, package));
    }
    step(
        &server,
        "t",
        "python3 -c 'import space.one, space.two' && demo-tool",
    );
}

#[test]
fn a_change_that_breaks_another_package_changes_nothing() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    succeeded(&server, &install(&server, "needs-demo"));
    let before = listed(&server);
    assert_eq!(before, ["demo-pkg 1.0", "needs-demo 1"]);
    let environment = swept(&server);
    for run in [
        remove(&server, "demo-pkg"),
        install(&server, "demo-pkg==2.0"),
    ] {
        assert_eq!(run["state"], "failed");
        let log = server.step_log(run["id"].as_i64().unwrap(), 0);
        assert!(log.contains("needs-demo 1"), "{log}");
        assert!(
            log.contains("The packages would no longer fit together. Nothing was"),
            "{log}"
        );
        assert_eq!(listed(&server), before);
        assert_eq!(swept(&server), environment);
    }
}

#[test]
fn a_step_that_runs_keeps_the_packages_it_started_with() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    succeeded(&server, &install(&server, "demo-pkg==1.0"));
    let go = server.data().join("go");
    let script = format!(
        "python3 -uc 'import demo_pkg, os, time
print(demo_pkg.version)
while not os.path.exists(\"{}\"): time.sleep(0.05)
import demo_pkg.late; print(demo_pkg.late.late)'",
        go.display()
    );
    server.shell_task("late", &[("s", &script, json!({}))]);
    let run = server.trigger("late");
    wait_for("the first import", || {
        Some(server.step_log(run, 0)).filter(|log| log == "1.0\n")
    });
    succeeded(&server, &install(&server, "demo-pkg==2.0"));
    assert_eq!(folder(&server).len(), 2);
    std::fs::write(go, "").unwrap();
    assert_eq!(succeeded(&server, &server.finished(run)), "1.0\n1.0\n");
    swept(&server);
}

/// An index that takes connections and never answers, so that pip waits.
fn hanging_index(server: &Server) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/simple", listener.local_addr().unwrap());
    server.json("DELETE", "/api/v1/variables/PIP_NO_INDEX", json!({}));
    variable(server, "PIP_INDEX_URL", &url);
    listener
}

#[test]
fn a_cancelled_or_killed_installation_leaves_the_packages_and_nothing_else() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    succeeded(&server, &install(&server, "demo-pkg==1.0"));
    let environment = swept(&server);
    let index = hanging_index(&server);
    let run = start(&server, "space.one");
    let asked = index.accept().unwrap();
    assert_eq!(folder(&server).len(), 2);
    let cancel = format!("/api/v1/runs/{run}/cancel");
    server.post(&cancel, json!({})).expect(202);
    assert_eq!(finished(&server, run)["state"], "cancelled");
    assert_eq!(swept(&server), environment);
    drop(asked);
    start(&server, "space.one");
    let _asked = index.accept().unwrap();
    assert_eq!(folder(&server).len(), 2);
    let server = server.crash_and_restart();
    assert_eq!(swept(&server), environment);
    assert_eq!(listed(&server), ["demo-pkg 1.0"]);
    assert_eq!(step(&server, "t", "python3 -c 'import demo_pkg'"), "");
}

#[test]
fn an_installation_whose_supervisor_hangs_is_swept_by_the_next_server() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    succeeded(&server, &install(&server, "demo-pkg==1.0"));
    let environment = swept(&server);
    let index = hanging_index(&server);
    start(&server, "space.one");
    let _asked = index.accept().unwrap();
    // The supervisor cannot end its step: the next server does, and only then is the lock of the folder free.
    let parent = format!("PPid:\t{}\n", server.pid());
    for supervisor in processes("__supervise-step") {
        let status = std::fs::read_to_string(supervisor.join("status")).unwrap_or_default();
        if status.contains(&parent) {
            let pid = supervisor.file_name().unwrap().to_str().unwrap();
            let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        }
    }
    let server = server.crash_and_restart();
    assert_eq!(swept(&server), environment);
}

#[test]
fn a_folder_of_release_0_1_works_on_and_is_taken_over_by_the_first_change() {
    let Some((server, wheels)) = with_wheels() else {
        return;
    };
    let flat = server.data().join("python-libs");
    // As release 0.1 did it: the second package of a common folder removes the first one's files.
    for package in ["demo-pkg==1.0", "space.one", "space.two"] {
        let pip = Command::new("/usr/bin/python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-index",
                "--upgrade",
                "--root-user-action",
                "ignore",
            ])
            .arg("--find-links")
            .arg(wheels.path())
            .arg("--target")
            .arg(&flat)
            .arg(package)
            .status();
        assert!(pip.unwrap().success());
    }
    std::fs::write(flat.join("own.py"), "").unwrap();
    let server = server.restart();
    let used = "python3 -c 'import demo_pkg, own, space.two; print(demo_pkg.version)' && demo-tool";
    assert!(step(&server, "before", used).starts_with("1.0\n1.0 /usr"));
    let before = ["demo-pkg 1.0", "space.one 1", "space.two 1"];
    assert_eq!(listed(&server), before);
    let log = succeeded(&server, &install(&server, "needs-demo"));
    assert!(log.contains("taking over"), "{log}");
    let environment = swept(&server);
    assert_eq!(
        listed(&server),
        ["demo-pkg 1.0", "needs-demo 1", "space.one 1", "space.two 1"]
    );
    let used = used.replace("space.two", "space.one, space.two");
    let said = step(&server, "after", &used);
    assert_eq!(said, format!("1.0\n1.0 {}\n", environment.display()));
    // A package that is put there by hand later is found, too.
    std::fs::write(flat.join("late_one.py"), "").unwrap();
    step(&server, "late", "python3 -c 'import demo_pkg, late_one'");
}

#[test]
fn an_export_lists_the_packages_and_an_import_installs_them() {
    let Some((server, _wheels)) = with_wheels() else {
        return;
    };
    succeeded(&server, &install(&server, "needs-demo"));
    let document = server.get("/api/v1/export").expect(200).text();
    assert!(document.contains("\"demo-pkg==1.0\""), "{document}");
    for package in ["needs-demo", "demo-pkg"] {
        succeeded(&server, &remove(&server, package));
    }
    let import = |path: &str, text: &str| {
        let head = [("Content-Type", "application/toml")];
        server.socket.send("POST", path, &head, text.as_bytes())
    };
    let tried = import("/api/v1/import?dry_run=true", &document)
        .expect(200)
        .json();
    assert_eq!(tried["libraries_run"], Value::Null);
    let report = import("/api/v1/import", &document).expect(200).json();
    let added = |item: &&Value| item["kind"] == "library" && item["change"] == "added";
    assert_eq!(
        report["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(added)
            .count(),
        2
    );
    succeeded(
        &server,
        &finished(&server, report["libraries_run"].as_i64().unwrap()),
    );
    assert_eq!(listed(&server), ["demo-pkg 1.0", "needs-demo 1"]);
    let again = import("/api/v1/import", &document).expect(200).json();
    assert_eq!(again["libraries_run"], Value::Null);
    let refused = import("/api/v1/import", "libraries = [\"demo-pkg\", \"-r x\"]").expect(422);
    assert_eq!(refused.json()["errors"][0]["field"], "libraries[1]");
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
    browser.navigate("/libraries");
    browser.type_into("textarea", "demo-pkg==1.0\n--index-url=x");
    browser.click("form[action='/libraries'] button");
    browser.wait_text(".error#refused-packages", "is an option");
    // Nothing typed is lost.
    let typed = browser.script("return document.querySelector('textarea').value");
    assert_eq!(typed, "demo-pkg==1.0\n--index-url=x");
    browser.type_into("textarea", "demo-pkg==1.0");
    browser.click("form[action='/libraries'] button");
    finished(&server, 1);
    browser.wait_text("pre.log", "Successfully installed demo-pkg-1.0");
    browser.wait_text("[data-run-state]", "success");
    browser.goto(&format!("{}/libraries", base(&server)));
    browser.wait_text("tbody tr", "A <b>demo</b>");
    browser.click("form[action='/libraries/demo-pkg/delete'] button");
    finished(&server, 2);
    browser.wait_text("h1", "libraries");
    browser.wait_text("[data-run-state]", "success");
    browser.goto(&format!("{}/libraries", base(&server)));
    browser.wait_text("[data-live]", "Nothing is installed yet");
    let complaints = browser.complaints();
    // The refused form answers with 422, which the browser notes.
    assert!(
        complaints.iter().all(|line| line.contains("422")),
        "{complaints:?}"
    );
}
