//! rclone and its configuration: a program that only root can change and that has a version fit for the remotes, a
//! file that only root can read, a token that still works.
//!
//! Invariant: the doctor examines only the dates of a token, and never shows its secrets.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::examination::Examination;
use super::finding::Finding;
use super::ownership::{levels, loose};
use base::clock;
use base::error::Failure;
use base::measure;
use base::repair::{Closed, quoted};
use base::sort;
use base::trusted::{Trusted, read_trusted};
use config::Config;
use rclone::Version;
use rclone::credentials::backends::{Backend, behind, kinds};
use rclone::credentials::ini::Ini;
use rclone::credentials::key_files;
use rclone::outcome::command;
use rclone::version::Fitness;

/// Microsoft forgets a refresh token of a personal account after 90 days without use.
const FORGOTTEN: TimeDelta = TimeDelta::days(90);

/// Time without use after which the doctor warns.
const SOON: TimeDelta = TimeDelta::days(75);

/// The life of an access token: it expires this long after the last refresh, or a little later.
const HOUR: TimeDelta = TimeDelta::hours(1);

const MAX_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    refresh_token: String,
    expiry: Option<DateTime<Utc>>,
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.config;
    let path = config.rclone.config.to_path_buf();
    let trusted = Trusted {
        uid: doctor.trusted,
    };
    let text = read_trusted(&path, trusted, Closed::Writing, MAX_BYTES)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let ini = Ini::parse(text.as_deref().unwrap_or_default());
    program(doctor, &ini)?;

    let shown = quoted(&path.display().to_string());
    if let Err(reason) = &text {
        let fix = match levels(&path).map(|levels| loose(&levels, doctor.trusted)) {
            Ok(loose) if !loose.is_empty() => {
                loose.into_iter().flat_map(|level| level.fix).collect()
            }
            _ => vec![command(config, "config")],
        };
        return doctor.tell("rclone", [Finding::fail(reason, fix)]);
    }
    let mode = std::fs::metadata(&path).map_or(0, |seen| seen.mode() & 0o7777);
    let mut findings = Vec::new();
    if mode & 0o077 != 0 {
        findings.push(Finding::fail(
            format!("{shown} has mode {mode:04o}, and a token is kept there: others may read it"),
            vec![format!("chmod 0600 {shown}")],
        ));
    }
    if let Err(open) = key_files::check(config, &ini, trusted) {
        findings.push(Finding::fail(open.what, open.fix));
    }
    findings.extend(judge(
        config,
        &shown,
        text.as_deref().unwrap_or_default(),
        &ini,
        clock::utc(),
    ));
    doctor.tell("rclone", findings)
}

