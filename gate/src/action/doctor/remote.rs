//! The remotes: their availability, their free room, the age of the newest archives, and a write test with a small
//! file.
//!
//! Invariant: rclone's own messages decide the verdict; unknown messages are passed through unchanged.

use std::time::Duration;

use chrono::NaiveDate;
use serde::Deserialize;

use super::Examination;
use super::finding::Finding;
use crate::action::list::remote::{Inventory, Look};
use crate::action::probe::{self, Report};
use crate::action::remote::{Access, Ran, Task};
use crate::config::{BUNDLED_RCLONE, Config};
use crate::error::trouble::Trouble;
use crate::error::{Failure, Interrupt};
use crate::host::{Ended, Patience};
use crate::measure;
use crate::names::Remote;
use crate::program::Output;
use crate::progress::Phase;
use crate::rclone;
use crate::rclone::outcome::command;

/// Time limit for a remote to report its quota.
const ANSWER: Duration = Duration::from_secs(30);

/// Time limit for the test with a small file: a little longer than the test's own limit.
const WRITING: Duration = Duration::from_secs(150);

/// Maximum age of the newest archive: enough for one archive a week and one failed archive.
const STALE_DAYS: i64 = 15;

/// The output of `rclone about --json`.
#[derive(Debug, Deserialize)]
struct Quota {
    total: Option<u64>,
    used: Option<u64>,
    free: Option<u64>,
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.context.config;
    let mut asked: Vec<&str> = Vec::new();
    for remote in &config.remotes {
        let name = remote.name();
        if !asked.contains(&name) {
            asked.push(name);
            let place = format!("{name}:");
            let task = Task {
                what: "asking for the quota",
                argv: rclone::about(config, name),
                call: None,
                remote: &place,
                access: Access::Remote,
                output: Output::Silent,
                phase: Phase::Comparing,
            };
            let patience = Patience::attended(doctor.context.host.now() + ANSWER);
            let finding = match doctor.context.rclone(&task, &patience) {
                Ok(ran) if !ran.ended.ok() && unsupported(&ran) => Finding::ok(format!(
                    "{name}: this kind of remote does not tell its quota"
                )),
                Ok(ran) => match doctor.context.judge(&task, &ran.ended, &ran.heard) {
                    Ok(()) => quota(config, name, &ran.ended, doctor.largest),
                    Err(failure) => trouble(config, name, &failure),
                },
                Err(Failure::Interrupted {
                    cause: Interrupt::DeadlinePassed,
                    ..
                }) => Finding::fail(
                    format!("{name}: did not answer in {} seconds", ANSWER.as_secs()),
                    vec![look(config, name)],
                ),
                Err(Failure::Interrupted { what, cause }) => {
                    return Err(Failure::Interrupted { what, cause });
                }
                Err(failure) => trouble(config, name, &failure),
            };
            let reachable = finding.verdict != super::finding::Verdict::Fail;
            doctor.tell("remote", [finding])?;
            if !reachable {
                continue;
            }
        }
        let until = doctor.context.host.now() + ANSWER;
        let today = doctor.context.host.today();
        let looked = Look::without_counting(&mut doctor.context, until).at(remote);
        let findings = match looked {
            Ok(inventory) => archives(config, &inventory, today),
            Err(Failure::Interrupted { what, cause }) => {
                return Err(Failure::Interrupted { what, cause });
            }
            Err(failure) => vec![Finding::fail(
                format!("{remote}: {failure}"),
                vec![look(config, remote.name())],
            )],
        };
        doctor.tell("archives", findings)?;
        let finding = write_probe(doctor, remote)?;
        doctor.tell("write", [finding])?;
    }
    Ok(())
}

/// True for rclone's message that a remote reports no quota.
fn unsupported(ran: &Ran) -> bool {
    let words = [ran.heard.errors(), &ran.ended.last_words];
    words
        .iter()
        .flat_map(|words| words.iter())
        .any(|words| words.contains("doesn't support about"))
}

/// The command that shows all details of rclone's answer.
fn look(config: &Config, name: &str) -> String {
    command(config, &format!("about {name}: -vv"))
}

