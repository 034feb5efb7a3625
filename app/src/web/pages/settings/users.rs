//! Users: who may log in, and as what.

use crate::domain::field::FieldError;
use crate::domain::names::UserName;
use crate::store::{self, Account, Role};
use crate::view::{NewUser, PasswordBody, UserPatch};
use crate::web::App;
use crate::web::api;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::pages::form::{Fields, Refusals, refused};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{PageAdmin, PageError, PageViewer, html, shown};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    rows: Vec<UserRow>,
}

struct UserRow {
    name: String,
    role: &'static str,
    added: String,
    seen: Option<String>,
    sessions: usize,
    own: bool,
}

#[derive(Template)]
#[template(path = "user_add.html")]
struct AddPage {
    frame: Frame,
    refusals: Refusals,
    name: String,
    role: String,
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    frame: Frame,
    refusals: Refusals,
    name: String,
    admin: bool,
}

/// `/settings/users`: all users.
pub(super) async fn list(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let now = app.clock.now();
    let (users, sessions) = app
        .store
        .read(move |tx| {
            Ok((
                store::accounts::users(tx)?,
                store::sessions::list(tx, None, now)?,
            ))
        })
        .await?;
    let row = |user: &Account| {
        let mut own = sessions.iter().filter(|session| session.user == user.name);
        UserRow {
            role: user.role.as_str(),
            added: shown(user.created_at, app.zone.get()),
            sessions: own.clone().count(),
            seen: own
                .next()
                .map(|session| shown(session.seen_at, app.zone.get())),
            own: user.name.as_str() == viewer.name,
            name: user.name.to_string(),
        }
    };
    Ok(html(&UsersPage {
        rows: users.iter().map(row).collect(),
        frame: Frame::within(viewer, Part::Users),
    }))
}

/// `/add/user`: the empty form.
pub(super) async fn add_page(PageAdmin(viewer): PageAdmin) -> Response {
    html(&AddPage {
        frame: Frame::within(viewer, Part::Users),
        refusals: Refusals::default(),
        name: String::new(),
        role: "viewer".to_owned(),
    })
}

/// Adds a user.
pub(super) async fn add(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let added = async {
        let body = NewUser {
            name: fields.line("name"),
            password: new_password(&fields)?,
            role: fields.text("role"),
        };
        api::users::add(admin, State(app), Json(body)).await
    };
    let Err(error) = added.await else {
        return Ok(Redirect::to("/settings/users").into_response());
    };
    // A password is not sent back: it would lie in the page and in the history.
    Ok(refused(&AddPage {
        frame: Frame::within(viewer, Part::Users),
        refusals: Refusals::new(error)?,
        name: fields.line("name"),
        role: fields.text("role"),
    }))
}

/// The new password of a form, typed twice.
pub(super) fn new_password(fields: &Fields) -> Result<String, FieldError> {
    let password = fields.text("password");
    if password == fields.text("repeat") {
        Ok(password)
    } else {
        Err(FieldError::new("repeat", "is not what was typed above"))
    }
}

/// `/settings/users/{name}`: what can be changed of a user.
pub(super) async fn edit_page(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let page = user_page(&app, viewer, name, Refusals::default()).await?;
    Ok(html(&page))
}

async fn user_page(
    app: &App,
    viewer: PageViewer,
    name: String,
    refusals: Refusals,
) -> Result<UserPage, PageError> {
    let name = UserName::new(name)?;
    let wanted = name.clone();
    let user = app
        .store
        .read(move |tx| store::accounts::user(tx, wanted.as_str()))
        .await?;
    let user = user.ok_or_else(|| ApiError::NotFound(format!("user {:?}", name.as_str())))?;
    Ok(UserPage {
        frame: Frame::within(viewer, Part::Users),
        refusals,
        admin: user.role == Role::Admin,
        name: name.to_string(),
    })
}

/// Gives a user another role.
pub(super) async fn set_role(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let body = UserPatch {
        role: fields.text("role"),
    };
    let (app2, path) = (State(app.clone()), Path(name.clone()));
    let changed = api::users::patch(admin, app2, path, Json(body)).await;
    answer(&app, viewer, name, changed).await
}

/// Gives a user another password.
pub(super) async fn set_password(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let changed = async {
        let password = new_password(&fields)?;
        let (app, path) = (State(app.clone()), Path(name.clone()));
        api::users::set_password(admin, app, path, Json(PasswordBody { password })).await
    };
    answer(&app, viewer, name.clone(), changed.await).await
}

/// Removes a user.
pub(super) async fn delete(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let removed = api::users::delete(admin, State(app.clone()), Path(name.clone())).await;
    answer(&app, viewer, name, removed).await
}

/// Back to the list, or the page of the user with what was refused.
async fn answer<T>(
    app: &App,
    viewer: PageViewer,
    name: String,
    result: Result<T, ApiError>,
) -> Result<Response, PageError> {
    let Err(error) = result else {
        return Ok(Redirect::to("/settings/users").into_response());
    };
    let refusals = Refusals::new(error)?;
    Ok(refused(&user_page(app, viewer, name, refusals).await?))
}
