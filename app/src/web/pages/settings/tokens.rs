//! API tokens: their permissions, expiry and last use.

use crate::domain::field::FieldError;
use crate::store::{self, Role, Scope, TokenInfo};
use crate::view::{DEFAULT_TOKEN_DAYS, NewToken};
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::operations::tokens;
use crate::web::pages::edit::FormPage;
use crate::web::pages::form::{Fields, Refusals, chosen_tasks, number};
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{Moment, PageAdmin, PageError, PageViewer, html};
use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

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
    made: Moment,
    expires: Option<Moment>,
    expired: bool,
    used: Option<Moment>,
    from: String,
}

#[derive(Template)]
#[template(path = "token_form.html")]
pub(in crate::web::pages) struct TokenForm {
    frame: Frame,
    refusals: Refusals,
    name: String,
    role: String,
    some: bool,
    /// Tasks, ticked or not.
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

/// The permissions of a program's role.
fn may(role: Role) -> &'static str {
    match role {
        Role::Viewer => "look",
        Role::Operator => "look, start and cancel runs",
        Role::Admin => "everything",
    }
}

/// `/settings/tokens`: all tokens.
pub(super) async fn list(admin: PageAdmin) -> Result<Response, PageError> {
    let tokens = admin.store.read(store::tokens::list).await?;
    let now = admin.clock.now();
    let row = |token: &TokenInfo| TokenRow {
        name: token.name.to_string(),
        may: may(token.role),
        tasks: match &token.scope {
            Scope::Everything => None,
            Scope::Tasks(names) => Some(names.iter().map(ToString::to_string).collect()),
        },
        made: Moment::new(&admin, token.created_at),
        expires: token.expires_at.map(|at| Moment::new(&admin, at)),
        expired: token.expires_at.is_some_and(|at| at <= now),
        used: token.used_at.map(|at| Moment::new(&admin, at)),
        from: token.used_from.clone(),
    };
    Ok(html(&TokensPage {
        rows: tokens.iter().map(row).collect(),
        frame: Frame::within(&admin.viewer, Part::Tokens),
    }))
}

impl FormPage for TokenForm {
    const LIST: &'static str = "/settings/tokens";

    async fn page(
        viewer: &PageViewer,
        _: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let tasks = viewer.store.read(store::tasks::list).await?;
        let text = |name, default: &str| typed.map_or_else(|| default.to_owned(), |f| f.line(name));
        let ticked = |name: &str| {
            typed.is_some_and(|f| f.iter().any(|(key, value)| key == "task" && value == name))
        };
        Ok(Self {
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
            days: text("days", &DEFAULT_TOKEN_DAYS.to_string()),
        })
    }

    /// Creates a token and shows it, this once.
    async fn save(
        admin: &PageAdmin,
        _: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let created = tokens::create(admin, &body(typed)?).await?;
        let page = html(&MadePage {
            frame: Frame::within(&admin.viewer, Part::Tokens),
            name: created.name,
            token: created.token,
        });
        Ok((StatusCode::CREATED, page).into_response())
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        tokens::delete(admin, name).await
    }
}

fn body(fields: &Fields) -> Result<NewToken, FieldError> {
    let days = fields.line("days");
    Ok(NewToken {
        name: fields.line("name"),
        role: fields.text("role"),
        tasks: chosen_tasks(fields)?,
        expires_in_days: match days.as_str() {
            "" => None,
            days => Some(number("expires_in_days", days)?),
        },
    })
}
