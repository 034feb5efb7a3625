//! The remotes: their availability, their free room, the age of the newest archives, and a write test with a small
//! file.
//!
//! Invariant: `backupctl` collects the facts, because only it can confine rclone; they are judged here.

use std::time::Duration;

use chrono::NaiveDate;
use facts::Question;
use facts::remote::{Archives, Quota, Report};

use super::examination::Examination;
use super::finding::{Finding, Verdict};
use base::error::Failure;
use base::measure;
use base::names::Remote;
use config::Config;
use rclone::outcome::command;

/// Time limit for a remote to report its quota. `backupctl` has the same limit.
const ANSWER: Duration = Duration::from_secs(30);

/// Time limit for `backupctl` to answer about a remote: a little longer than its own limit.
const ASKING: Duration = Duration::from_secs(60);

/// Time limit for the test with a small file: a little longer than the test's own limit.
const WRITING: Duration = Duration::from_secs(150);

/// Maximum age of the newest archive: enough for one archive a week and one failed archive.
const STALE_DAYS: i64 = 15;

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.config;
    let mut asked: Vec<&str> = Vec::new();
    for remote in &config.remotes {
        let name = remote.name();
        if !asked.contains(&name) {
            asked.push(name);
            let question = Question::Quota(name.to_owned());
            let finding = match doctor.fact("asking for the quota", &question, ASKING)? {
                Ok(answer) => quota(config, name, answer, doctor.largest),
                Err(reason) => Finding::fail(
                    format!("{name}: the question for the quota gave no answer: {reason}"),
                    vec![look(config, name)],
                ),
            };
            let reachable = finding.verdict != Verdict::Fail;
            doctor.tell("remote", [finding])?;
            if !reachable {
                continue;
            }
        }
        let question = Question::Archives(remote.to_string());
        let today = doctor.host.today();
        let looked = doctor.fact("listing the archives", &question, ASKING)?;
        let looked = looked.unwrap_or_else(Archives::Unreadable);
        doctor.tell("archives", archives(config, remote, &looked, today))?;
        let finding = write_probe(doctor, remote)?;
        doctor.tell("write", [finding])?;
    }
    Ok(())
}

/// The command that shows all details of rclone's answer.
fn look(config: &Config, name: &str) -> String {
    command(config, &format!("about {name}: -vv"))
}

/// Has the write test made: it stores, compares, reads back, renames and deletes a small file below the backup folder.
fn write_probe(doctor: &mut Examination<'_>, remote: &Remote) -> Result<Finding, Failure> {
    let question = Question::Probe(remote.to_string());
    let said = doctor.fact("testing a remote", &question, WRITING)?;
    let command = doctor.command(&question);
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
            vec![format!("sudo {}", command.join(" "))],
        ),
    })
}

fn quota(config: &Config, name: &str, quota: Quota, largest: Option<u64>) -> Finding {
    let (free, total) = match quota {
        Quota::Unsupported => {
            return Finding::ok(format!(
                "{name}: this kind of remote does not tell its quota"
            ));
        }
        Quota::Late => {
            return Finding::fail(
                format!("{name}: did not answer in {} seconds", ANSWER.as_secs()),
                vec![look(config, name)],
            );
        }
        Quota::Failed { words, fix } => {
            return Finding::fail(format!("{name}: {words}"), vec![fix]);
        }
        Quota::Known { free: None, .. } => {
            return Finding::ok(format!("{name} answers, and tells no quota"));
        }
        Quota::Known {
            free: Some(free),
            total,
        } => (free, total),
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
fn archives(config: &Config, remote: &Remote, looked: &Archives, today: NaiveDate) -> Vec<Finding> {
    let newest = match looked {
        Archives::Unreadable(problem) => {
            let fix = vec![look(config, remote.name())];
            return vec![Finding::fail(format!("{remote}: {problem}"), fix)];
        }
        Archives::Newest(newest) => newest,
    };
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
        .map(|(service, _)| service.as_str())
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
    use super::*;

    #[test]
    fn a_quota_is_compared_with_the_largest_service() {
        let config = Config::default();
        let verdict = |quota, largest| super::quota(&config, "onedrive", quota, largest).verdict;
        let known = || Quota::Known {
            free: Some(100),
            total: Some(1000),
        };
        assert_eq!(verdict(known(), Some(100)), Verdict::Ok);
        assert_eq!(verdict(known(), Some(101)), Verdict::Warn);
        assert_eq!(verdict(known(), None), Verdict::Ok);
        let none = Quota::Known {
            free: None,
            total: Some(1),
        };
        assert_eq!(verdict(none, Some(1)), Verdict::Ok);
        assert_eq!(verdict(Quota::Unsupported, Some(1)), Verdict::Ok);
        assert_eq!(verdict(Quota::Late, None), Verdict::Fail);
    }

    #[test]
    fn archives_that_are_missing_old_or_from_the_future_are_named() {
        let remote = Remote::parse("onedrive:/B").unwrap();
        let of = |dates: &[(&str, Option<&str>)]| {
            let newest = dates.iter().map(|(service, date)| {
                let date = date.map(|date| date.parse().unwrap());
                ((*service).to_owned(), date)
            });
            archives(
                &Config::default(),
                &remote,
                &Archives::Newest(newest.collect()),
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
