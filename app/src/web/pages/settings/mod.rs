//! The settings area: a second navigation inside the frame. Each part is one file here.

mod about;
mod account;
mod api_docs;
mod audit;
mod certificate;
mod server;
mod sessions;
mod snapshots;
mod tokens;
mod users;

use super::PageViewer;
use super::edit::{adding, deleting, edit, editing};
use super::frame::Part;
use crate::web::App;
use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use std::sync::Arc;

/// The pages' addresses.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/settings", get(index))
        .route(
            "/settings/account",
            get(account::page).post(account::set_password),
        )
        .route("/settings/users", get(users::list))
        .route("/add/user", adding::<users::AddPage>())
        .route("/settings/users/{name}", editing::<users::UserPage>())
        .route("/settings/users/{name}/role", post(edit::<users::UserPage>))
        .route(
            "/settings/users/{name}/password",
            post(edit::<users::UserPage>),
        )
        .route(
            "/settings/users/{name}/delete",
            deleting::<users::UserPage>(),
        )
        .route("/settings/tokens", get(tokens::list))
        .route("/add/token", adding::<tokens::TokenForm>())
        .route(
            "/settings/tokens/{name}/delete",
            deleting::<tokens::TokenForm>(),
        )
        .route("/settings/sessions", get(sessions::list))
        .route("/settings/sessions/{id}/end", post(sessions::end))
        .route("/settings/audit", get(audit::page))
        .route("/settings/server", get(server::page).post(server::save))
        .route(
            "/settings/certificate",
            get(certificate::page).post(certificate::replace),
        )
        .route("/settings/certificate/renew", post(certificate::renew))
        .route(
            "/settings/snapshots",
            get(snapshots::list).post(snapshots::take),
        )
        .route("/settings/snapshots/{name}/delete", post(snapshots::delete))
        .route("/settings/api", get(api_docs::page))
        .route("/settings/about", get(about::page))
}

/// `/settings`: the first part that this person may see.
async fn index(viewer: PageViewer) -> Redirect {
    let first = Part::seen_by(viewer.admin).next();
    Redirect::to(first.map_or("/", |(_, href, _)| href))
}
