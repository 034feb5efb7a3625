//! The server's certificate.

use crate::blocking;
use crate::domain::audit::{Action, Deed, HIDDEN, SubjectKind};
use crate::domain::field::FieldError;
use crate::view::{CertificateBody, CertificateView, rfc3339};
use crate::web::App;
use crate::web::caller::{Admin, Viewer};
use crate::web::certificate::{Certificates, MAX_PEM};
use crate::web::error::ApiError;
use crate::web::extract::Json;
use crate::web::x509::{About, CertificateError};
use axum::Json as JsonReply;
use axum::extract::State;
use std::sync::Arc;

fn view(about: About) -> CertificateView {
    CertificateView {
        subject: about.subject,
        issuer: about.issuer,
        names: about.names,
        valid_from: rfc3339(about.from),
        valid_until: rfc3339(about.until),
        fingerprint: about.fingerprint,
        self_signed: about.made_here,
    }
}

/// The certificates of a server that speaks TLS.
fn certificates(app: &App) -> Result<Certificates, ApiError> {
    app.certificates.clone().ok_or_else(|| {
        ApiError::NotFound("certificate: this server speaks plain HTTP, and the reverse proxy in front has the certificate".to_owned())
    })
}

/// The present certificate; none where the server speaks plain HTTP.
pub(in crate::web) fn present(app: &App) -> Option<CertificateView> {
    app.certificates.as_ref().map(|served| view(served.about()))
}

/// What the present certificate says of itself.
#[utoipa::path(get, path = "/certificate",
    responses((status = 200, body = CertificateView), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn show(
    _: Viewer,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<CertificateView>, ApiError> {
    Ok(JsonReply(view(certificates(&app)?.about())))
}

/// Serves another certificate from the next connection on. It is refused unless chain and
/// key belong together and are valid now.
#[utoipa::path(put, path = "/certificate", request_body = CertificateBody,
    responses((status = 200, body = CertificateView), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn replace(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<CertificateBody>,
) -> Result<JsonReply<CertificateView>, ApiError> {
    for (field, text) in [("chain", &body.chain), ("key", &body.key)] {
        if text.len() > MAX_PEM {
            let problem = format!("is larger than {MAX_PEM} bytes");
            return Err(FieldError::new(field, problem).into());
        }
    }
    let now = app.clock.now();
    let work = move |served: &Certificates| served.replace(&body.chain, &body.key, now);
    exchange(&app, &admin, work).await
}

/// Makes a new self-signed certificate and serves it. Browsers warn of it once more.
#[utoipa::path(post, path = "/certificate/renew",
    responses((status = 200, body = CertificateView), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn renew(
    admin: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<CertificateView>, ApiError> {
    let now = app.clock.now();
    exchange(&app, &admin, move |served| served.renew(now)).await
}

async fn exchange<F>(
    app: &App,
    admin: &Admin,
    work: F,
) -> Result<JsonReply<CertificateView>, ApiError>
where
    F: FnOnce(&Certificates) -> Result<About, CertificateError> + Send + 'static,
{
    let certificates = certificates(app)?;
    let old = certificates.about().fingerprint;
    let done = blocking::run(move || work(&certificates)).await?;
    let about = done.map_err(|error| match &error {
        CertificateError::Chain(_) | CertificateError::Time(_) => {
            FieldError::new("chain", error.to_string()).into()
        }
        CertificateError::Key(_) => FieldError::new("key", error.to_string()).into(),
        CertificateError::File { .. } => ApiError::Internal(error.to_string()),
    })?;
    let deed = Deed::new(
        Action::Changed,
        SubjectKind::Certificate,
        about.subject.as_str(),
    )
    .with("fingerprint", Some(old), Some(about.fingerprint.clone()))
    .with("key", Some(HIDDEN.to_owned()), Some(HIDDEN.to_owned()));
    app.note(admin.actor(), deed).await?;
    Ok(JsonReply(view(about)))
}
