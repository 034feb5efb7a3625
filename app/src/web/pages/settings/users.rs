//! Users and their roles.

use crate::domain::field::FieldError;
use crate::domain::names::UserName;
use crate::store::{self, Account, Role};
use crate::view::NewUser;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::operations::users;
use crate::web::pages::edit::{FormPage, saved};
use crate::web::pages::form::{Fields, Refusals};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{Moment, PageAdmin, PageError, PageViewer, html};
use askama::Template;
use axum::response::Response;

const LIST: &str = "/settings/users";

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    rows: Vec<UserRow>,
}

struct UserRow {
    name: String,
    role: &'static str,
    added: Moment,
    seen: Option<Moment>,
    sessions: usize,
    own: bool,
}

#[derive(Template)]
#[template(path = "user_add.html")]
pub(in crate::web::pages) struct AddPage {
    frame: Frame,
    refusals: Refusals,
    name: String,
    role: String,
}

#[derive(Template)]
#[template(path = "user.html")]
pub(in crate::web::pages) struct UserPage {
    frame: Frame,
    refusals: Refusals,
    name: String,
    admin: bool,
}

/// `/settings/users`: all users.
pub(super) async fn list(admin: PageAdmin) -> Result<Response, PageError> {
    let now = admin.clock.now();
    let (users, sessions) = admin
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
            added: Moment::new(&admin, user.created_at),
            sessions: own.clone().count(),
            seen: own
                .next()
                .map(|session| Moment::new(&admin, session.seen_at)),
            own: user.name.as_str() == admin.actor().name,
            name: user.name.to_string(),
        }
    };
    Ok(html(&UsersPage {
        rows: users.iter().map(row).collect(),
        frame: Frame::within(&admin.viewer, Part::Users),
    }))
}

impl FormPage for AddPage {
    const LIST: &'static str = LIST;

    async fn page(
        viewer: &PageViewer,
        _: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        // A password is not sent back: it would lie in the page and in the history.
        Ok(Self {
            frame: Frame::within(viewer, Part::Users),
            refusals,
            name: typed.map(|typed| typed.line("name")).unwrap_or_default(),
            role: typed.map_or_else(|| "viewer".to_owned(), |typed| typed.text("role")),
        })
    }

    async fn save(
        admin: &PageAdmin,
        _: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let body = NewUser {
            name: typed.line("name"),
            password: new_password(typed)?,
            role: typed.text("role"),
        };
        users::create(admin, body).await?;
        Ok(saved(LIST))
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        users::delete(admin, name).await
    }
}

/// The new password of a form, typed twice.
pub(super) fn new_password(fields: &Fields) -> Result<String, FieldError> {
    let password = fields.text("password");
    if password == fields.text("repeat") {
        Ok(password)
    } else {
        Err(FieldError::new("repeat", "The passwords do not match."))
    }
}

impl FormPage for UserPage {
    const LIST: &'static str = LIST;

    async fn page(
        viewer: &PageViewer,
        name: Option<&str>,
        _: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let name = UserName::new(name.unwrap_or_default())?;
        let get = viewer.store.read(move |tx| store::accounts::get(tx, &name));
        let user = get.await?;
        Ok(Self {
            frame: Frame::within(viewer, Part::Users),
            refusals,
            admin: user.role == Role::Admin,
            name: user.name.to_string(),
        })
    }

    /// The page has two forms: one for the role and one for the password.
    async fn save(
        admin: &PageAdmin,
        name: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let name = name.unwrap_or_default();
        if typed.ticked("role") {
            users::set_role(admin, name, &typed.text("role")).await?;
        } else {
            users::set_password(admin, name, new_password(typed)?).await?;
        }
        Ok(saved(LIST))
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        users::delete(admin, name).await
    }
}
