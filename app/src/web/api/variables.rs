//! Variables. A secret value goes in and never comes out.

use crate::domain::names::VariableKey;
use crate::domain::variable::Variable;
use crate::engine::Change;
use crate::store::{self, Content, StoredVariable};
use crate::view::{VariableBody, VariableList, VariableView};
use crate::web::App;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use crate::web::guard::{Admin, Viewer};
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
    _: Admin,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
    Json(body): Json<VariableBody>,
) -> Result<JsonReply<VariableView>, ApiError> {
    let variable = Variable::new(VariableKey::new(key)?, body.value, body.secret)?;
    let stored = seal(&app, variable)?;
    let view = VariableView::from(&stored);
    app.store
        .write(move |tx| store::variables::set(tx, &stored))
        .await?;
    app.engine.feed().publish(Change::Variables);
    Ok(JsonReply(view))
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
    _: Admin,
    State(app): State<Arc<App>>,
    Path(key): Path<String>,
) -> Result<StatusCode, ApiError> {
    let key = VariableKey::new(key)?;
    app.store
        .write(move |tx| store::variables::delete(tx, &key))
        .await?;
    app.engine.feed().publish(Change::Variables);
    Ok(StatusCode::NO_CONTENT)
}
