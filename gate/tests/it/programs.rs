//! Replaces programs in `/usr/bin` for one run of the gate, and simulates a stack with them.
//!
//! Invariant: only this gate and its children see the programs, in their own mount namespace.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{World, can_mount, is_root};

/// A program that never answers, like systemctl while systemd hangs, and that ignores SIGTERM.
pub(crate) const HANGS: &str = "trap '' TERM; sleep 300";

/// False, with a message, if programs cannot be replaced.
pub(crate) fn can_replace_programs() -> bool {
    let can = is_root() && can_mount();
    if !can {
        eprintln!("SKIPPED: programs cannot be replaced here");
    }
    can
}

/// Writes programs of these names, all with this body.
pub(crate) fn put_programs(world: &World, names: &[&str], body: &str) {
    let folder = world.path("programs");
    let _ = fs::create_dir(&folder);
    for name in names {
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// The gate on a host that has these programs in `/usr/bin`, and systemd as PID 1 as far as podmanctl can see.
pub(crate) fn gate_with_programs(world: &World) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(
            "set -e
mount -t overlay -o lowerdir=\"$1\":/usr/bin overlay /usr/bin; shift
test -d /run/systemd/system || { mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system; }
exec \"$@\"",
        )
        .arg("-")
        .arg(world.path("programs"))
        .arg(env!("CARGO_BIN_EXE_backupctl"))
        .arg("--config")
        .arg(world.path("gate.toml"))
        .stdin(Stdio::null());
    command
}

/// The beginning of each simulated program: the call named in the file `hang` never ends. A stop hangs each time, any
/// other call once: without an answer to that call the service could never come back.
const MAY_HANG: &str = r#"
if test "$(cat "$here/hang" 2>/dev/null)" = "$name $verb"; then
    if test "$verb" = stop; then
        test $name = systemctl || echo stopping > "$here/db"
        hangs=yes
    elif mv "$here/hang" "$here/hung" 2>/dev/null; then
        hangs=yes
    fi
    if test "$hangs"; then
        echo "$name $verb" >> "$here/hanging-calls"
        trap '' TERM
        exec tail -f "$here/hanging-calls"
    fi
fi
"#;

const SYSTEMCTL: &str = r#"
case $verb in
list-unit-files) echo "app.service enabled enabled" ;;
show)
    state="inactive dead"
    if test -e "$here/up"; then state="active running"; fi
    case " $* " in *" app.service "*)
        printf 'Id=app.service\nFragmentPath=/etc/systemd/system/app.service\nLoadState=loaded\n'
        printf 'ActiveState=%s\nSubState=%s\nType=simple\nWantedBy=multi-user.target\n' $state ;;
    esac ;;
stop) rm -f "$here/up" ;;
start) : > "$here/up" ;;
esac
"#;

/// Podman does not start a container after an unfinished stop.
const PODMAN: &str = r#"
id=0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
state=$(cat "$here/db")
case $verb in
ps) echo '[{"Id":"'$id'","Names":["app-db"],"State":"'$state'","Labels":null,"PodName":""}]' ;;
container) echo '[{"Id":"'$id'","Name":"app-db","HostConfig":{"RestartPolicy":{"Name":"always"}},"State":{"StoppedByUser":true}}]' ;;
stop | kill) echo exited > "$here/db" ;;
start) test "$state" != stopping || exit 125; echo running > "$here/db" ;;
esac
"#;

/// systemd ends a service at its time limit.
const SYSTEMD_RUN: &str = r#"
while test "$1" != --; do
    case $1 in --property=RuntimeMaxSec=*) limit=${1##*=} ;; esac
    shift
done
shift
exec timeout --foreground --signal KILL "$limit" "$@"
"#;

/// The program podmanctl: a second name of backupctl-setup.
pub(crate) fn podmanctl(world: &World) -> PathBuf {
    let link = world.path("podmanctl");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_backupctl-setup"), &link).unwrap();
    }
    link
}

/// Installs a systemctl, systemd-run and podman that simulate the stack of `app`: a unit, which runs while the file
/// `up` is there, and a container without a unit, with its state in the file `db`.
pub(crate) fn play_stack(world: &World) {
    let here = world.path("").display().to_string();
    let here = here.trim_end_matches('/');
    let options =
        "while :; do case $1 in --no-pager | --no-ask-password) shift ;; *) break ;; esac; done";
    for (name, body) in [("systemctl", SYSTEMCTL), ("podman", PODMAN)] {
        let begin = format!("here={here}\nname={name}\n{options}\nverb=$1\nshift\n");
        put_programs(world, &[name], &format!("{begin}{MAY_HANG}{body}"));
    }
    put_programs(world, &["systemd-run"], SYSTEMD_RUN);
    // podmanctl reads the configuration of the host unless the call names another one.
    let real = podmanctl(world).display().to_string();
    world.script(
        "podmanctl",
        &format!("exec {real} --config {here}/gate.toml \"$@\"\n"),
    );
    world.write("db", "running\n");
}

/// Lets podmanctl control the stack of `app`, in the current configuration.
pub(crate) fn move_by_podmanctl(world: &World) {
    let here = world.path("").display().to_string();
    world.without_commands();
    world.set(&format!("podmanctl = \"{here}bin/podmanctl\""));
}
