//! Checks after a night in which a process was killed: the service is up, no work is left over, and every expected
//! archive is there and complete.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::harness::{World, names, wait_until};

/// Archives of earlier years; retention gives up only the second.
pub(crate) const OLD: [&str; 3] = [
    "app-2019-12-01.tar.gz",
    "app-2020-01-05.tar.gz",
    "app-2020-01-12.tar.gz",
];

/// The service is up, and no lease is open.
pub(crate) fn settled(world: &World) -> bool {
    let lease = world.read("state/leases/app.json");
    let owed = !lease.is_empty() && lease.contains("\"back\":null");
    world.exists("up") && !owed
}

pub(crate) fn recover(mut gate: Command) {
    let done = gate.arg("--recover").output().unwrap();
    assert!(done.status.success());
}

/// No process and no lock is left. Returns true if another action of the gate was needed for that.
pub(crate) fn nothing_is_left(world: &World, what: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(1);
    while !world.processes().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let swept = !world.processes().is_empty();
    if swept {
        recover(world.gate());
    }
    wait_until(&format!("nothing is left ({what})"), || {
        world.processes().is_empty()
    });
    for name in names(&world.path("lock")) {
        let file = fs::File::open(world.path("lock").join(&name)).unwrap();
        assert!(
            Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok(),
            "{what}: {name} is held"
        );
    }
    swept
}

/// The archives under their final names; each must be readable to its end.
pub(crate) fn good_archives(world: &World, what: &str) -> Vec<String> {
    let mut archives = world.listing("app/archives");
    archives.retain(|name| name.ends_with(".tar.gz"));
    for name in &archives {
        let file = world.path("remote/OdroidBackup/app/archives").join(name);
        let listed = Command::new("tar").arg("-tzf").arg(file).output().unwrap();
        assert!(listed.status.success(), "{what}: {name} is no archive");
    }
    archives
}

/// Every former archive is still there, except the second of the three old ones, which retention may give up. Today's
/// archive may have the name that it was moved aside to.
pub(crate) fn archives_are_good(world: &World, before: &[String], what: &str) {
    let after = good_archives(world, what);
    let all = world.listing("app/archives");
    for name in before {
        assert!(
            after.contains(name) || name == OLD[1] || all.contains(&format!("{name}.previous")),
            "{what}: {name} is gone; there are {all:?}"
        );
    }
}
