//! The API from outside: its data, lists, exports and description.

use crate::harness::Server;
use serde_json::json;

#[test]
fn a_task_is_added_shown_changed_and_removed() {
    let server = Server::start();
    let body = json!({"name": "t", "cron": "@daily", "zone": "Europe/Paris",
        "steps": [{"name": "s", "command": "echo", "args": ["x"], "timeout": 30}]});
    let made = server
        .post("/api/v1/tasks", body.clone())
        .expect(201)
        .json();
    assert_eq!(made["pool"], "default");
    assert_eq!(made["on_missed"], "run_once");
    assert!(made["next_fire"].as_str().unwrap().ends_with(":00:00.000Z"));
    let mut other = body;
    other["name"] = json!("u");
    other["auto"] = json!(false);
    let changed = server
        .json("PUT", "/api/v1/tasks/t", other)
        .expect(200)
        .json();
    assert_eq!(changed["name"], "u");
    assert_eq!(changed["next_fire"], json!(null));
    server.get("/api/v1/tasks/t").expect(404);
    let on = server
        .json("PATCH", "/api/v1/tasks/u", json!({"auto": true}))
        .expect(200)
        .json();
    assert!(on["next_fire"].is_string());
    server.run_to_end("u");
    assert!(server.data().join("logs/1").exists());
    server
        .json("DELETE", "/api/v1/tasks/u", json!({}))
        .expect(204);
    server.get("/api/v1/runs/1").expect(404);
    assert!(!server.data().join("logs/1").exists());
}

