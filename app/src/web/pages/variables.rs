//! Variables. A secret value goes in and never comes out: its form has an empty field that
//! keeps the value as long as it stays empty.

use super::diff::{self, Line};
use super::edit::{FormPage, saved, to};
use super::form::{Fields, Refusals};
use super::frame::{Frame, Section};
use super::usage::{Usage, usages};
use super::{Moment, PageAdmin, PageError, PageViewer, html};
use crate::domain::field::FieldError;
use crate::domain::names::VariableKey;
use crate::store::{self, Content, Found, StoredVariable};
use crate::view::VariableBody;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::etag::{self, Expected};
use crate::web::operations::connection::{self, HOST};
use crate::web::operations::variables;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "variables.html")]
struct VariablesPage {
    frame: Frame,
    rows: Vec<VariableRow>,
    /// True if the variables name a host whose connection can be tested.
    host: bool,
}

struct VariableRow {
    key: String,
    /// The first line; none of a secret.
    value: Option<String>,
    lines: usize,
    usages: Vec<Usage>,
    updated: Moment,
}

#[derive(Template)]
#[template(path = "variable_form.html")]
pub(super) struct VariableForm {
    frame: Frame,
    refusals: Refusals,
    /// The variable that is changed; none for a new one.
    variable: Option<Present>,
    key: String,
    value: String,
    secret: bool,
    /// The version that the form was made from.
    base: String,
}

/// A variable that is there already.
struct Present {
    key: String,
    secret: bool,
    /// The present value and the way to the typed one, where another change came first.
    theirs: Option<Theirs>,
}

/// The version that another person or program saved.
enum Theirs {
    Plain(Vec<Line>),
    /// It cannot be shown.
    Secret,
}

/// `/variables`: all variables.
pub(super) async fn list(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let stored = app.store.read(store::variables::list).await?;
    let host = stored.iter().any(|variable| variable.key.as_str() == HOST);
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
            updated: Moment::new(&app, variable.updated_at),
        }
    };
    Ok(html(&VariablesPage {
        frame: Frame::new(&viewer, Section::Variables),
        rows: stored.into_iter().zip(usages).map(row).collect(),
        host,
    }))
}

/// Tests the connection to the gate, and shows the run.
pub(super) async fn test_connection(admin: PageAdmin) -> Result<Response, PageError> {
    let run = connection::test(&admin).await?;
    Ok(to(&format!("/runs/{}", run.0)))
}

async fn find(app: &App, key: &str) -> Result<Option<StoredVariable>, ApiError> {
    let key = VariableKey::new(key)?;
    let found = app
        .store
        .read(move |tx| store::variables::get(tx, &key).found());
    Ok(found.await?)
}

impl FormPage for VariableForm {
    const LIST: &'static str = "/variables";

    async fn page(
        viewer: &PageViewer,
        key: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let mut base = typed.map(|typed| typed.line("base")).unwrap_or_default();
        let (variable, value) = match key {
            None => (None, String::new()),
            Some(key) => {
                let stored = find(viewer, key).await?;
                let stored =
                    stored.ok_or_else(|| ApiError::NotFound(format!("variable {key:?}")))?;
                if typed.is_none() || refusals.is_overtaken() {
                    base = etag::of_variable(&stored);
                }
                let mine = typed.map(|typed| typed.text("value")).unwrap_or_default();
                let (value, secret, theirs) = match stored.content {
                    Content::Plain(value) => {
                        let theirs = Theirs::Plain(diff::lines(&value, &mine));
                        (value, false, theirs)
                    }
                    Content::Sealed(_) => (String::new(), true, Theirs::Secret),
                };
                let present = Present {
                    key: key.to_owned(),
                    secret,
                    theirs: Some(theirs).filter(|_| refusals.is_overtaken()),
                };
                (Some(present), value)
            }
        };
        let secret = variable.as_ref().is_some_and(|variable| variable.secret);
        Ok(Self {
            frame: Frame::new(viewer, Section::Variables),
            refusals,
            variable,
            key: typed.map(|typed| typed.text("key")).unwrap_or_default(),
            value: typed.map_or(value, |typed| typed.text("value")),
            secret: typed.map_or(secret, |typed| typed.ticked("secret")),
            base,
        })
    }

    async fn save(
        admin: &PageAdmin,
        key: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let body = VariableBody {
            value: typed.text("value"),
            secret: typed.ticked("secret"),
        };
        let wanted = key.map_or_else(|| typed.line("key"), str::to_owned);
        match (key, find(admin, &wanted).await?) {
            (None, Some(_)) => {
                let problem = format!("{wanted:?} exists already; change it where it is listed");
                return Err(FieldError::new("key", problem).into());
            }
            (Some(key), None) => return Err(ApiError::NotFound(format!("variable {key:?}"))),
            (Some(_), Some(stored))
                if body.value.is_empty() && matches!(stored.content, Content::Sealed(_)) =>
            {
                if body.secret {
                    return Ok(saved(Self::LIST));
                }
                let problem =
                    "must be typed again: the value was secret, so it cannot be read back";
                return Err(FieldError::new("value", problem).into());
            }
            _ => {}
        }
        let base = Expected::of_form(&typed.line("base"));
        variables::set(admin, &wanted, body, base).await?;
        Ok(saved(Self::LIST))
    }

    async fn delete(admin: &Admin, key: &str) -> Result<(), ApiError> {
        variables::delete(admin, key, Expected::default()).await
    }
}
