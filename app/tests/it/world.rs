//! A server that has something to show on every page: a history of some weeks, a run that goes
//! on and one that waits, and people and programs that may come in.

use crate::harness::Server;
use crate::pages::Page;
use crate::people::{add_user, make_token};
use crate::receivers::WebServer;
use serde_json::{Value, json};

/// Stands in for the user's script: it prints the same and takes no time.
const SCRIPT: &str = r#"# Stands in for backup.py.
case "$1 $2" in
  --stop*)  echo "stopping $2"; echo "all 3 units of $2 are down" ;;
  --sync*)  printf '\033[1mrclone sync\033[0m %s \033[32monedrive:\033[0m/OdroidBackup\n' "$2"
            for n in 1 2 3 4 5 6 7 8; do echo "Transferred: $n.$n GiB / 9.1 GiB, ${n}1%, 11.$n MiB/s, ETA ${n}s"; done
            if [ "$2" = planka ] && [ -e ../broken ]; then
              printf '\033[31mERROR\033[0m : the remote does not answer: dial tcp: i/o timeout\n' >&2; exit 1
            fi ;;
  --archive*) if [ $((LIGHTFLOW_RUN_ID % 5)) != 1 ]; then echo "today is not sunday"; exit 75; fi
            echo "result: {\"version\":1,\"kind\":\"archive\",\"subject\":\"$2\",\"name\":\"$2-2026-11-22.tar.gz\",\"bytes\":$((4000000000 + LIGHTFLOW_RUN_ID * 7000000)),\"files\":12,\"sha256\":\"ab\",\"checked\":\"hash\"}"
            echo "result: {\"version\":1,\"kind\":\"proof\",\"subject\":\"$2\",\"remote\":\"onedrive:/OdroidBackup\",\"copy\":\"archive\",\"name\":\"$2-2026-11-22.tar.gz\",\"at\":\"2026-11-22T12:00:00Z\",\"proven\":true,\"findings\":0,\"percent\":100,\"covered\":100,\"files\":12,\"bytes\":9,\"databases\":2,\"clusters\":1,\"started\":\"healthy\"}"
            echo "$2-2026-11-22.tar.gz is stored in onedrive:/OdroidBackup/$2/archives ($((4000000000 + LIGHTFLOW_RUN_ID * 7000000)) bytes, SHA-256 ab, 0 old archives removed)" ;;
  --start*) echo "starting $2"; echo "$2 is up; it was down for 9$((LIGHTFLOW_RUN_ID % 10)).3 s"
            echo "result: {\"version\":1,\"kind\":\"downtime\",\"subject\":\"$2\",\"ms\":9$((LIGHTFLOW_RUN_ID % 10))300}" ;;
  --watch*) while ! test -e "$3"; do n=$((n + 1))
              if [ "$n" -le 40 ]; then echo "Transferred: $n.0 GiB / 92.1 GiB, $n%, 11.4 MiB/s"; fi
              sleep 0.05
            done ;;
esac
"#;

const SERVICES: [&str; 5] = ["immich", "nextcloud", "paperless", "planka", "vaultwarden"];

/// A server with a history, a running run, and one that waits.
pub(crate) struct World {
    pub(crate) server: Server,
    runs: Vec<(&'static str, i64)>,
    /// The receivers of notifications, as long as there are any.
    _receivers: Vec<WebServer>,
    setup: String,
}

impl World {
    /// `rounds` is how many runs each task has.
    pub(crate) fn start(rounds: usize) -> Self {
        Self::start_with(rounds, &[])
    }

    /// The same, with settings in the environment.
    pub(crate) fn start_with(rounds: usize, env: &[(&str, &str)]) -> Self {
        let server = Server::start_with(env);
        add_settings(&server);
        let receivers = add_channels(&server);
        add_tasks(&server);
        add_access(&server);
        let mut last = Vec::new();
        for round in 0..rounds {
            if round + 2 == rounds {
                std::fs::write(server.data().join("broken"), "").unwrap();
            }
            last = SERVICES
                .iter()
                .map(|s| server.trigger(&format!("backup_{s}")))
                .collect();
            for run in &last {
                server.finished(*run);
            }
        }
        // As on a board with one disk: one step at a time.
        server
            .json(
                "PUT",
                "/api/v1/pools/backup",
                json!({"name": "backup", "slots": 1}),
            )
            .expect(200);
        let server = server.restart_after(|data| stretch(&data.join("lightflow.db")));
        let running = server.trigger("restore_test");
        server.step_is(running, 0, "running");
        let waiting = server.trigger("backup_vaultwarden");
        server.step_is(waiting, 0, "queued");
        let mut log = server.events(&format!("/api/v1/runs/{running}/steps/0/log/stream"));
        log.find(|event: &crate::http::Event| event.data.contains("40.0 GiB"))
            .unwrap();
        let runs = vec![
            ("{good}", last[0]),
            ("{failed}", last[3]),
            ("{running}", running),
            ("{waiting}", waiting),
        ];
        Self {
            setup: server.setup_token(),
            server,
            runs,
            _receivers: receivers,
        }
    }

    /// The address of a page on this server.
    pub(crate) fn path(&self, page: &Page) -> String {
        let mut path = page.path.replace("{setup}", &self.setup);
        for (name, run) in &self.runs {
            path = path.replace(name, &run.to_string());
        }
        path
    }

    /// The number of the run that pages name so, with its braces.
    pub(crate) fn run_named(&self, name: &str) -> i64 {
        self.runs.iter().find(|(n, _)| *n == name).unwrap().1
    }

