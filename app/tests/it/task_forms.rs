//! The editor of tasks: as a form that is sent, and by hand in a real Chromium.

use crate::browser::{base, no_complaints, set_up};
use crate::harness::Server;
use crate::webdriver::Browser;
use serde_json::{Value, json};

/// A form of two steps, as the page sends it.
const TWO_STEPS: [(&str, &str); 17] = [
    ("name", "backup_immich"),
    ("cron", "0 3 * * *"),
    ("pool", "default"),
    ("auto", "on"),
    ("zone", "Europe/Paris"),
    ("on_missed", "skip"),
    ("keep_runs", "100"),
    ("keep_days", "365"),
    ("step.name", "stop"),
    ("step.command", "python3 backup.py"),
    ("step.args", "--stop immich"),
    ("step.timeout", "30"),
    ("step.name", "start"),
    ("step.command", "python3"),
    ("step.args", "backup.py --start immich"),
    ("step.rule", "always"),
    ("step.env", "NOTE='two words'\r\nB=2"),
];

fn with(change: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut fields = TWO_STEPS.to_vec();
    for (name, value) in change {
        match fields.iter_mut().find(|(n, _)| n == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    fields
}

fn task(server: &Server, name: &str) -> Value {
    server
        .get(&format!("/api/v1/tasks/{name}"))
        .expect(200)
        .json()
}

#[test]
fn a_task_is_created_changed_renamed_and_deleted() {
    let server = Server::start();
    let added = server.form("/add/task", &TWO_STEPS).expect(303);
    assert_eq!(added.header("location"), Some("/tasks/backup_immich#saved"));
    let stored = task(&server, "backup_immich");
    assert_eq!(stored["zone"], "Europe/Paris");
    assert_eq!(stored["on_missed"], "skip");
    let steps = &stored["steps"];
    assert_eq!(steps[0]["command"], "python3");
    assert_eq!(steps[0]["args"], json!(["backup.py", "--stop", "immich"]));
    assert_eq!(steps[0]["timeout"], 30);
    assert_eq!(steps[1]["rule"], "always");
    assert_eq!(steps[1]["env"], json!({"NOTE": "two words", "B": "2"}));
    let renamed = with(&[("name", "immich"), ("cron", "")]);
    server
        .form("/tasks/backup_immich/edit", &renamed)
        .expect(303);
    assert_eq!(task(&server, "immich")["cron"], Value::Null);
    server.form("/tasks/immich/delete", &[]).expect(303);
    server.get("/tasks/immich/edit").expect(404);
}

#[test]
fn the_template_of_a_backup_is_the_same_in_form_command_and_import() {
    let server = Server::start();
    server
        .post("/api/v1/pools", json!({"name": "backup", "slots": 1}))
        .expect(201);
    let asked = [("do", "backup"), ("service", "n8n"), ("step.name", "")];
    let page = server.form("/add/task", &asked).expect(200).text();
    for part in [
        r#"value="backup_n8n""#,
        "backup.py --archive n8n",
        r#"name="step.timeout" value="21600""#,
        r#"name="step.timeout" value="43200""#,
        "SYNC_TIMEOUT=21540",
        r#"<option value="backup" selected>"#,
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let bad = [("do", "backup"), ("service", "../x"), ("step.name", "")];
    let page = server.form("/add/task", &bad).expect(422).text();
    assert!(page.contains("../x"), "{page}");

    let import = b"[[backups]]\nservice = \"n8n\"\n";
    server
        .socket
        .send("POST", "/api/v1/import", &[], import)
        .expect(200);
    let made = std::process::Command::new(crate::harness::BINARY)
        .env("LIGHTFLOW_DATA_DIR", server.data())
        .args(["task", "create", "backup_two", "--backup-of", "n8n"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let imported = task(&server, "backup_n8n");
    assert_eq!(imported["steps"][3]["rule"], "always");
    assert_eq!(imported["steps"], task(&server, "backup_two")["steps"]);
    let misspelt = b"[[backups]]\nservice = \"a b\"\n";
    let refused = server
        .socket
        .send("POST", "/api/v1/import", &[], misspelt)
        .expect(422);
    assert!(refused.text().contains("backups[0].service"));
}

#[test]
fn every_refused_field_has_its_message_and_what_was_typed_stays() {
    let server = Server::start();
    let fields = with(&[
        ("cron", "61 3 * * *"),
        ("step.timeout", "soon"),
        ("zone", "Europe/Pariss"),
    ]);
    let page = server.form("/add/task", &fields).expect(422).text();
    for id in ["refused-cron", "refused-zone", "refused-steps-0--timeout"] {
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}: {page}");
    }
    for typed in [
        "61 3 * * *",
        "soon",
        "Europe/Pariss",
        "backup.py --start immich",
    ] {
        assert!(page.contains(typed), "{typed}");
    }
    server.form("/add/task", &TWO_STEPS).expect(303);
    let page = server.form("/add/task", &TWO_STEPS).expect(422).text();
    assert!(page.contains("id=\"refused-name\""), "{page}");
}

#[test]
fn steps_are_added_moved_and_removed_without_javascript() {
    let server = Server::start();
    let order = |action: &'static str| -> Vec<String> {
        let page = server
            .form("/add/task", &with(&[("do", action)]))
            .expect(200);
        let text = page.text();
        let (form, _) = text.split_once("<template").unwrap();
        form.split("name=\"step.name\" value=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(order("add"), ["stop", "start", ""]);
    assert_eq!(order("down:0"), ["start", "stop"]);
    assert_eq!(order("up:1"), ["start", "stop"]);
    assert_eq!(order("remove:0"), ["start"]);
}

#[test]
fn an_expression_is_explained_with_its_fires_and_who_else_wants_the_pool() {
    let server = Server::start();
    server.form("/add/task", &TWO_STEPS).expect(303);
    let ask = |query: &str| {
        server
            .get(&format!("/fragments/cron?{query}"))
            .expect(200)
            .text()
    };
    let told = ask("cron=0+3+*+*+*&zone=Europe/Paris&pool=default&task=new");
    assert!(told.contains("every day at 03:00"), "{told}");
    assert_eq!(told.matches("with backup_immich").count(), 10, "{told}");
    assert!(told.contains("it has room for them"), "{told}");
    assert!(told.contains("the clock goes"), "{told}");
    // A task does not collide with itself, and other minutes are other minutes.
    let own = ask("cron=0+3+*+*+*&zone=Europe/Paris&pool=default&task=backup_immich");
    assert!(!own.contains("with backup_immich"), "{own}");
    let later = ask("cron=5+3+*+*+*&zone=Europe/Paris&pool=default&task=new");
    assert!(!later.contains("with backup_immich"), "{later}");
    assert!(ask("cron=61+*+*+*+*").contains("class=\"error\""));
    assert!(ask("cron=").contains("on demand only"));
}

#[test]
fn the_same_task_for_another_service_needs_two_words() {
    let server = Server::start();
    server.form("/add/task", &TWO_STEPS).expect(303);
    let page = server
        .get("/tasks/backup_immich/duplicate")
        .expect(200)
        .text();
    assert!(page.contains("name=\"replace\" value=\"immich\""), "{page}");
    let path = "/tasks/backup_immich/duplicate";
    let done = server
        .form(path, &[("replace", "immich"), ("by", "n8n")])
        .expect(303);
    assert_eq!(done.header("location"), Some("/tasks/backup_n8n#saved"));
    let copy = task(&server, "backup_n8n");
    assert_eq!(
        copy["steps"][0]["args"],
        json!(["backup.py", "--stop", "n8n"])
    );
    assert_eq!(copy["steps"][1]["rule"], "always");
    let again = server
        .form(path, &[("replace", "immich"), ("by", "n8n")])
        .expect(422);
    assert!(
        again.text().contains("id=\"refused-name\""),
        "{}",
        again.text()
    );
    let nowhere = server.form(path, &[("replace", "planka"), ("by", "n8n"), ("name", "x")]);
    assert!(
        nowhere
            .expect(422)
            .text()
            .contains("id=\"refused-replace\"")
    );
}

fn names(browser: &Browser) -> Value {
    browser.script(
        "return [...document.querySelectorAll('[data-steps] [name=\"step.name\"]')].map(i => i.value)",
    )
}

#[test]
fn steps_move_by_button_by_key_and_by_mouse() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    set_up(&server, &browser);
    browser.goto(&format!("{}/add/task", base(&server)));
    for (place, name) in [(1, "a"), (2, "b"), (3, "c")] {
        if place > 1 {
            browser.click("[data-do=add]");
        }
        browser.type_into(
            &format!("[data-step]:nth-child({place}) [name='step.name']"),
            name,
        );
    }
    browser.click("[data-step]:nth-child(3) [data-do=up]");
    assert_eq!(names(&browser), json!(["a", "c", "b"]));
    browser.click("[data-step]:nth-child(1) [name='step.command']");
    browser.press(&["\u{E00A}", "\u{E015}"]);
    assert_eq!(names(&browser), json!(["c", "a", "b"]));
    browser.drag(
        "[data-step]:nth-child(3) [data-handle]",
        "[data-step]:nth-child(1) [data-handle]",
    );
    assert_eq!(names(&browser), json!(["b", "c", "a"]));
    browser.click("[data-step]:nth-child(2) [data-do=remove]");
    assert_eq!(names(&browser), json!(["b", "a"]));
    let numbers = "return [...document.querySelectorAll('[data-steps] [data-number]')].map(n => n.textContent)";
    assert_eq!(browser.script(numbers), json!(["1", "2"]));
    browser.type_into("[name=cron]", "*/15 * * * *");
    browser.wait_text("[data-cron-preview]", "every 15 minutes");
    // Refused for want of names and commands: the typed values are still there, in their order.
    browser.click("button.main");
    browser.wait_present("[aria-invalid]");
    assert_eq!(names(&browser), json!(["b", "a"]));
    no_complaints_but_422(&browser);
}

/// Chromium logs the 422 that a refused form is answered with.
fn no_complaints_but_422(browser: &Browser) {
    let mut complaints = browser.complaints();
    complaints.retain(|line| !line.contains("422"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_list_is_searched_and_switched_while_it_is_open() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    for name in ["backup_immich", "backup_planka"] {
        let body =
            json!({"name": name, "cron": "0 3 * * *", "steps": [{"name": "s", "command": "true"}]});
        server.post("/api/v1/tasks", body).expect(201);
    }
    set_up(&server, &browser);
    browser.navigate("/tasks");
    browser.wait_text("[data-connection]", "live");
    browser.click("[data-key=auto-backup_planka]");
    browser.wait_present("[data-key=auto-backup_planka][aria-checked=false]");
    assert_eq!(task(&server, "backup_planka")["auto"], false);
    browser.click("[data-key=pause]");
    browser.wait_text(".banner", "1 task is paused");
    browser.click("[data-key=resume]");
    browser.wait_present("[data-key=auto-backup_immich][aria-checked=true]");
    browser.type_into("[data-search]", "immich");
    crate::harness::wait_for("the other task to be gone", || {
        let text = browser.text("[data-live]")?;
        (!text.contains("backup_planka")).then_some(())
    });
    browser.click("[data-key=run-backup_immich]");
    browser.wait_present(".mini .box.green");
    no_complaints(&browser);
}
