//! Times on the wire.

use chrono::{DateTime, SecondsFormat, Utc};

/// A time as the API writes it: RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
