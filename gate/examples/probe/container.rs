//! The attempts of a service that is started on a copy: to reach the live data, the network, other processes, and the host.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::attempt::{attempt, change, list, make, read, tell};

/// Tries everything; `live` is the data of the service on the host, `port` a port of the host, `pid` a process there.
pub(crate) fn container(live: &str, port: &str, pid: &str) {
    let live = Path::new(live);
    list("list the live data", live);
    read("read the live data", live.join("file"));
    change("write to the live data", live.join("file"));
    make("make a file in the live data", live);
    read("read the copy", "/data/file");
    change("write to the copy", "/data/file");
    make("make a file in the copy", "/data");
    make("make a file in /", "/");
    make("make a file in /etc", "/etc");
    make("make a file in /tmp", "/tmp");
    change("replace a program", "/bin/probe");
    read("read /dev/mem", "/dev/mem");
    change(
        "change a setting of the kernel",
        "/proc/sys/kernel/core_pattern",
    );
    list("list systemd's sockets", "/run/systemd");
    attempt(
        "connect to systemd",
        UnixStream::connect("/run/systemd/private"),
    );
    attempt(
        "connect to D-Bus",
        UnixStream::connect("/run/dbus/system_bus_socket"),
    );
    let hidden = SocketAddr::from_abstract_name("rehearsal-test");
    attempt(
        "connect to a socket without a file",
        hidden.and_then(|address| UnixStream::connect_addr(&address)),
    );
    let port = port.parse().unwrap_or(1);
    attempt(
        "connect to a port of the host",
        TcpStream::connect(("127.0.0.1", port)),
    );
    let sent = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", "192.0.2.1:53"));
    attempt("send a datagram", sent);
    let interfaces = fs::read_dir("/sys/class/net").map(|all| all.flatten().count());
    tell("interfaces", &format!("{interfaces:?}"));
    let pid = Pid::from_raw(pid.parse().unwrap_or(1));
    attempt(
        "signal a process of the host",
        kill(pid, None).map_err(Into::into),
    );
    let mounted = mount(
        Some("none"),
        "/tmp",
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    );
    attempt("mount", mounted.map_err(Into::into));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for name in ["CapEff", "CapBnd", "NoNewPrivs"] {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        tell(
            name,
            line.unwrap_or_default().trim_start_matches(':').trim(),
        );
    }
    // The last attempt: it gives this process capabilities in the namespace.
    attempt(
        "make a user namespace",
        unshare(CloneFlags::CLONE_NEWUSER).map_err(Into::into),
    );
}
