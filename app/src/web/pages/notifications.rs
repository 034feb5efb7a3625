//! Notifications: the channels, what was sent to them, and the forms that add and change one.

use super::form::{Fields, Refusals, refused};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageError, PageViewer, html, shown};
use crate::domain::names::ChannelName;
use crate::domain::target::Kind;
use crate::store::{self, Delivery, MessageState};
use crate::view::{ChannelBody, ChannelView, TargetBody};
use crate::web::App;
use crate::web::api::notifications as api;
use crate::web::caller::Admin;
use crate::web::channels::{add as add_channel, change, try_out, view};
use crate::web::error::ApiError;
use crate::web::extract::{Params, Path};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Deliveries shown below the channels.
const SHOWN: u32 = 30;

#[derive(Template)]
#[template(path = "notifications.html")]
struct NotificationsPage {
    frame: Frame,
    channels: Vec<ChannelView>,
    deliveries: Vec<Row>,
    /// What a test came to: whether it went well, and the words.
    tried: Option<(bool, String)>,
}

struct Row {
    at: String,
    channel: String,
    task: String,
    run: Option<i64>,
    text: String,
    mark: &'static str,
    shape: &'static str,
    state: String,
    error: Option<String>,
}

/// `/notifications`.
pub(super) async fn list(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    page(&app, viewer, None).await
}

async fn page(
    app: &App,
    viewer: PageViewer,
    tried: Option<(bool, String)>,
) -> Result<Response, PageError> {
    let (channels, deliveries) = app
        .store
        .read(|tx| {
            Ok((
                store::channels::list(tx)?,
                store::outbox::newest(tx, SHOWN)?,
            ))
        })
        .await?;
    Ok(html(&NotificationsPage {
        frame: Frame::new(viewer, Section::Notifications),
        channels: channels.iter().map(|one| view(app, one)).collect(),
        deliveries: deliveries.into_iter().map(|one| row(app, one)).collect(),
        tried,
    }))
}

fn row(app: &App, delivery: Delivery) -> Row {
    let message = delivery.message;
    let (mark, shape, state) = match delivery.state {
        MessageState::Sent => ("green", "✓", "sent".to_owned()),
        MessageState::GivenUp => ("red", "✕", "given up".to_owned()),
        MessageState::Waiting if message.attempts == 0 => ("blue", "…", "being sent".to_owned()),
        MessageState::Waiting => {
            let next = shown(delivery.due, app.zone.get());
            ("blue", "↻", format!("tried again {next}"))
        }
    };
    Row {
        at: shown(message.at, app.zone.get()),
        channel: delivery.channel,
        task: message.task,
        run: message.run,
        text: message.text,
        mark,
        shape,
        state,
        error: delivery.error,
    }
}

#[derive(Template)]
#[template(path = "notification_kinds.html")]
struct KindsPage {
    frame: Frame,
}

impl KindsPage {
    fn kinds(&self) -> [(&'static str, &'static str, &'static str); 5] {
        Kind::ALL.map(|kind| {
            let words = match kind {
                Kind::Webhook => "posts a JSON document to a URL of yours",
                Kind::Ntfy => "a push message to your phone through an ntfy topic",
                Kind::Gotify => "a push message through your own Gotify server",
                Kind::Email => "a mail through your mail provider",
                Kind::Ping => {
                    "tells a service such as Healthchecks of every good run, so that it raises the alarm when this board is silent"
                }
            };
            (kind.as_str(), kind.title(), words)
        })
    }
}

#[derive(Template)]
#[template(path = "notification_form.html")]
struct ChannelForm {
    frame: Frame,
    refusals: Refusals,
    /// The channel that is changed; none for a new one.
    channel: Option<String>,
    /// Where it goes at present, in words.
    present: Option<String>,
    kind: Kind,
    body: ChannelBody,
    /// All tasks, and whether each is ticked.
    tasks: Vec<(String, bool)>,
}

impl ChannelForm {
    async fn new(
        app: &App,
        viewer: PageViewer,
        channel: Option<String>,
        body: ChannelBody,
        refusals: Refusals,
    ) -> Result<Self, PageError> {
        let name = channel.clone().map(ChannelName::new).transpose()?;
        let (tasks, stored) = app
            .store
            .read(move |tx| {
                let stored = name
                    .map(|name| store::channels::get(tx, &name))
                    .transpose()?;
                Ok((store::tasks::list(tx)?, stored))
            })
            .await?;
        let chosen = body.tasks.clone().unwrap_or_default();
        let tick = |name: String| (name.clone(), chosen.contains(&name));
        Ok(Self {
            frame: Frame::new(viewer, Section::Notifications),
            refusals,
            channel,
            present: stored.and_then(|stored| view(app, &stored).shown),
            kind: body.target.kind.parse()?,
            tasks: tasks
                .into_iter()
                .map(|t| tick(t.task.name.to_string()))
                .collect(),
            body,
        })
    }

