//! Tokens that are renewed while rclone works: a real rclone, and a server that accepts each token once.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Answer, World, have_rclone, is_root, wait_until};

/// The address of the remote's own API: a port that rclone cannot reach, as if the network were gone.
const NOWHERE: &str = "http://127.0.0.1:9/2.1";

/// The valid tokens. A used token stays valid until the token given out for it is used: the answer may have been lost.
#[derive(Default)]
struct Tokens {
    last: u32,
    used: u32,
    given: Vec<u32>,
    /// Accepts any token.
    lenient: bool,
}

impl Tokens {
    fn good(&self, token: u32) -> bool {
        self.lenient || token == self.used || self.given.contains(&token)
    }

    fn renew(&mut self, token: u32) -> Option<u32> {
        if !self.good(token) {
            return None;
        }
        if token != self.used {
            self.used = token;
            self.given.clear();
        }
        self.last += 1;
        self.given.push(self.last);
        Some(self.last)
    }
}

/// Gives out tokens with rising numbers.
struct Server {
    port: u16,
    tokens: Arc<Mutex<Tokens>>,
    /// Receives a message for each answer, right before it is sent.
    answers: Receiver<()>,
}

impl Server {
    fn start(lenient: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let tokens = Arc::new(Mutex::new(Tokens {
            lenient,
            ..Tokens::default()
        }));
        let (say, answers) = channel();
        let shared = Arc::clone(&tokens);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tokens, say) = (Arc::clone(&shared), say.clone());
                std::thread::spawn(move || answer(&stream, &tokens, &say));
            }
        });
        Self {
            port,
            tokens,
            answers,
        }
    }

    fn last(&self) -> u32 {
        self.tokens.lock().unwrap().last
    }

    fn takes(&self, token: u32) -> bool {
        self.tokens.lock().unwrap().good(token)
    }
}

/// Answers one request, and closes.
fn answer(mut stream: &TcpStream, tokens: &Mutex<Tokens>, say: &Sender<()>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let sent: u32 = body
        .split('&')
        .find_map(|field| field.strip_prefix("refresh_token=R"))?
        .parse()
        .ok()?;
    // Valid for so short a time that each use requests another.
    let (code, text) = match tokens.lock().ok()?.renew(sent) {
        Some(number) => (
            "200 OK",
            format!(
                "{{\"access_token\":\"A{number}\",\"refresh_token\":\"R{number}\",\"token_type\":\"Bearer\",\"expires_in\":1}}"
            ),
        ),
        None => ("400 Bad Request", "{\"error\":\"invalid_grant\"}".into()),
    };
    let _ = say.send(());
    write!(
        stream,
        "HTTP/1.1 {code}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
    .ok()
}

/// A world with a remote that needs tokens of this server.
fn world(server: &Server) -> World {
    let world = World::new();
    world.write(
        "rclone.conf",
        &format!(
            "# kept as it is\n[onedrive]\ntype = hidrive\nclient_id = id\nclient_secret = secret\ntoken_url = http://127.0.0.1:{}/token\nendpoint = {NOWHERE}\ntoken = {{\"access_token\":\"A0\",\"token_type\":\"Bearer\",\"refresh_token\":\"R0\",\"expiry\":\"2020-01-01T00:00:00Z\"}}\n\n[other]\ntype = alias\nremote = /nowhere\n",
            server.port
        ),
    );
    world.set(&format!("[rclone]\nports = [{}]", server.port));
    world
}

/// The number of the token in the configured file, which is complete.
#[track_caller]
fn configured(world: &World) -> u32 {
    let text = world.read("rclone.conf");
    let (before, rest) = text.split_once("token = ").unwrap();
    let (token, after) = rest.split_once('\n').unwrap();
    assert!(before.starts_with("# kept as it is\n[onedrive]\ntype = hidrive\n"));
    assert_eq!(after, "\n[other]\ntype = alias\nremote = /nowhere\n");
    let token: serde_json::Value = serde_json::from_str(token).unwrap();
    let refresh = token["refresh_token"].as_str().unwrap();
    refresh.strip_prefix('R').unwrap().parse().unwrap()
}

fn copies(world: &World) -> Vec<String> {
    let mut names = crate::harness::names(&world.path("state/rclone"));
    names.retain(|name| name != "turn");
    names
}

/// True if a copy's folder holds anything but the one file.
fn is_being_rewritten(world: &World) -> bool {
    copies(world)
        .iter()
        .map(|copy| crate::harness::names(&world.path(&format!("state/rclone/{copy}/conf"))))
        .any(|names| !names.is_empty() && names != ["rclone.conf"])
}

fn nothing_is_left(world: &World) {
    assert_eq!(copies(world), ["lock"]);
    let hidden = crate::harness::names(&world.path(""));
    assert!(
        !hidden.iter().any(|name| name.starts_with(".rclone")),
        "{hidden:?}"
    );
}

#[test]
fn a_renewed_token_is_kept_although_the_remote_cannot_be_reached() {
    if !have_rclone() {
        return;
    }
    let server = Server::start(false);
    let world = world(&server);
    let file = world.path("rclone.conf");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(&file, None, Some(4)).unwrap();
    }
    let before = fs::metadata(&file).unwrap();
    let answer = world.request(&world.sync()).expect(69);
    // The API's port is not listed, and the message names the key for it.
    assert!(answer.err.contains("rclone.ports"), "{}", answer.err);
    assert!(server.last() > 0);
    assert_eq!(configured(&world), server.last());
    let after = fs::metadata(&file).unwrap();
    assert_ne!(after.ino(), before.ino());
    let rights = |seen: &fs::Metadata| (seen.uid(), seen.gid(), seen.mode());
    assert_eq!(rights(&after), rights(&before));
    nothing_is_left(&world);
    // The next gate starts with this token.
    let last = server.last();
    world.request(&world.sync()).expect(69);
    assert!(server.last() > last);
    assert_eq!(configured(&world), server.last());
}

