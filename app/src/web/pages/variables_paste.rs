//! Several variables at once, pasted as lines `KEY=VALUE`. All of them are added, or none.

use super::edit::{FormPage, saved};
use super::form::{Fields, Refusals};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageViewer};
use crate::domain::field::FieldError;
use crate::domain::variable_lines::parse;
use crate::store;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::operations::variables;
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "variables_paste.html")]
pub(super) struct VariablesPaste {
    frame: Frame,
    refusals: Refusals,
    lines: String,
    secret: bool,
}

impl FormPage for VariablesPaste {
    const LIST: &'static str = "/variables";

    async fn page(
        viewer: &PageViewer,
        _: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            frame: Frame::new(viewer, Section::Variables),
            refusals,
            lines: typed.map(|typed| typed.text("lines")).unwrap_or_default(),
            secret: typed.is_some_and(|typed| typed.ticked("secret")),
        })
    }

    async fn save(
        admin: &PageAdmin,
        _: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let found = parse(&typed.text("lines"))?;
        let present = admin.store.read(store::variables::list).await?;
        let known: Vec<&str> = found
            .iter()
            .map(|(key, _)| key.as_str())
            .filter(|key| present.iter().any(|one| one.key.as_str() == *key))
            .collect();
        if !known.is_empty() {
            let problem = format!(
                "{} exist already; change them where they are listed",
                known.join(", ")
            );
            return Err(FieldError::new("lines", problem).into());
        }
        variables::add_all(admin, found, typed.ticked("secret")).await?;
        Ok(saved(Self::LIST))
    }

    async fn delete(_: &Admin, name: &str) -> Result<(), ApiError> {
        Err(ApiError::NotFound(format!("variable {name:?}")))
    }
}
