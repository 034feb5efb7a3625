//! Acts on the server's certificate.

use crate::domain::audit::{Action, Actor, Deed, HIDDEN, SubjectKind};
use crate::domain::field::FieldError;
use crate::view::CertificateBody;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::certificate::{Certificates, MAX_PEM};
use crate::web::error::ApiError;
use crate::web::x509::{About, CertificateError};

/// The certificates of a server that speaks TLS.
pub(in crate::web) fn served(app: &App) -> Result<Certificates, ApiError> {
    app.certificates.clone().ok_or_else(|| {
        ApiError::NotFound("certificate: this server speaks plain HTTP, and the reverse proxy in front has the certificate".to_owned())
    })
}

/// Serves another certificate from the next connection on. Refuses it unless chain and key
/// belong together and are valid now.
pub(in crate::web) async fn replace(
    admin: &Admin,
    body: CertificateBody,
) -> Result<About, ApiError> {
    for (field, text) in [("chain", &body.chain), ("key", &body.key)] {
        if text.len() > MAX_PEM {
            let problem = format!("is larger than {MAX_PEM} bytes");
            return Err(FieldError::new(field, problem).into());
        }
    }
    let now = admin.clock.now();
    exchange(admin, admin.actor(), move |served| {
        served.replace(&body.chain, &body.key, now)
    })
    .await
}

/// Creates a new self-signed certificate and serves it.
pub(in crate::web) async fn renew(app: &App, actor: &Actor) -> Result<About, ApiError> {
    let now = app.clock.now();
    exchange(app, actor, move |served| served.renew(now)).await
}

/// Exchanges the files inside the transaction of the audit entry. A refusal is a value and not
/// an error of the store, so nothing is written then.
async fn exchange<F>(app: &App, actor: &Actor, work: F) -> Result<About, ApiError>
where
    F: FnOnce(&Certificates) -> Result<About, CertificateError> + Send + 'static,
{
    let certificates = served(app)?;
    let exchanged = app.change(actor, move |ledger| {
        let old = certificates.about().fingerprint;
        let about = match work(&certificates) {
            Ok(about) => about,
            Err(error) => return Ok(Err(error)),
        };
        let hidden = || Some(HIDDEN.to_owned());
        let deed = Deed::new(
            Action::Changed,
            SubjectKind::Certificate,
            about.subject.as_str(),
        )
        .with("fingerprint", Some(old), Some(about.fingerprint.clone()))
        .with("key", hidden(), hidden());
        ledger.note(&deed)?;
        Ok(Ok(about))
    });
    exchanged.await?.map_err(|error| match &error {
        CertificateError::Chain(_) | CertificateError::Time(_) => {
            FieldError::new("chain", error.to_string()).into()
        }
        CertificateError::Key(_) => FieldError::new("key", error.to_string()).into(),
        CertificateError::File { .. } => ApiError::Internal(error.to_string()),
    })
}
