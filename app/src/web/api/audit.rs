//! The audit trail. Only admins read it: it holds addresses, and what settings were before.

use crate::store::audit::{Filter, list as entries};
use crate::view::{AuditList, AuditView};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Params;
use axum::Json as JsonReply;
use axum::extract::State;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

/// Which entries to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct AuditParams {
    /// About this kind of thing only, such as `task`, `variable` or `user`.
    #[serde(default)]
    pub(in crate::web) kind: String,
    /// About the thing of this name only.
    #[serde(default)]
    pub(in crate::web) name: String,
    /// Of the user or token of this name only.
    #[serde(default)]
    pub(in crate::web) actor: String,
    /// At most so many, 1 to 500.
    pub(in crate::web) limit: Option<u32>,
    /// Entries with a smaller number only: `next_before` of the page before.
    pub(in crate::web) before: Option<i64>,
}

impl AuditParams {
    fn filter(self) -> Result<Filter, ApiError> {
        let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(Filter {
            before: self.before,
            kind: given(self.kind).map(|kind| kind.parse()).transpose()?,
            name: given(self.name),
            actor: given(self.actor),
            limit: self.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE),
        })
    }
}

/// Who changed what, newest first.
#[utoipa::path(get, path = "/audit", params(AuditParams),
    responses((status = 200, body = AuditList), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn list(
    _: Admin,
    State(app): State<Arc<App>>,
    Params(params): Params<AuditParams>,
) -> Result<JsonReply<AuditList>, ApiError> {
    let filter = params.filter()?;
    let limit = filter.limit;
    let found = app.store.read(move |tx| entries(tx, &filter)).await?;
    let full = u32::try_from(found.len()).unwrap_or(u32::MAX) == limit;
    Ok(JsonReply(AuditList {
        next_before: found.last().filter(|_| full).map(|entry| entry.id),
        entries: found.iter().map(AuditView::from).collect(),
    }))
}
