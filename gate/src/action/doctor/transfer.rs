//! rclone and its configuration: a program nobody else can change, a file nobody else can read, a token that
//! still works.
//!
//! Invariant: of a token only its dates are looked at, and none of its secrets is ever told.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::Examination;
use super::finding::{Finding, quoted};
use super::ownership::{levels, loose};
use crate::config::Config;
use crate::error::Failure;
use crate::host::clock;
use crate::host::dirfd::{Trusted, read_trusted};
use crate::measure;
use crate::names::Remote;

/// The oldest rclone that the gate is tried with: Debian 12's.
const OLDEST: (u32, u32) = (1, 60);

/// Microsoft forgets a refresh token of a personal account that was not used for 90 days.
const FORGOTTEN: TimeDelta = TimeDelta::days(90);

/// When it is time to say so.
const SOON: TimeDelta = TimeDelta::days(75);

/// An access token's life: its expiry is this long after the last refresh, or a little more.
const HOUR: TimeDelta = TimeDelta::hours(1);

const MAX_BYTES: u64 = 1 << 20;

/// The sections of rclone's configuration, each with its keys.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    refresh_token: String,
    expiry: Option<DateTime<Utc>>,
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.context.config;
    let program = config.rclone.program.to_string();
    let mut findings = match levels(&config.rclone.program.to_path_buf()) {
        Err(reason) => vec![Finding::fail(
            format!("rclone: {reason}"),
            vec!["apt install rclone   # or set rclone.program in the configuration".into()],
        )],
        Ok(levels) => loose(&levels, doctor.trusted)
            .into_iter()
            .map(|level| {
                Finding::fail(
                    format!("whoever changes rclone is root: {}", level.what),
                    level.fix,
                )
            })
            .collect(),
    };
    if findings.is_empty() {
        let words = [program.as_str(), "version", "--config", "/dev/null"];
        let answer = doctor.ask(
            "asking rclone for its version",
            &words,
            Duration::from_secs(20),
        )?;
        findings.push(match answer {
            Ok(ended) => version(&program, &String::from_utf8_lossy(&ended.stdout)),
            Err(reason) => Finding::fail(
                format!("{program} cannot be run: {reason}"),
                vec!["apt install --reinstall rclone".into()],
            ),
        });
    }
    doctor.tell("rclone", findings)?;

    let path = config.rclone.config.to_path_buf();
    let shown = quoted(&path.display().to_string());
    let trusted = Trusted {
        uid: doctor.trusted,
    };
    let text = match read_trusted(&path, trusted, MAX_BYTES) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(reason) => {
            let fix = match levels(&path).map(|levels| loose(&levels, doctor.trusted)) {
                Ok(loose) if !loose.is_empty() => {
                    loose.into_iter().flat_map(|level| level.fix).collect()
                }
                _ => vec![format!("rclone config --config {shown}")],
            };
            return doctor.tell("rclone", [Finding::fail(reason, fix)]);
        }
    };
    let mode = std::fs::metadata(&path).map_or(0, |seen| seen.mode() & 0o7777);
    let sections = sections(&text);
    let mut findings = Vec::new();
    if mode & 0o077 != 0 {
        findings.push(Finding::fail(
            format!("{shown} has mode {mode:04o}, and a token is kept there: others may read it"),
            vec![format!("chmod 0600 {shown}")],
        ));
    }
    findings.extend(judge(config, &shown, &text, &sections, clock::utc()));
    doctor.tell("rclone", findings)
}

/// `rclone v1.60.1-DEV`
fn version(program: &str, said: &str) -> Finding {
    let first = said.lines().next().unwrap_or_default();
    let number = first.strip_prefix("rclone v").and_then(|rest| {
        let mut parts = rest.split(['.', '-']);
        let major: u32 = parts.next()?.parse().ok()?;
        let minor: u32 = parts.next()?.parse().ok()?;
        Some((major, minor))
    });
    match number {
        Some(number) if number >= OLDEST => Finding::ok(format!("{program} is {first}")),
        Some(_) => Finding::warn(
            format!(
                "{program} is {first}; the gate is tried with v{}.{} and newer",
                OLDEST.0, OLDEST.1
            ),
            vec!["apt install rclone   # or a newer one from rclone.org".into()],
        ),
        None => Finding::warn(
            format!("{program} does not tell its version"),
            vec![format!("{program} version")],
        ),
    }
}

/// rclone's configuration is an INI file.
pub(super) fn sections(text: &str) -> Sections {
    let mut sections = Sections::new();
    let mut current: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            sections.entry(name.to_owned()).or_default();
            current = Some(name.to_owned());
        } else if let (Some(section), Some((key, value))) = (&current, line.split_once('=')) {
            let keys = sections.entry(section.clone()).or_default();
            keys.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    sections
}

