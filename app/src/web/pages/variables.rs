//! Variables. A secret value goes in and never comes out: its form has an empty field that
//! keeps the value as long as it stays empty.

use super::form::{Fields, Refusals, refused};
use super::frame::{Frame, Section};
use super::usage::{Usage, usages};
use super::{PageAdmin, PageError, PageViewer, html, shown};
use crate::domain::field::FieldError;
use crate::domain::names::VariableKey;
use crate::store::{self, Content, StoreError, StoredVariable};
use crate::view::VariableBody;
use crate::web::App;
use crate::web::api;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "variables.html")]
struct VariablesPage {
    frame: Frame,
    rows: Vec<VariableRow>,
}

struct VariableRow {
    key: String,
    /// The first line; none of a secret.
    value: Option<String>,
    lines: usize,
    usages: Vec<Usage>,
    updated: String,
}

#[derive(Template)]
#[template(path = "variable_form.html")]
struct VariableForm {
    frame: Frame,
    refusals: Refusals,
    /// The variable that is changed; none for a new one.
    variable: Option<Present>,
    key: String,
    value: String,
    secret: bool,
}

/// A variable that is there already.
struct Present {
    key: String,
    secret: bool,
}

/// `/variables`: all variables.
pub(super) async fn list(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let stored = app.store.read(store::variables::list).await?;
    let keys = stored.iter().map(|v| v.key.to_string()).collect();
    let usages = usages(&app, keys).await?;
    let row = |(variable, usages): (StoredVariable, Vec<Usage>)| {
        let value = match variable.content {
            Content::Plain(value) => Some(value),
            Content::Sealed(_) => None,
        };
        VariableRow {
            key: variable.key.to_string(),
            lines: value.as_ref().map_or(0, |value| value.lines().count()),
            value: value.map(|value| value.lines().next().unwrap_or_default().to_owned()),
            usages,
            updated: shown(variable.updated_at, app.zone.get()),
        }
    };
    Ok(html(&VariablesPage {
        frame: Frame::new(viewer, Section::Variables),
        rows: stored.into_iter().zip(usages).map(row).collect(),
    }))
}

/// `/add/variable`: the empty form.
pub(super) async fn add_page(PageAdmin(viewer): PageAdmin) -> Response {
    html(&VariableForm {
        frame: Frame::new(viewer, Section::Variables),
        refusals: Refusals::default(),
        variable: None,
        key: String::new(),
        value: String::new(),
        secret: false,
    })
}

/// Adds a variable.
pub(super) async fn add(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let key = fields.line("key");
    let added = match find(&app, &key).await {
        Ok(Some(_)) => Err(FieldError::new(
            "key",
            format!("{key:?} exists already; change it where it is listed"),
        )
        .into()),
        Ok(None) => set(app, admin, key, &fields).await,
        Err(error) => Err(error),
    };
    answer(added, viewer, None, &fields)
}

/// `/variables/{key}`: the form of a variable.
pub(super) async fn edit_page(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
) -> Result<Response, PageError> {
    let stored = existing(&app, &key).await?;
    let (value, secret) = match stored.content {
        Content::Plain(value) => (value, false),
        Content::Sealed(_) => (String::new(), true),
    };
    Ok(html(&VariableForm {
        frame: Frame::new(viewer, Section::Variables),
        refusals: Refusals::default(),
        variable: Some(Present {
            key: key.clone(),
            secret,
        }),
        key,
        value,
        secret,
    }))
}

/// Changes a variable.
pub(super) async fn edit(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let stored = existing(&app, &key).await?;
    let was_secret = matches!(stored.content, Content::Sealed(_));
    let kept = was_secret && fields.text("value").is_empty();
    let changed = match (kept, fields.ticked("secret")) {
        (true, true) => Ok(()),
        (true, false) => Err(FieldError::new(
            "value",
            "must be typed again: the value was secret, so it cannot be read back",
        )
        .into()),
        (false, _) => set(app, admin, key.clone(), &fields).await,
    };
    let present = Present {
        key,
        secret: was_secret,
    };
    answer(changed, viewer, Some(present), &fields)
}

/// Removes a variable.
pub(super) async fn delete(
    _: PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
) -> Result<Response, PageError> {
    api::variables::delete(admin, State(app), Path(key)).await?;
    Ok(Redirect::to("/variables").into_response())
}

async fn find(app: &App, key: &str) -> Result<Option<StoredVariable>, ApiError> {
    let key = VariableKey::new(key)?;
    let found = app
        .store
        .read(move |tx| store::variables::get(tx, &key))
        .await;
    match found {
        Ok(stored) => Ok(Some(stored)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

async fn existing(app: &App, key: &str) -> Result<StoredVariable, ApiError> {
    let found = find(app, key).await?;
    found.ok_or_else(|| ApiError::NotFound(format!("variable {key:?}")))
}

async fn set(app: Arc<App>, admin: Admin, key: String, fields: &Fields) -> Result<(), ApiError> {
    let body = VariableBody {
        value: fields.text("value"),
        secret: fields.ticked("secret"),
    };
    api::variables::set(admin, State(app), Path(key), Json(body))
        .await
        .map(drop)
}

/// To the list where it worked, else back to the form as it was filled in.
fn answer(
    result: Result<(), ApiError>,
    viewer: PageViewer,
    variable: Option<Present>,
    fields: &Fields,
) -> Result<Response, PageError> {
    let Err(error) = result else {
        return Ok(Redirect::to("/variables").into_response());
    };
    Ok(refused(&VariableForm {
        refusals: Refusals::new(error)?,
        frame: Frame::new(viewer, Section::Variables),
        key: fields.text("key"),
        variable,
        value: fields.text("value"),
        secret: fields.ticked("secret"),
    }))
}
