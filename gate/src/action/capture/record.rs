//! The record of a capture on disk, written before the capture is begun.
//!
//! Invariant: there is a record as long as there may be any part of a capture.

use serde::{Deserialize, Serialize};

use crate::action::Context;
use crate::lease::Lease;
use archive::duplicate::Way;
use base::dirfd::entries;
use base::durable;
use base::error::Failure;
use base::names::{PlainPath, ServiceName};
use config::Config;

/// The size limit of a record, far more than one needs.
const MAX_BYTES: u64 = 16 << 10;

/// The end of the name while a record is written, see [`durable::replace`].
const UNFINISHED: &str = ".new";

/// The name of the folders, which no service can have.
const CAPTURED: &str = ".captured";

/// The way in which a capture was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CaptureMethod {
    /// By commands of the administrator.
    Commands,
    /// As a snapshot of btrfs.
    Snapshot,
    /// As a tree of copies.
    Tree(Way),
}

/// A capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CaptureRecord {
    /// The lease that it belongs to, see [`Lease::id`].
    pub(super) lease: i64,
    /// The way in which it is made.
    pub(super) made: CaptureMethod,
    /// The folder of the gate's own that holds it.
    pub(super) folder: Option<String>,
    /// The directory with the data, once the capture is complete.
    pub(super) tree: Option<String>,
}

impl CaptureRecord {
    /// True if the capture is complete and belongs to this lease.
    pub(super) fn belongs_to(&self, lease: Option<&Lease>) -> bool {
        self.tree.is_some() && lease.is_some_and(|lease| lease.id() == self.lease)
    }

    /// The directory with the data, and the folder that holds it.
    pub(super) fn path(text: Option<&String>) -> Option<PlainPath> {
        text.and_then(|text| PlainPath::parse(text).ok())
    }
}

/// The folders that may hold a capture: on the file system of the data, and in the spool.
pub(super) fn folders(config: &Config, service: &ServiceName) -> [PlainPath; 2] {
    [&config.data_root, &config.spool_dir].map(|above| above.below(&[CAPTURED, service.as_str()]))
}

fn folder(context: &Context<'_>) -> PlainPath {
    context.config.state_dir.below(&["captures"])
}

fn name(service: &ServiceName) -> String {
    format!("{service}.json")
}

fn keeping(service: &ServiceName) -> impl FnOnce(std::io::Error) -> Failure {
    Failure::io(format!("the record of the captured data of {service}"))
}

/// A record that cannot be read, or was not written to its end: everything that it may stand for is to be removed.
fn lost() -> CaptureRecord {
    CaptureRecord {
        lease: 0,
        made: CaptureMethod::Snapshot,
        folder: None,
        tree: None,
    }
}

/// The record of a service's capture.
pub(super) fn load(
    context: &Context<'_>,
    service: &ServiceName,
) -> Result<Option<CaptureRecord>, Failure> {
    let directory = context.own_directory(&folder(context))?;
    let name = name(service);
    let bytes = durable::read(&directory, &name, MAX_BYTES).map_err(keeping(service))?;
    if let Some(bytes) = bytes {
        return Ok(Some(
            serde_json::from_slice(&bytes).unwrap_or_else(|_| lost()),
        ));
    }
    let unfinished = durable::read(&directory, &format!("{name}{UNFINISHED}"), MAX_BYTES);
    Ok(unfinished.map_err(keeping(service))?.map(|_| lost()))
}

/// Writes the record of a service's capture.
pub(super) fn save(
    context: &Context<'_>,
    service: &ServiceName,
    record: &CaptureRecord,
) -> Result<(), Failure> {
    let directory = context.own_directory(&folder(context))?;
    let bytes = serde_json::to_vec(record).map_err(|error| keeping(service)(error.into()))?;
    durable::replace(&directory, &name(service), &bytes)
        .and_then(|()| durable::keep_folder(&directory))
        .map_err(keeping(service))
}

/// Removes the record.
pub(super) fn clear(context: &Context<'_>, service: &ServiceName) -> Result<(), Failure> {
    let directory = context.own_directory(&folder(context))?;
    let name = name(service);
    durable::remove(&directory, &format!("{name}{UNFINISHED}"))
        .and_then(|()| durable::remove(&directory, &name))
        .map_err(keeping(service))
}

/// The days for which a sync does not try again to copy a tree that was too large.
const SLOW_DAYS: i64 = 7;

fn slow(service: &ServiceName) -> String {
    format!("{service}.slow")
}

/// Notes that the tree of a service is too large to be copied in the time of a sync.
pub(super) fn note_slow(context: &Context<'_>, service: &ServiceName) {
    let now = base::clock::utc().timestamp().to_string();
    // Without the note the next sync tries again, which costs some seconds.
    let _ = context
        .own_directory(&folder(context))
        .map(|directory| durable::replace(&directory, &slow(service), now.as_bytes()));
}

/// True if the tree of a service was too large some days ago.
pub(super) fn was_slow(context: &Context<'_>, service: &ServiceName) -> bool {
    let noted = context
        .own_directory(&folder(context))
        .ok()
        .and_then(|directory| durable::read(directory, &slow(service), MAX_BYTES).ok()?)
        .and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<i64>().ok());
    let age = noted.map(|noted| base::clock::utc().timestamp() - noted);
    age.is_some_and(|age| (0..SLOW_DAYS * 86_400).contains(&age))
}

/// The services that have a record.
pub(super) fn services(context: &Context<'_>) -> Vec<ServiceName> {
    let Ok(directory) = context.own_directory(&folder(context)) else {
        return Vec::new();
    };
    let names = entries(&directory).unwrap_or_default();
    let mut services: Vec<ServiceName> = names
        .iter()
        .filter_map(|name| {
            let name = name.to_str()?;
            let name = name.strip_suffix(UNFINISHED).unwrap_or(name);
            ServiceName::parse(name.strip_suffix(".json")?).ok()
        })
        .collect();
    services.dedup();
    services
}
