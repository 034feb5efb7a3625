//! The parts of every page: its caller, its errors, and the way from a template to an answer.

use crate::store::Role;
use crate::view::Problem;
use crate::web::App;
use crate::web::caller::{Admin, Viewer};
use crate::web::error::ApiError;
use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use std::ops::Deref;
use std::sync::Arc;

/// An error as a page.
pub(in crate::web) struct PageError(ApiError);

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: String,
    detail: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if matches!(self.0, ApiError::Unauthorized) {
            return Redirect::to("/login").into_response();
        }
        let (status, ..) = self.0.table();
        (status, problem_page(self.0.problem())).into_response()
    }
}

/// A problem as a page.
pub(super) fn problem_page(problem: Problem) -> Response {
    html(&ErrorPage {
        title: problem.title,
        detail: problem.detail,
    })
}

/// The caller of a page; one who is not logged in is sent to the login page.
pub(super) struct PageViewer {
    viewer: Viewer,
    /// The permission to change things.
    pub(super) admin: bool,
}

impl Deref for PageViewer {
    type Target = Viewer;

    fn deref(&self) -> &Viewer {
        &self.viewer
    }
}

impl FromRequestParts<Arc<App>> for PageViewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let viewer = Viewer::from_request_parts(parts, app).await?;
        let admin = viewer.principal.role == Role::Admin;
        Ok(Self { viewer, admin })
    }
}

/// The caller of a page for admins.
pub(super) struct PageAdmin {
    pub(super) viewer: PageViewer,
    admin: Admin,
}

impl Deref for PageAdmin {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

impl FromRequestParts<Arc<App>> for PageAdmin {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        Ok(Self {
            admin: Admin::from_request_parts(parts, app).await?,
            viewer: PageViewer::from_request_parts(parts, app).await?,
        })
    }
}

/// Renders a template.
pub(super) fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
