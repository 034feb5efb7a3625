//! A real sshd on a loopback port, with the gate as the forced command of a key.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use crate::harness::{Answer, World, have, is_root, wait_until};

const SSHD: &str = "/usr/sbin/sshd";

/// An sshd of the test's own; it ends with this value.
struct Sshd {
    daemon: Child,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Sshd {
    /// `None`, with a message, if there is no sshd.
    fn start(world: &World) -> Option<Self> {
        if !have(SSHD) || !have("/usr/bin/ssh") || !have("/usr/bin/ssh-keygen") {
            return None;
        }
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .unwrap()
            .unwrap();
        if user.shell.ends_with("nologin") || user.shell.ends_with("false") {
            eprintln!("SKIPPED: {} may not log in", user.name);
            return None;
        }
        if is_root() {
            // Debian's sshd separates privileges in this empty folder, which its unit file makes.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        for key in ["host_key", "client_key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(world.path(key))
                .status();
            assert!(made.unwrap().success());
        }
        let gate = format!(
            "{} --config {} --ssh-gate",
            env!("CARGO_BIN_EXE_backupctl"),
            world.path("gate.toml").display()
        );
        world.write(
            "authorized_keys",
            &format!(
                "restrict,command=\"{gate}\" {}",
                world.read("client_key.pub")
            ),
        );
        fs::set_permissions(
            world.path("authorized_keys"),
            fs::Permissions::from_mode(0o600),
        )
        .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let here = world.path("").display().to_string();
        world.write("sshd_config", &format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}host_key\nAuthorizedKeysFile {here}authorized_keys\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        ));
        let daemon = Command::new(SSHD)
            .arg("-D")
            .arg("-e")
            .arg("-f")
            .arg(world.path("sshd_config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self { daemon, port };
        wait_until("sshd listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(sshd)
    }

    fn ssh(&self, world: &World, line: &[&str]) -> Command {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .unwrap()
            .unwrap()
            .name;
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
            "LogLevel=ERROR",
        ])
        .arg("-o")
        .arg(format!(
            "UserKnownHostsFile={}",
            world.path("known_hosts").display()
        ))
        .arg("-i")
        .arg(world.path("client_key"))
        .args(["-p", &self.port.to_string(), &format!("{user}@127.0.0.1")])
        .args(line)
        .stdin(Stdio::null());
        ssh
    }

    fn request(&self, world: &World, line: &str) -> Answer {
        Answer::of(&self.ssh(world, &[line]).output().unwrap())
    }
}

#[test]
fn requests_and_refusals_over_a_forced_command() {
    let world = World::new();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    let stopped = sshd
        .request(&world, "backupctl --stop app --timeout 20")
        .expect(0);
    let lines: Vec<&str> = stopped.out.lines().collect();
    assert_eq!((lines[0], lines[2]), ("stopping", "app is down"));
    assert!(lines[1].ends_with("unless --start comes first"));
    sshd.request(&world, "backupctl --start app --timeout 20")
        .expect(0);
    assert!(world.exists("up"));
    sshd.request(&world, "backupctl --stop app; touch /tmp/pwned")
        .expect(64);
    sshd.request(&world, "backupctl --restore app").expect(77);
    sshd.request(&world, "cat /etc/passwd").expect(64);
    // A login without a command, and one that asks for a terminal and a tunnel.
    let bare = Answer::of(&sshd.ssh(&world, &[]).output().unwrap()).expect(64);
    assert!(bare.err.contains("no request"), "{}", bare.err);
    let audit = world.read("audit.jsonl");
    assert!(audit.contains("\"peer\":\"127.0.0.1 "), "{audit}");
}

#[test]
fn a_killed_ssh_client_leaves_no_rclone() {
    let world = World::new();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    let here = world.path("").display().to_string();
    let program = world.script(
        "hang",
        &format!(": > {here}/hanging\nwhile :; do sleep 0.1; done\n"),
    );
    world.configure_with("", &program);
    let mut client = sshd
        .ssh(&world, &[&world.sync()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("rclone runs", || world.exists("hanging"));
    client.kill().unwrap();
    client.wait().unwrap();
    wait_until("the gate and rclone are gone", || {
        world.processes().iter().all(|line| line.contains("sshd"))
    });
    assert!(world.read("audit.jsonl").contains("ssh client went away"));
}
