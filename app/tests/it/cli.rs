//! The command line from outside: options, output and exit codes.

use crate::harness::{BINARY, Server, command, states, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The output and exit code of a command.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// Fails with `code` and says each of `words`.
    #[track_caller]
    fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
    }
}

/// Runs a command line; words with spaces are quoted as in a shell.
#[track_caller]
fn cli(data: &Path, line: &str) -> Said {
    with_input(data, line, b"")
}

#[track_caller]
fn with_input(data: &Path, line: &str, input: &[u8]) -> Said {
    let mut child = start(data, line, Stdio::piped());
    child.stdin.take().unwrap().write_all(input).unwrap();
    finish(child)
}

fn start(data: &Path, line: &str, input: Stdio) -> Child {
    command(data)
        .args(shlex::split(line).unwrap())
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The backup script's outside: its output and its end.
const SCRIPT: &str = r#"
echo "+ $*"
case "$1" in
  --sync) [ "${BACKUP_SSH_KEY%?}" = "$(printf -- '-----BEGIN KEY-----\nline one\nline two')" ] || exit 4 ;;
  --archive) exit 75 ;;
esac
"#;

const CREATE: &str = "task create backup_vaultwarden --cron '0 3 * * *' --pool backup \
     --step stop --command sh --args 'backup.sh --stop vaultwarden' --rule on_success --timeout 30 \
     --step sync --command sh --args 'backup.sh --sync vaultwarden' --timeout 300 \
     --step archive --command sh --args 'backup.sh --archive vaultwarden' --timeout 600 \
     --step start --command sh --args 'backup.sh --start vaultwarden' --rule always --timeout 180";

#[test]
fn the_tutorial_can_be_done_by_typing() {
    let server = Server::start();
    let data = server.data();
    let script = data.join("backup.sh");
    std::fs::write(&script, SCRIPT).unwrap();

    cli(data, "pool create backup --slots 1").ok();
    cli(data, "variable set ONEDRIVE_FOLDER /OdroidBackup").ok();
    let key = b"-----BEGIN KEY-----\nline one\nline two\n";
    with_input(data, "variable set BACKUP_SSH_KEY --secret --file -", key).ok();
    cli(data, &format!("script put {}", script.display())).ok();
    let shown = cli(data, CREATE).ok();
    assert!(shown.contains("every day at 03:00"), "{shown}");
    assert!(shown.contains("sh backup.sh --stop vaultwarden"), "{shown}");

    let followed = cli(data, "task run backup_vaultwarden --follow").ok();
    for line in [
        "==> stop\n+ --stop vaultwarden\nstop: success",
        "==> archive\n+ --archive vaultwarden\narchive: skipped",
        "run 1 of backup_vaultwarden: success",
    ] {
        assert!(followed.contains(line), "no {line:?} in {followed}");
    }
    let run = json(&cli(data, "run show 1 --json").ok());
    assert_eq!(states(&run), ["success", "success", "skipped", "success"]);
    assert_eq!(
        cli(data, "run logs 1 archive").ok(),
        "+ --archive vaultwarden\n"
    );
    assert_eq!(cli(data, "run logs 1 2").ok(), "+ --sync vaultwarden\n");
}

#[test]
fn a_wait_ends_with_the_runs_own_result() {
    let server = Server::start();
    let data = server.data();
    for (name, code) in [("good", 0), ("grey", 75), ("bad", 3)] {
        cli(
            data,
            &format!("task create {name} --step s --command sh --args \"-c 'exit {code}'\""),
        )
        .ok();
    }
    assert_eq!(cli(data, "task run good --wait").code, 0);
    assert_eq!(cli(data, "task run grey --wait").code, 75);
    assert_eq!(cli(data, "task run bad --wait").code, 1);
    let said = cli(data, "task run grey --wait --json");
    assert_eq!(
        (said.code, &json(&said.out)["state"]),
        (75, &"skipped".into())
    );
}

