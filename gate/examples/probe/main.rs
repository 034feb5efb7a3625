//! A program for rclone's place that tries what a subverted rclone would, and tells how each attempt ended.
//!
//! It finds its instructions in the section `[probe]` of rclone's configuration and prints one line an attempt, on
//! standard output: `probe`, its name, and `ok` or the error's name. Nothing it tries does harm where it succeeds.

#![expect(clippy::expect_used, reason = "a tool for tests")]

mod attempt;
mod container;

use std::ffi::CString;
use std::fs::{self, OpenOptions, Permissions};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::libc;

use attempt::{
    CONFIGURATION, attempt, change, list, make, pointer, raw, read, said, say_line, tell, word,
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, verb, first, ..] = arguments.as_slice() else {
        return;
    };
    if verb == "without-landlock" {
        return without_landlock(&arguments[2..]);
    }
    if let ("in-a-container", [live, port, pid, ..]) = (verb.as_str(), &arguments[2..]) {
        return container::container(live, port, pid);
    }
    let wanted = said("on");
    if *verb != wanted {
        // What an action asks for before its upload.
        if verb == "lsjson" {
            say_line("[]");
        }
        return;
    }
    files(first);
    own_files();
    properties();
    processes();
    kernel();
    network();
    state();
    eprintln!(r#"{{"level":"warning","msg":"","stats":{{"transfers":1}}}}"#);
}

