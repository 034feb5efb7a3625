//! The settings of the settings page. A setting without a value is as the environment, or
//! the program, says.

use super::codec::corrupt;
use super::error::StoreError;
use super::set_aside::unless_unreadable;
use super::transaction::Tx;
use crate::domain::address::server_address;
use crate::domain::field::FieldError;
use crate::domain::schedule::parse_zone;
use crate::domain::task::Retention;
use crate::zones::Zone;
use rusqlite::OptionalExtension;

/// Days for which audit entries are kept by default.
pub const AUDIT_DAYS: u32 = 365;
/// Longest time for which they can be kept.
const MOST_AUDIT_DAYS: u32 = 3650;

/// The settings; none means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Zone of tasks that name none, and of times on pages.
    pub zone: Option<Zone>,
    /// The address under which people reach the server, without a slash at the end.
    pub base_url: Option<String>,
    /// Runs that a new task keeps.
    pub keep_runs: Option<u32>,
    /// Days for which a new task keeps its runs.
    pub keep_days: Option<u32>,
    audit_days: Option<u32>,
}

impl Settings {
    /// Days for which audit entries are kept.
    pub fn audit_days(&self) -> u32 {
        self.audit_days.unwrap_or(AUDIT_DAYS)
    }

    /// The same, if an admin set it.
    pub fn own_audit_days(&self) -> Option<u32> {
        self.audit_days
    }

    /// Sets for how many days audit entries are kept.
    ///
    /// # Errors
    /// Says how many can be asked for.
    pub fn set_audit_days(&mut self, days: Option<u32>) -> Result<(), FieldError> {
        if days.is_some_and(|days| !(1..=MOST_AUDIT_DAYS).contains(&days)) {
            return Err(FieldError::new(
                "audit_days",
                format!("must be from 1 to {MOST_AUDIT_DAYS}"),
            ));
        }
        self.audit_days = days;
        Ok(())
    }

    /// Sets the address for links.
    ///
    /// # Errors
    /// Refuses other texts, with an example of an address.
    pub fn set_base_url(&mut self, url: Option<&str>) -> Result<(), FieldError> {
        self.base_url = url
            .map(server_address)
            .transpose()
            .map_err(|problem| FieldError::new("base_url", problem))?;
        Ok(())
    }

    /// The retention of a task that does not set its own.
    pub fn default_retention(&self) -> Retention {
        let default = Retention::default();
        Retention {
            runs: self.keep_runs.unwrap_or(default.runs),
            days: self.keep_days.unwrap_or(default.days),
        }
    }
}

/// The settings as they are.
pub fn get(tx: &Tx<'_>) -> Result<Settings, StoreError> {
    let mut settings = Settings::default();
    let aside = |row: Result<(), StoreError>| unless_unreadable("setting", row).map(|_| ());
    for (key, field) in [
        ("keep_runs", &mut settings.keep_runs),
        ("keep_days", &mut settings.keep_days),
    ] {
        if let Some(text) = value(tx, key)? {
            *field = unless_unreadable("setting", text.parse().map_err(corrupt("setting")))?;
        }
    }
    if let Some(zone) = value(tx, "zone")? {
        let zone = parse_zone(&zone).map_err(corrupt("setting"));
        settings.zone = unless_unreadable("setting", zone)?;
    }
    let base_url = value(tx, "base_url")?;
    aside(
        settings
            .set_base_url(base_url.as_deref())
            .map_err(corrupt("setting")),
    )?;
    if let Some(days) = value(tx, "audit_days")? {
        let days = days.parse().map_err(corrupt("setting"));
        aside(days.and_then(|days| {
            settings
                .set_audit_days(Some(days))
                .map_err(corrupt("setting"))
        }))?;
    }
    Ok(settings)
}

/// Replaces the settings.
pub fn set(tx: &Tx<'_>, settings: &Settings) -> Result<(), StoreError> {
    let number = |n: Option<u32>| n.map(|n| n.to_string());
    for (key, value) in [
        ("zone", settings.zone.map(|zone| zone.name().to_owned())),
        ("base_url", settings.base_url.clone()),
        ("keep_runs", number(settings.keep_runs)),
        ("keep_days", number(settings.keep_days)),
        ("audit_days", number(settings.audit_days)),
    ] {
        match value {
            Some(value) => tx.0.execute(
                "INSERT INTO settings (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = ?2",
                (key, value),
            )?,
            None => tx.0.execute("DELETE FROM settings WHERE key = ?1", [key])?,
        };
    }
    Ok(())
}

fn value(tx: &Tx<'_>, key: &str) -> Result<Option<String>, StoreError> {
    Ok(tx
        .0
        .prepare_cached("SELECT value FROM settings WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_for_links_is_that_of_a_server() {
        let mut settings = Settings::default();
        for good in ["https://a:8443/", "http://[::1]:80", "https://x.lan/"] {
            assert!(settings.set_base_url(Some(good)).is_ok(), "{good}");
        }
        assert_eq!(settings.base_url.as_deref(), Some("https://x.lan"));
        for bad in [
            "",
            "a.lan",
            "ftp://a",
            "https://",
            "https://a b",
            "javascript:x",
            "https://a\"b",
            "https://x.lan/light",
        ] {
            assert!(settings.set_base_url(Some(bad)).is_err(), "{bad}");
        }
    }
}
