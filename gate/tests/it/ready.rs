//! A start succeeds when the service answers; a service is started when no action needs its data any more.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::harness::{Answer, World, have_rclone, wait_until};

const LEASE: &str = "state/leases/app.json";

#[test]
fn a_start_waits_for_the_ready_command() {
    let world = World::new();
    let here = world.path("").display().to_string();
    let ready = world.script(
        "ready",
        &format!("echo x >> {here}/asked\ntest $(wc -l < {here}/asked) -ge 3\n"),
    );
    world.request("backupctl --stop app").expect(0);
    world.configure_app(&format!("ready = [\"{ready}\"]"));
    world.request("backupctl --start app").expect(0);
    assert_eq!(world.read("asked"), "x\nx\nx\n");
    assert!(!world.exists(LEASE));
}

#[test]
fn a_service_that_is_up_and_does_not_answer_is_not_back() {
    let world = World::new();
    let ready = world.script("ready", "exit 0\n");
    world.configure_app(&format!("ready = [\"{ready}\"]"));
    world.request("backupctl --stop app").expect(0);
    world.script("ready", "echo warming up >&2\nexit 1\n");
    let answer = world
        .request("backupctl --start app --timeout 3")
        .expect(124);
    assert!(
        answer.err.contains("to answer (exit code 1 (warming up))"),
        "{}",
        answer.err
    );
    // The lease stays until the service answers.
    assert!(world.exists("up") && world.exists(LEASE));
    assert_eq!(world.keepers().len(), 2);
    world.script("ready", "exit 0\n");
    world.request("backupctl --start app").expect(0);
    wait_until("the keeper is gone", || world.keepers().is_empty());
}

#[test]
fn a_start_waits_until_the_url_answers_well() {
    let world = World::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    world.request("backupctl --stop app").expect(0);
    world.configure_app(&format!("ready_url = \"http://{address}/alive\""));
    let asked = std::thread::spawn(move || {
        ["503 Not Yet", "404 Not Found", "204 No Content"].map(|status| {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\n\r\n").unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        })
    });
    world.request("backupctl --start app").expect(0);
    let asked = asked.join().unwrap();
    assert!(asked[2].starts_with("GET /alive HTTP/1.1\r\n"), "{asked:?}");
    assert!(!world.exists(LEASE));
}

/// A program in rclone's place that is rclone, but uploads only once the file `go` is there.
fn slow_upload(world: &World, top: &str) {
    let here = world.path("").display().to_string();
    let program = world.script("slow", &format!(
        "if test $1 = copyto; then : > {here}/uploading; while ! test -e {here}/go; do sleep 0.05; done; fi\nexec /usr/bin/rclone \"$@\"\n"
    ));
    world.configure_with(top, &program);
}

#[test]
fn with_early_start_the_service_is_up_before_its_archive_is_uploaded() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    slow_upload(&world, "early_start = true");
    let here = world.path("").display().to_string();
    world.script(
        "start",
        &format!("echo x >> {here}/starts\n: > {here}/up\n"),
    );
    world.request("backupctl --stop app").expect(0);
    let archive = world.spawn(&world.archive());
    wait_until("it uploads", || world.exists("uploading"));
    assert!(world.exists("up") && world.exists(LEASE));
    wait_until("the keeper is gone", || world.keepers().is_empty());
    let answer = world.request("backupctl --start app").expect(0);
    assert!(
        answer
            .out
            .contains("app is up since its data was captured; it was down for "),
        "{}",
        answer.out
    );
    assert_eq!(world.read("starts"), "x\n");
    assert!(!world.exists(LEASE));
    world.write("go", "");
    let archive = Answer::of(&archive.wait_with_output().unwrap()).expect(0);
    assert!(
        archive.out.contains("app is up; it was down for "),
        "{}",
        archive.out
    );
    assert_eq!(world.archives().len(), 1);
}

#[test]
fn an_early_start_is_only_for_what_the_gate_stopped() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("early_start = true");
    std::fs::remove_file(world.path("up")).unwrap();
    world.request(&world.archive()).expect(0);
    assert!(!world.exists("up"));
    world.request("backupctl --stop app").expect(0);
    world.request(&world.archive()).expect(0);
    assert!(!world.exists("up"));
    // One service may differ from the rest.
    world.request("backupctl --start app").expect(0);
    world.request("backupctl --start app").expect(0);
    world.configure_app("early_start = false");
    world.request("backupctl --stop app").expect(0);
    world.request(&world.archive()).expect(0);
    assert!(!world.exists("up") && world.exists(LEASE));
}

