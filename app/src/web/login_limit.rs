//! The limit of logins: ever slower for an address, for an account, and for a
//! browser in which the user logged in before. That browser is not slowed by the tries of others
//! to the account, so no stranger can lock its owner out.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Wrong passwords that cost nothing but their second.
const FREE: u32 = 5;
/// Longest pause between two tries.
const LONGEST: TimeDelta = TimeDelta::seconds(60);
/// Without a wrong password for so long, all is forgotten.
const FORGOTTEN: TimeDelta = TimeDelta::hours(1);
/// Most counters that are kept; then the oldest go.
const MOST: usize = 4096;

/// The key of a counter of tries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Counter {
    /// The network of the client.
    Address(String),
    /// The account of the password.
    Account(String),
    /// A browser in which that user logged in before.
    Device(String),
}

/// The counters of a try. From a known browser only that browser counts.
pub(super) fn counters(address: &str, account: &str, device: Option<String>) -> Vec<Counter> {
    match device {
        Some(device) => vec![Counter::Device(device)],
        None => vec![
            Counter::Address(network(address)),
            Counter::Account(account.to_owned()),
        ],
    }
}

/// The network of an address: the owner of one IPv6 address has its whole /64.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => {
            let prefix = Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX));
            format!("{prefix}/64")
        }
        _ => address.to_owned(),
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: DateTime<Utc>,
}

impl Failures {
    /// The time of the next allowed try.
    fn free_at(self) -> DateTime<Utc> {
        let over = self.count.saturating_sub(FREE);
        if over == 0 && self.count < FREE {
            return self.last;
        }
        // 1, 2, 4, … seconds after the fifth, sixth, seventh wrong password.
        let pause = TimeDelta::seconds(1 << over.min(6)).min(LONGEST);
        self.last + pause
    }
}

/// The counters. They live in memory: a restart forgives, and a try costs no write.
#[derive(Debug, Default)]
pub(super) struct LoginLimit(Mutex<HashMap<Counter, Failures>>);

impl LoginLimit {
    /// The pause before a try; none where it may be made now.
    pub(super) fn wait(&self, counters: &[Counter], now: DateTime<Utc>) -> Option<TimeDelta> {
        let all = self.all();
        counters
            .iter()
            .filter_map(|counter| all.get(counter))
            // A clock that was set back must not keep anybody waiting for longer.
            .map(|failures| (failures.free_at() - now).min(LONGEST))
            .filter(|left| *left > TimeDelta::zero())
            .max()
    }

    /// Counts a wrong password; `true` where the account's tries begin to be slowed down.
    pub(super) fn failed(&self, counters: &[Counter], now: DateTime<Utc>) -> bool {
        let mut all = self.all();
        all.retain(|_, failures| now - failures.last < FORGOTTEN);
        let mut slowed = false;
        for counter in counters {
            if all.len() >= MOST && !all.contains_key(counter) {
                let oldest = all.iter().min_by_key(|(_, failures)| failures.last);
                if let Some(oldest) = oldest.map(|(counter, _)| counter.clone()) {
                    all.remove(&oldest);
                }
            }
            let failures = all.entry(counter.clone()).or_insert(Failures {
                count: 0,
                last: now,
            });
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            slowed |= failures.count == FREE && !matches!(counter, Counter::Address(_));
        }
        slowed
    }

    /// Forgets the wrong passwords before a right one.
    pub(super) fn succeeded(&self, counters: &[Counter]) {
        let mut all = self.all();
        for counter in counters {
            all.remove(counter);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Counter, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    #[test]
    fn every_wrong_password_after_the_fifth_doubles_the_pause_up_to_a_minute() {
        let limit = LoginLimit::default();
        let tries = counters("10.0.0.9", "ann", None);
        let mut pauses = Vec::new();
        for _ in 0..14 {
            limit.failed(&tries, at(0));
            pauses.push(limit.wait(&tries, at(0)).map_or(0, |w| w.num_seconds()));
        }
        assert_eq!(pauses, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(limit.wait(&tries, at(60)), None);
        assert_eq!(
            limit.wait(&tries, at(-9999)),
            Some(LONGEST),
            "clock set back"
        );
        limit.succeeded(&tries);
        assert_eq!(limit.wait(&tries, at(0)), None);
    }

    #[test]
    fn an_attack_slows_strangers_at_any_address_and_not_the_browser_of_the_owner() {
        let limit = LoginLimit::default();
        for n in 0..20 {
            limit.failed(&counters(&format!("10.0.0.{n}"), "ann", None), at(n));
        }
        let stranger = counters("192.168.7.7", "ann", None);
        assert!(limit.wait(&stranger, at(20)).is_some());
        let owner = counters("10.0.0.1", "ann", Some("device".to_owned()));
        assert_eq!(limit.wait(&owner, at(20)), None);
        let other = counters("192.168.7.7", "bob", None);
        assert_eq!(limit.wait(&other, at(20)), None);
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_count_as_one() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let limit = LoginLimit::default();
        for n in 0..2 * MOST as i64 {
            limit.failed(&counters(&n.to_string(), &n.to_string(), None), at(n % 60));
        }
        assert!(limit.all().len() <= MOST);
    }
}
