//! The first ten minutes: from an empty instance to a green run, with the clicks and fields counted.

use crate::browser::{no_complaints, set_up};
use crate::harness::{BINARY, Server};
use crate::webdriver::Browser;
use serde_json::json;
use std::cell::Cell;

/// A person who is counted.
struct Newcomer<'a> {
    browser: &'a Browser,
    clicks: Cell<u32>,
    fields: Cell<u32>,
}

impl Newcomer<'_> {
    fn click(&self, css: &str) {
        self.clicks.set(self.clicks.get() + 1);
        self.browser.wait_present(css);
        self.browser.click(css);
    }

    fn type_into(&self, css: &str, text: &str) {
        self.fields.set(self.fields.get() + 1);
        self.browser.wait_present(css);
        self.browser.type_into(css, text);
    }
}

#[test]
fn from_an_empty_instance_to_a_green_run() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    set_up(&server, &browser);
    let person = Newcomer {
        browser: &browser,
        clicks: Cell::new(0),
        fields: Cell::new(0),
    };
    browser.wait_text("main", "First steps");
    person.click("a[href='/add/variables']");
    person.type_into(
        "[name=lines]",
        "BACKUP_HOST=backup_ops@host\nONEDRIVE_REMOTE=onedrive",
    );
    person.click("button.main");
    browser.wait_text("#saved", "Saved");
    person.click("header .home");
    browser.wait_text("ol.first", "Variables: 2");
    person.click("a[href='/add/script']");
    person.type_into("[name=name]", "backup.py");
    person.type_into(
        "[name=text]",
        "import os, sys; print(os.environ['BACKUP_HOST'], sys.argv[1:])",
    );
    person.click("[data-save]");
    browser.wait_text("#saved", "Saved");
    person.click("header .home");
    browser.wait_text("ol.first", "Scripts: 1");
    person.click("a[href='/add/tasks']");
    person.type_into("[name=services]", "vaultwarden, immich");
    person.click("button.main");
    person.click("[data-key=run-backup_vaultwarden]");
    browser.wait_present(".mini .box.green");
    println!(
        "{} clicks, {} fields",
        person.clicks.get(),
        person.fields.get()
    );
    assert!(person.clicks.get() <= 15 && person.fields.get() <= 20);
    let task = server.get("/api/v1/tasks/backup_immich").expect(200).json();
    assert_eq!(
        (&task["cron"], &task["pool"]),
        (&json!("10 3 * * *"), &json!("backup"))
    );
    let pool = server.get("/api/v1/pools").json()["pools"].clone();
    let pool = pool
        .as_array()
        .unwrap()
        .iter()
        .find(|pool| pool["name"] == "backup")
        .unwrap();
    assert_eq!(pool["slots"], 1);
    assert_eq!(server.run(1)["state"], "success");
    no_complaints(&browser);
}

#[test]
fn a_step_without_its_script_is_noticed_before_the_first_run() {
    let server = Server::start();
    let fields = [
        ("name", "t"),
        ("pool", "default"),
        ("on_missed", "run_once"),
        ("keep_runs", "30"),
        ("keep_days", "90"),
        ("step.name", "stop"),
        ("step.command", "python3"),
        ("step.args", "--stop vaultwarden"),
        ("step.rule", "on_success"),
        ("step.timeout", "30"),
        ("step.retries", "0"),
        ("step.retry_delay", "0"),
    ];
    let page = server.form("/add/task", &fields).expect(422).text();
    assert!(
        page.contains("python3 has no option --stop; name the script first"),
        "{page}"
    );
    server
        .socket
        .send("PUT", "/api/v1/scripts/backup.py", &[], b"print()\n");
    let page = server.get("/add/task").expect(200).text();
    assert!(
        page.contains("<option value=\"python3 backup.py\">"),
        "{page}"
    );
    let mut right = fields;
    right[6].1 = "python3 backup.py";
    let done = server.form("/add/task", &right).expect(303);
    assert_eq!(done.header("location"), Some("/tasks/t#saved"));
}