#[test]
fn a_wait_outlives_the_server_and_the_reader() {
    let server = Server::start();
    let data = server.data().to_owned();
    cli(&data, "task create long --step s --command sleep --args 60 --step z --command echo --args cleanup --rule always").ok();
    let mut child = start(&data, "task run long --follow", Stdio::null());
    // The reader stops after the first line.
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert_eq!(first, "run 1 of long started\n");
    server.step_is(1, 0, "running");
    let _server = server.restart();
    let said = finish(child);
    assert_eq!(said.code, 1, "{}", said.err);
    let run = json(&cli(&data, "run show 1 --json").ok());
    assert_eq!(run["state"], "interrupted");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let server = Server::start();
    let mut child = start(server.data(), "pool list", Stdio::null());
    drop(child.stdout.take());
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn mistakes_say_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    cli(nowhere.path(), "task list").fails(69, &["lightflow.sock", "lightflow serve"]);
    let closed = "http://127.0.0.1:1";
    cli(nowhere.path(), &format!("task list --url {closed}")).fails(69, &[closed]);
    cli(nowhere.path(), "task list --url https://elsewhere:8443")
        .fails(2, &["--ca", "tls/cert.pem"]);
    assert_eq!(cli(nowhere.path(), "healthcheck").code, 1);
    assert_eq!(cli(nowhere.path(), "no-such-command").code, 2);

    let server = Server::start();
    let data = server.data();
    assert_eq!(cli(data, "healthcheck").ok(), "ok\n");
    cli(data, "task show nothing").fails(1, &["nothing"]);
    cli(data, "task create empty").fails(2, &["--step"]);
    cli(data, "task create t --command x").fails(2, &["put --step NAME before it"]);
    cli(
        data,
        "task create t --cron '61 * * * *' --pool none --step a --command '' --timeout 0",
    )
    .fails(
        1,
        &[
            "\n  cron: ",
            "\n  steps[0].command: ",
            "\n  steps[0].timeout: ",
        ],
    );
    cli(data, "script put /nonexistent").fails(1, &["/nonexistent"]);
    cli(data, "user add odile").fails(2, &["--password-file"]);
    cli(data, "task create sleep --step s --command sleep --args 60").ok();
    cli(data, "task run sleep").ok();
    cli(data, "task run sleep --wait").fails(1, &["run 1"]);
    cli(data, "task cancel sleep --force").ok();
    server.finished(1);
    cli(data, "task cancel sleep").fails(1, &["no run of sleep goes on"]);
}

#[test]
fn a_secret_stays_one() {
    let server = Server::start();
    let data = server.data();
    let said = cli(data, "variable set KEY --secret -----first");
    assert!(said.err.contains("process list"), "{}", said.err);
    with_input(data, "variable set KEY --file -", b"second value\n").ok();
    cli(data, "variable get KEY").fails(1, &["secret"]);
    let export = cli(data, "export").ok();
    assert!(
        export.contains("KEY") && !export.contains("second"),
        "{export}"
    );
    with_input(
        data,
        "variable set KEY --plain --exact --file -",
        b"two\nlines\n",
    )
    .ok();
    assert_eq!(cli(data, "variable get KEY").ok(), "two\nlines\n\n");
}