#[test]
fn runs_are_listed_in_pages() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    server.shell_task("u", &[("s", "true", json!({}))]);
    for _ in 0..3 {
        server.run_to_end("t");
    }
    server.run_to_end("u");
    let page = server.get("/api/v1/runs?task=t&limit=2").expect(200).json();
    let ids = |page: &serde_json::Value| -> Vec<i64> {
        page["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["id"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(ids(&page), [3, 2]);
    let next = page["next_before"].as_i64().unwrap();
    let page = server
        .get(&format!("/api/v1/runs?task=t&limit=2&before={next}"))
        .json();
    assert_eq!(ids(&page), [1]);
    assert_eq!(page["next_before"], json!(null));
    server.get("/api/v1/runs?task=none").expect(404);
}

#[test]
fn runs_and_logs_are_kept_by_count() {
    let server = Server::start();
    let step = json!({"name": "s", "command": "echo", "args": ["x"]});
    server
        .post(
            "/api/v1/tasks",
            json!({"name": "t", "keep_runs": 2, "steps": [step]}),
        )
        .expect(201);
    for _ in 0..5 {
        server.run_to_end("t");
    }
    let kept = server.get("/api/v1/runs?task=t").json();
    assert_eq!(kept["runs"].as_array().unwrap().len(), 2);
    crate::harness::wait_for("old logs to go", || {
        let left = std::fs::read_dir(server.data().join("logs"))
            .unwrap()
            .count();
        (left == 2).then_some(())
    });
    // A link from an old notification says that the run was there.
    for path in ["/api/v1/runs/1", "/runs/1"] {
        let answer = server.get(path).expect(404).text();
        assert!(answer.contains("run 1 was removed"), "{path}: {answer}");
    }
    let never = server.get("/api/v1/runs/6").expect(404).text();
    assert!(never.contains("there is no run"), "{never}");
}

#[test]
fn an_export_imports_elsewhere_and_holds_no_secret() {
    let server = Server::start();
    server
        .post("/api/v1/pools", json!({"name": "backup", "slots": 1}))
        .expect(201);
    server
        .json("PUT", "/api/v1/variables/HOST", json!({"value": "a\nb"}))
        .expect(200);
    server
        .json(
            "PUT",
            "/api/v1/variables/KEY",
            json!({"value": "hunter2", "secret": true}),
        )
        .expect(200);
    server
        .socket
        .send("PUT", "/api/v1/scripts/a.py", &[], b"print('x')\n")
        .expect(200);
    let step =
        json!({"name": "stop", "command": "python3", "args": "a.py --stop 'x y'", "timeout": 30});
    server
        .post(
            "/api/v1/tasks",
            json!({"name": "t", "cron": "0 3 * * *", "pool": "backup", "steps": [step]}),
        )
        .expect(201);
    let text = server.get("/api/v1/export").expect(200).text();
    assert!(!text.contains("hunter2"));

    let other = Server::start();
    let rehearsed = other
        .socket
        .send("POST", "/api/v1/import?dry_run=true", &[], text.as_bytes())
        .expect(200)
        .json();
    assert_eq!(rehearsed["missing_secrets"], json!(["KEY"]));
    assert_eq!(other.get("/api/v1/tasks").json()["tasks"], json!([]));
    let done = other
        .socket
        .send("POST", "/api/v1/import", &[], text.as_bytes())
        .expect(200)
        .json();
    assert!(
        done["items"]
            .as_array()
            .unwrap()
            .contains(&json!({"kind": "task", "name": "t", "change": "added"}))
    );
    other
        .json(
            "PUT",
            "/api/v1/variables/KEY",
            json!({"value": "swordfish", "secret": true}),
        )
        .expect(200);
    assert_eq!(other.get("/api/v1/export").text(), text);
    let again = other
        .socket
        .send("POST", "/api/v1/import", &[], text.as_bytes())
        .expect(200)
        .json();
    assert!(
        again["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item["change"] == "unchanged"),
        "{again}"
    );
}

#[test]
fn a_bad_import_changes_nothing() {
    let server = Server::start();
    let text = "[pools]\nbackup = 1\n[[tasks]]\nname = \"t\"\npool = \"nowhere\"\n[[tasks.steps]]\nname = \"s\"\ncommand = \"true\"\n";
    let refused = server
        .socket
        .send("POST", "/api/v1/import", &[], text.as_bytes())
        .expect(422)
        .json();
    assert_eq!(refused["errors"][0]["field"], "pool");
    let pools = server.get("/api/v1/pools").json();
    assert_eq!(pools["pools"].as_array().unwrap().len(), 1);
}

#[test]
fn the_description_names_every_address_there_is() {
    let server = Server::start();
    let document = server.get("/api/v1/openapi.json").expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    for schema in ["TaskBody", "RunView", "Problem"] {
        assert!(
            document["components"]["schemas"][schema].is_object(),
            "{schema}"
        );
    }
    // The routes as the source has them, each with its methods.
    let source = include_str!("../../src/web/api/mod.rs");
    let (_, routes) = source.split_once("fn routes()").unwrap();
    let (routes, _) = routes.split_once("\n}\n").unwrap();
    let mut described = document["paths"].as_object().unwrap().clone();
    for route in routes.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap();
        if path == "/openapi.json" {
            continue;
        }
        let item = described
            .remove(path)
            .unwrap_or_else(|| panic!("{path} is not described"));
        let methods = ["get", "post", "put", "patch", "delete"];
        for method in methods {
            let routed = route.contains(&format!("{method}("));
            assert_eq!(item.get(method).is_some(), routed, "{method} {path}");
        }
    }
    assert!(
        described.is_empty(),
        "described but not routed: {:?}",
        described.keys()
    );
}

#[test]
fn metrics_and_readiness_answer() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    server.run_to_end("t");
    assert_eq!(server.get("/readyz").expect(200).text(), "ready\n");
    let metrics = server.get("/metrics").expect(200).text();
    assert!(
        metrics.contains("lightflow_task_last_run_ok{task=\"t\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("lightflow_pool_running{pool=\"default\"} 0"),
        "{metrics}"
    );
}

#[test]
fn the_document_names_each_operation_once_and_describes_parameters_and_answers() {
    let server = Server::start();
    let document = server.get("/api/v1/openapi.json").expect(200).json();
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{at}: {id} is there twice");
            let declared: Vec<&str> = operation["parameters"]
                .as_array()
                .map_or(&[][..], Vec::as_slice)
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let named: Vec<&str> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            assert_eq!(declared, named, "{at}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let text = response["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{at}: {status} is not described");
            }
        }
    }
    assert!(ids.len() > 60);
}

#[test]
fn a_locked_database_is_said_and_is_no_internal_error() {
    let server = Server::start();
    let other = rusqlite::Connection::open(server.data().join("lightflow.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = json!({"name": "t", "steps": [{"name": "s", "command": "true"}]});
    let problem = server
        .post("/api/v1/tasks", body.clone())
        .expect(503)
        .json();
    assert_eq!(problem["type"], "urn:lightflow:problem:database-locked");
    other.execute_batch("ROLLBACK").unwrap();
    server.post("/api/v1/tasks", body).expect(201);
}
