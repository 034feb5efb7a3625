//! Notifications: the channels, the deliveries, and the forms that create and edit a channel.

use super::edit::{FormPage, saved};
use super::form::{Fields, Refusals, chosen_tasks, ticked_tasks};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageError, PageViewer, html, shown};
use crate::domain::target::{Kind, TokenUse};
use crate::store::{self, Delivery, MessageState};
use crate::view::{ChannelBody, ChannelView, TargetBody};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::{Params, Path};
use crate::web::operations::channels::{self, view};
use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

/// Deliveries shown below the channels.
const SHOWN: u32 = 30;

#[derive(Template)]
#[template(path = "notifications.html")]
struct NotificationsPage {
    frame: Frame,
    channels: Vec<ChannelView>,
    deliveries: Vec<DeliveryRow>,
    /// The result of a test: success or failure, and the words.
    tried: Option<(bool, String)>,
}

struct DeliveryRow {
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
pub(super) async fn list(admin: PageAdmin) -> Result<Response, PageError> {
    page(&admin.viewer, None).await
}

async fn page(app: &PageViewer, tried: Option<(bool, String)>) -> Result<Response, PageError> {
    let (stored, deliveries) = app
        .store
        .read(|tx| {
            Ok((
                store::channels::list(tx)?,
                store::outbox::newest(tx, SHOWN)?,
            ))
        })
        .await?;
    Ok(html(&NotificationsPage {
        frame: Frame::new(app, Section::Notifications),
        channels: stored.iter().map(|one| view(app, one)).collect(),
        deliveries: deliveries.into_iter().map(|one| row(app, one)).collect(),
        tried,
    }))
}

fn row(app: &App, delivery: Delivery) -> DeliveryRow {
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
    DeliveryRow {
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
    fn kinds(&self) -> [(&'static str, &'static str, &'static str); Kind::ALL.len()] {
        Kind::ALL.map(|kind| (kind.as_str(), kind.title(), kind.summary()))
    }
}

#[derive(Template)]
#[template(path = "notification_form.html")]
pub(super) struct ChannelForm {
    frame: Frame,
    refusals: Refusals,
    /// The channel that is changed; none for a new one.
    channel: Option<String>,
    /// Its present target, in words.
    present: Option<String>,
    kind: Kind,
    body: ChannelBody,
    /// Tasks, ticked or not.
    tasks: Vec<(String, bool)>,
}

impl ChannelForm {
    /// The meaning of an empty field for a secret.
    fn keep(&self) -> &'static str {
        match self.channel {
            Some(_) => "Leave empty to keep the present one",
            None => "",
        }
    }

    fn takes_token(&self) -> bool {
        self.kind.token() != TokenUse::None
    }

    fn token_is_optional(&self) -> bool {
        self.kind.token() == TokenUse::Optional
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

/// `/add/notification`: a choice of kinds, and then the empty form of that kind.
pub(super) async fn add_page(
    admin: PageAdmin,
    Params(params): Params<NewParams>,
) -> Result<Response, PageError> {
    let Some(kind) = params.kind else {
        let frame = Frame::new(&admin.viewer, Section::Notifications);
        return Ok(html(&KindsPage { frame }));
    };
    let form = form(
        &admin.viewer,
        None,
        ChannelBody::new(kind),
        Refusals::default(),
    );
    Ok(html(&form.await?))
}

async fn form(
    viewer: &PageViewer,
    channel: Option<&str>,
    body: ChannelBody,
    refusals: Refusals,
) -> Result<ChannelForm, ApiError> {
    let stored = match channel {
        Some(name) => Some(channels::get(viewer, name).await?),
        None => None,
    };
    let tasks = viewer.store.read(store::tasks::list).await?;
    let chosen = body.tasks.clone().unwrap_or_default();
    let tick = |name: String| (name.clone(), chosen.contains(&name));
    Ok(ChannelForm {
        frame: Frame::new(viewer, Section::Notifications),
        refusals,
        channel: channel.map(str::to_owned),
        present: stored.and_then(|stored| view(viewer, &stored).shown),
        kind: body.target.kind.parse()?,
        tasks: tasks
            .into_iter()
            .map(|t| tick(t.task.name.to_string()))
            .collect(),
        body,
    })
}

impl FormPage for ChannelForm {
    const LIST: &'static str = "/notifications";

    async fn page(
        viewer: &PageViewer,
        name: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let body = match (typed, name) {
            (Some(typed), _) => body(typed),
            (None, Some(name)) => {
                ChannelBody::from(view(viewer, &channels::get(viewer, name).await?))
            }
            (None, None) => ChannelBody::new(String::new()),
        };
        form(viewer, name, body, refusals).await
    }

    async fn save(
        admin: &PageAdmin,
        name: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let body = ChannelBody {
            tasks: chosen_tasks(typed)?,
            ..body(typed)
        };
        match name {
            None => channels::create(admin, body).await?,
            Some(name) => channels::replace(admin, name, body).await?,
        };
        Ok(saved(Self::LIST))
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        channels::delete(admin, name).await
    }
}

/// Sends a test message and shows the result.
pub(super) async fn test(
    admin: PageAdmin,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    match channels::test(&admin, &name).await {
        Ok(()) => {
            let words = format!("{name} took the test message.");
            page(&admin.viewer, Some((true, words))).await
        }
        Err(ApiError::NotSent(error)) => {
            let words = format!("The test of {name} failed: {error}.");
            let page = page(&admin.viewer, Some((false, words))).await?;
            Ok((StatusCode::BAD_GATEWAY, page).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

fn body(fields: &Fields) -> ChannelBody {
    let occasions = ["failure", "recovery", "overdue"];
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
        tasks: chosen_tasks(fields).unwrap_or_else(|_| Some(ticked_tasks(fields))),
    }
}
