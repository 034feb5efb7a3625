//! The one shape of everything that has a form: its page, saving and deleting. A refused form
//! comes back as it was filled in, with the reasons.

use super::form::{Fields, Refusals, refused};
use super::{PageAdmin, PageError, PageViewer, html};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Path;
use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

/// The page with the form of one kind of thing.
pub(super) trait FormPage: Template + Sized + Send + Sync + 'static {
    /// The address of the list.
    const LIST: &'static str;

    /// The form of the thing `name`, or of a new one; with `typed` as it was filled in.
    fn page(
        viewer: &PageViewer,
        name: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> impl Future<Output = Result<Self, ApiError>> + Send;

    /// Changes the thing `name`, or creates a new one; returns the answer.
    fn save(
        admin: &PageAdmin,
        name: Option<&str>,
        typed: &Fields,
    ) -> impl Future<Output = Result<Response, ApiError>> + Send;

    /// Deletes the thing `name`.
    fn delete(admin: &Admin, name: &str) -> impl Future<Output = Result<(), ApiError>> + Send;
}

/// The address at which a thing is created.
pub(super) fn adding<P: FormPage>() -> MethodRouter<Arc<App>> {
    get(add_page::<P>).post(add::<P>)
}

/// The address at which a thing is changed.
pub(super) fn editing<P: FormPage>() -> MethodRouter<Arc<App>> {
    get(edit_page::<P>).post(edit::<P>)
}

/// The address at which a thing is deleted.
pub(super) fn deleting<P: FormPage>() -> MethodRouter<Arc<App>> {
    post(delete::<P>)
}

async fn add_page<P: FormPage>(admin: PageAdmin) -> Result<Response, PageError> {
    let page = P::page(&admin.viewer, None, None, Refusals::default());
    Ok(html(&page.await?))
}

/// Creates a thing.
pub(super) async fn add<P: FormPage>(
    admin: PageAdmin,
    typed: Fields,
) -> Result<Response, PageError> {
    let saved = P::save(&admin, None, &typed).await;
    answer::<P>(&admin, None, &typed, saved).await
}

async fn edit_page<P: FormPage>(
    admin: PageAdmin,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let page = P::page(&admin.viewer, Some(&name), None, Refusals::default());
    Ok(html(&page.await?))
}

/// Changes a thing.
pub(super) async fn edit<P: FormPage>(
    admin: PageAdmin,
    Path(name): Path<String>,
    typed: Fields,
) -> Result<Response, PageError> {
    let saved = P::save(&admin, Some(&name), &typed).await;
    answer::<P>(&admin, Some(&name), &typed, saved).await
}

/// The answer to a form: that of the act, or the form with the reasons why it was refused.
pub(super) async fn answer<P: FormPage>(
    admin: &PageAdmin,
    name: Option<&str>,
    typed: &Fields,
    saved: Result<Response, ApiError>,
) -> Result<Response, PageError> {
    let Err(error) = saved else {
        return Ok(saved?);
    };
    let refusals = Refusals::new(error)?;
    let page = P::page(&admin.viewer, name, Some(typed), refusals);
    Ok(refused(&page.await?))
}

async fn delete<P: FormPage>(
    admin: PageAdmin,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let error = match P::delete(&admin, &name).await {
        Err(error) if !error.is_not_found() => error,
        done => return deleted(done, P::LIST),
    };
    let page = P::page(&admin.viewer, Some(&name), None, Refusals::new(error)?);
    Ok(refused(&page.await?))
}

/// The answer to a deletion: the list, also where the thing was gone already.
pub(super) fn deleted(done: Result<(), ApiError>, list: &str) -> Result<Response, PageError> {
    match done {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(to(list)),
    }
}

/// Sends the browser to another page, which says that the form was saved.
pub(super) fn saved(address: &str) -> Response {
    to(&format!("{address}#saved"))
}

/// Sends the browser to another page.
pub(super) fn to(address: &str) -> Response {
    Redirect::to(address).into_response()
}
