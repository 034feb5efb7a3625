//! The promise to bring a service back: the state that `--stop` found, the time of the stop, and the longest downtime.
//!
//! Time is counted on the clock that runs since the boot, also while the machine sleeps. The wall clock would not do: a
//! board without a battery resets it, and a time server changes it. A lease from an earlier boot has run out, because
//! the process that stopped the service died with that boot.
//!
//! Invariant: pure. A lease computes if it is due; it never reads a clock or a file, see [`store`].

pub mod store;

use std::time::Duration;

use base::clock::Moment;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The keeper that brings the service back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptBy {
    /// A transient timer of systemd.
    Systemd,
    /// A process of the gate.
    Process,
    /// No keeper: the service was down before, or the lease comes from an earlier version.
    Nobody,
}

/// The state that `--stop` found, and the promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// True if the service was up, fully or in part.
    pub was_up: bool,
    /// The time of the stop request.
    pub stopped: Moment,
    /// The longest downtime from then on, in seconds.
    pub seconds: u32,
    /// The keeper that brings the service back after that.
    pub kept_by: KeptBy,
    /// The time when the gate brought the service back before a `--start` (`early_start`). Then the service is no
    /// longer owed.
    #[serde(default)]
    pub back: Option<Moment>,
    /// The state of the service before its stop. The lease promises this state and no more.
    #[serde(default)]
    pub before: Before,
    /// The downtime of earlier stops under this lease, in milliseconds: an archive may stop the service once more after
    /// an early start.
    #[serde(default)]
    pub earlier_ms: u64,
    /// The time of the first of several stops.
    #[serde(default)]
    pub first: Option<DateTime<Utc>>,
}

/// Signs of health that a service lacked before its stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Its status command said neither up nor down.
    #[serde(default)]
    pub unclear: bool,
    /// It did not answer to its `ready` or `ready_url`.
    #[serde(default)]
    pub silent: bool,
}

impl Lease {
    /// The lease that replaces an unreadable file: the service should be up by now.
    #[must_use]
    pub fn lost() -> Self {
        Self {
            was_up: true,
            stopped: Moment {
                utc: DateTime::UNIX_EPOCH,
                boot: String::new(),
                since_boot_ms: 0,
            },
            seconds: 0,
            kept_by: KeptBy::Nobody,
            back: None,
            before: Before::default(),
            earlier_ms: 0,
            first: None,
        }
    }

    /// The end of the lease as calendar time.
    #[must_use]
    pub fn until(&self) -> DateTime<Utc> {
        self.stopped.utc + chrono::TimeDelta::seconds(self.seconds.into())
    }

    /// True if the service must still be brought back: it was up, and is not back yet.
    #[must_use]
    pub fn owed(&self) -> bool {
        self.was_up && self.back.is_none()
    }

    /// The time that the service may still stay down; `None` when it is over.
    #[must_use]
    pub fn left(&self, now: &Moment) -> Option<Duration> {
        now.since(&self.stopped)
            .and_then(|gone| Duration::from_secs(self.seconds.into()).checked_sub(gone))
            .filter(|left| !left.is_zero())
    }

    /// True if the service should be back by now.
    #[must_use]
    pub fn due(&self, now: &Moment) -> bool {
        self.owed() && self.left(now).is_none()
    }

    /// The past and the future of the service, in short lines. `ago` formats a past time span.
    #[must_use]
    pub fn told(&self, now: &Moment, ago: impl Fn(chrono::TimeDelta) -> String) -> [String; 2] {
        let stopped = ago(now.utc - self.stopped.utc);
        let until = ago(now.utc - self.until());
        if let Some(back) = &self.back {
            let back = ago(now.utc - back.utc);
            [
                format!("stopped by the gate {stopped}"),
                format!("brought back {back}"),
            ]
        } else if !self.was_up {
            [
                format!("found down by the gate {stopped}"),
                "stays down at --start".into(),
            ]
        } else if self.due(now) {
            [
                format!("stopped by the gate {stopped}"),
                format!("should have come back {until}; run --recover"),
            ]
        } else {
            [
                format!("stopped by the gate {stopped}"),
                format!("comes back {until} unless --start comes first"),
            ]
        }
    }

    /// The downtime of the service, of all stops together; `None` after a reboot in between, and for a lost lease.
    #[must_use]
    pub fn downtime(&self, now: &Moment) -> Option<Duration> {
        if self.stopped.utc == DateTime::UNIX_EPOCH {
            return None;
        }
        let last = self.back.as_ref().unwrap_or(now).since(&self.stopped)?;
        Some(last + Duration::from_millis(self.earlier_ms))
    }

