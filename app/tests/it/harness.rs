//! A real server for a test: the binary, a temporary data directory, a free port.

use crate::http::{Address, Answer, Event, Events};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_lightflow");

/// Time limit of a test's wait for a value.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    dir: Arc<tempfile::TempDir>,
    env: Vec<(String, String)>,
    /// Its log so far.
    log: Arc<Mutex<String>>,
    pub(crate) network: Address,
    pub(crate) socket: Address,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(env: &[(&str, &str)]) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let env = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let server = command(dir.path());
        Self::launch(server, dir, env)
    }

    /// A server on a folder of the test.
    pub(crate) fn start_in(dir: Arc<tempfile::TempDir>) -> Self {
        let server = command(dir.path());
        Self::launch(server, dir, Vec::new())
    }

    /// A server of another user; needs root.
    pub(crate) fn start_as(uid: u32) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        std::os::unix::fs::chown(dir.path(), Some(uid), Some(uid)).unwrap();
        // The folder in which it was built may be closed to that user.
        let program = dir.path().join("program");
        std::fs::copy(BINARY, &program).unwrap();
        let mut server = command_of(&program, dir.path());
        server.uid(uid).gid(uid);
        Self::launch(server, dir, Vec::new())
    }

    fn launch(
        mut server: Command,
        dir: Arc<tempfile::TempDir>,
        env: Vec<(String, String)>,
    ) -> Self {
        let mut child = server
            .arg("serve")
            .env("LIGHTFLOW_LISTEN", "127.0.0.1:0")
            .env("LIGHTFLOW_TLS", "off")
            .env("LIGHTFLOW_KILL_GRACE", "1")
            .envs(env.iter().map(|(k, v)| (k, v)))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut address = None;
        while address.is_none() {
            let line = lines.next().expect("the server ended").unwrap();
            address = line
                .split_once("serves http")
                .and_then(|(_, rest)| rest.split_once("://"))
                .map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
            log.lock().unwrap().push_str(&format!("{line}\n"));
        }
        let rest = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                rest.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self {
            network: Address::Tcp(address.unwrap()),
            socket: Address::Socket(dir.path().join("lightflow.sock")),
            child,
            dir,
            env,
            log,
        }
    }

    /// Its address in the network.
    pub(crate) fn address(&self) -> &str {
        match &self.network {
            Address::Tcp(address) => address,
            _ => unreachable!("a test's server listens on loopback"),
        }
    }

    /// The same, for who speaks TLS: the server has to be started with LIGHTFLOW_TLS=on.
    pub(crate) fn over_tls(&self) -> Address {
        Address::tls(self.address(), &self.data().join("tls/cert.pem"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn data(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The token of the setup link in the log.
    pub(crate) fn setup_token(&self) -> String {
        wait_for("the setup link", || {
            let log = self.log();
            let (_, rest) = log.split_once("/setup?token=")?;
            Some(rest.split_whitespace().next()?.to_owned())
        })
    }

    /// Kills the server as a power loss would, and starts it again on the same data.
    pub(crate) fn crash_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.restart_after_its_end()
    }

    /// The same, with something done to the data directory in between.
    pub(crate) fn crash_and_change(mut self, change: impl FnOnce(&Path)) -> Self {
        self.child.kill().unwrap();
        assert!(!self.child.wait().unwrap().success());
        change(self.dir.path());
        Self::launch(command(self.dir.path()), self.dir.clone(), self.env.clone())
    }

    /// The same for a server that was started by [`Self::start_as`].
    pub(crate) fn crash_and_change_as(mut self, uid: u32, change: impl FnOnce(&Path)) -> Self {
        self.child.kill().unwrap();
        assert!(!self.child.wait().unwrap().success());
        change(self.dir.path());
        let mut server = command_of(&self.dir.path().join("program"), self.dir.path());
        server.uid(uid).gid(uid);
        Self::launch(server, self.dir.clone(), self.env.clone())
    }

    /// Waits until the server ended by itself, which it must not do well, and starts it again on the same data.
    pub(crate) fn restart_after_its_end(mut self) -> Self {
        assert!(!self.child.wait().unwrap().success());
        Self::launch(command(self.dir.path()), self.dir.clone(), self.env.clone())
    }

    /// Asks the server to stop and starts it again on the same data.
    pub(crate) fn restart(self) -> Self {
        self.restart_after(|_| ())
    }

    /// The same, with something done to the data directory in between.
    pub(crate) fn restart_after(mut self, change: impl FnOnce(&Path)) -> Self {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        change(self.dir.path());
        Self::launch(command(self.dir.path()), self.dir.clone(), self.env.clone())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.socket.send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Answer {
        self.json("POST", path, body)
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        let head = [("Content-Type", "application/json")];
        self.socket
            .send(method, path, &head, body.to_string().as_bytes())
    }

    /// Sends a form, as a page does.
    pub(crate) fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let head = [("Content-Type", "application/x-www-form-urlencoded")];
        self.socket
            .send("POST", path, &head, encoded(fields).as_bytes())
    }

    pub(crate) fn events(&self, path: &str) -> Events {
        Events::new(self.socket.open("GET", path, &[], b""))
    }

    /// Adds a task of steps that a shell runs: name, script, and other fields of a step.
    pub(crate) fn shell_task(&self, name: &str, steps: &[(&str, &str, Value)]) {
        let steps: Vec<Value> = steps
            .iter()
            .map(|(name, script, more)| {
                let mut step = json!({"name": name, "command": "sh", "args": ["-c", script]});
                for (key, value) in more.as_object().into_iter().flatten() {
                    step[key] = value.clone();
                }
                step
            })
            .collect();
        self.post("/api/v1/tasks", json!({"name": name, "steps": steps}))
            .expect(201);
    }

    pub(crate) fn trigger(&self, task: &str) -> i64 {
        let answer = self
            .post(&format!("/api/v1/tasks/{task}/run"), json!({}))
            .expect(202);
        answer.json()["run"].as_i64().unwrap()
    }

    pub(crate) fn run(&self, id: i64) -> Value {
        self.get(&format!("/api/v1/runs/{id}")).expect(200).json()
    }

    /// A run once it is over. A page that was clicked may not have made it yet.
    pub(crate) fn run_that_is_over(&self, id: i64) -> Option<Value> {
        let answer = self.get(&format!("/api/v1/runs/{id}"));
        if answer.status == 404 {
            return None;
        }
        let run = answer.expect(200).json();
        (run["finished"] == true).then_some(run)
    }

    /// Runs a task to its end.
    pub(crate) fn run_to_end(&self, task: &str) -> Value {
        let id = self.trigger(task);
        self.finished(id)
    }

    /// Waits until a run is over.
    pub(crate) fn finished(&self, id: i64) -> Value {
        wait_for("the end of the run", || self.run_that_is_over(id))
    }

    /// Waits until a step of a run is in a state.
    pub(crate) fn step_is(&self, id: i64, position: usize, state: &str) -> Value {
        wait_for(&format!("step {position} to be {state}"), || {
            Some(self.run(id)).filter(|run| run["steps"][position]["state"] == state)
        })
    }

    pub(crate) fn step_log(&self, run: i64, position: usize) -> String {
        self.get(&format!("/api/v1/runs/{run}/steps/{position}/log"))
            .expect(200)
            .text()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with nothing of the test's own environment but the data directory.
pub(crate) fn command(data: &Path) -> Command {
    command_of(Path::new(BINARY), data)
}

fn command_of(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LIGHTFLOW_DATA_DIR", data)
        .stdin(Stdio::null());
    command
}

/// The states of a run's boxes.
pub(crate) fn states(run: &Value) -> Vec<&str> {
    let steps = run["steps"].as_array().unwrap();
    steps.iter().map(|s| s["state"].as_str().unwrap()).collect()
}

/// Fields as a form sends them.
pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Waits for something to be there.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Takes events until one fits.
#[track_caller]
pub(crate) fn event(events: &mut Events, fits: impl Fn(&Event) -> bool) -> Event {
    events.find(|event| fits(event)).expect("the stream ended")
}

/// Processes with `text` in their command line.
pub(crate) fn processes(text: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| {
            std::fs::read(path.join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
        })
        .collect()
}
