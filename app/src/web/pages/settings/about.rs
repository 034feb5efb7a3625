//! About this server: version, commit, SQLite, and the licences of all that is compiled in.

use crate::store::measure::sqlite_version;
use crate::web::App;
use crate::web::COMMIT;
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{Moment, PageViewer, html};
use crate::zones;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// Every crate that is compiled in: name, version and licence (SPDX), one a line. A test
/// compares it with cargo's list, and writes it anew if told to.
const CRATES: &str = include_str!("../../licences.tsv");

#[derive(Template)]
#[template(path = "about.html")]
struct AboutPage {
    frame: Frame,
    version: &'static str,
    commit: &'static str,
    sqlite: &'static str,
    zone: &'static str,
    zone_data: String,
    started: Moment,
    crates: Vec<Crate>,
}

struct Crate {
    name: &'static str,
    version: &'static str,
    licence: &'static str,
}

/// `/settings/about`.
pub(super) async fn page(viewer: PageViewer, State(app): State<Arc<App>>) -> Response {
    let crates = CRATES.lines().filter_map(|line| {
        let mut words = line.split('\t');
        Some(Crate {
            name: words.next()?,
            version: words.next()?,
            licence: words.next()?,
        })
    });
    html(&AboutPage {
        frame: Frame::within(&viewer, Part::About),
        version: env!("CARGO_PKG_VERSION"),
        commit: COMMIT,
        sqlite: sqlite_version(),
        zone: app.zone.get().name(),
        zone_data: zones::source(),
        started: Moment::new(&app, app.started_at),
        crates: crates.collect(),
    })
}
