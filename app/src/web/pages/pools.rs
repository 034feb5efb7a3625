//! Pools: their slots, who holds them and who waits since when.

use super::edit::{FormPage, saved};
use super::form::{Fields, Refusals, number};
use super::frame::{Frame, Section};
use super::{Moment, PageAdmin, PageError, PageViewer, html};
use crate::domain::lifecycle::{Run, RunId, StepState};
use crate::domain::names::PoolName;
use crate::engine::PoolState;
use crate::store::{self, PoolUse};
use crate::view::PoolBody;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::operations::pools;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
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
    since: Moment,
}

#[derive(Template)]
#[template(path = "pool_form.html")]
pub(super) struct PoolForm {
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
    let frame = Frame::new(&viewer, Section::Pools);
    Ok(html(&PoolsPage { frame, body }))
}

/// The live part of the page.
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
        since: Moment::new(app, since),
    }
}

impl FormPage for PoolForm {
    const LIST: &'static str = "/pools";

    async fn page(
        viewer: &PageViewer,
        name: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let stored = match name {
            None => None,
            Some(name) => {
                let name = PoolName::new(name)?;
                let get = viewer.store.read(move |tx| store::pools::get(tx, &name));
                Some(get.await?.pool)
            }
        };
        let slots = stored.map_or_else(|| "1".to_owned(), |pool| pool.slots.to_string());
        Ok(Self {
            frame: Frame::new(viewer, Section::Pools),
            refusals,
            pool: name.map(str::to_owned),
            name: typed.map(|typed| typed.text("name")).unwrap_or_default(),
            slots: typed.map_or(slots, |typed| typed.text("slots")),
        })
    }

    async fn save(
        admin: &PageAdmin,
        name: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let body = PoolBody {
            name: name.map_or_else(|| typed.line("name"), str::to_owned),
            slots: number("slots", &typed.text("slots"))?,
        };
        match name {
            None => pools::create(admin, &body).await?,
            Some(name) => pools::replace(admin, name, &body).await?,
        };
        Ok(saved(Self::LIST))
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        pools::delete(admin, name).await
    }
}
