//! Settings of the server: zone, address for links, and how long things are kept.

use crate::domain::field::FieldError;
use crate::domain::task::Retention;
use crate::store::settings::AUDIT_DAYS;
use crate::view::SettingsBody;
use crate::web::operations::settings;
use crate::web::pages::form::{Fields, Refusals, number, refused};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{PageAdmin, PageError, PageViewer, html};
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "server.html")]
struct ServerPage {
    frame: Frame,
    refusals: Refusals,
    saved: bool,
    /// As typed.
    zone: String,
    base_url: String,
    keep_runs: String,
    keep_days: String,
    audit_days: String,
    /// The values behind empty fields.
    present_zone: &'static str,
    present_url: String,
    usual: Retention,
    usual_audit: u32,
}

impl ServerPage {
    fn new(viewer: &PageViewer, refusals: Refusals, saved: bool) -> Self {
        Self {
            frame: Frame::within(viewer, Part::Server),
            refusals,
            saved,
            zone: String::new(),
            base_url: String::new(),
            keep_runs: String::new(),
            keep_days: String::new(),
            audit_days: String::new(),
            present_zone: viewer.zone.get().name(),
            present_url: viewer.base_url.get(),
            usual: Retention::default(),
            usual_audit: AUDIT_DAYS,
        }
    }

    fn filled_in(self, body: SettingsBody) -> Self {
        let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        Self {
            zone: body.zone.unwrap_or_default(),
            base_url: body.base_url.unwrap_or_default(),
            keep_runs: number(body.keep_runs),
            keep_days: number(body.keep_days),
            audit_days: number(body.audit_days),
            ..self
        }
    }
}

/// `/settings/server`: the form.
pub(super) async fn page(admin: PageAdmin) -> Result<Response, PageError> {
    let body = settings::get(&admin).await?;
    let page = ServerPage::new(&admin.viewer, Refusals::default(), false);
    Ok(html(&page.filled_in(body)))
}

/// Saves the settings.
pub(super) async fn save(admin: PageAdmin, fields: Fields) -> Result<Response, PageError> {
    let saved = match body(&fields) {
        Ok(body) => settings::replace(&admin, &body).await,
        Err(errors) => Err(errors.into()),
    };
    match saved {
        Ok(body) => {
            let page = ServerPage::new(&admin.viewer, Refusals::default(), true);
            Ok(html(&page.filled_in(body)))
        }
        Err(error) => {
            let page = ServerPage::new(&admin.viewer, Refusals::new(error)?, false);
            Ok(refused(&ServerPage {
                zone: fields.text("zone"),
                base_url: fields.text("base_url"),
                keep_runs: fields.text("keep_runs"),
                keep_days: fields.text("keep_days"),
                audit_days: fields.text("audit_days"),
                ..page
            }))
        }
    }
}

fn body(fields: &Fields) -> Result<SettingsBody, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut count = |name: &str| match fields.line(name).as_str() {
        "" => None,
        text => number(name, text).map_err(|error| errors.push(error)).ok(),
    };
    let (keep_runs, keep_days) = (count("keep_runs"), count("keep_days"));
    let audit_days = count("audit_days");
    let given = |name: &str| Some(fields.line(name)).filter(|text| !text.is_empty());
    if errors.is_empty() {
        Ok(SettingsBody {
            zone: given("zone"),
            base_url: given("base_url"),
            keep_runs,
            keep_days,
            audit_days,
        })
    } else {
        Err(errors)
    }
}
