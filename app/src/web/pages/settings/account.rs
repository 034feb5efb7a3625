//! One's own account: another password.

use super::users::new_password;
use crate::view::OwnPassword;
use crate::web::caller::Person;
use crate::web::error::ApiError;
use crate::web::login::{LoginAttempt, change_own_password};
use crate::web::pages::form::{Fields, Refusals, refused};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{PageError, PageViewer, html};
use crate::web::peer::Peer;
use askama::Template;
use axum::http::header;
use axum::response::{IntoResponse, Response};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    refusals: Refusals,
    name: String,
    role: &'static str,
    /// True if there is a password to change.
    person: bool,
    done: bool,
}

impl AccountPage {
    fn new(viewer: &PageViewer, person: bool, refusals: Refusals, done: bool) -> Self {
        Self {
            name: viewer.actor().name.clone(),
            role: if viewer.admin { "admin" } else { "viewer" },
            frame: Frame::within(viewer, Part::Account),
            refusals,
            person,
            done,
        }
    }
}

/// `/settings/account`: the form.
pub(super) async fn page(viewer: PageViewer, person: Result<Person, ApiError>) -> Response {
    html(&AccountPage::new(
        &viewer,
        person.is_ok(),
        Refusals::default(),
        false,
    ))
}

/// Changes the password.
pub(super) async fn set_password(
    viewer: PageViewer,
    person: Person,
    peer: Peer,
    attempt: LoginAttempt,
    fields: Fields,
) -> Result<Response, PageError> {
    let changed = async {
        let body = OwnPassword {
            current: fields.text("current"),
            password: new_password(&fields)?,
        };
        change_own_password(&viewer.app, &person, &peer, &attempt, body).await
    };
    match changed.await {
        Ok(()) => Ok(html(&AccountPage::new(
            &viewer,
            true,
            Refusals::default(),
            true,
        ))),
        Err(error @ (ApiError::SlowDown(_) | ApiError::TooManyLogins)) => {
            let (status, ..) = error.table();
            let retry = error.retry_after();
            let retry = retry.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
            let refusals = Refusals::general(&error.to_string());
            let page = html(&AccountPage::new(&viewer, true, refusals, false));
            Ok((status, retry, page).into_response())
        }
        Err(error) => {
            let refusals = Refusals::new(error)?;
            Ok(refused(&AccountPage::new(&viewer, true, refusals, false)))
        }
    }
}
