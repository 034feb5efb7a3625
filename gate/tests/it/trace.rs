//! The complete list of system calls for a refused line, recorded by strace.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::corpus::{rejected, world};
use crate::harness::{have, is_root};

const STRACE: &str = "/usr/bin/strace";

/// The calls that start a process or take a file's name, and connections.
const CALLS: &str = "trace=%process,%file,connect,bind,sendto,sendmsg";

/// One system call: its name, its arguments, and the path that it opened, if any.
fn call(line: &str) -> Option<(String, String)> {
    // After the process's number; ends and signals have no parenthesis.
    let (_, rest) = line.trim_start().split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let (name, arguments) = rest.split_once('(')?;
    // The rest of a call that was cut in two; a query about an open file.
    if name.contains(' ') || arguments.contains("AT_EMPTY_PATH") {
        return None;
    }
    let opened = rest
        .rsplit_once(" = ")
        .and_then(|(_, result)| result.split_once('<'))
        .map(|(_, place)| place.trim_end_matches('>').to_owned());
    let named = || arguments.split('"').nth(1).unwrap_or(arguments).to_owned();
    let path = opened.unwrap_or_else(named);
    Some((name.to_owned(), path))
}

/// The calls of a program before its first statement: its loader, its libraries, the bounds of its stack.
fn of_the_loader(name: &str, path: &str) -> bool {
    let library = path.starts_with("/lib") || path.starts_with("/usr/lib");
    match name {
        "access" => path == "/etc/ld.so.preload",
        "openat" | "open" => {
            // The loader reads `ld.so.cache` if it exists; an empty `ld.so.preload` names no library.
            path == "/etc/ld.so.cache"
                || (path == "/etc/ld.so.preload"
                    && fs::read(path).is_ok_and(|text| text.is_empty()))
                || (library && path.contains(".so"))
                || (path.starts_with("/proc/") && path.ends_with("/maps"))
        }
        // The search for a library.
        "newfstatat" | "statx" | "stat" | "readlink" => library,
        "arch_prctl" => true,
        _ => false,
    }
}

#[test]
fn a_refused_line_starts_no_process_and_opens_the_configuration_alone() {
    if !have(STRACE) {
        return;
    }
    if !is_root() {
        eprintln!(
            "SKIPPED: the gate's memory, and so the names in it, are hidden from its user, too"
        );
        return;
    }
    let world = world();
    let gate = env!("CARGO_BIN_EXE_backupctl");
    let config = world.path("gate.toml");
    let log = world.path("trace.log");
    let own = fs::canonicalize(gate).unwrap();
    // The configuration and every folder above it, each opened by the one before.
    let levels: BTreeSet<&Path> = config.ancestors().collect();
    let mut seen = BTreeSet::new();
    for (code, line, request) in rejected() {
        let mut traced = Command::new(STRACE);
        traced
            .args(["-f", "-y", "-qq", "-s", "256", "-e", CALLS, "-o"])
            .arg(&log)
            .arg(gate)
            .arg("--config")
            .arg(&config)
            .arg("--ssh-gate")
            .env_clear()
            .env("SSH_ORIGINAL_COMMAND", &request)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = traced.status().unwrap();
        if status.code() != Some(code) && fs::read_to_string(&log).unwrap().is_empty() {
            eprintln!("SKIPPED: strace may not trace here");
            return;
        }
        assert_eq!(status.code(), Some(code), "{line}");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains("execve("), "{text}");
        for each in text.lines() {
            let Some((name, path)) = call(each) else {
                continue;
            };
            let place = Path::new(&path);
            let fine = of_the_loader(&name, &path)
                || match name.as_str() {
                    "execve" => fs::canonicalize(place).is_ok_and(|real| real == own),
                    // A thread, in which the line is parsed.
                    "clone3" | "clone" => each.contains("CLONE_THREAD"),
                    "exit" | "exit_group" => true,
                    // The gate's own state: the descriptors to close, and the ignored signals.
                    "openat" if path.starts_with("/proc/") => {
                        path.ends_with("/fd") || path.ends_with("/status")
                    }
                    "openat" => levels.contains(place),
                    "chdir" => path == "/",
                    // The journal, or syslog without a journal.
                    "sendto" | "connect" => {
                        each.contains("/run/systemd/journal/socket") || each.contains("/dev/log")
                    }
                    _ => false,
                };
            assert!(fine, "{line}\n{each}");
            seen.insert((name, path));
        }
    }
    // Every expected call was seen; otherwise the trace is incomplete.
    assert!(seen.contains(&("openat".into(), config.display().to_string())));
    assert!(
        seen.iter()
            .any(|(name, _)| name == "clone3" || name == "clone")
    );
    assert!(!world.exists("touched") && !world.exists("state") && !world.exists("lock"));
}