#[test]
fn pasted_variables_are_added_together_or_not_at_all() {
    let server = Server::start();
    let paste = |lines: &str, more: &[(&str, &str)]| {
        let mut fields = vec![("lines", lines)];
        fields.extend(more);
        server.form("/add/variables", &fields)
    };
    let refused = paste("A=1\nnothing here", &[]).expect(422).text();
    assert!(
        refused.contains("line 2") && refused.contains("A=1"),
        "{refused}"
    );
    assert_eq!(
        server.get("/api/v1/variables").json()["variables"],
        json!([])
    );
    paste("# host\nA=1\nexport B='two words'\n", &[]).expect(303);
    assert_eq!(
        server.get("/api/v1/variables/B").json()["value"],
        "two words"
    );
    let refused = paste("C=3\nA=9", &[]).expect(422).text();
    assert!(refused.contains("A exist already"), "{refused}");
    server.get("/api/v1/variables/C").expect(404);
    paste("TOKEN=secret-value", &[("secret", "yes")]).expect(303);
    assert_eq!(server.get("/api/v1/variables/TOKEN").json()["secret"], true);
}

#[test]
fn a_copy_of_a_task_gets_a_time_of_its_own() {
    let server = Server::start();
    server
        .form(
            "/add/tasks",
            &[("services", "vaultwarden"), ("do", "backups")],
        )
        .expect(303);
    let page = server
        .get("/tasks/backup_vaultwarden/duplicate")
        .expect(200)
        .text();
    assert!(
        page.contains("name=\"cron\" value=\"10 3 * * *\""),
        "{page}"
    );
    let duplicate = |args: &[&str]| {
        std::process::Command::new(BINARY)
            .env("LIGHTFLOW_DATA_DIR", server.data())
            .args(["task", "duplicate", "backup_vaultwarden"])
            .args(args)
            .output()
            .unwrap()
    };
    for service in ["immich", "n8n"] {
        let done = duplicate(&["--by", service]);
        assert!(done.status.success(), "{done:?}");
    }
    let task = |name: &str| {
        server
            .get(&format!("/api/v1/tasks/{name}"))
            .expect(200)
            .json()
    };
    assert_eq!(task("backup_immich")["cron"], "10 3 * * *");
    assert_eq!(task("backup_n8n")["cron"], "20 3 * * *");
    assert_eq!(
        task("backup_n8n")["steps"][1]["args"],
        json!(["backup.py", "--sync", "n8n"])
    );
    assert_eq!(
        duplicate(&["--by", "x", "--replace", "nowhere"])
            .status
            .code(),
        Some(2)
    );
    // A document with an error changes nothing.
    let page = server
        .form(
            "/add/tasks",
            &[("document", "[pools]\np = 0\n"), ("do", "import")],
        )
        .expect(422)
        .text();
    assert!(page.contains("pools.p"), "{page}");
}

#[test]
fn the_refusal_of_the_gate_proves_the_connection() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let ssh = folder.path().join("ssh");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.path().display());
    let server = Server::start();
    // Steps have a PATH of their own, which a variable replaces.
    let variable = json!({"value": path});
    server
        .json("PUT", "/api/v1/variables/PATH", variable)
        .expect(200);
    let page = || server.get("/variables").expect(200).text();
    assert!(!page().contains("/connection/test"));
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n";
    for (name, value, secret) in [
        ("BACKUP_HOST", "ops@host", false),
        ("BACKUP_SSH_KEY", key, true),
        ("BACKUP_KNOWN_HOSTS", "host ssh-ed25519 AAAA", false),
    ] {
        server
            .json(
                "PUT",
                &format!("/api/v1/variables/{name}"),
                json!({"value": value, "secret": secret}),
            )
            .expect(200);
    }
    assert!(page().contains("/connection/test"));
    let by_command = || {
        std::process::Command::new(BINARY)
            .env("LIGHTFLOW_DATA_DIR", server.data())
            .args(["connection", "test"])
            .output()
            .unwrap()
    };
    for (code, state, words) in [
        (77, "success", "The connection works"),
        (255, "failed", "could not connect"),
        (0, "failed", "without the gate"),
    ] {
        let stand_in = format!(
            "#!/bin/sh\necho \"$@\"\nwhile [ \"$1\" != -i ]; do shift; done\nwc -l <\"$2\"\nstat -c %a \"$2\"\nexit {code}\n"
        );
        std::fs::write(&ssh, stand_in).unwrap();
        std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
        let answer = server.form("/connection/test", &[]).expect(303);
        let run = answer
            .header("location")
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(server.finished(run)["state"], state, "{code}");
        let log = server.step_log(run, 0);
        assert!(
            log.contains(words) && log.contains("ops@host backupctl --list"),
            "{log}"
        );
        let said = by_command();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(text.contains(words), "{said:?}");
        let expected = i32::from(state != "success");
        assert_eq!(said.status.code(), Some(expected), "{said:?}");
        // The key with its lines, for this user alone.
        assert!(log.contains("\n600\n"), "{log}");
    }
}