    /// What an empty field for a secret means.
    fn keep(&self) -> &'static str {
        match self.channel {
            Some(_) => "Leave empty to keep the present one",
            None => "",
        }
    }

    fn hears(&self, occasion: &str) -> bool {
        self.body.on.iter().any(|one| one == occasion)
    }

    fn security(&self, way: &str) -> bool {
        match self.body.target.security.as_str() {
            "" => way == "starttls",
            present => present == way,
        }
    }
}

/// The query of the form for a new channel.
#[derive(Deserialize)]
pub(super) struct NewParams {
    kind: Option<String>,
}

/// `/add/notification`: which kind, and then its empty form.
pub(super) async fn add_page(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
    Params(params): Params<NewParams>,
) -> Result<Response, PageError> {
    let Some(kind) = params.kind else {
        let frame = Frame::new(viewer, Section::Notifications);
        return Ok(html(&KindsPage { frame }));
    };
    let body = ChannelBody {
        name: String::new(),
        target: TargetBody {
            kind,
            ..TargetBody::default()
        },
        enabled: true,
        on: ["failure", "recovery", "overdue"]
            .map(str::to_owned)
            .to_vec(),
        tasks: None,
    };
    let form = ChannelForm::new(&app, viewer, None, body, Refusals::default()).await?;
    Ok(html(&form))
}

/// Adds a channel.
pub(super) async fn add(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, PageError> {
    let body = body(&fields);
    let added = add_channel(&app, &admin, body.clone()).await;
    answer(&app, viewer, None, body, added.map(drop)).await
}

/// `/notifications/{name}`: the form of a channel.
pub(super) async fn edit_page(
    PageAdmin(viewer): PageAdmin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let channel = ChannelName::new(name)?;
    let stored = app
        .store
        .read(move |tx| store::channels::get(tx, &channel))
        .await?;
    let present = view(&app, &stored);
    let name = present.name.clone();
    let body = ChannelBody {
        name: present.name,
        target: present.target,
        enabled: present.enabled,
        on: present.on,
        tasks: present.tasks,
    };
    let form = ChannelForm::new(&app, viewer, Some(name), body, Refusals::default()).await?;
    Ok(html(&form))
}

/// Changes a channel.
pub(super) async fn edit(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    fields: Fields,
) -> Result<Response, PageError> {
    let body = body(&fields);
    let changed = change(&app, &admin, name.clone(), body.clone()).await;
    answer(&app, viewer, Some(name), body, changed.map(drop)).await
}

/// Removes a channel.
pub(super) async fn delete(
    _: PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    api::delete(admin, State(app), Path(name)).await?;
    Ok(Redirect::to("/notifications").into_response())
}

/// Sends a test message and shows what came of it.
pub(super) async fn test(
    PageAdmin(viewer): PageAdmin,
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    match try_out(&app, &admin, name.clone()).await {
        Ok(()) => {
            let words = format!("{name} took the test message.");
            page(&app, viewer, Some((true, words))).await
        }
        Err(ApiError::NotSent(error)) => {
            let words = format!("The test of {name} failed: {error}.");
            let page = page(&app, viewer, Some((false, words))).await?;
            Ok((StatusCode::BAD_GATEWAY, page).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

fn body(fields: &Fields) -> ChannelBody {
    let occasions = ["failure", "recovery", "overdue"];
    let chosen = fields.iter().filter(|(key, _)| *key == "task");
    ChannelBody {
        name: fields.line("name"),
        target: TargetBody {
            kind: fields.line("kind"),
            url: fields.line("url"),
            token: fields.line("token"),
            host: fields.line("host"),
            port: fields.line("port"),
            security: fields.line("security"),
            user: fields.line("user"),
            password: fields.line("password"),
            from: fields.line("from"),
            to: fields.line("to"),
        },
        enabled: fields.ticked("enabled"),
        on: occasions
            .into_iter()
            .filter(|one| fields.ticked(one))
            .map(str::to_owned)
            .collect(),
        tasks: (fields.line("scope") == "some")
            .then(|| chosen.map(|(_, v)| v.to_owned()).collect()),
    }
}

/// To the list where it worked, else back to the form as it was filled in.
async fn answer(
    app: &App,
    viewer: PageViewer,
    channel: Option<String>,
    body: ChannelBody,
    result: Result<(), ApiError>,
) -> Result<Response, PageError> {
    let Err(error) = result else {
        return Ok(Redirect::to("/notifications").into_response());
    };
    let refusals = Refusals::new(error)?;
    let form = ChannelForm::new(app, viewer, channel, body, refusals).await?;
    Ok(refused(&form))
}
