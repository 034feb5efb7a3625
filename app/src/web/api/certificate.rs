//! The server's certificate.

use crate::view::{CertificateBody, CertificateView};
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use crate::web::extract::Json;
use crate::web::operations::certificate;

/// What the present certificate says of itself.
#[utoipa::path(get, path = "/certificate",
    responses((status = 200, body = CertificateView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn show(viewer: Viewer) -> Result<Json<CertificateView>, ApiError> {
    Ok(Json(certificate::served(&viewer)?.about().into()))
}

/// Serves another certificate from the next connection on. It is refused unless chain and
/// key belong together and are valid now.
#[utoipa::path(put, path = "/certificate", request_body = CertificateBody,
    responses((status = 200, body = CertificateView), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(super) async fn replace(
    admin: Admin,
    Json(body): Json<CertificateBody>,
) -> Result<Json<CertificateView>, ApiError> {
    Ok(Json(certificate::replace(&admin, body).await?.into()))
}

/// Makes a new self-signed certificate and serves it. Browsers warn of it once more.
#[utoipa::path(post, path = "/certificate/renew",
    responses((status = 200, body = CertificateView), (status = 404, body = crate::view::Problem)))]
pub(super) async fn renew(admin: Admin) -> Result<Json<CertificateView>, ApiError> {
    let about = certificate::renew(&admin, admin.actor()).await?;
    Ok(Json(about.into()))
}