#[test]
fn an_edit_keeps_what_it_does_not_mention() {
    let server = Server::start();
    let data = server.data();
    cli(data, "task create t --cron @daily --keep-runs 7 --step a --command x --env K=V --step b --command y --timeout 5").ok();
    cli(
        data,
        "task edit t --step b --retries 2 --step c --command z --move-step c --to 1 --rename u",
    )
    .ok();
    cli(data, "task disable u").ok();
    let task = json(&cli(data, "task show u --json").ok());
    let names: Vec<_> = task["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(names, ["c", "a", "b"]);
    assert_eq!(
        (&task["steps"][2]["timeout"], &task["steps"][2]["retries"]),
        (&5.into(), &2.into())
    );
    assert_eq!(
        (&task["keep_runs"], &task["auto"]),
        (&7.into(), &false.into())
    );
    assert_eq!(task["steps"][1]["env"]["K"], "V");
    cli(data, "task delete u").ok();
    assert_eq!(
        json(&cli(data, "task list --json").ok())["tasks"],
        Value::Array(vec![])
    );
}

#[test]
fn an_export_makes_another_server_the_same() {
    let (one, other) = (Server::start(), Server::start());
    cli(one.data(), "pool create backup --slots 1").ok();
    cli(one.data(), "variable set KEY --secret hidden-value").ok();
    with_input(
        one.data(),
        "script put - --name backup.sh",
        SCRIPT.as_bytes(),
    )
    .ok();
    cli(one.data(), CREATE).ok();
    let export = cli(one.data(), "export").ok();
    let tried = with_input(other.data(), "import - --dry-run", export.as_bytes());
    assert!(
        tried.err.contains("secret KEY has no value yet"),
        "{}",
        tried.err
    );
    assert!(tried.ok().contains("only tried"));
    with_input(other.data(), "import -", export.as_bytes()).ok();
    let without_secret = |text: String| text.replace("\"KEY\"", "");
    assert_eq!(
        without_secret(cli(other.data(), "export").ok()),
        without_secret(export)
    );
    assert_eq!(cli(other.data(), "script show backup.sh").ok(), SCRIPT);
}

/// A process that a failing test does not leave behind.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that speaks TLS, with its address.
fn tls_server(data: &Path) -> (Ended, String) {
    let mut child = command(data)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = lines.by_ref().find_map(|line| {
        let line = line.unwrap();
        let (_, rest) = line.split_once("serves ")?;
        Some(rest.split_whitespace().next()?.to_owned())
    });
    std::thread::spawn(move || lines.count());
    (Ended(child), url.expect("an address in the log"))
}

#[test]
fn over_the_network_the_certificate_and_the_token_decide() {
    let data = tempfile::tempdir().unwrap();
    let (_server, url) = tls_server(data.path());
    assert!(url.starts_with("https://"), "{url}");
    let elsewhere = tempfile::tempdir().unwrap();
    let file = |name: &str| elsewhere.path().join(name).display().to_string();
    let token = cli(data.path(), "token create laptop --role admin").ok();
    std::fs::write(file("token"), token).unwrap();
    std::fs::copy(data.path().join("tls/cert.pem"), file("cert.pem")).unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(file("other.pem"), other.cert.pem()).unwrap();

    let ask = |options: &str| {
        cli(
            elsewhere.path(),
            &format!("--url {url} {options} pool list"),
        )
    };
    let (ca, token) = (format!("--ca {}", file("cert.pem")), file("token"));
    let list = ask(&format!("{ca} --token-file {token}")).ok();
    assert!(list.contains("default"), "{list}");
    ask(&ca).fails(1, &["lightflow token create"]);
    ask(&format!("--ca {} --token-file {token}", file("other.pem"))).fails(69, &["--ca"]);
    ask(&format!("--token-file {token}")).fails(2, &["tls/cert.pem"]);
    // On the server's own machine the certificate is at hand.
    let here = format!("--url {url} --token-file {token} pool list");
    cli(data.path(), &here).ok();
}

#[test]
fn a_snapshot_is_a_database_and_nothing_else_is_left() {
    let server = Server::start();
    let data = server.data();
    cli(data, "pool create backup --slots 1").ok();
    cli(data, "snapshot").ok();
    cli(data, "snapshot").ok();
    let copy = rusqlite::Connection::open(data.join("backup/lightflow.db")).unwrap();
    let check: String = copy
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let pools: i64 = copy
        .query_row("SELECT count(*) FROM pools", [], |row| row.get(0))
        .unwrap();
    assert_eq!(pools, 2);
    drop(copy);
    assert_eq!(std::fs::read_dir(data.join("backup")).unwrap().count(), 1);
    let nowhere = tempfile::tempdir().unwrap();
    cli(nowhere.path(), "snapshot").fails(1, &["--data-dir"]);
}

#[test]
fn the_demo_shows_three_tasks_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Command::new(BINARY)
        .args(["demo", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = demo.stdout.take().unwrap();
    let mut demo = Ended(demo);
    let mut lines = BufReader::new(out).lines();
    let mut until = |mark: &str| {
        let line = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(mark));
        line.unwrap_or_else(|| panic!("no {mark} in the demo's output"))
    };
    assert!(until("/setup?token=").contains("http://127.0.0.1:"));
    let line = until("LIGHTFLOW_DATA_DIR=");
    let (_, data) = line.split_once('=').unwrap();
    let data = Path::new(data);
    until("Ctrl-C");
    let hello = wait_for("the first sample", || {
        let runs = json(&cli(data, "run list --task hello --json").ok());
        Some(runs["runs"][0].clone()).filter(|run| run["finished"] == true)
    });
    assert_eq!(states(&hello), ["success", "skipped", "success"]);
    let log = cli(data, "run logs 1 greet").ok();
    assert!(log.contains("Hello") && log.contains("••••"), "{log}");
    assert_eq!(
        json(&cli(data, "task list --json").ok())["tasks"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    let pid = nix::unistd::Pid::from_raw(i32::try_from(demo.0.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert!(demo.0.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn every_shell_gets_its_completions() {
    let nowhere = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = cli(nowhere.path(), &format!("completions {shell}")).ok();
        assert!(script.contains("healthcheck"), "{shell}");
    }
}

#[test]
fn verbs_are_the_same_everywhere_and_old_words_still_work() {
    let nowhere = Path::new("/nonexistent");
    for (group, verbs) in [
        ("task", "list show create edit delete run cancel"),
        ("run", "list show cancel delete"),
        ("pool", "list create edit delete"),
        ("variable", "list show edit delete"),
        ("script", "list show edit delete"),
        ("library", "list delete"),
        ("user", "list create delete"),
        ("token", "list create delete"),
        ("session", "list delete"),
        ("certificate", "show edit"),
        ("settings", "show edit"),
        ("notification", "list create edit delete"),
    ] {
        let help = cli(nowhere, &format!("{group} --help")).ok();
        let listed: Vec<&str> = help
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
            .collect();
        for verb in verbs.split(' ') {
            assert!(listed.contains(&verb), "{group} {verb}: {help}");
        }
        for old in ["add", "set", "get", "put", "remove", "clear", "end"] {
            assert!(!listed.contains(&old), "{group} {old}: {help}");
        }
    }
    let server = Server::start();
    let data = server.data();
    cli(data, "pool set default --slots 3").ok();
    cli(data, "variable set KEY value").ok();
    assert_eq!(cli(data, "variable get KEY").ok(), "value\n");
    cli(data, "settings set --zone Europe/Paris").ok();
    cli(data, "settings edit --tz Europe/Berlin --keep-runs 9").ok();
    with_input(data, "user add ann --password-file -", b"correct-horse\n").ok();
    with_input(data, "script put - --name a.sh", b"#!/bin/sh\n").ok();
}

#[test]
fn help_and_defaults_say_what_the_server_does() {
    let help = cli(Path::new("/nonexistent"), "task create --help").ok();
    assert!(help.contains("the server's setting"), "{help}");
    assert!(!help.contains("default: 100") && !help.contains("default: 365"));
    let server = Server::start();
    let data = server.data();
    cli(data, "settings edit --keep-runs 9").ok();
    cli(data, "task create t --step s --command true").ok();
    assert_eq!(server.get("/api/v1/tasks/t").json()["keep_runs"], 9);
    // A token ends after a year, as one that is made on the page.
    cli(data, "token create a").ok();
    cli(data, "token create b --days never").ok();
    cli(data, "token create c --days soon").fails(2, &["never"]);
    let tokens = server.get("/api/v1/tokens").json();
    let days = |at: usize| {
        let token = &tokens["tokens"][at];
        let time = |field: &str| chrono::DateTime::parse_from_rfc3339(token[field].as_str()?).ok();
        Some((time("expires_at")? - time("created_at")?).num_days())
    };
    assert_eq!((days(0), days(1)), (Some(365), None), "{tokens}");
}
