//! Channels between the database, where their targets are sealed, and whoever edits them.

use super::App;
use super::error::ApiError;
use crate::domain::field::FieldError;
use crate::domain::names::ChannelName;
use crate::domain::target::{Target, TargetParts};
use crate::notify::{open_parts, seal};
use crate::store::{self, StoreError, StoredChannel};
use crate::view::{ChannelBody, ChannelView, TargetBody, rfc3339};

/// A channel as it may be shown.
pub(super) fn view(app: &App, stored: &StoredChannel) -> ChannelView {
    let opened = open_parts(&app.secrets, stored).ok();
    let target = opened.as_ref().map(TargetBody::from).unwrap_or_default();
    let channel = &stored.channel;
    let on = [
        ("failure", channel.wishes.failure),
        ("recovery", channel.wishes.recovery),
        ("overdue", channel.wishes.overdue),
    ];
    ChannelView {
        name: channel.name.to_string(),
        target: TargetBody {
            kind: channel.kind.as_str().to_owned(),
            ..target.shown()
        },
        shown: opened
            .and_then(|parts| Target::try_from(&parts).ok())
            .map(|target| target.shown()),
        enabled: channel.enabled,
        on: on
            .into_iter()
            .filter(|(_, wanted)| *wanted)
            .map(|(name, _)| name.to_owned())
            .collect(),
        tasks: channel
            .tasks
            .as_ref()
            .map(|tasks| tasks.iter().map(ToString::to_string).collect()),
        updated_at: rfc3339(stored.updated_at),
    }
}

/// Adds a channel.
pub(super) async fn add(app: &App, body: ChannelBody) -> Result<StoredChannel, ApiError> {
    save(app, body, None).await
}

/// Changes the channel `name`; secrets that are left empty stay as they are.
pub(super) async fn change(
    app: &App,
    name: String,
    body: ChannelBody,
) -> Result<StoredChannel, ApiError> {
    let name = ChannelName::new(name)?;
    let old = app
        .store
        .read(move |tx| store::channels::get(tx, &name))
        .await?;
    save(app, body, Some(old)).await
}

async fn save(
    app: &App,
    body: ChannelBody,
    old: Option<StoredChannel>,
) -> Result<StoredChannel, ApiError> {
    let target = match &old {
        // With another key nothing can be kept; then every field is needed again.
        Some(old) => match open_parts(&app.secrets, old) {
            Ok(parts) => body.target.clone().or_secrets_of(&parts),
            Err(_) => body.target.clone(),
        },
        None => body.target.clone(),
    };
    let parts = TargetParts::from(target);
    let (channel, target) = (body.channel(), Target::try_from(&parts));
    let channel = match (channel, target) {
        (Ok(channel), Ok(_)) => channel,
        (channel, target) => {
            let mut errors = channel.err().unwrap_or_default();
            for error in target.err().unwrap_or_default() {
                if !errors.contains(&error) {
                    errors.push(error);
                }
            }
            return Err(errors.into());
        }
    };
    let sealed = seal(&app.secrets, channel.name.as_str(), &parts)?;
    let (now, old) = (app.clock.now(), old.map(|old| old.id));
    let written = app
        .store
        .write(move |tx| {
            match old {
                Some(id) => store::channels::update(tx, id, &channel, &sealed, now)?,
                None => store::channels::insert(tx, &channel, &sealed, now)?,
            }
            store::channels::get(tx, &channel.name)
        })
        .await;
    let stored = match written {
        Err(error @ StoreError::NotFound { what: "task", .. }) => {
            return Err(FieldError::new("tasks", error.to_string()).into());
        }
        other => other?,
    };
    app.notifier.channels_changed();
    Ok(stored)
}
