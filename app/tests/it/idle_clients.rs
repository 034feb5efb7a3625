//! Browsers that keep a page open and watch: a thousand of them fit into a small board, and
//! each hears of every event.

use crate::harness::{Server, event};
use crate::http::Events;
use crate::people::token;
use serde_json::{Value, json};

const CLIENTS: usize = 1000;
/// Most memory of the whole server with all clients.
const MOST: usize = 40 << 20;
/// Most memory of a release's program: its whole file. That of a test is three times
/// as large and says nothing; `ci/bench clients` measures the sum on a release.
const PROGRAM: usize = 8 << 20;

/// Memory of a server besides its program, in bytes (proc_pid_status(5)).
fn taken(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() * 1024
}

#[test]
fn a_thousand_idle_clients_take_less_than_40_mib_and_all_hear_of_a_run() {
    // This process holds the other ends.
    let limit = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (_, hard) = nix::sys::resource::getrlimit(limit).unwrap();
    nix::sys::resource::setrlimit(limit, hard, hard).unwrap();
    let server = Server::start_with(&[("LIGHTFLOW_TLS", "on")]);
    server.shell_task("t", &[("s", "true", json!({}))]);
    let viewer = token(&server, "viewer");
    let head = [("Authorization", viewer.as_str())];
    let network = server.over_tls();
    let before = taken(&server);
    let mut clients: Vec<Events> = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Events::new(network.open("GET", "/api/v1/events", &head, b""));
        event(&mut client, |e| e.name == "hello");
        clients.push(client);
    }
    let with_all = taken(&server);
    assert!(
        with_all + PROGRAM < MOST,
        "{} KiB without clients, {} KiB with {CLIENTS}",
        before / 1024,
        with_all / 1024
    );
    let run = server.trigger("t");
    for client in &mut clients {
        let last = event(client, |e| e.name == "run" && e.json()["finished"] == true);
        assert_eq!(last.json()["id"], Value::from(run));
    }
}
