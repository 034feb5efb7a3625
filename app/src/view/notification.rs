//! Notifications on the wire: channels, what was sent to them, and what a webhook gets.

use super::rfc3339;
use crate::domain::channel::{Channel, Wishes};
use crate::domain::field::FieldError;
use crate::domain::names::{ChannelName, TaskName};
use crate::domain::target::{Kind, TargetBody};
use crate::store::{Delivery, Message};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A channel as it is sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelBody {
    /// Unique among channels.
    pub name: String,
    /// Where it goes.
    pub target: TargetBody,
    /// Whether anything is sent.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What it wants to hear of: `failure`, `recovery`, `overdue`; all by default. A ping
    /// hears of good and of failed runs instead.
    #[serde(default = "everything")]
    pub on: Vec<String>,
    /// The tasks it is about; absent means all.
    #[serde(default)]
    pub tasks: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

fn everything() -> Vec<String> {
    ["failure", "recovery", "overdue"]
        .map(str::to_owned)
        .to_vec()
}

impl From<ChannelView> for ChannelBody {
    fn from(view: ChannelView) -> Self {
        Self {
            name: view.name,
            target: view.target,
            enabled: view.enabled,
            on: view.on,
            tasks: view.tasks,
        }
    }
}

impl ChannelBody {
    /// An empty body for a new channel of that kind.
    pub fn new(kind: String) -> Self {
        Self {
            name: String::new(),
            target: TargetBody {
                kind,
                ..TargetBody::default()
            },
            enabled: yes(),
            on: everything(),
            tasks: None,
        }
    }

    /// All of the channel but the secrets of its target.
    ///
    /// # Errors
    /// Names every field that was refused.
    pub fn channel(&self) -> Result<Channel, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = ChannelName::new(self.name.trim())
            .map_err(|e| errors.push(e))
            .ok();
        let kind: Option<Kind> = self.target.kind.parse().map_err(|e| errors.push(e)).ok();
        let mut wishes = Wishes {
            failure: false,
            recovery: false,
            overdue: false,
        };
        for wish in &self.on {
            match wish.as_str() {
                "failure" => wishes.failure = true,
                "recovery" => wishes.recovery = true,
                "overdue" => wishes.overdue = true,
                other => errors.push(FieldError::new(
                    "on",
                    format!("{other:?} is not known; use failure, recovery or overdue"),
                )),
            }
        }
        let tasks = self.tasks.as_ref().map(|tasks| {
            let known = tasks.iter().filter_map(|task| {
                TaskName::new(task.as_str())
                    .map_err(|e| errors.push(FieldError::new("tasks", e.problem)))
                    .ok()
            });
            known.collect::<Vec<_>>()
        });
        match (name, kind) {
            (Some(name), Some(kind)) if errors.is_empty() => Ok(Channel {
                name,
                kind,
                enabled: self.enabled,
                wishes,
                tasks,
            }),
            _ => Err(errors),
        }
    }
}

/// A channel as it is shown: what may be secret is not here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelView {
    /// Unique among channels.
    pub name: String,
    /// Where it goes, without URL, token and password.
    pub target: TargetBody,
    /// Where it goes, in words; none where it cannot be opened with the server's key.
    pub shown: Option<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// What it wants to hear of.
    pub on: Vec<String>,
    /// The tasks it is about; absent means all.
    pub tasks: Option<Vec<String>>,
    /// When it was last changed, RFC 3339.
    pub updated_at: String,
}

/// All channels.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelList {
    /// By name.
    pub channels: Vec<ChannelView>,
}

/// A notification on its way, or at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// Its number.
    pub id: i64,
    /// The channel.
    pub channel: String,
    /// `failure`, `recovery`, `overdue` or `success`.
    pub occasion: String,
    /// The task.
    pub task: String,
    /// The run, where it is about one.
    pub run: Option<i64>,
    /// What happened.
    pub text: String,
    /// When it happened, RFC 3339.
    pub at: String,
    /// `waiting`, `sent` or `given_up`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next, where it waits.
    pub next_attempt: Option<String>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        let message = &delivery.message;
        Self {
            id: message.id,
            channel: delivery.channel.clone(),
            occasion: message.occasion.as_str().to_owned(),
            task: message.task.clone(),
            run: message.run,
            text: message.text.clone(),
            at: rfc3339(message.at),
            state: delivery.state.as_str().to_owned(),
            attempts: message.attempts,
            next_attempt: delivery
                .finished_at
                .is_none()
                .then(|| rfc3339(delivery.due)),
            error: delivery.error.clone(),
        }
    }
}

/// The newest notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryList {
    /// Newest first.
    pub deliveries: Vec<DeliveryView>,
}

/// What a webhook gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeView {
    /// `failure`, `recovery`, `overdue` or `test`.
    pub event: String,
    /// The news in one line.
    pub title: String,
    /// The task; empty in a test.
    pub task: String,
    /// The run, where it is about one.
    pub run: Option<i64>,
    /// What happened.
    pub text: String,
    /// When it happened, RFC 3339.
    pub at: String,
    /// The page that says more.
    pub url: String,
}

impl NoticeView {
    /// What is sent about `message`.
    pub fn new(message: &Message, title: String, url: String) -> Self {
        Self {
            event: message.occasion.as_str().to_owned(),
            title,
            task: message.task.clone(),
            run: message.run,
            text: message.text.clone(),
            at: rfc3339(message.at),
            url,
        }
    }

    /// It as JSON.
    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