#[test]
fn an_early_start_that_fails_is_a_warning_and_the_promise_stands() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("early_start = true");
    let here = world.path("").display().to_string();
    world.script("start", "exit 1\n");
    world.request("backupctl --stop app").expect(0);
    let answer = world.request(&world.archive()).expect(0);
    assert!(
        answer.err.contains("the end of its lease, brings app back"),
        "{}",
        answer.err
    );
    assert_eq!(world.archives().len(), 1);
    assert_eq!(world.keepers().len(), 2);
    world.script("start", &format!(": > {here}/up\n"));
    world.request("backupctl --start app").expect(0);
    assert!(world.exists("up") && !world.exists(LEASE));
}

#[test]
fn an_archive_that_uploads_neither_waits_for_the_service_nor_holds_it_up() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    slow_upload(&world, "");
    world.request("backupctl --stop app").expect(0);
    let archive = world.spawn(&world.archive());
    wait_until("it uploads", || world.exists("uploading"));
    let status = Answer::of(&world.gate().args(["--status", "app"]).output().unwrap()).expect(0);
    assert!(status.out.contains("busy with --archive"), "{}", status.out);
    let answer = world.request("backupctl --start app").expect(0);
    assert!(!answer.out.contains("give way"), "{}", answer.out);
    // A second archive waits for the first.
    let second = world
        .request(&format!("{} --timeout 1", world.archive()))
        .expect(124);
    assert!(
        second.err.contains("waiting for --archive (process "),
        "{}",
        second.err
    );
    world.write("go", "");
    Answer::of(&archive.wait_with_output().unwrap()).expect(0);
    assert_eq!(world.archives().len(), 1);
}

#[test]
fn a_daemon_that_was_started_early_outlives_the_upload() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.configure("early_start = true");
    let here = world.path("").display().to_string();
    world.script(
        "stop",
        &format!("kill $(cat {here}/pid) 2> /dev/null\nrm -f {here}/pid {here}/up\n"),
    );
    world.script("start", &format!(
        "setsid sh -c 'echo $$ > {here}/pid; exec sleep 300' > /dev/null 2>&1 &\nwhile ! test -s {here}/pid; do :; done\n"
    ));
    world.script("status", &format!(
        "test -e {here}/up && exit 0\ntest -s {here}/pid || exit 3\ngrep -q sleep /proc/$(cat {here}/pid)/cmdline && exit 0\nexit 3\n"
    ));
    world.request("backupctl --stop app").expect(0);
    world.request(&world.archive()).expect(0);
    let pid = nix::unistd::Pid::from_raw(world.read("pid").trim().parse().unwrap());
    assert_eq!(nix::sys::signal::kill(pid, None), Ok(()));
    world.request("backupctl --start app").expect(0);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn a_service_that_did_not_answer_before_its_stop_owes_no_answer_after_it() {
    let world = World::new();
    let ready = world.script("ready", "echo no such program >&2\nexit 127\n");
    world.configure_app(&format!("ready = [\"{ready}\"]"));
    // Two nights: the first must not end all further ones.
    for _ in 0..2 {
        let stop = world.request("backupctl --stop app").expect(0);
        assert!(stop.err.contains("app does not answer"), "{}", stop.err);
        let start = world.request("backupctl --start app --timeout 8").expect(0);
        assert!(
            start.err.contains("did not answer before it was stopped"),
            "{}",
            start.err
        );
        assert!(world.exists("up") && !world.exists(LEASE));
    }
}

#[test]
fn a_service_that_was_neither_up_nor_down_is_brought_back_to_that() {
    let world = World::new();
    let here = world.path("").display().to_string();
    // Degraded while it runs, like a service with a health check that never passes.
    world.script(
        "status",
        &format!("test -e {here}/up || exit 3\necho degraded >&2\nexit 1\n"),
    );
    for _ in 0..2 {
        world.request("backupctl --stop app").expect(0);
        assert!(!world.exists("up"));
        let start = world.request("backupctl --start app --timeout 5").expect(0);
        assert!(
            start.err.contains("as it was before it was stopped"),
            "{}",
            start.err
        );
        assert!(world.exists("up") && !world.exists(LEASE));
    }
}
