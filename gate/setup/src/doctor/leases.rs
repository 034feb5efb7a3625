//! Services that the gate has stopped and not started again, and the keepers that bring them back.
//!
//! Invariant: the doctor only reads leases; it takes over, arms or clears none.

use std::path::Path;
use std::time::Duration;

use facts::Question;
use facts::lease::{Keeper, Leases, OpenLease};

use super::examination::Examination;
use super::finding::Finding;
use base::error::Failure;
use base::names::ServiceName;

const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// The unit that looks after leases after a boot.
const UNIT: &str = "backupctl-recover.service";

/// Exists while systemd runs as process 1.
const BOOTED: &str = "/run/systemd/system";

const ANSWER: Duration = Duration::from_secs(10);

/// Time limit for `backupctl` to report all leases; it asks systemd once for each.
const ASKING: Duration = Duration::from_secs(60);

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.config;
    let what = "asking for the leases";
    let leases = match doctor.fact::<Leases>(what, &Question::Leases, ASKING)? {
        Ok(leases) => leases,
        Err(reason) => {
            let command = format!("sudo {}", doctor.command(&Question::Leases).join(" "));
            let what = format!("backupctl does not report the services that it stopped: {reason}");
            return doctor.tell("leases", [Finding::fail(what, vec![command])]);
        }
    };
    let mut findings = Vec::new();
    if let Some(problem) = leases.problem {
        let fix = vec![format!("ls -la {}", config.state_dir)];
        findings.push(Finding::fail(problem, fix));
    }
    for lease in &leases.open {
        let service = ServiceName::parse(&lease.service).ok();
        let known = service
            .as_ref()
            .is_some_and(|service| config.services.contains_key(service));
        findings.push(judge(lease, known));
        doctor.stopped.extend(service);
    }
    if findings.is_empty() {
        findings.push(Finding::ok("no service is stopped by the gate"));
    }
    doctor.tell("leases", findings)?;
    let finding = if leases.keeper == Keeper::Systemd {
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

fn judge(lease: &OpenLease, known: bool) -> Finding {
    let service = &lease.service;
    let told = format!("{service}: {}", lease.words);
    if !known {
        Finding::warn(
            format!("{told}; it is not in the configuration, so nobody brings it back"),
            vec![format!(
                "# add [services.{service}] to the configuration, then: backupctl --start {service}"
            )],
        )
    } else if lease.due {
        Finding::fail(told, vec![format!("backupctl --recover {service}")])
    } else if lease.owed && !lease.kept {
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

    #[test]
    fn a_promise_that_is_broken_or_that_nobody_keeps_is_a_failure() {
        let verdict = |due, owed, kept, known| {
            let lease = OpenLease {
                service: "n8n".into(),
                words: "stopped a minute ago".into(),
                due,
                owed,
                kept,
            };
            judge(&lease, known).verdict
        };
        assert_eq!(verdict(false, true, true, true), Verdict::Ok);
        assert_eq!(verdict(false, true, false, true), Verdict::Fail);
        assert_eq!(verdict(true, true, true, true), Verdict::Fail);
        assert_eq!(verdict(false, false, false, true), Verdict::Ok);
        assert_eq!(verdict(false, true, true, false), Verdict::Warn);
    }

    #[test]
    fn the_unit_of_the_boot_must_be_enabled() {
        assert_eq!(enabled("enabled").verdict, Verdict::Ok);
        for said in ["disabled", "masked", "not-found", ""] {
            assert_eq!(enabled(said).verdict, Verdict::Fail, "{said}");
        }
    }
}
