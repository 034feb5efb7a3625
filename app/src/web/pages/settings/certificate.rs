//! The server's certificate: its contents, another one, a new self-signed one.

use crate::view::{CertificateBody, CertificateView};
use crate::web::error::ApiError;
use crate::web::operations::certificate;
use crate::web::pages::edit::saved;
use crate::web::pages::form::{Fields, Refusals, refused};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{PageAdmin, PageError, html};
use crate::web::x509::About;
use askama::Template;
use axum::response::Response;

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

impl CertificatePage {
    fn new(admin: &PageAdmin, refusals: Refusals, chain: String) -> Self {
        let about = certificate::served(admin).ok().map(|served| served.about());
        let now = admin.clock.now();
        Self {
            frame: Frame::within(&admin.viewer, Part::Certificate),
            refusals,
            days: about
                .as_ref()
                .map_or(0, |about| (about.until - now).num_days()),
            present: about.map(CertificateView::from),
            chain,
        }
    }

    /// The answer to one of the forms. The key is not sent back: it would lie in the page.
    fn answer(
        admin: &PageAdmin,
        fields: &Fields,
        done: Result<About, ApiError>,
    ) -> Result<Response, PageError> {
        let Err(error) = done else {
            return Ok(saved("/settings/certificate"));
        };
        let refusals = Refusals::new(error)?;
        Ok(refused(&Self::new(admin, refusals, fields.text("chain"))))
    }
}

/// `/settings/certificate`.
pub(super) async fn page(admin: PageAdmin) -> Response {
    html(&CertificatePage::new(
        &admin,
        Refusals::default(),
        String::new(),
    ))
}

/// Serves another certificate.
pub(super) async fn replace(admin: PageAdmin, fields: Fields) -> Result<Response, PageError> {
    let body = CertificateBody {
        chain: fields.text("chain"),
        key: fields.text("key"),
    };
    let done = certificate::replace(&admin, body).await;
    CertificatePage::answer(&admin, &fields, done)
}

/// Creates a new self-signed certificate.
pub(super) async fn renew(admin: PageAdmin, fields: Fields) -> Result<Response, PageError> {
    let done = certificate::renew(&admin, admin.actor()).await;
    CertificatePage::answer(&admin, &fields, done)
}