/// Becomes another program, for which the kernel has no Landlock.
fn without_landlock(argv: &[String]) {
    use seccompiler::{SeccompAction, SeccompFilter};
    let filter = SeccompFilter::new(
        [(libc::SYS_landlock_create_ruleset, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        std::env::consts::ARCH
            .try_into()
            .expect("a known processor"),
    );
    let program: seccompiler::BpfProgram = filter
        .and_then(TryInto::try_into)
        .expect("a filter of one call");
    seccompiler::apply_filter(&program).expect("seccomp");
    let error = Command::new(&argv[0]).args(&argv[1..]).exec();
    say_line(&error.to_string());
}

fn files(source: &str) {
    let other = said("other");
    if Path::new(source).is_dir() {
        let source = Path::new(source);
        list("list the source", source);
        read("read the source", source.join("file"));
        read("follow a link in the source", source.join("link"));
        change("write to the source", source.join("file"));
        make("make a file in the source", source);
    } else {
        read("read the file to be sent", source);
        change("write to the file to be sent", source);
    }
    list("list another service", &other);
    read("read another service", Path::new(&other).join("file"));
    change("write to another service", Path::new(&other).join("file"));
    make("make a file in another service", &other);
    read("read the gate's configuration", said("gate"));
    read("read rclone's configured file", said("configured"));
    change("write to rclone's configured file", said("configured"));
    make("make a file beside it", Path::new(&said("here")));
    list("list the gate's state", said("state"));
    read(
        "read the history of tokens",
        Path::new(CONFIGURATION).with_file_name("../origin.json"),
    );
    read("read /etc/shadow", "/etc/shadow");
    read("read /etc/passwd", "/etc/passwd");
    list("list /", "/");
    list("list /etc", "/etc");
    list("list /proc", "/proc");
    list("list /tmp", "/tmp");
    read(
        "read the gate's memory",
        format!("/proc/{}/mem", nix::unistd::getppid()),
    );
    read(
        "read the gate's environment",
        format!("/proc/{}/environ", nix::unistd::getppid()),
    );
    read("read /dev/mem", "/dev/mem");
    read("read the kernel's log", "/dev/kmsg");
    make("make a file in /etc", "/etc");
    make("make a file in /tmp", "/tmp");
    make("make a file in /dev/shm", "/dev/shm");
    make("make a file in /run", "/run");
    read("read certificates", "/etc/ssl/certs/ca-certificates.crt");
    read("read the resolver's configuration", "/etc/resolv.conf");
    read("read /dev/urandom", "/dev/urandom");
    change("write to /dev/null", "/dev/null");
    read("read a library", "/usr/lib/os-release");
}

/// What rclone does when it renews a token, and what it may do to its own.
fn own_files() {
    let path = Path::new(CONFIGURATION);
    let fresh = path.with_file_name("rclone.conf123");
    let rewritten = fs::read(path)
        .and_then(|text| fs::write(&fresh, text))
        .and_then(|()| fs::rename(&fresh, path));
    attempt("rewrite its configuration", rewritten);
    let temporary = std::env::temp_dir();
    let inner = temporary.join("folder");
    make("make a temporary file", &temporary);
    attempt("make a temporary folder", fs::create_dir(&inner));
    attempt("make a link", symlink("/etc/shadow", inner.join("link")));
    read("follow that link", inner.join("link"));
    let out = Path::new(&said("here")).join("moved");
    attempt("move its configuration away", fs::rename(path, out));
    let node = inner.join("pipe");
    attempt(
        "make a named pipe",
        nix::unistd::mkfifo(&node, nix::sys::stat::Mode::S_IRWXU).map_err(Into::into),
    );
    let own = temporary.join("program");
    let copied = fs::write(&own, b"#!/bin/true\n");
    let _ = copied.and_then(|()| fs::set_permissions(&own, Permissions::from_mode(0o755)));
    attempt("run a file that it made", Command::new(&own).spawn());
    attempt("run a shell", Command::new("/bin/sh").spawn());
    attempt("run itself", Command::new("/proc/self/exe").status());
}

/// Of a file that belongs to whoever runs this.
fn properties() {
    let victim = said("victim");
    let before = fs::metadata(&victim).map(|seen| seen.mode());
    let changed = fs::set_permissions(&victim, Permissions::from_mode(0o4777));
    let after = fs::metadata(&victim).map(|seen| seen.mode());
    let same = before.is_ok_and(|before| after.is_ok_and(|after| before == after));
    let outcome = match (changed, same) {
        (Ok(()), true) => "nothing happens",
        (Ok(()), false) => "ok",
        (Err(_), _) => "denied",
    };
    tell("change a file's mode", outcome);
    let own = nix::unistd::getuid();
    attempt(
        "change a file's owner",
        nix::unistd::chown(victim.as_str(), Some(own), None).map_err(Into::into),
    );
    let now = nix::sys::time::TimeSpec::new(0, 0);
    let times = nix::sys::stat::utimensat(
        nix::fcntl::AT_FDCWD,
        victim.as_str(),
        &now,
        &now,
        nix::sys::stat::UtimensatFlags::NoFollowSymlink,
    );
    attempt("change a file's times", times.map_err(Into::into));
    attempt(
        "empty a file",
        nix::unistd::truncate(victim.as_str(), 0).map_err(Into::into),
    );
    let emptied = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_TRUNC)
        .open(&victim);
    attempt("open a file to empty it", emptied);
    attempt("look at a file's size", fs::metadata(&victim));
    let name = CString::new(victim).unwrap_or_default();
    pointer("set an attribute of a file", libc::SYS_setxattr, &name);
}

fn processes() {
    use nix::sys::ptrace;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::{Gid, Pid, Uid, getpid, getppid};
    let gate = getppid();
    attempt("trace the gate", ptrace::attach(gate).map_err(Into::into));
    attempt("signal the gate", kill(gate, None).map_err(Into::into));
    attempt(
        "signal init",
        kill(Pid::from_raw(1), None).map_err(Into::into),
    );
    attempt(
        "signal everybody",
        kill(Pid::from_raw(-1), None).map_err(Into::into),
    );
    attempt(
        "signal itself",
        kill(getpid(), Signal::SIGWINCH).map_err(Into::into),
    );
    signals_by_descriptor(i64::from(gate.as_raw()));
    let gate = i64::from(gate.as_raw());
    raw(
        "hold the gate by descriptor",
        libc::SYS_pidfd_open,
        [gate, 0, 0, 0, 0],
    );
    raw("limit the gate", libc::SYS_prlimit64, [gate, 7, 0, 0, 0]);
    raw(
        "slow the gate down",
        libc::SYS_setpriority,
        [0, gate, 19, 0, 0],
    );
    raw(
        "read the gate's memory by call",
        libc::SYS_process_vm_readv,
        [gate, 0, 0, 0, 0],
    );
    attempt(
        "become somebody else",
        nix::unistd::setuid(Uid::from_raw(65534)).map_err(Into::into),
    );
    attempt(
        "leave its group",
        nix::unistd::setgid(Gid::from_raw(65534)).map_err(Into::into),
    );
    attempt(
        "leave its groups",
        nix::unistd::setgroups(&[]).map_err(Into::into),
    );
    for (name, flags) in [
        ("unshare users", nix::sched::CloneFlags::CLONE_NEWUSER),
        ("unshare mounts", nix::sched::CloneFlags::CLONE_NEWNS),
        ("unshare the network", nix::sched::CloneFlags::CLONE_NEWNET),
    ] {
        attempt(name, nix::sched::unshare(flags).map_err(Into::into));
    }
    raw(
        "fork with a user namespace",
        libc::SYS_clone,
        [
            i64::from(libc::CLONE_NEWUSER | libc::CLONE_THREAD),
            0,
            0,
            0,
            0,
        ],
    );
}

/// The kernel sends the owner of a descriptor a signal of the owner's choice when data arrives (fcntl(2), socket(7)), and
/// the owner may be any process that the caller could signal.
fn signals_by_descriptor(gate: i64) {
    const FIOSETOWN: i64 = 0x8901;
    const SIOCSPGRP: i64 = 0x8902;
    const F_SETOWN_EX: i64 = 15;
    const F_SETSIG: i64 = 10;
    const F_SETLEASE: i64 = 1024;
    const F_NOTIFY: i64 = 1026;
    let Ok(socket) = UdpSocket::bind(("127.0.0.1", 0)) else {
        return tell("have the kernel signal the gate", "no socket");
    };
    let fd = i64::from(socket.as_raw_fd());
    let number = |number: i32| i64::from(number);
    let fcntl = |name, command, value| {
        raw(name, libc::SYS_fcntl, [fd, command, value, 0, 0]);
    };
    fcntl(
        "have the kernel signal the gate",
        number(libc::F_SETOWN),
        gate,
    );
    fcntl(
        "choose the signal of a descriptor",
        F_SETSIG,
        i64::from(libc::SIGKILL),
    );
    // A pointer is needed; without one, a call that is let through fails with EFAULT.
    fcntl(
        "have the kernel signal a thread of the gate",
        F_SETOWN_EX,
        0,
    );
    fcntl("be told of changes in a folder", F_NOTIFY, 0);
    fcntl("lease a file", F_SETLEASE, i64::from(libc::F_UNLCK));
    // These take a pointer to the process.
    let mut owner = i32::try_from(gate).unwrap_or(0);
    for (name, request) in [
        ("have the kernel signal the gate by ioctl", FIOSETOWN),
        ("have the kernel signal the gate's group", SIOCSPGRP),
    ] {
        word(name, libc::SYS_ioctl, fd, request, &mut owner);
    }
    for (name, request) in [
        ("type into a terminal", libc::TIOCSTI),
        ("take a terminal's group", libc::TIOCSPGRP),
        ("hang a terminal up", libc::TIOCVHANGUP),
    ] {
        let request = i64::try_from(request).unwrap_or(0);
        word(name, libc::SYS_ioctl, fd, request, &mut owner);
    }
}

/// Calls that are given nothing to work with: where they are let through they fail, and otherwise.
fn kernel() {
    let mounted = nix::mount::mount(
        Some("probe"),
        "/nonexistent",
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&str>,
    );
    attempt("mount", mounted.map_err(Into::into));
    attempt(
        "unmount",
        nix::mount::umount("/nonexistent").map_err(Into::into),
    );
    attempt(
        "change root",
        nix::unistd::chroot("/nonexistent").map_err(Into::into),
    );
    for (name, number) in [
        ("load a module", libc::SYS_init_module),
        ("load a module from a file", libc::SYS_finit_module),
        ("remove a module", libc::SYS_delete_module),
        ("load a kernel", libc::SYS_kexec_load),
        ("load a program into the kernel", libc::SYS_bpf),
        ("watch the processor", libc::SYS_perf_event_open),
        ("handle page faults", libc::SYS_userfaultfd),
        ("queue calls past the filter", libc::SYS_io_uring_setup),
        ("use keys", libc::SYS_keyctl),
        ("reboot", libc::SYS_reboot),
        ("swap", libc::SYS_swapon),
        ("set the clock", libc::SYS_clock_settime),
        ("name the host", libc::SYS_sethostname),
        ("read the kernel's log by call", libc::SYS_syslog),
        ("open by handle", libc::SYS_open_by_handle_at),
        ("watch files", libc::SYS_inotify_init1),
        ("watch all files", libc::SYS_fanotify_init),
        ("make a file without a name", libc::SYS_memfd_create),
        ("change its personality", libc::SYS_personality),
        ("make a mount by descriptor", libc::SYS_fsopen),
        ("make a device", libc::SYS_mknodat),
        ("share memory", libc::SYS_shmget),
        ("enter another namespace", libc::SYS_setns),
    ] {
        raw(name, number, [-1, 0, 0, 0, 0]);
    }
    #[cfg(target_arch = "x86_64")]
    raw(
        "call by other numbers",
        0x4000_0000 | libc::SYS_getpid,
        [0; 5],
    );
}

fn network() {
    let port = |name: &str| said(name).parse::<u16>().unwrap_or(0);
    attempt(
        "connect to a port that is listed",
        TcpStream::connect(("127.0.0.1", port("open"))),
    );
    attempt(
        "connect to another port",
        TcpStream::connect(("127.0.0.1", port("closed"))),
    );
    attempt("offer a port", TcpListener::bind(("127.0.0.1", 0)));
    attempt("send datagrams", UdpSocket::bind(("127.0.0.1", 0)));
    attempt(
        "connect to a socket of this host",
        UnixStream::connect(said("socket")),
    );
    attempt("send to a socket of this host", UnixDatagram::unbound());
    attempt("make a pair of sockets", UnixStream::pair());
    for (name, family, protocol) in [
        ("ask for routes", libc::AF_NETLINK, libc::NETLINK_ROUTE),
        (
            "hear the kernel",
            libc::AF_NETLINK,
            libc::NETLINK_KOBJECT_UEVENT,
        ),
        ("send raw packets", libc::AF_PACKET, 0),
        ("talk to a hypervisor", libc::AF_VSOCK, 0),
        ("use the kernel's ciphers", libc::AF_ALG, 0),
    ] {
        let arguments = [family, libc::SOCK_DGRAM, protocol, 0, 0].map(i64::from);
        raw(name, libc::SYS_socket, arguments);
    }
}

fn state() {
    let status = fs::File::open("/proc/self/status");
    attempt("read its own status", status);
    // Landlock lets it look at nothing in /proc; its parent reads it, while it waits here.
    let waiting = said("waiting");
    if !waiting.is_empty() {
        tell("waiting", &std::process::id().to_string());
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}
