//! Users.

use crate::domain::audit::{Action, Deed, HIDDEN, SubjectKind};
use crate::domain::names::UserName;
use crate::store::{self, Role};
use crate::view::{NewUser, OwnPassword, PasswordBody, UserList, UserPatch, UserView};
use crate::web::App;
use crate::web::caller::{Admin, Person};
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::login::{Attempt, change_own_password};
use crate::web::peer::Peer;
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// All users by name.
#[utoipa::path(get, path = "/users", responses((status = 200, body = UserList)))]
pub(in crate::web) async fn list(
    _: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<UserList>, ApiError> {
    let accounts = app.store.read(store::accounts::users).await?;
    Ok(JsonReply(UserList {
        users: accounts.iter().map(UserView::from).collect(),
    }))
}

/// Adds a user.
#[utoipa::path(post, path = "/users", request_body = NewUser,
    responses((status = 201, body = UserView), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn add(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<NewUser>,
) -> Result<(StatusCode, JsonReply<UserView>), ApiError> {
    let name = UserName::new(body.name)?;
    let role = Role::of_user(&body.role)?;
    let hash = app.passwords.hash(body.password).await?;
    let view = app
        .change(admin.actor(), move |ledger| {
            store::accounts::add_user(ledger, &name, role, &hash, ledger.now)?;
            let added = store::accounts::user(ledger, name.as_str())?;
            let view = UserView::from(&added.ok_or(store::StoreError::Closed)?);
            ledger.compare(SubjectKind::User, name.as_str(), None, Some(&view))?;
            Ok(view)
        })
        .await?;
    Ok((StatusCode::CREATED, JsonReply(view)))
}

/// Gives a user another role; the last admin stays one.
#[utoipa::path(patch, path = "/users/{name}", request_body = UserPatch,
    responses((status = 200, body = UserView), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn patch(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(body): Json<UserPatch>,
) -> Result<JsonReply<UserView>, ApiError> {
    let name = UserName::new(name)?;
    let role = Role::of_user(&body.role)?;
    let view = app
        .change(admin.actor(), move |ledger| {
            let was = store::accounts::set_role(ledger, &name, role)?;
            let user = store::accounts::user(ledger, name.as_str())?;
            let after = UserView::from(&user.ok_or(store::StoreError::Closed)?);
            let before = UserView {
                role: was.as_str().to_owned(),
                ..after.clone()
            };
            ledger.compare(
                SubjectKind::User,
                name.as_str(),
                Some(&before),
                Some(&after),
            )?;
            Ok(after)
        })
        .await?;
    Ok(JsonReply(view))
}

/// Replaces a user's password and ends the user's sessions.
#[utoipa::path(put, path = "/users/{name}/password", request_body = PasswordBody,
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn set_password(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode, ApiError> {
    let name = UserName::new(name)?;
    let hash = app.passwords.hash(body.password).await?;
    app.change(admin.actor(), move |ledger| {
        store::accounts::set_password(ledger, &name, &hash, None)?;
        let hidden = || Some(HIDDEN.to_owned());
        let deed = Deed::new(Action::Changed, SubjectKind::User, name.as_str());
        ledger.note(&deed.with("password", hidden(), hidden()))
    })
    .await?;
    app.access.send_replace(());
    Ok(StatusCode::NO_CONTENT)
}

/// Changes one's own password and ends one's other sessions. Only for somebody who logged
/// in with a password; wrong present ones are slowed down as at login.
#[utoipa::path(put, path = "/account/password", request_body = OwnPassword,
    responses((status = 204), (status = 403, body = crate::view::Problem), (status = 422, body = crate::view::Problem), (status = 429, body = crate::view::Problem)))]
pub(in crate::web) async fn set_own_password(
    person: Person,
    peer: Peer,
    attempt: Attempt,
    State(app): State<Arc<App>>,
    Json(body): Json<OwnPassword>,
) -> Result<StatusCode, ApiError> {
    change_own_password(&app, &person, &peer, &attempt, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a user; the last admin stays.
#[utoipa::path(delete, path = "/users/{name}",
    responses((status = 204), (status = 404, body = crate::view::Problem), (status = 409, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let name = UserName::new(name)?;
    app.change(admin.actor(), move |ledger| {
        let gone = UserView::from(&store::accounts::delete_user(ledger, &name)?);
        ledger.compare(SubjectKind::User, name.as_str(), Some(&gone), None)
    })
    .await?;
    app.access.send_replace(());
    Ok(StatusCode::NO_CONTENT)
}
