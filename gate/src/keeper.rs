//! The keepers of leases, which bring a service back when no `--start` comes, and the commands that control them.
//!
//! With systemd, a transient timer keeps the lease. It lives until the next reboot; after that the permanent unit
//! `backupctl-recover.service` takes over. Without systemd, a process of the gate sleeps until the lease is over, see
//! [`process`], and a second process beside it takes its place if it dies. All keepers then run `backupctl --recover
//! SERVICE`.
//!
//! Invariant: pure, apart from two checks of the system (does systemd run, and the path of this program). `--explain`
//! and the actions use the same words.

pub mod process;
mod standby;

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::lease::KeptBy;
use base::names::ServiceName;
use config::{Config, Keeper};

/// The hidden first argument of a keeper.
pub const ENTRY: &str = "__keep";

const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";
const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// This directory exists while systemd runs as process 1, see sd_booted(3).
const BOOTED: &str = "/run/systemd/system";

/// Seconds between two attempts of a failed unit.
const AGAIN: &str = "10";

/// The keeper for leases on this host.
#[must_use]
pub fn choose(config: &Config) -> KeptBy {
    match config.lease.keeper {
        Keeper::Systemd => KeptBy::Systemd,
        Keeper::Process => KeptBy::Process,
        Keeper::Auto if nix::unistd::geteuid().is_root() && Path::new(BOOTED).exists() => {
            KeptBy::Systemd
        }
        Keeper::Auto => KeptBy::Process,
    }
}

/// The name of a lease's units, without their suffix. Each lease has its own name, because units of an earlier lease
/// may still be stopping.
#[must_use]
pub fn unit(service: &ServiceName, stopped: DateTime<Utc>) -> String {
    format!("backupctl-lease-{service}-{}", stopped.timestamp_millis())
}

/// Makes the timer. It counts on the monotonic clock, starting now, with a precision of one second.
#[must_use]
pub fn make_timer(
    config: &Config,
    service: &ServiceName,
    stopped: DateTime<Utc>,
    left: Duration,
) -> Vec<String> {
    let mut argv: Vec<String> = [
        SYSTEMD_RUN,
        "--quiet",
        "--no-ask-password",
        "--collect",
        &format!("--unit={}", unit(service, stopped)),
        &format!("--description=Bring {service} back after a backup"),
        // Add one second to the remaining time: if the timer fires early, the lease is not over yet.
        &format!("--on-active={}s", left.as_secs() + 1),
        "--timer-property=AccuracySec=1s",
        "--property=Restart=on-failure",
        &format!("--property=RestartSec={AGAIN}"),
        // The processes that a start command leaves running are the service, and must not end with the unit.
        "--property=KillMode=process",
        "--",
    ]
    .map(str::to_owned)
    .into();
    argv.push(program());
    argv.extend(recover(config, service));
    argv
}

/// Ends the timer, if it has not elapsed. If the timer's service already runs, it finds no lease and ends.
#[must_use]
pub fn end_timer(service: &ServiceName, stopped: DateTime<Utc>) -> Vec<String> {
    let timer = format!("{}.timer", unit(service, stopped));
    [SYSTEMCTL, "--no-ask-password", "stop", "--", &timer]
        .map(str::to_owned)
        .into()
}

/// Asks for the state of the timer and of the unit it started.
#[must_use]
pub fn ask_timer(service: &ServiceName, stopped: DateTime<Utc>) -> Vec<String> {
    let unit = unit(service, stopped);
    [
        SYSTEMCTL,
        "show",
        "--property=ActiveState",
        "--",
        &format!("{unit}.timer"),
        &format!("{unit}.service"),
    ]
    .map(str::to_owned)
    .into()
}

/// Reads the answer to [`ask_timer`].
#[must_use]
pub fn timer_runs(shown: &[u8]) -> bool {
    String::from_utf8_lossy(shown)
        .lines()
        .filter_map(|line| line.strip_prefix("ActiveState="))
        .any(|state| !matches!(state, "inactive" | "failed"))
}

/// The words that make this program a keeper.
#[must_use]
pub fn words(config: &Config, service: &ServiceName) -> Vec<String> {
    let mut words = vec![ENTRY.to_owned()];
    words.extend(recover(config, service));
    words
}

fn recover(config: &Config, service: &ServiceName) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(file) = &config.file {
        words.extend(["--config".to_owned(), file.display().to_string()]);
    }
    words.extend(["--recover".to_owned(), service.to_string()]);
    words
}

/// The path of this program. After an update the file has another inode and the same name.
fn program() -> String {
    let path = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let path = path.display().to_string();
    path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_runs_while_one_of_its_units_does() {
        for (shown, runs) in [
            ("ActiveState=active\n\nActiveState=inactive\n", true),
            ("ActiveState=inactive\n\nActiveState=activating\n", true),
            ("ActiveState=inactive\n\nActiveState=failed\n", false),
            ("ActiveState=inactive\n\nActiveState=inactive\n", false),
            ("", false),
        ] {
            assert_eq!(timer_runs(shown.as_bytes()), runs, "{shown}");
        }
    }
}