/// A remote, and those it leads to: a crypt or an alias names another one.
fn chain(sections: &Sections, remote: &Remote) -> Vec<String> {
    let mut names = vec![remote.name().to_owned()];
    while let Some(next) = names
        .last()
        .and_then(|name| sections.get(name)?.get("remote"))
        .and_then(|target| target.split_once(':'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.is_empty() && !name.contains('/') && !names.contains(name))
    {
        names.push(next);
    }
    names
}

fn judge(
    config: &Config,
    shown: &str,
    text: &str,
    sections: &Sections,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    if text.contains("RCLONE_ENCRYPT_V0") {
        return vec![Finding::fail(
            format!("{shown} is encrypted, and nobody is there to type its password"),
            vec![format!("rclone config encryption remove --config {shown}")],
        )];
    }
    let mut findings = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for remote in &config.remotes {
        for name in chain(sections, remote) {
            if seen.contains(&name) {
                continue;
            }
            findings.push(match sections.get(&name) {
                None => Finding::fail(
                    format!("{shown} has no section [{name}], which {remote} needs"),
                    vec![format!(
                        "rclone config create {name} onedrive --config {shown}"
                    )],
                ),
                Some(keys) => section(&name, shown, keys, now),
            });
            seen.push(name);
        }
    }
    findings
}

fn section(
    name: &str,
    shown: &str,
    keys: &BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> Finding {
    let kind = keys.get("type").map_or("", String::as_str);
    let again = || vec![format!("rclone config reconnect {name}: --config {shown}")];
    let Some(token) = keys.get("token") else {
        return if matches!(kind, "onedrive" | "drive" | "dropbox" | "box" | "pcloud") {
            Finding::fail(
                format!("[{name}] is of type {kind} and has no token"),
                again(),
            )
        } else {
            Finding::ok(format!("[{name}] is of type {kind}, and needs no token"))
        };
    };
    let Ok(token) = serde_json::from_str::<Token>(token) else {
        return Finding::fail(format!("the token of [{name}] cannot be read"), again());
    };
    if token.refresh_token.is_empty() {
        return Finding::fail(
            format!("the token of [{name}] has no refresh token, so it ends within the hour"),
            again(),
        );
    }
    // Go writes the first second of the year 1 for "never".
    let Some(expiry) = token.expiry.filter(|expiry| expiry.timestamp() > 0) else {
        return Finding::ok(format!("[{name}] is of type {kind}, with a token"));
    };
    let age = (now - (expiry - HOUR)).max(TimeDelta::zero());
    let words = format!(
        "the token of [{name}] was last refreshed {}",
        measure::since(age)
    );
    if age > FORGOTTEN {
        Finding::fail(
            format!("{words}; Microsoft forgets one that was not used for 90 days"),
            again(),
        )
    } else if age > SOON {
        Finding::warn(
            format!("{words}; Microsoft forgets one that was not used for 90 days"),
            again(),
        )
    } else {
        Finding::ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const TOKEN: &str = r#"{"access_token":"SECRET-A","token_type":"Bearer","refresh_token":"SECRET-R","expiry":"2026-11-22T03:30:00.123456+01:00"}"#;

    fn found(text: &str, now: &str) -> Vec<Finding> {
        let config = Config::parse("remotes = [\"onedrive:/OdroidBackup\"]").unwrap();
        let now = now.parse().unwrap();
        let found = judge(&config, "/etc/rclone.conf", text, &sections(text), now);
        for finding in &found {
            assert!(!format!("{finding:?}").contains("SECRET"), "{finding:?}");
        }
        found
    }

    fn onedrive(token: &str) -> String {
        format!("# comment\n[onedrive]\ntype = onedrive\ntoken = {token}\ndrive_id = 1\n")
    }

    #[test]
    fn a_token_is_as_old_as_its_last_refresh() {
        let text = onedrive(TOKEN);
        let fresh = found(&text, "2026-11-22T03:30:00Z");
        assert_eq!(fresh[0].verdict, Verdict::Ok);
        assert_eq!(
            fresh[0].what,
            "the token of [onedrive] was last refreshed 119 minutes ago"
        );
        assert_eq!(
            found(&text, "2027-02-10T00:00:00Z")[0].verdict,
            Verdict::Warn
        );
        let gone = found(&text, "2027-03-01T00:00:00Z");
        assert_eq!(gone[0].verdict, Verdict::Fail);
        assert_eq!(
            gone[0].fix,
            ["rclone config reconnect onedrive: --config /etc/rclone.conf"]
        );
    }

    #[test]
    fn tokens_that_cannot_last_are_failures() {
        for token in ["{}", "nonsense", r#"{"access_token":"SECRET"}"#] {
            assert_eq!(
                found(&onedrive(token), "2026-11-22T03:30:00Z")[0].verdict,
                Verdict::Fail,
                "{token}"
            );
        }
        let none = "[onedrive]\ntype = onedrive\n";
        assert_eq!(
            found(none, "2026-11-22T03:30:00Z")[0].verdict,
            Verdict::Fail
        );
    }

    #[test]
    fn every_remote_needs_its_section_and_those_it_leads_to() {
        let now = "2026-11-22T03:30:00Z";
        let missing = found("[other]\ntype = local\n", now);
        assert!(
            missing[0].what.contains("no section [onedrive]"),
            "{missing:?}"
        );
        let crypt = "[onedrive]\ntype = crypt\nremote = drive:/x\n[drive]\ntype = alias\nremote = gone:/y\n";
        let found = found(crypt, now);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[2].verdict, Verdict::Fail);
        let local = "[onedrive]\ntype = alias\nremote = /srv/a:b\n";
        let config = Config::parse("remotes = [\"onedrive:/B\"]").unwrap();
        let sections = sections(local);
        assert_eq!(chain(&sections, &config.remotes[0]), ["onedrive"]);
    }

    #[test]
    fn an_encrypted_file_and_an_old_program_are_noticed() {
        let text = "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nabc=\n";
        assert_eq!(
            found(text, "2026-11-22T03:30:00Z")[0].verdict,
            Verdict::Fail
        );
        let verdict = |said: &str| version("/usr/bin/rclone", said).verdict;
        assert_eq!(
            verdict("rclone v1.60.1-DEV\n- os/version: debian 12\n"),
            Verdict::Ok
        );
        assert_eq!(verdict("rclone v1.53.3-DEV\n"), Verdict::Warn);
        assert_eq!(verdict("rclone v2.0.0\n"), Verdict::Ok);
        assert_eq!(verdict("something else"), Verdict::Warn);
    }
}
