//! The wall clock: archive names contain its date, and retention keeps or prunes archives by that date.
//!
//! Invariant: the doctor only checks that the clock is synchronised and plausible; it never sets the clock.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::examination::Examination;
use super::finding::Finding;
use base::clock;
use base::error::Failure;

const TIMEDATECTL: &str = "/usr/bin/timedatectl";

/// The earliest plausible time: no host that runs this program can have an earlier one.
const BEGINNING: &str = "2026-01-01T00:00:00Z";

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let newest = doctor
        .config
        .rclone
        .config
        .to_path_buf()
        .metadata()
        .and_then(|seen| seen.modified())
        .ok()
        .map(DateTime::<Utc>::from);
    let mut findings = vec![plausible(clock::utc(), newest)];
    let argv = [TIMEDATECTL, "show", "--property=NTPSynchronized", "--value"];
    let answer = doctor.ask("asking for the clock", &argv, Duration::from_secs(10))?;
    findings.push(match answer {
        Ok(ended) if ended.ok() => synchronised(&String::from_utf8_lossy(&ended.stdout)),
        Ok(ended) => Finding::skip(format!(
            "whether the clock is synchronised is not known: {}",
            ended.describe()
        )),
        Err(reason) => Finding::skip(format!(
            "whether the clock is synchronised is not known: {reason}"
        )),
    });
    doctor.tell("clock", findings)
}

fn synchronised(said: &str) -> Finding {
    if said.trim() == "yes" {
        Finding::ok("the clock is synchronised (NTP)")
    } else {
        Finding::warn(
            "the clock is not synchronised; a board without a battery begins in the past",
            vec!["timedatectl set-ntp true   # apt install systemd-timesyncd".into()],
        )
    }
}

fn plausible(now: DateTime<Utc>, newest: Option<DateTime<Utc>>) -> Finding {
    let set = vec!["timedatectl set-ntp true; date".into()];
    let beginning = BEGINNING.parse().unwrap_or(DateTime::<Utc>::MIN_UTC);
    let shown = now.format("%Y-%m-%d %H:%M UTC");
    if now < beginning {
        return Finding::fail(
            format!("the clock shows {shown}, before this program was made"),
            set,
        );
    }
    match newest {
        // Between two corrections a clock gains at most a few minutes.
        Some(newest) if newest > now + chrono::TimeDelta::minutes(10) => Finding::fail(
            format!("the clock shows {shown}, and rclone's configuration was written after that"),
            set,
        ),
        _ => Finding::ok(format!("the clock shows {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_clock_in_the_past_is_noticed() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-22T03:00:00Z");
        assert_eq!(plausible(now, None).verdict, Verdict::Ok);
        assert_eq!(
            plausible(now, Some(at("2026-11-22T03:05:00Z"))).verdict,
            Verdict::Ok
        );
        assert_eq!(
            plausible(now, Some(at("2026-11-22T04:00:00Z"))).verdict,
            Verdict::Fail
        );
        assert_eq!(
            plausible(at("1970-01-01T00:10:00Z"), None).verdict,
            Verdict::Fail
        );
        assert_eq!(synchronised("yes\n").verdict, Verdict::Ok);
        assert_eq!(synchronised("no\n").verdict, Verdict::Warn);
    }
}
