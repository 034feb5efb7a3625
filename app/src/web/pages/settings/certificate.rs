//! The server's certificate: what it says, another one, a new self-signed one.

use crate::view::{CertificateBody, CertificateView};
use crate::web::App;
use crate::web::api;
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use crate::web::extract::Json;
use crate::web::pages::form::{Fields, Refusals, refused};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{PageAdmin, PageError, PageViewer, html};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    frame: Frame,
    refusals: Refusals,
    /// None where the server speaks plain HTTP.
    present: Option<CertificateView>,
    days: i64,
    chain: String,
}

fn page_of(app: &App, viewer: PageViewer, refusals: Refusals, chain: String) -> CertificatePage {
    let present = api::certificate::present(app);
    let now = app.clock.now();
    let until = present
        .as_ref()
        .and_then(|view| chrono::DateTime::parse_from_rfc3339(&view.valid_until).ok());
    CertificatePage {
        frame: Frame::within(viewer, Part::Certificate),
        refusals,
        days: until.map_or(0, |until| (until.to_utc() - now).num_days()),
        present,
        chain,
    }
}

/// `/settings/certificate`.
pub(super) async fn page(
    PageAdmin(viewer): PageAdmin,
    _: Viewer,
    State(app): State<Arc<App>>,
) -> Response {
    html(&page_of(&app, viewer, Refusals::default(), String::new()))
}

/// Serves another one.
pub(super) async fn replace(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let body = CertificateBody {
        chain: fields.text("chain"),
        key: fields.text("key"),
    };
    let done = api::certificate::replace(admin, State(app.clone()), Json(body)).await;
    answer(&app, viewer, done.map(drop), &fields)
}

/// Makes a new one.
pub(super) async fn renew(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let done = api::certificate::renew(admin, State(app.clone())).await;
    answer(&app, viewer, done.map(drop), &fields)
}

fn answer(
    app: &App,
    viewer: PageViewer,
    result: Result<(), ApiError>,
    fields: &Fields,
) -> Result<Response, PageError> {
    let Err(error) = result else {
        return Ok(Redirect::to("/settings/certificate").into_response());
    };
    // The key is not sent back: it would lie in the page.
    let refusals = Refusals::new(error)?;
    Ok(refused(&page_of(
        app,
        viewer,
        refusals,
        fields.text("chain"),
    )))
}
