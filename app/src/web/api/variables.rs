//! Variables. A secret value goes in and never comes out.

use crate::domain::audit::{Action, Deed, HIDDEN, SubjectKind};
use crate::domain::names::VariableKey;
use crate::domain::variable::Variable;
use crate::engine::Change;
use crate::store::{self, Content, StoreError, StoredVariable};
use crate::view::{VariableBody, VariableList, VariableView};
use crate::web::App;
use crate::web::caller::{Admin, Viewer};
use crate::web::change::Ledger;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use axum::Json as JsonReply;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// All variables by key.
#[utoipa::path(get, path = "/variables", responses((status = 200, body = VariableList)))]
pub(in crate::web) async fn list(
    _: Viewer,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<VariableList>, ApiError> {
    let stored = app.store.read(store::variables::list).await?;
    Ok(JsonReply(VariableList {
        variables: stored.iter().map(VariableView::from).collect(),
    }))
}

/// One variable.
#[utoipa::path(get, path = "/variables/{key}", responses((status = 200, body = VariableView), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn show(
    _: Viewer,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
) -> Result<JsonReply<VariableView>, ApiError> {
    let key = VariableKey::new(key)?;
    let stored = app
        .store
        .read(move |tx| store::variables::get(tx, &key))
        .await?;
    Ok(JsonReply(VariableView::from(&stored)))
}

/// Sets a variable, new or not. Steps that start from now on see it.
#[utoipa::path(put, path = "/variables/{key}", request_body = VariableBody,
    responses((status = 200, body = VariableView), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn set(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    Json(body): Json<VariableBody>,
) -> Result<JsonReply<VariableView>, ApiError> {
    let variable = Variable::new(VariableKey::new(key)?, body.value, body.secret)?;
    let stored = seal(&app, variable)?;
    let view = VariableView::from(&stored);
    app.change(admin.actor(), move |ledger| set_in(ledger, &stored))
        .await?;
    app.engine.feed().publish(Change::Variables);
    Ok(JsonReply(view))
}

/// Sets a variable and writes it down. One that becomes a secret is also taken out of what
/// was written down before.
pub(in crate::web) fn set_in(
    ledger: &Ledger<'_>,
    stored: &StoredVariable,
) -> Result<(), StoreError> {
    let key = stored.key.as_str();
    let old = match store::variables::get(ledger, &stored.key) {
        Ok(old) => Some(old),
        Err(StoreError::NotFound { .. }) => None,
        Err(other) => return Err(other),
    };
    store::variables::set(ledger, stored)?;
    let secret = matches!(stored.content, Content::Sealed(_));
    if secret {
        store::audit::hide(ledger, SubjectKind::Variable, key, "value")?;
    }
    let value = |content: &Content| match content {
        Content::Plain(value) if !secret => value.clone(),
        _ => HIDDEN.to_owned(),
    };
    let is_secret = |content: &Content| matches!(content, Content::Sealed(_)).to_string();
    let action = match old {
        None => Action::Added,
        Some(_) => Action::Changed,
    };
    let mut deed = Deed::new(action, SubjectKind::Variable, key);
    let before = old.as_ref().map(|old| &old.content);
    // Of two sealed values nobody can say here whether they are the same.
    if before != Some(&stored.content) {
        let after = Some(value(&stored.content));
        deed = deed.with("value", before.map(value), after);
    }
    let (before, after) = (before.map(is_secret), Some(is_secret(&stored.content)));
    if before != after {
        deed = deed.with("secret", before, after);
    }
    if deed.changes.is_empty() {
        return Ok(());
    }
    ledger.note(&deed)
}

/// What is stored of a variable.
pub(crate) fn seal(app: &App, variable: Variable) -> Result<StoredVariable, ApiError> {
    let content = if variable.secret {
        Content::Sealed(app.secrets.seal(variable.key.as_str(), &variable.value)?)
    } else {
        Content::Plain(variable.value)
    };
    Ok(StoredVariable {
        key: variable.key,
        content,
        updated_at: app.clock.now(),
    })
}

/// Removes a variable.
#[utoipa::path(delete, path = "/variables/{key}", responses((status = 204), (status = 404, body = crate::view::Problem)))]
pub(in crate::web) async fn delete(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
) -> Result<StatusCode, ApiError> {
    let key = VariableKey::new(key)?;
    app.change(admin.actor(), move |ledger| {
        let gone = VariableView::from(&store::variables::get(ledger, &key)?);
        store::variables::delete(ledger, &key)?;
        let value = gone.value.unwrap_or_else(|| HIDDEN.to_owned());
        let deed = Deed::new(Action::Removed, SubjectKind::Variable, key.as_str()).with(
            "value",
            Some(value),
            None,
        );
        ledger.note(&deed)
    })
    .await?;
    app.engine.feed().publish(Change::Variables);
    Ok(StatusCode::NO_CONTENT)
}