/// Examines the program: its owners, and its version compared with the needs of the remotes.
fn program(doctor: &mut Examination<'_>, ini: &Ini<'_>) -> Result<(), Failure> {
    let config = doctor.config;
    let program = config.rclone.program.to_string();
    let mut findings = match levels(&config.rclone.program.to_path_buf()) {
        Err(reason) => vec![Finding::fail(
            format!("rclone: {reason}"),
            vec![newer_rclone(config)],
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
        let mut found: Vec<String> = config
            .remotes
            .iter()
            .flat_map(|remote| kinds(ini, remote.name()))
            .collect();
        sort::sort(&mut found);
        found.dedup();
        findings.push(match answer {
            Ok(ended) => version(config, &String::from_utf8_lossy(&ended.stdout), &found),
            Err(reason) => Finding::fail(
                format!("{program} cannot be run: {reason}"),
                vec![newer_rclone(config)],
            ),
        });
    }
    doctor.tell("rclone", findings)
}

/// The way to a suitable rclone: the release's own, or a newer one in place of the administrator's.
fn newer_rclone(config: &Config) -> String {
    let bundled = config::BUNDLED_RCLONE;
    if config.rclone.program.to_string() == bundled {
        "# run the `install` of a release again: it brings rclone".into()
    } else {
        format!(
            "# set rclone.program = \"{bundled}\" in the gate's configuration, or install a newer rclone there"
        )
    }
}

/// Compares rclone's version with the types of all remotes.
fn version(config: &Config, said: &str, kinds: &[String]) -> Finding {
    let program = &config.rclone.program;
    let first = said.lines().next().unwrap_or_default();
    let Some(number) = Version::parse(said) else {
        return Finding::warn(
            format!("{program} does not tell its version"),
            vec![format!("{program} version")],
        );
    };
    let fix = || vec![newer_rclone(config)];
    match number.worst(kinds) {
        (_, Fitness::Fine) => Finding::ok(format!("{program} is {first}")),
        (kind, Fitness::Faulty { needs, reason }) => Finding::warn(
            format!("{program} is {first}, and remotes of type {kind} need {needs}: {reason}"),
            fix(),
        ),
        (kind, Fitness::TooOld { needs, reason }) => Finding::fail(
            format!("{program} is {first}, and remotes of type {kind} need {needs}: {reason}"),
            fix(),
        ),
    }
}

fn judge(
    config: &Config,
    shown: &str,
    text: &str,
    ini: &Ini<'_>,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    if text.contains("RCLONE_ENCRYPT_V0") {
        return vec![Finding::fail(
            format!("{shown} is encrypted, and nobody is there to type its password"),
            vec![command(config, "config encryption remove")],
        )];
    }
    if let Some(line) = ini.first_unreadable_line() {
        return vec![Finding::fail(
            format!("{shown}: rclone cannot read line {line}, and refuses the whole file for it"),
            vec![format!("editor {shown}")],
        )];
    }
    let mut findings = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for remote in &config.remotes {
        for Backend {
            section: name,
            kind,
        } in behind(ini, remote.name())
        {
            if name.is_empty() || seen.contains(&name) {
                continue;
            }
            findings.push(match kind.as_deref() {
                None => Finding::fail(
                    format!("{shown} has no section [{name}], which {remote} needs"),
                    vec![command(config, &format!("config create {name} onedrive"))],
                ),
                Some("") => Finding::fail(
                    format!("[{name}] in {shown} has no type"),
                    vec![command(config, "config")],
                ),
                Some(kind) => section(config, &name, kind, ini.get(&name, "token"), now),
            });
            seen.push(name);
        }
    }
    findings
}

fn section(
    config: &Config,
    name: &str,
    kind: &str,
    token: Option<&str>,
    now: DateTime<Utc>,
) -> Finding {
    let again = || vec![command(config, &format!("config reconnect {name}:"))];
    let Some(token) = token else {
        return if matches!(kind, "onedrive" | "drive" | "dropbox" | "box" | "pcloud") {
            Finding::fail(
                format!("[{name}] is of type {kind} and has no token"),
                again(),
            )
        } else {
            Finding::ok(format!("[{name}] is of type {kind}, and needs no token"))
        };
    };
    let Ok(token) = serde_json::from_slice::<Token>(token.as_bytes()) else {
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
        let found = judge(&config, "/etc/rclone.conf", text, &Ini::parse(text), now);
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
            "the token of [onedrive] was last refreshed 119 min ago"
        );
        assert_eq!(
            found(&text, "2027-02-10T00:00:00Z")[0].verdict,
            Verdict::Warn
        );
        let gone = found(&text, "2027-03-01T00:00:00Z");
        assert_eq!(gone[0].verdict, Verdict::Fail);
        assert_eq!(
            gone[0].fix,
            [format!(
                "sudo {} --config /etc/backupctl/rclone.conf config reconnect onedrive:",
                config::BUNDLED_RCLONE
            )]
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
    }

    #[test]
    fn a_colon_does_where_rclone_takes_one() {
        let colons = onedrive(TOKEN).replace(" = ", ": ");
        let found = found(&colons, "2026-11-22T03:30:00Z");
        assert!(found[0].what.contains("last refreshed"), "{found:?}");
    }

    #[test]
    fn a_line_that_rclone_refuses_is_named() {
        let found = found(
            "[onedrive]\ntype = local\nnonsense\n",
            "2026-11-22T03:30:00Z",
        );
        assert!(found[0].what.contains("line 3"), "{found:?}");
        let found = self::found("[onedrive]\nremote = x:\n", "2026-11-22T03:30:00Z");
        assert!(found[0].what.contains("no type"), "{found:?}");
    }

    #[test]
    fn an_encrypted_file_and_an_old_program_are_noticed() {
        let text = "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nabc=\n";
        assert_eq!(
            found(text, "2026-11-22T03:30:00Z")[0].verdict,
            Verdict::Fail
        );
        let config = Config::default();
        let verdict = |said: &str, kind: &str| version(&config, said, &[kind.into()]).verdict;
        for (said, onedrive, local) in [
            (
                "rclone v1.60.1-DEV\n- os/version: debian 12\n",
                Verdict::Fail,
                Verdict::Ok,
            ),
            ("rclone v1.53.3-DEV\n", Verdict::Fail, Verdict::Warn),
            ("rclone v1.69.0\n", Verdict::Warn, Verdict::Ok),
            ("rclone v2.0.0\n", Verdict::Ok, Verdict::Ok),
            ("something else", Verdict::Warn, Verdict::Warn),
        ] {
            assert_eq!(verdict(said, "onedrive"), onedrive, "{said}");
            assert_eq!(verdict(said, "local"), local, "{said}");
        }
    }
}