    /// An admin, a viewer and two programs, once.
    pub(crate) fn let_people_in(&self) {
        let users = self.server.get("/api/v1/users").expect(200).json();
        if users["users"] != json!([]) {
            return;
        }
        add_user(&self.server, "ann", "admin");
        add_user(&self.server, "bob", "viewer");
        for (name, role) in [("home-assistant", "operator"), ("prometheus", "viewer")] {
            make_token(&self.server, json!({"name": name, "role": role}));
        }
    }
}

impl Drop for World {
    /// Ends unfinished runs, so that no process of a step stays behind.
    fn drop(&mut self) {
        let _ = std::fs::write(self.server.data().join("scripts/done"), "");
    }
}

fn add_settings(server: &Server) {
    let pool = json!({"name": "backup", "slots": 4});
    server.post("/api/v1/pools", pool).expect(201);
    let key =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n";
    for (name, value, secret) in [
        ("BACKUP_HOST", "backup_ops@host.containers.internal", false),
        (
            "BACKUP_KNOWN_HOSTS",
            "host.containers.internal ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDk6Lq0vW4pT\n[host.containers.internal]:2222 ssh-ed25519 AAAAC3\n",
            false,
        ),
        ("BACKUP_SSH_KEY", key, true),
        ("ONEDRIVE_FOLDER", "/OdroidBackup", false),
        ("ONEDRIVE_REMOTE", "onedrive", false),
        ("ARCHIVE_WEEKDAY", "sunday", false),
    ] {
        let body = json!({"value": value, "secret": secret});
        let answer = server.json("PUT", &format!("/api/v1/variables/{name}"), body);
        assert!(answer.status < 300, "{}", answer.text());
    }
    for text in ["# A first try.\necho \"$@\"\n", SCRIPT] {
        let path = "/api/v1/scripts/backup.sh";
        let answer = server.socket.send("PUT", path, &[], text.as_bytes());
        assert!(answer.status < 300, "{}", answer.text());
    }
}

fn add_access(server: &Server) {
    for body in [
        json!({"name": "Home Assistant", "role": "viewer", "expires_in_days": 365}),
        json!({"name": "doorbell", "role": "operator", "tasks": ["backup_immich"]}),
    ] {
        server.post("/api/v1/tokens", body).expect(201);
    }
    server.post("/api/v1/snapshots", json!({})).expect(201);
}

/// One that accepts messages and one that does not.
fn add_channels(server: &Server) -> Vec<WebServer> {
    let receivers = vec![WebServer::start(), WebServer::start()];
    receivers[1].answer_with(403);
    for (name, to) in ["phone", "tablet"].into_iter().zip(&receivers) {
        let target = json!({"kind": "ntfy", "url": format!("http://{}/topic", to.address)});
        let body = json!({"name": name, "target": target});
        server.post("/api/v1/channels", body).expect(201);
    }
    receivers
}

fn add_tasks(server: &Server) {
    let step = |action: &str, service: &str, rule: &str| {
        json!({"name": action, "command": "sh", "args": ["backup.sh", format!("--{action}"), service],
            "rule": rule, "timeout": 600})
    };
    let add = |name: &str, cron: Option<&str>, steps: Vec<Value>| {
        let body = json!({"name": name, "cron": cron, "pool": "backup", "auto": cron.is_some(), "steps": steps});
        server.post("/api/v1/tasks", body).expect(201);
    };
    for (number, service) in SERVICES.into_iter().enumerate() {
        let steps = vec![
            step("stop", service, "on_success"),
            step("sync", service, "on_success"),
            step("archive", service, "on_success"),
            step("start", service, "always"),
        ];
        let cron = format!("{} 3 * * *", number * 10);
        add(&format!("backup_{service}"), Some(&cron), steps);
    }
    let watch = json!({"name": "restore", "command": "sh", "args": ["backup.sh", "--watch", "immich", "done"]});
    add("restore_test", None, vec![watch]);
    let report = json!({"name": "mail the weekly report", "command": "true"});
    add("weekly_report", Some("30 7 * * 1"), vec![report]);
}

/// Moves the runs of the last seconds to the nights of the last weeks, and gives their steps
/// times like those of real ones.
fn stretch(database: &std::path::Path) {
    let database = rusqlite::Connection::open(database).unwrap();
    database
        .execute_batch(
            "CREATE TEMP TABLE night AS SELECT id,
                 (SELECT max(created_at) FROM runs) / 86400000 * 86400000 + 3 * 3600000 + task_id * 600000
                 - 86400000 * (row_number() OVER (PARTITION BY task_id ORDER BY id DESC)) AS at
             FROM runs;
             CREATE TEMP TABLE length AS SELECT run_id, position,
                 CASE position WHEN 1 THEN 240000 WHEN 2 THEN CASE state WHEN 'skipped' THEN 400 ELSE 90000 END ELSE 6000 END
                 * (70 + run_id * 37 % 60) / 100 * (state <> 'not_run') AS ms
             FROM step_runs;
             UPDATE step_runs SET
                 queued_at = (SELECT at FROM night WHERE id = run_id),
                 started_at = (SELECT at FROM night WHERE id = run_id)
                     + (SELECT coalesce(sum(ms), 0) FROM length l WHERE l.run_id = step_runs.run_id AND l.position < step_runs.position),
                 finished_at = (SELECT at FROM night WHERE id = run_id)
                     + (SELECT sum(ms) FROM length l WHERE l.run_id = step_runs.run_id AND l.position <= step_runs.position)
             WHERE started_at IS NOT NULL;
             UPDATE runs SET
                 created_at = (SELECT at FROM night WHERE night.id = runs.id),
                 started_at = (SELECT at FROM night WHERE night.id = runs.id),
                 finished_at = (SELECT at FROM night WHERE night.id = runs.id) + (SELECT sum(ms) FROM length WHERE run_id = runs.id);",
        )
        .unwrap();
}