/// The command that fixes a failure of rclone, or a sentence that says how.
pub(in crate::action) fn remedy(config: &Config, name: &str, failure: &Failure) -> String {
    let bundled = BUNDLED_RCLONE;
    match failure {
        Failure::Remote { trouble, .. } => match trouble {
            Trouble::Broken => "# wait, and run this again".into(),
            Trouble::Throttled => {
                "# wait; then lower rclone.transfers and rclone.checkers in the configuration"
                    .into()
            }
            Trouble::SignIn { renew }
            | Trouble::Renewal { renew }
            | Trouble::AccessDenied { renew } => renew.clone(),
            Trouble::OldRclone { .. } => {
                format!("# set rclone.program = \"{bundled}\" in the gate's configuration")
            }
            Trouble::WrongDrive { choose } => choose.clone(),
            Trouble::NotSetUp { .. } => command(config, &format!("config create {name} onedrive")),
            Trouble::Unreachable => "getent hosts graph.microsoft.com; ip route".into(),
            Trouble::Certificate => "date; apt install --reinstall ca-certificates".into(),
            Trouble::PortClosed => {
                "# add the remote's port to rclone.ports in the configuration".into()
            }
            Trouble::FileClosed => {
                "# add what the remote leads to to rclone.local_folders in the configuration".into()
            }
        },
        Failure::NoSpace(_) => format!(
            "{}   # see what takes the room; then empty the recycle bin",
            command(config, &format!("ncdu {name}:"))
        ),
        _ => look(config, name),
    }
}

fn trouble(config: &Config, name: &str, failure: &Failure) -> Finding {
    Finding::fail(
        format!("{name}: {failure}"),
        vec![remedy(config, name, failure)],
    )
}

/// Runs the write test: stores, compares, reads back, renames and deletes a small file below the backup folder.
fn write_probe(doctor: &mut Examination<'_>, remote: &Remote) -> Result<Finding, Failure> {
    let gate = doctor.gate.clone();
    let file = doctor.configuration.display().to_string();
    let word = remote.to_string();
    let words = [gate.as_str(), "--config", &file, probe::ENTRY, &word];
    let answer = doctor.ask("testing a remote", &words, WRITING)?;
    let said = answer.and_then(|ended| {
        let text = String::from_utf8_lossy(&ended.stdout);
        let report = text.lines().last().unwrap_or_default();
        serde_json::from_str(report).map_err(|_| ended.describe())
    });
    Ok(match said {
        Ok(Report::Passed { hash: true }) => Finding::ok(format!(
            "{remote}: a small file was stored, compared by hash, read back, renamed and deleted"
        )),
        Ok(Report::Passed { hash: false }) => Finding::warn(
            format!(
                "{remote}: a small file was stored, read back, renamed and deleted; hashes cannot be compared on this remote, so only reading back can check a copy"
            ),
            vec![format!(
                "sudo backupctl --verify SERVICE --remote {remote}   # now and then"
            )],
        ),
        Ok(Report::Failed { words, fix, .. }) => {
            Finding::fail(format!("{remote}: {words}"), vec![fix])
        }
        Err(reason) => Finding::fail(
            format!("{remote}: the test with a small file gave no answer: {reason}"),
            vec![format!("sudo {gate} {} {word}", probe::ENTRY)],
        ),
    })
}

fn quota(config: &Config, name: &str, ended: &Ended, largest: Option<u64>) -> Finding {
    let Ok(quota) = serde_json::from_slice::<Quota>(&ended.stdout) else {
        return Finding::ok(format!("{name} answers, and tells no quota"));
    };
    let (Some(free), total) = (quota.free, quota.total.or(quota.used)) else {
        return Finding::ok(format!("{name} answers, and tells no quota"));
    };
    let room = format!(
        "{name} answers, {} of {} free",
        measure::size(free),
        measure::size(total.unwrap_or(free))
    );
    match largest {
        Some(largest) if free < largest => Finding::warn(
            format!(
                "{room}, which is less than the largest service ({})",
                measure::size(largest)
            ),
            vec![format!(
                "{}   # see what takes the room",
                command(config, &format!("ncdu {name}:"))
            )],
        ),
        _ => Finding::ok(room),
    }
}