#[test]
fn transfers_at_the_same_time_do_not_undo_each_others_renewals() {
    if !have_rclone() {
        return;
    }
    // Two gates that start at the same moment: one renews, the other waits for the new token.
    let server = Server::start(true);
    let world = world(&server);
    world.write("root/lightflow/data/file", "content");
    let path = world.path("root/lightflow/data").display().to_string();
    let other = format!("backupctl --sync lightflow --path {path} --remote onedrive:/OdroidBackup");
    for _ in 0..5 {
        let before = configured(&world);
        let gates = [world.spawn(&world.sync()), world.spawn(&other)];
        for gate in gates {
            let answer = Answer::of(&gate.wait_with_output().unwrap()).expect(69);
            assert!(answer.err.contains("rclone.ports"), "{}", answer.err);
        }
        assert!(configured(&world) > before);
        nothing_is_left(&world);
    }
}

#[test]
fn a_token_survives_kill_9_at_any_moment() {
    if !have_rclone() {
        return;
    }
    let server = Server::start(false);
    let world = world(&server);
    let mut caught = 0;
    for round in 0..90_u32 {
        if round >= 30 && caught > 0 {
            break;
        }
        while server.answers.try_recv().is_ok() {}
        let mut gate = world.spawn(&world.sync());
        let pid = Pid::from_raw(gate.id().try_into().unwrap());
        match round % 3 {
            0 => std::thread::sleep(Duration::from_millis(6) * round),
            1 => {
                server
                    .answers
                    .recv_timeout(Duration::from_secs(10))
                    .unwrap();
                std::thread::sleep(Duration::from_micros(400) * round);
            }
            // Wait until rclone has created its second file, or removed the first; this can be over before the test has
            // looked.
            _ => while !is_being_rewritten(&world) && gate.try_wait().unwrap().is_none() {},
        }
        let children = format!("/proc/{pid}/task/{pid}/children");
        let rclone = fs::read_to_string(children).unwrap_or_default();
        let rclone = rclone.split(' ').find_map(|word| word.parse().ok());
        let victims: &[Option<i32>] = match round % 4 {
            0 => &[Some(pid.as_raw())],
            1 => &[rclone],
            _ => &[Some(pid.as_raw()), rclone],
        };
        for victim in victims.iter().flatten() {
            let _ = kill(Pid::from_raw(*victim), Signal::SIGKILL);
        }
        gate.wait().unwrap();
        caught += u32::from(is_being_rewritten(&world));
        // Complete at every moment, also before the next gate has looked.
        configured(&world);
        // A killed process takes a moment to release its resources.
        wait_until("nothing is left", || {
            let recovered = Answer::of(&world.gate().arg("--recover").output().unwrap());
            assert_eq!(recovered.code, 0, "{}", recovered.err);
            copies(&world) == ["lock"]
        });
        let token = configured(&world);
        assert!(
            server.takes(token),
            "round {round}: {token} of {}",
            server.last()
        );
        nothing_is_left(&world);
    }
    assert!(caught > 0, "no rewrite was caught half-way");
    let before = server.last();
    world.request(&world.sync()).expect(69);
    assert!(server.last() > before && configured(&world) == server.last());
}
