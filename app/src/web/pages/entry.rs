//! The way in: the page of the first start, login and logout.

use super::{PageError, html};
use crate::domain::field::FieldError;
use crate::domain::names::UserName;
use crate::secrets::{random_token, token_hash};
use crate::store::{self, Role};
use crate::web::App;
use crate::web::error::ApiError;
use crate::web::extract::{Form, Params};
use crate::web::guard::cookie as read_cookie;
use crate::web::session::{SESSION, cookie, cookie_name};
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    name: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    token: String,
    name: String,
    error: Option<String>,
}

/// The form of the login page.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    name: String,
    password: String,
}

/// `/login`: the page.
pub(super) async fn login_page() -> Response {
    html(&LoginPage {
        name: String::new(),
        error: None,
    })
}

/// Checks name and password and starts a session.
pub(super) async fn login(
    State(app): State<Arc<App>>,
    Form(form): Form<LoginForm>,
) -> Result<Response, PageError> {
    let name = form.name.clone();
    let account = app
        .store
        .read(move |tx| store::accounts::user(tx, &name))
        .await?;
    let hash = account.as_ref().map(|a| a.password_hash.clone());
    let right = app.passwords.verify(form.password, hash).await?;
    match account {
        Some(account) if right => start_session(&app, account.id).await,
        _ => {
            let page = html(&LoginPage {
                name: form.name,
                error: Some(ApiError::WrongLogin.to_string()),
            });
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
    }
}

async fn start_session(app: &App, user: i64) -> Result<Response, PageError> {
    let token = random_token()?;
    let (hash, now) = (token_hash(&token), app.clock.now());
    app.store
        .write(move |tx| store::accounts::add_session(tx, &hash, user, now, now + SESSION))
        .await?;
    Ok(redirect_with(cookie(app.transport, &token)))
}

/// Ends the session.
pub(super) async fn logout(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    if let Some(token) = read_cookie(&headers, cookie_name(app.transport)) {
        let hash = token_hash(token);
        app.store
            .write(move |tx| store::accounts::end_session(tx, &hash))
            .await?;
    }
    Ok(redirect_with(cookie(app.transport, "")))
}

fn redirect_with(cookie: String) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// The query of the setup link.
#[derive(Deserialize)]
pub(super) struct SetupParams {
    token: Option<String>,
}

/// The form of the setup page.
#[derive(Deserialize)]
pub(super) struct SetupForm {
    token: String,
    name: String,
    password: String,
    repeat: String,
}

/// `/setup`: the page behind the link of the first start.
pub(super) async fn setup_page(
    State(app): State<Arc<App>>,
    Params(params): Params<SetupParams>,
) -> Result<Response, PageError> {
    let token = params.token.unwrap_or_default();
    let nobody = app.store.read(store::accounts::nobody).await?;
    if !nobody || !app.setup.matches(&token) {
        return Err(ApiError::WrongSetupLink.into());
    }
    Ok(html(&SetupPage {
        token,
        name: "admin".to_owned(),
        error: None,
    }))
}

/// Makes the first admin and logs that person in.
pub(super) async fn setup(
    State(app): State<Arc<App>>,
    Form(form): Form<SetupForm>,
) -> Result<Response, PageError> {
    if !app.setup.matches(&form.token) {
        return Err(ApiError::WrongSetupLink.into());
    }
    match first_admin(&app, &form).await {
        Ok(user) => start_session(&app, user).await,
        // What was typed stays, and the link stays valid.
        Err(ApiError::Invalid(errors)) => {
            let page = html(&SetupPage {
                token: form.token,
                name: form.name,
                error: errors.first().map(ToString::to_string),
            });
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

async fn first_admin(app: &App, form: &SetupForm) -> Result<i64, ApiError> {
    let name = UserName::new(form.name.trim())?;
    if form.password != form.repeat {
        return Err(FieldError::new("password", "was typed differently the second time").into());
    }
    let hash = app.passwords.hash(form.password.clone()).await?;
    if !app.setup.use_up(&form.token) {
        return Err(ApiError::WrongSetupLink);
    }
    let now = app.clock.now();
    let user = app
        .store
        .write(move |tx| {
            // Somebody may have been added by the command line meanwhile.
            match store::accounts::nobody(tx)? {
                true => store::accounts::add_user(tx, &name, Role::Admin, &hash, now).map(Some),
                false => Ok(None),
            }
        })
        .await?;
    user.ok_or(ApiError::WrongSetupLink)
}