/// Findings about the archives on a remote and the age of the newest one.
fn archives(config: &Config, inventory: &Inventory, today: NaiveDate) -> Vec<Finding> {
    let remote = &inventory.remote;
    if let Some(problem) = &inventory.problem {
        let fix = vec![look(config, remote.name())];
        return vec![Finding::fail(format!("{remote}: {problem}"), fix)];
    }
    let newest: Vec<(&str, Option<NaiveDate>)> = inventory
        .services
        .iter()
        .map(|(service, (_, holding))| {
            let first = holding.archives.first();
            (service.as_str(), first.map(|stored| stored.name.date()))
        })
        .collect();
    let names = |fits: &dyn Fn(NaiveDate) -> bool| -> Vec<String> {
        newest
            .iter()
            .filter_map(|(service, date)| {
                let date = (*date)?;
                fits(date).then(|| format!("{service} ({date})"))
            })
            .collect()
    };
    let none: Vec<&str> = newest
        .iter()
        .filter(|(_, date)| date.is_none())
        .map(|(service, _)| *service)
        .collect();
    let future = names(&|date| date > today);
    let stale = names(&|date| (today - date).num_days() > STALE_DAYS);
    let mut findings = Vec::new();
    if !future.is_empty() {
        findings.push(Finding::fail(
            format!(
                "{remote}: archives from the future: {}; this clock is wrong, or was",
                future.join(", ")
            ),
            vec!["timedatectl set-ntp true; date".into()],
        ));
    }
    let path = |service: &str| {
        let data = config.data_root.below(&[service, "data"]);
        format!("backupctl --archive {service} --path {data} --remote {remote}")
    };
    if !none.is_empty() {
        findings.push(Finding::warn(
            format!("{remote}: no archive yet of {}", none.join(", ")),
            none.first()
                .map(|service| path(service))
                .into_iter()
                .collect(),
        ));
    }
    if !stale.is_empty() {
        findings.push(Finding::warn(
            format!(
                "{remote}: the newest archive is older than two weeks: {}",
                stale.join(", ")
            ),
            vec!["journalctl -t backupctl --since -15days -g archive".into()],
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "{remote}: every service has an archive of the last {STALE_DAYS} days"
        )));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use crate::action::list::remote::{Holding, Mirror, Stored};
    use crate::host::Exit;
    use crate::names::ServiceName;
    use crate::retention::ArchiveName;

    fn ended(code: i32, stdout: &str, words: &str) -> Ended {
        Ended {
            exit: Exit::Code(code),
            stdout: stdout.into(),
            last_words: vec![words.into()],
        }
    }

    #[test]
    fn each_trouble_comes_with_its_command() {
        let fix = |trouble: Trouble| {
            let failure = Failure::Remote {
                what: "asking".into(),
                trouble,
                detail: "words".into(),
            };
            super::trouble(&Config::default(), "onedrive", &failure)
                .fix
                .join("\n")
        };
        let renew = "rclone config reconnect onedrive:".to_owned();
        assert_eq!(
            fix(Trouble::SignIn {
                renew: renew.clone()
            }),
            renew
        );
        let choose = || renew.clone();
        assert_eq!(fix(Trouble::WrongDrive { choose: choose() }), renew);
        let program = Config::default().rclone.program;
        assert!(
            fix(Trouble::OldRclone {
                program,
                better: "/opt/rclone"
            })
            .contains("rclone.program")
        );
        assert!(fix(Trouble::Throttled).contains("transfers"));
        assert!(fix(Trouble::Unreachable).contains("getent"));
        assert!(fix(Trouble::Certificate).contains("ca-certificates"));
        let other = Failure::Tool {
            what: "asking".into(),
            detail: "something else".into(),
        };
        let finding = super::trouble(&Config::default(), "onedrive", &other);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.fix[0].ends_with("-vv"));
    }

    #[test]
    fn a_quota_is_compared_with_the_largest_service() {
        let json = r#"{"total":1000,"used":900,"free":100}"#;
        let config = Config::default();
        let of = |largest| quota(&config, "onedrive", &ended(0, json, ""), largest).verdict;
        assert_eq!(of(Some(100)), Verdict::Ok);
        assert_eq!(of(Some(101)), Verdict::Warn);
        assert_eq!(of(None), Verdict::Ok);
        assert_eq!(
            quota(&config, "x", &ended(0, "", ""), None).verdict,
            Verdict::Ok
        );
    }

    #[test]
    fn archives_that_are_missing_old_or_from_the_future_are_named() {
        let service = |name: &str| ServiceName::parse(name).unwrap();
        let of = |dates: &[(&str, Option<&str>)]| {
            let services = dates.iter().map(|(name, date)| {
                let archives = date.iter().map(|date| Stored {
                    name: ArchiveName::new(service(name), date.parse().unwrap()),
                    bytes: 1,
                    manifest: true,
                });
                let holding = Holding {
                    archives: archives.collect(),
                    ..Holding::default()
                };
                (service(name), (Mirror::Absent, holding))
            });
            let inventory = Inventory {
                remote: Remote::parse("onedrive:/B").unwrap(),
                problem: None,
                services: services.collect(),
                extra: Default::default(),
                strangers: Vec::new(),
            };
            archives(
                &Config::default(),
                &inventory,
                "2026-11-22".parse().unwrap(),
            )
        };
        assert_eq!(of(&[("a", Some("2026-11-07"))])[0].verdict, Verdict::Ok);
        let found = of(&[
            ("a", Some("2026-11-06")),
            ("b", Some("2026-11-23")),
            ("c", None),
        ]);
        let verdicts: Vec<Verdict> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Warn, Verdict::Warn]);
        assert!(found[2].what.contains("a (2026-11-06)"), "{found:?}");
    }
}
