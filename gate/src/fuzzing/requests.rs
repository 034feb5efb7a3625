//! The request line and the configuration that decides it.
//!
//! Invariant: a grant names only things of the configuration.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::NaiveDateTime;
use serde_json::Value;

use super::held::{must, text};
use crate::explain::explain;
use crate::policy::{self, Decision, Grant, Order};
use crate::request::Request;
use base::error::ExitStatus;
use base::wire::printable;
use config::Config;
use host::caller::Caller;

/// The configuration that the corpora of request lines are decided by.
fn corpus() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let text = include_str!("../../tests/corpus/services.toml");
        must(Config::parse(&text.replace("@PROGRAM@", "/usr/bin/true")))
    })
}

/// A request line, as an attacker with the runner's key sends it.
pub fn request_line(line: &[u8]) {
    let shown = printable(line);
    assert!(shown.bytes().all(|b| b.is_ascii_graphic() || b == b' '));
    decide(corpus(), line);
}

/// A configuration, and its decisions on requests.
pub fn config(bytes: &[u8]) {
    let config = match Config::parse(text(bytes)) {
        Ok(config) => config,
        Err(reason) => {
            assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}");
            return;
        }
    };
    let Some(remote) = config.remotes.first() else {
        unreachable!("no remote");
    };
    let kept = &config.retention;
    let (weekly, monthly) = kept.floors();
    assert!(weekly.max(monthly) > 0);
    assert!(kept.keep_weekly >= weekly && kept.keep_monthly >= monthly);
    // No two services or targets write to the same place.
    let mut places = BTreeMap::new();
    let mut take = |owner: &str, line: String| {
        if let Some(place) = decide(&config, line.as_bytes()) {
            let other = places.insert(place, owner.to_owned());
            assert!(other.is_none_or(|other| other == owner), "{line}");
        }
    };
    for service in config.services.keys().take(20) {
        let path = config.data_root.below(&[service.as_str(), "data"]);
        let what = format!("{service} --path {path} --remote {remote}");
        for line in [
            format!("backupctl --stop {service}"),
            format!("backupctl --start {service} --timeout 1"),
            format!("backupctl --sync {what}"),
            format!("backupctl --archive {what}"),
            format!("backupctl --archive {what} --keep-weekly 0 --keep-monthly 0"),
        ] {
            take(service.as_str(), line);
        }
        assert!(config.lease_of(service) > 0);
    }
    for target in config.extra.keys().take(20) {
        let line = format!("backupctl --sync-extra {target} --remote {remote}");
        take(&format!("extra.{target}"), line);
    }
}

/// Decides a line, holds the decision against the configuration, and returns the place that would be written to.
fn decide(config: &Config, line: &[u8]) -> Option<String> {
    let (answer, status) = explain(config, line, NaiveDateTime::default());
    let Ok(request) = Request::parse_line(line) else {
        assert_eq!(status, ExitStatus::Usage);
        return None;
    };
    let printed = request.to_string();
    let plain = |b: u8| b == b' ' || b.is_ascii_alphanumeric() || b"._/:-".contains(&b);
    assert!(printed.bytes().all(plain), "{printed}");
    // Each word that was read is printed, but for those of verbs that are only ever refused.
    if !matches!(request, Request::Host(_)) {
        assert_eq!(printed.len(), line.len(), "{printed}");
    }
    assert_eq!(
        Request::parse_line(printed.as_bytes()).as_ref(),
        Ok(&request)
    );
    let Decision::Granted(grant) = policy::decide(config, &Caller::over_ssh(), &request) else {
        assert_eq!(status, ExitStatus::Refused);
        return None;
    };
    assert_eq!(status, ExitStatus::Done);
    assert!(
        !matches!(request, Request::Host(_)),
        "{printed} over SSH was granted"
    );
    programs_are_plain(&answer);
    allow_listed(config, &grant)
}

/// Panics if a grant names a thing that is not in the configuration; returns the place that is written to, if there is
/// one.
fn allow_listed(config: &Config, grant: &Grant) -> Option<String> {
    let limits = &config.limits;
    let place = |below: &str, found: &str| {
        let mut places = config.remotes.iter().map(|remote| remote.join(below));
        assert!(places.any(|place| place == found), "{found}");
        Some(found.to_owned())
    };
    let (limit, place) = match grant.order() {
        Order::Stop { service, .. } => {
            assert!(config.services.contains_key(service));
            (limits.stop, None)
        }
        Order::Start(service) => {
            assert!(config.services.contains_key(service));
            (limits.start, None)
        }
        Order::Sync(mirror) => {
            let of_service = config.services.keys().find(|service| {
                mirror.source == config.data_root.below(&[service.as_str(), "data"])
                    && mirror.lock.stem() == service.as_str().replace('.', ",")
            });
            let of_extra = config
                .extra
                .iter()
                .find(|(name, extra)| {
                    mirror.source == extra.path
                        && mirror.lock.stem()
                            == format!("extra.{}", name.as_str().replace('.', ","))
                })
                .map(|(name, _)| name);
            let below = match (of_service, of_extra) {
                (Some(service), _) => format!("{service}/data"),
                (None, Some(name)) => format!("extra/{name}"),
                (None, None) => unreachable!("{} is no source", mirror.source),
            };
            (limits.sync, place(&below, &mirror.destination))
        }
        Order::Archive(archive) => {
            let service = &archive.service;
            assert!(config.services.contains_key(service));
            let source = config.data_root.below(&[service.as_str(), "data"]);
            assert_eq!(archive.source, source);
            let (weekly, monthly) = config.retention.floors();
            assert!(archive.keep_weekly >= weekly && archive.keep_monthly >= monthly);
            let aside = format!("{service}/.pruned");
            assert!(archive.pruned.ends_with(&aside));
            let below = format!("{service}/archives");
            (limits.archive, place(&below, &archive.folder))
        }
        other => unreachable!("{other:?} was granted over SSH"),
    };
    assert!(grant.timeout() > Duration::ZERO);
    assert!(grant.timeout() <= Duration::from_secs(limit.max.into()));
    place
}

/// Each program has an absolute path, and no argument could be two.
fn programs_are_plain(answer: &Value) {
    let steps = answer["steps"].as_array().into_iter().flatten();
    // Actions of the gate's own have none.
    let programs = steps
        .filter_map(|step| step["argv"].as_array())
        .filter(|argv| !argv.is_empty());
    for argv in programs {
        let words: Vec<&str> = argv.iter().filter_map(Value::as_str).collect();
        assert_eq!(words.len(), argv.len());
        assert!(words[0].starts_with('/'), "{words:?}");
        assert!(words.iter().all(|word| !word.contains('\0')), "{words:?}");
    }
}
