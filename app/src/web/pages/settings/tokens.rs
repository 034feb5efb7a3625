//! API tokens: what programs may do, until when, and whether they still do it.

use crate::domain::field::FieldError;
use crate::store::{self, Role, Scope, TokenInfo};
use crate::view::NewToken;
use crate::web::App;
use crate::web::api;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::pages::form::{Fields, Refusals, number, refused};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{PageAdmin, PageError, PageViewer, html, shown};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    rows: Vec<TokenRow>,
}

struct TokenRow {
    name: String,
    may: &'static str,
    tasks: Option<Vec<String>>,
    made: String,
    expires: Option<String>,
    expired: bool,
    used: Option<String>,
    from: String,
}

#[derive(Template)]
#[template(path = "token_form.html")]
struct TokenForm {
    frame: Frame,
    refusals: Refusals,
    name: String,
    role: String,
    some: bool,
    /// All tasks, and whether each is ticked.
    tasks: Vec<(String, bool)>,
    days: String,
}

#[derive(Template)]
#[template(path = "token_made.html")]
struct MadePage {
    frame: Frame,
    name: String,
    token: String,
}

/// What a role means for a program.
fn may(role: Role) -> &'static str {
    match role {
        Role::Viewer => "look",
        Role::Operator => "look, start and cancel runs",
        Role::Admin => "everything",
    }
}

/// `/settings/tokens`: all tokens.
pub(super) async fn list(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let tokens = app.store.read(store::tokens::list).await?;
    let now = app.clock.now();
    let row = |token: &TokenInfo| TokenRow {
        name: token.name.to_string(),
        may: may(token.role),
        tasks: match &token.scope {
            Scope::Everything => None,
            Scope::Tasks(names) => Some(names.iter().map(ToString::to_string).collect()),
        },
        made: shown(token.created_at, app.zone.get()),
        expires: token.expires_at.map(|at| shown(at, app.zone.get())),
        expired: token.expires_at.is_some_and(|at| at <= now),
        used: token.used_at.map(|at| shown(at, app.zone.get())),
        from: token.used_from.clone(),
    };
    Ok(html(&TokensPage {
        rows: tokens.iter().map(row).collect(),
        frame: Frame::within(viewer, Part::Tokens),
    }))
}

async fn form(
    app: &App,
    viewer: PageViewer,
    refusals: Refusals,
    fields: Option<&Fields>,
) -> Result<TokenForm, PageError> {
    let tasks = app.store.read(store::tasks::list).await?;
    let text = |name, usual: &str| fields.map_or_else(|| usual.to_owned(), |f| f.line(name));
    let ticked = |name: &str| {
        fields.is_some_and(|f| f.iter().any(|(key, value)| key == "task" && value == name))
    };
    Ok(TokenForm {
        frame: Frame::within(viewer, Part::Tokens),
        refusals,
        name: text("name", ""),
        role: text("role", "viewer"),
        some: text("scope", "all") == "some",
        tasks: tasks
            .into_iter()
            .map(|stored| stored.task.name.to_string())
            .map(|name| (name.clone(), ticked(&name)))
            .collect(),
        days: text("days", "365"),
    })
}

/// `/add/token`: the empty form.
pub(super) async fn add_page(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    Ok(html(&form(&app, viewer, Refusals::default(), None).await?))
}

/// Makes a token and shows it, this once.
pub(super) async fn add(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let made = match body(&fields) {
        Ok(body) => api::tokens::add(admin, State(app.clone()), Json(body)).await,
        Err(error) => Err(error.into()),
    };
    match made {
        Ok((_, axum::Json(made))) => {
            let page = html(&MadePage {
                frame: Frame::within(viewer, Part::Tokens),
                name: made.name,
                token: made.token,
            });
            Ok((StatusCode::CREATED, page).into_response())
        }
        Err(error) => {
            let refusals = Refusals::new(error)?;
            Ok(refused(&form(&app, viewer, refusals, Some(&fields)).await?))
        }
    }
}

fn body(fields: &Fields) -> Result<NewToken, FieldError> {
    let days = fields.line("days");
    let chosen = fields.iter().filter(|(key, _)| *key == "task");
    Ok(NewToken {
        name: fields.line("name"),
        role: fields.text("role"),
        tasks: (fields.text("scope") == "some")
            .then(|| chosen.map(|(_, name)| name.to_owned()).collect()),
        expires_in_days: match days.as_str() {
            "" => None,
            days => Some(number("expires_in_days", days)?),
        },
    })
}

/// Revokes a token.
pub(super) async fn delete(
    _: PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    match api::tokens::delete(admin, State(app), Path(name)).await {
        // Somebody else was faster.
        Ok(_) | Err(ApiError::Store(store::StoreError::NotFound { .. })) => {
            Ok(Redirect::to("/settings/tokens").into_response())
        }
        Err(other) => Err(other.into()),
    }
}
