//! The audit trail with filters, page by page.

use crate::domain::audit::SubjectKind;
use crate::view::{AuditView, FieldChangeView};
use crate::web::audit_query::AuditParams;
use crate::web::extract::Params;
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::query::query;
use crate::web::pages::{Moment, PageAdmin, PageError, html};
use askama::Template;
use axum::response::Response;
use chrono::DateTime;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    filter: AuditParams,
    rows: Vec<AuditRow>,
    /// The query of the next page.
    older: Option<String>,
}

impl AuditPage {
    fn kinds(&self) -> Vec<(&'static str, bool)> {
        let kinds = SubjectKind::ALL.iter().map(|kind| kind.as_str());
        kinds.map(|kind| (kind, self.filter.kind == kind)).collect()
    }

    fn filtered(&self) -> bool {
        let filter = &self.filter;
        !(filter.kind.is_empty() && filter.name.is_empty() && filter.actor.is_empty())
    }
}

struct AuditRow {
    at: Option<Moment>,
    entry: AuditView,
}

impl AuditRow {
    /// The page of the thing, if it has one.
    fn href(&self) -> Option<String> {
        let name = &self.entry.name;
        if self.entry.action == "removed" {
            return None;
        }
        match self.entry.kind.as_str() {
            "task" => Some(format!("/tasks/{name}")),
            "run" => Some(format!("/runs/{name}")),
            "pool" => Some(format!("/pools/{name}")),
            "variable" => Some(format!("/variables/{name}")),
            "script" => Some(format!("/scripts/{name}")),
            "notification" => Some(format!("/notifications/{name}")),
            _ => None,
        }
    }
}

impl AuditRow {
    /// The changes that the page shows: neither the empty fields of a new thing, nor the time when it
    /// was made, which stands in the first column.
    fn changes(&self) -> Vec<&FieldChangeView> {
        let says_something = |change: &&FieldChangeView| {
            change.old.is_some()
                || (change.field != "created_at"
                    && change.new.as_ref().is_some_and(|new| !new.is_empty()))
        };
        self.entry.changes.iter().filter(says_something).collect()
    }
}

/// One side of a change, as the page shows it.
fn side(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("–")
}

impl FieldChangeView {
    fn before(&self) -> &str {
        side(&self.old)
    }

    fn after(&self) -> &str {
        side(&self.new)
    }
}

/// `/settings/audit`: one page.
pub(super) async fn page(
    admin: PageAdmin,
    Params(filter): Params<AuditParams>,
) -> Result<Response, PageError> {
    let list = filter.entries(&admin).await?;
    let older = |before: i64| {
        query(&[
            ("kind", &filter.kind),
            ("name", &filter.name),
            ("actor", &filter.actor),
            ("before", &before.to_string()),
        ])
    };
    let row = |entry: AuditView| AuditRow {
        at: DateTime::parse_from_rfc3339(&entry.at)
            .ok()
            .map(|at| Moment::new(&admin, at.to_utc())),
        entry,
    };
    Ok(html(&AuditPage {
        frame: Frame::within(&admin.viewer, Part::Audit),
        older: list.next_before.map(older),
        rows: list.entries.into_iter().map(row).collect(),
        filter,
    }))
}