    /// Identifies the promise: the time of its first stop, in milliseconds.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.first.unwrap_or(self.stopped.utc).timestamp_millis()
    }

    /// The same promise after one more stop of a service that was back early. The time that the service may stay down
    /// counts for all stops together; `seconds` is that of a new lease.
    #[must_use]
    pub fn stopped_again(&self, now: Moment, seconds: u32) -> Self {
        let earlier = self.downtime(&now).unwrap_or_default();
        let gone = u32::try_from(earlier.as_secs()).unwrap_or(u32::MAX);
        Self {
            was_up: true,
            first: Some(self.first.unwrap_or(self.stopped.utc)),
            stopped: now,
            seconds: seconds.saturating_sub(gone).max(1),
            kept_by: KeptBy::Nobody,
            back: None,
            before: self.before,
            earlier_ms: u64::try_from(earlier.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: &str, ms: u64) -> Moment {
        Moment {
            utc: DateTime::from_timestamp_millis(1_800_000_000_000 + ms as i64).unwrap(),
            boot: boot.into(),
            since_boot_ms: ms,
        }
    }

    fn lease() -> Lease {
        Lease {
            was_up: true,
            stopped: at("a", 5_000),
            seconds: 60,
            kept_by: KeptBy::Process,
            back: None,
            before: Before::default(),
            earlier_ms: 0,
            first: None,
        }
    }

    #[test]
    fn a_lease_is_due_when_its_time_is_over_and_not_before() {
        let lease = lease();
        assert!(!lease.due(&at("a", 5_000)) && !lease.due(&at("a", 64_999)));
        assert!(lease.due(&at("a", 65_000)));
        assert_eq!(
            lease.left(&at("a", 64_000)),
            Some(Duration::from_millis(1000))
        );
    }

    #[test]
    fn a_reboot_ends_a_lease() {
        assert!(lease().due(&at("b", 5_001)));
        assert_eq!(lease().downtime(&at("b", 5_001)), None);
    }

    #[test]
    fn a_calendar_that_jumps_changes_nothing() {
        let mut now = at("a", 6_000);
        now.utc += chrono::TimeDelta::days(400);
        assert!(!lease().due(&now));
        assert_eq!(lease().downtime(&now), Some(Duration::from_secs(1)));
    }

    #[test]
    fn downtimes_of_one_promise_add_up_and_share_its_length() {
        let mut lease = lease();
        lease.back = Some(at("a", 7_500));
        let again = lease.stopped_again(at("a", 20_000), 60);
        assert_eq!(again.id(), lease.id());
        assert!(again.owed() && again.kept_by == KeptBy::Nobody);
        assert_eq!(again.seconds, 58);
        assert!(!again.due(&at("a", 77_999)) && again.due(&at("a", 78_000)));
        let mut back = again.clone();
        back.back = Some(at("a", 21_000));
        let sum = Duration::from_millis(3_500);
        assert_eq!(back.downtime(&at("a", 99_000)), Some(sum));
        let third = back.stopped_again(at("a", 30_000), 2);
        assert_eq!((third.id(), third.seconds), (lease.id(), 1));
        assert_eq!(third.earlier_ms, 3_500);
    }

    #[test]
    fn a_lost_lease_is_due() {
        assert!(Lease::lost().due(&at("b", 1)));
        assert_eq!(Lease::lost().downtime(&at("b", 1)), None, "57 years");
    }

    #[test]
    fn a_boot_clock_that_went_back_is_no_reason_to_wait_for_ever() {
        assert!(lease().due(&at("a", 4_999)));
    }

    #[test]
    fn a_record_without_a_boot_goes_by_the_calendar() {
        let mut old = lease();
        old.stopped.boot = String::new();
        assert!(!old.due(&at("b", 64_000)) && old.due(&at("b", 65_000)));
    }

    #[test]
    fn what_was_down_before_or_is_back_is_never_due() {
        let mut lease = lease();
        lease.was_up = false;
        assert!(!lease.due(&at("b", 0)));
        lease.was_up = true;
        lease.back = Some(at("a", 7_400));
        assert!(!lease.due(&at("b", 0)));
        assert_eq!(
            lease.downtime(&at("a", 99_000)),
            Some(Duration::from_millis(2_400))
        );
    }
}
