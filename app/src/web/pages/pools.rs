//! Pools: their slots, who holds them and who waits since when.

use super::form::{Fields, Refusals, number, refused};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageError, PageViewer, html, lasted, shown};
use crate::domain::lifecycle::{Run, RunId, StepState};
use crate::domain::names::PoolName;
use crate::engine::PoolState;
use crate::store::{self, PoolUse};
use crate::view::PoolBody;
use crate::web::App;
use crate::web::api;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Json, Path};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pools.html")]
struct PoolsPage {
    frame: Frame,
    body: PoolsFragment,
}

#[derive(Template)]
#[template(path = "pools_list.html")]
struct PoolsFragment {
    admin: bool,
    rows: Vec<PoolRow>,
}

struct PoolRow {
    name: String,
    slots: u32,
    tasks: Vec<String>,
    holders: Vec<Occupant>,
    waiting: Vec<Occupant>,
}

/// A run that holds a slot or waits for one.
struct Occupant {
    run: i64,
    task: String,
    step: String,
    since: String,
}

#[derive(Template)]
#[template(path = "pool_form.html")]
struct PoolForm {
    frame: Frame,
    refusals: Refusals,
    /// The pool that is changed; none for a new one.
    pool: Option<String>,
    name: String,
    slots: String,
}

/// `/pools`: all pools.
pub(super) async fn list(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let body = fragment(&app, viewer.admin).await?;
    let frame = Frame::new(viewer, Section::Pools);
    Ok(html(&PoolsPage { frame, body }))
}

/// What of that page changes while it is open.
pub(super) async fn list_fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    Ok(html(&fragment(&app, viewer.admin).await?))
}

async fn fragment(app: &App, admin: bool) -> Result<PoolsFragment, PageError> {
    let states = app.engine.pools().await;
    let wanted: Vec<RunId> = states
        .values()
        .flat_map(|state| state.holders.iter().chain(&state.waiting).copied())
        .collect();
    let (pools, tasks, runs) = app
        .store
        .read(move |tx| {
            // One that was removed meanwhile is not shown.
            let runs = wanted
                .into_iter()
                .filter_map(|id| Some((id, store::runs::get(tx, id).ok()?)))
                .collect::<BTreeMap<RunId, Run>>();
            Ok((store::pools::list(tx)?, store::tasks::list(tx)?, runs))
        })
        .await?;
    let row = |stored: PoolUse| {
        let none = PoolState::default();
        let state = states.get(&stored.pool.name).unwrap_or(&none);
        let occupants = |ids: &[RunId]| {
            let found = ids.iter().filter_map(|id| runs.get(id));
            found.map(|run| occupant(app, run)).collect()
        };
        PoolRow {
            slots: stored.pool.slots.get(),
            tasks: tasks
                .iter()
                .filter(|t| t.task.pool == stored.pool.name)
                .map(|t| t.task.name.to_string())
                .collect(),
            holders: occupants(&state.holders),
            waiting: occupants(&state.waiting),
            name: stored.pool.name.to_string(),
        }
    };
    Ok(PoolsFragment {
        admin,
        rows: pools.into_iter().map(row).collect(),
    })
}

fn occupant(app: &App, run: &Run) -> Occupant {
    let step = run
        .steps
        .iter()
        .find(|step| matches!(step.state, StepState::Running | StepState::Queued));
    let since = step
        .and_then(|step| step.started_at.or(step.queued_at))
        .unwrap_or(run.created_at);
    Occupant {
        run: run.id.0,
        task: run.task_name.to_string(),
        step: step.map(|s| s.step.name.to_string()).unwrap_or_default(),
        since: format!(
            "since {} ({})",
            shown(since, app.zone.get()),
            lasted(since, app.clock.now())
        ),
    }
}

/// `/add/pool`: the empty form.
pub(super) async fn add_page(PageAdmin(viewer): PageAdmin) -> Response {
    html(&PoolForm {
        frame: Frame::new(viewer, Section::Pools),
        refusals: Refusals::default(),
        pool: None,
        name: String::new(),
        slots: "1".to_owned(),
    })
}

/// Adds a pool.
pub(super) async fn add(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let added = match body(fields.line("name"), &fields) {
        Ok(body) => api::pools::create(admin, State(app), Json(body))
            .await
            .map(drop),
        Err(error) => Err(error),
    };
    answer(added, viewer, None, &fields)
}

/// `/pools/{name}`: the form of a pool.
pub(super) async fn edit_page(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let name = PoolName::new(name)?;
    let stored = app
        .store
        .read(move |tx| store::pools::get(tx, &name))
        .await?;
    let name = stored.pool.name.to_string();
    Ok(html(&PoolForm {
        frame: Frame::new(viewer, Section::Pools),
        refusals: Refusals::default(),
        pool: Some(name.clone()),
        name,
        slots: stored.pool.slots.to_string(),
    }))
}

/// Changes the slots of a pool.
pub(super) async fn edit(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let changed = match body(name.clone(), &fields) {
        Ok(body) => api::pools::replace(admin, State(app), Path(name.clone()), Json(body))
            .await
            .map(drop),
        Err(error) => Err(error),
    };
    answer(changed, viewer, Some(name), &fields)
}

/// Removes a pool.
pub(super) async fn delete(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let removed = api::pools::delete(admin, State(app), Path(name.clone())).await;
    answer(removed.map(drop), viewer, Some(name), &fields)
}

fn body(name: String, fields: &Fields) -> Result<PoolBody, ApiError> {
    let slots = number("slots", &fields.text("slots"))?;
    Ok(PoolBody { name, slots })
}

/// To the list where it worked, else back to the form as it was filled in.
fn answer(
    result: Result<(), ApiError>,
    viewer: PageViewer,
    pool: Option<String>,
    fields: &Fields,
) -> Result<Response, PageError> {
    let Err(error) = result else {
        return Ok(Redirect::to("/pools").into_response());
    };
    Ok(refused(&PoolForm {
        refusals: Refusals::new(error)?,
        frame: Frame::new(viewer, Section::Pools),
        name: pool.clone().unwrap_or_else(|| fields.text("name")),
        pool,
        slots: fields.text("slots"),
    }))
}
