//! The number of stops of each service on each of the last days.
//!
//! A stolen key can stop services again and again, each time for a lease. The gate counts and shows the stops, and
//! refuses them only if the configuration says so.
//!
//! Invariant: a record holds at most [`DAYS`] days, and a record that cannot be written does not fail an action.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Context;
use base::durable;
use base::error::Failure;
use base::names::ServiceName;
use base::result_line::WarningCode;

/// The days in a record.
const DAYS: usize = 8;

/// The size limit of a record, far more than one needs.
const MAX_BYTES: u64 = 4096;

/// The numbers of stops, by day.
type StopCounts = BTreeMap<NaiveDate, u32>;

fn file(service: &ServiceName) -> String {
    format!("{service}.json")
}

fn load(context: &Context<'_>, service: &ServiceName) -> StopCounts {
    let folder = context.config.state_dir.below(&["stops"]);
    let folder = context.own_directory(&folder).ok();
    folder
        .and_then(|folder| durable::read(folder, &file(service), MAX_BYTES).ok()?)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// The number of stops today.
pub(super) fn today(context: &Context<'_>, service: &ServiceName) -> u32 {
    let today = context.host.today();
    load(context, service).get(&today).copied().unwrap_or(0)
}

/// Counts one more stop. Warns if there are unusually many stops, and refuses this one if the configuration says so.
/// The lock of the service is held.
pub(super) fn count(context: &mut Context<'_>, service: &ServiceName) -> Result<(), Failure> {
    let limits = &context.config.limits;
    let (usual, refuse) = (limits.stops_per_day, limits.refuse_more_stops);
    let today = context.host.today();
    let mut record = load(context, service);
    let number = record.get(&today).copied().unwrap_or(0).saturating_add(1);
    if refuse && number > usual {
        return Err(Failure::Denied(format!(
            "{service} was stopped {usual} times today, which is all that limits.stops_per_day allows"
        )));
    }
    record.insert(today, number);
    // A clock that ran ahead leaves days in the future; they are removed first.
    while record.len() > DAYS {
        let gone = match record.last_key_value() {
            Some((&last, _)) if last > today => last,
            _ => match record.first_key_value() {
                Some((&first, _)) => first,
                None => break,
            },
        };
        record.remove(&gone);
    }
    let folder = context.config.state_dir.below(&["stops"]);
    let kept = context.own_directory(&folder).and_then(|folder| {
        let bytes = serde_json::to_vec(&record).unwrap_or_default();
        durable::replace(folder, &file(service), &bytes)
            .map_err(Failure::io(format!("the count of stops of {service}")))
    });
    if let Err(failure) = kept {
        context.warn(failure.to_string());
    }
    if number > usual {
        let message = format!(
            "{service} was stopped {number} times today, more than {usual} (limits.stops_per_day); look at the audit log for who asks"
        );
        context.alert(WarningCode::ManyStops, service.as_str(), &message);
    }
    Ok(())
}
