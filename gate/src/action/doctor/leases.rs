//! Services that the gate has stopped and not started again, and the keepers that bring them back.
//!
//! Invariant: the doctor only reads leases; it takes over, arms or clears none.

use std::path::Path;
use std::time::Duration;

use super::Examination;
use super::finding::Finding;
use crate::action::keeping::is_kept;
use crate::error::Failure;
use crate::host::Patience;
use crate::host::clock::Moment;
use crate::keeper;
use crate::lease::{KeptBy, Lease};
use crate::measure;
use crate::names::ServiceName;

const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// The unit that looks after leases after a boot.
const UNIT: &str = "backupctl-recover.service";

/// Exists while systemd runs as process 1.
const BOOTED: &str = "/run/systemd/system";

const ANSWER: Duration = Duration::from_secs(10);

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.context.config;
    let mut findings = Vec::new();
    let there = ["leases", "stopped"]
        .iter()
        .any(|name| config.state_dir.below(&[name]).to_path_buf().exists());
    if there {
        match doctor.context.leases() {
            Err(failure) => findings.push(Finding::fail(
                failure.to_string(),
                vec![format!("ls -la {}", config.state_dir)],
            )),
            Ok(leases) => {
                for service in leases.services().unwrap_or_default() {
                    let known = config.services.contains_key(&service);
                    let lease = leases
                        .load(&service)
                        .unwrap_or_else(|_| Some(Lease::lost()));
                    let Some(lease) = lease else { continue };
                    let patience = Patience::attended(doctor.context.host.now() + ANSWER);
                    let kept = is_kept(&mut doctor.context, &leases, &service, &lease, &patience);
                    let now = doctor.context.host.moment();
                    findings.push(judge(&service, &lease, &now, kept, known));
                    doctor.stopped.push(service);
                }
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("no service is stopped by the gate"));
    }
    doctor.tell("leases", findings)?;
    let finding = if keeper::choose(config) == KeptBy::Systemd {
        let argv = [SYSTEMCTL, "is-enabled", UNIT];
        match doctor.ask("asking for the unit of the boot", &argv, ANSWER)? {
            Ok(ended) => enabled(String::from_utf8_lossy(&ended.stdout).trim()),
            Err(reason) => {
                Finding::skip(format!("whether {UNIT} is enabled is not known: {reason}"))
            }
        }
    } else if Path::new(BOOTED).exists() {
        Finding::skip("leases are kept by processes, as the configuration or this user has it")
    } else {
        Finding::skip(
            "systemd is not process 1: leases are kept by processes, and nothing sees to them after a reboot but the next action of the gate",
        )
    };
    doctor.tell("leases", [finding])
}

fn enabled(said: &str) -> Finding {
    if said == "enabled" {
        Finding::ok(format!(
            "{UNIT} is enabled, and looks after leases at each boot"
        ))
    } else {
        // Debian 12's systemctl prints nothing for a unit that does not exist.
        let said = match said {
            "" | "not-found" => "not there",
            said => said,
        };
        Finding::fail(
            format!("{UNIT} is {said}: after a power cut during a backup the service stays down"),
            vec![
                format!("install -m 0644 {UNIT} /etc/systemd/system/"),
                format!("systemctl enable {UNIT}"),
            ],
        )
    }
}

fn judge(service: &ServiceName, lease: &Lease, now: &Moment, kept: bool, known: bool) -> Finding {
    let told = format!("{service}: {}", lease.told(now, measure::since).join(", "));
    let back = || vec![format!("backupctl --recover {service}")];
    if !known {
        Finding::warn(
            format!("{told}; it is not in the configuration, so nobody brings it back"),
            vec![format!(
                "# add [services.{service}] to the configuration, then: backupctl --start {service}"
            )],
        )
    } else if lease.due(now) {
        Finding::fail(told, back())
    } else if lease.owed() && !kept {
        Finding::fail(
            format!("{told}; but nobody keeps that promise any more"),
            vec![format!("backupctl --start {service}")],
        )
    } else {
        Finding::ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment {
            utc: chrono::DateTime::from_timestamp(1_800_000_000 + seconds as i64, 0).unwrap(),
            boot: "a".into(),
            since_boot_ms: seconds * 1000,
        }
    }

    #[test]
    fn a_promise_that_is_broken_or_that_nobody_keeps_is_a_failure() {
        let service = ServiceName::parse("n8n").unwrap();
        let lease = Lease {
            was_up: true,
            stopped: at(100),
            seconds: 60,
            kept_by: KeptBy::Process,
            back: None,
            before: crate::lease::Before::default(),
        };
        let verdict =
            |lease: &Lease, now, kept| judge(&service, lease, &at(now), kept, true).verdict;
        assert_eq!(verdict(&lease, 120, true), Verdict::Ok);
        assert_eq!(verdict(&lease, 120, false), Verdict::Fail);
        assert_eq!(verdict(&lease, 161, true), Verdict::Fail);
        let down = Lease {
            was_up: false,
            ..lease.clone()
        };
        assert_eq!(verdict(&down, 1000, false), Verdict::Ok);
        let stranger = judge(&service, &lease, &at(120), true, false);
        assert_eq!(stranger.verdict, Verdict::Warn);
    }

    #[test]
    fn the_unit_of_the_boot_must_be_enabled() {
        assert_eq!(enabled("enabled").verdict, Verdict::Ok);
        for said in ["disabled", "masked", "not-found", ""] {
            assert_eq!(enabled(said).verdict, Verdict::Fail, "{said}");
        }
    }
}
