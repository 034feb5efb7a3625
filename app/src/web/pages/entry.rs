//! The way in: the page of the first start, login and logout.

use super::way_back::WayBack;
use super::{PageError, html};
use crate::domain::audit::{Action, Deed, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::names::UserName;
use crate::store::{self, Account, Role};
use crate::view::UserView;
use crate::web::App;
use crate::web::caller::Person;
use crate::web::error::ApiError;
use crate::web::extract::{Form, Params};
use crate::web::login::{LoginAttempt, check, start_session, user};
use crate::web::peer::Peer;
use crate::web::session::cookie;
use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    name: String,
    error: Option<String>,
    way_back: WayBack,
    /// True before the first admin was made.
    first_start: bool,
}

impl LoginPage {
    /// The page for a person whose session has ended.
    pub(super) fn after_a_session(way_back: WayBack) -> Self {
        Self {
            name: String::new(),
            error: None,
            way_back,
            first_start: false,
        }
    }
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
    #[serde(default)]
    next: String,
    #[serde(default)]
    kept: String,
}

/// The query of the login page.
#[derive(Deserialize)]
pub(super) struct LoginParams {
    #[serde(default)]
    next: String,
}

/// `/login`: the page. Before the first admin was made it says where the set-up link is.
pub(super) async fn login_page(
    State(app): State<Arc<App>>,
    Params(params): Params<LoginParams>,
) -> Result<Response, PageError> {
    Ok(html(&LoginPage {
        first_start: app.store.read(store::accounts::nobody).await?,
        ..LoginPage::after_a_session(WayBack::new(params.next, String::new()))
    }))
}

/// Checks name and password and starts a session.
pub(super) async fn login(
    State(app): State<Arc<App>>,
    peer: Peer,
    attempt: LoginAttempt,
    Form(form): Form<LoginForm>,
) -> Result<Response, PageError> {
    let way_back = WayBack::new(form.next, form.kept);
    match check(&app, &peer, &attempt, &form.name, form.password).await {
        Ok(account) => enter(&app, &peer, &account, way_back).await,
        Err(error @ (ApiError::WrongLogin | ApiError::SlowDown(_) | ApiError::TooManyLogins)) => {
            let (status, ..) = error.table();
            let page = html(&LoginPage {
                name: form.name,
                error: Some(error.to_string()),
                ..LoginPage::after_a_session(way_back)
            });
            let retry = error.retry_after();
            let retry = retry.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
            Ok((status, retry, page).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

/// Starts a session of an authenticated user.
async fn enter(
    app: &Arc<App>,
    peer: &Peer,
    account: &Account,
    way_back: WayBack,
) -> Result<Response, PageError> {
    let cookies = start_session(app, peer, account).await?;
    let cookies = AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie)));
    Ok((cookies, way_back.answer()).into_response())
}

/// Ends the session.
pub(super) async fn logout(
    State(app): State<Arc<App>>,
    peer: Peer,
    person: Result<Person, ApiError>,
) -> Result<Response, PageError> {
    if let Ok(Person { principal, session }) = person {
        let name = principal.actor.name.clone();
        app.change(&principal.actor, move |ledger| {
            store::sessions::end(ledger, session, Some(&name), ledger.now)?;
            ledger.note(&Deed::new(Action::LoggedOut, SubjectKind::User, name))
        })
        .await?;
        app.access.send_replace(());
    }
    Ok(redirect_with(cookie(peer.secure, "")))
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
    peer: Peer,
    Form(form): Form<SetupForm>,
) -> Result<Response, PageError> {
    if !app.setup.matches(&form.token) {
        return Err(ApiError::WrongSetupLink.into());
    }
    match first_admin(&app, &peer, &form).await {
        Ok(account) => enter(&app, &peer, &account, WayBack::default()).await,
        // The typed values stay, and the link stays valid.
        Err(ApiError::Invalid(errors)) => {
            let page = html(&SetupPage {
                token: form.token,
                name: form.name,
                error: errors.first().map(|error| match error.field.as_str() {
                    "repeat" => error.problem.clone(),
                    _ => error.to_string(),
                }),
            });
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

async fn first_admin(app: &App, peer: &Peer, form: &SetupForm) -> Result<Account, ApiError> {
    let name = UserName::new(form.name.trim())?;
    if form.password != form.repeat {
        return Err(FieldError::new("repeat", "The passwords do not match.").into());
    }
    let hash = app.passwords.hash(form.password.clone()).await?;
    if !app.setup.use_up(&form.token) {
        return Err(ApiError::WrongSetupLink);
    }
    let added = app
        .change(&user(name.as_str(), peer), move |ledger| {
            // The command line may have added a user meanwhile.
            if !store::accounts::nobody(ledger)? {
                return Ok(None);
            }
            store::accounts::add_user(ledger, &name, Role::Admin, &hash, ledger.now)?;
            let account = store::accounts::user(ledger, name.as_str())?;
            let view = account.as_ref().map(UserView::from);
            ledger.compare(SubjectKind::User, name.as_str(), None, view.as_ref())?;
            Ok(account)
        })
        .await?;
    added.ok_or(ApiError::WrongSetupLink)
}
