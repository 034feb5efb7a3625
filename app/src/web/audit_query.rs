//! One page of the audit trail, for the API and for the page.

use super::App;
use super::error::ApiError;
use crate::store::audit::{Filter, list};
use crate::view::{AuditList, AuditView};
use serde::Deserialize;
use utoipa::IntoParams;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

/// Which entries to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditParams {
    /// About this kind of thing only, such as `task`, `variable` or `user`.
    #[serde(default)]
    pub(super) kind: String,
    /// About the thing of this name only.
    #[serde(default)]
    pub(super) name: String,
    /// Of the user or token of this name only.
    #[serde(default)]
    pub(super) actor: String,
    /// At most so many, 1 to 500.
    limit: Option<u32>,
    /// Entries with a smaller number only: `next_before` of the page before.
    before: Option<i64>,
}

impl AuditParams {
    fn filter(&self) -> Result<Filter, ApiError> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(Filter {
            before: self.before,
            kind: given(&self.kind).map(|kind| kind.parse()).transpose()?,
            name: given(&self.name),
            actor: given(&self.actor),
            limit: self.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE),
        })
    }

    /// The entries.
    pub(super) async fn entries(&self, app: &App) -> Result<AuditList, ApiError> {
        let filter = self.filter()?;
        let limit = filter.limit;
        let found = app.store.read(move |tx| list(tx, &filter)).await?;
        let full = u32::try_from(found.len()).unwrap_or(u32::MAX) == limit;
        Ok(AuditList {
            next_before: found.last().filter(|_| full).map(|entry| entry.id),
            entries: found.iter().map(AuditView::from).collect(),
        })
    }
}
