//! Channels between the database, where their targets are sealed, and whoever edits them.

use super::App;
use super::caller::Admin;
use super::change::Ledger;
use super::error::ApiError;
use crate::domain::audit::{Action, Deed, HIDDEN, SubjectKind};
use crate::domain::field::FieldError;
use crate::domain::names::ChannelName;
use crate::domain::target::{Target, TargetParts};
use crate::notify::{open_parts, seal};
use crate::secrets::SecretKey;
use crate::store::{self, StoreError, StoredChannel};
use crate::view::{ChannelBody, ChannelView, TargetBody, differences, rfc3339};

/// A channel as it may be shown.
pub(super) fn view(app: &App, stored: &StoredChannel) -> ChannelView {
    view_with(&app.secrets, stored)
}

fn view_with(secrets: &SecretKey, stored: &StoredChannel) -> ChannelView {
    let opened = open_parts(secrets, stored).ok();
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
pub(super) async fn add(
    app: &App,
    admin: &Admin,
    body: ChannelBody,
) -> Result<StoredChannel, ApiError> {
    save(app, admin, body, None).await
}

/// Changes the channel `name`; secrets that are left empty stay as they are.
pub(super) async fn change(
    app: &App,
    admin: &Admin,
    name: String,
    body: ChannelBody,
) -> Result<StoredChannel, ApiError> {
    let name = ChannelName::new(name)?;
    let old = app
        .store
        .read(move |tx| store::channels::get(tx, &name))
        .await?;
    save(app, admin, body, Some(old)).await
}

/// Removes a channel.
pub(super) async fn remove(app: &App, admin: &Admin, name: String) -> Result<(), ApiError> {
    let name = ChannelName::new(name)?;
    let wanted = name.clone();
    let old = app
        .store
        .read(move |tx| store::channels::get(tx, &wanted))
        .await?;
    let before = audited(&app.secrets, &old);
    app.change(admin.actor(), move |ledger| {
        store::channels::delete(ledger, &name)?;
        ledger.compare(
            SubjectKind::Notification,
            name.as_str(),
            Some(&before),
            None,
        )
    })
    .await
}

/// Sends a test message now.
pub(super) async fn try_out(app: &App, admin: &Admin, name: String) -> Result<(), ApiError> {
    let name = ChannelName::new(name)?;
    let deed = Deed::new(Action::Tried, SubjectKind::Notification, name.as_str());
    app.notifier.try_out(name).await?;
    app.note(admin.actor(), deed).await
}

/// The channel as it is written down: of where it goes only what may be shown.
fn audited(secrets: &SecretKey, stored: &StoredChannel) -> ChannelView {
    ChannelView {
        updated_at: String::new(),
        ..view_with(secrets, stored)
    }
}

/// Writes down what is otherwise of a channel. Of its secrets only that they are.
fn note(
    ledger: &Ledger<'_>,
    before: Option<&ChannelView>,
    after: &ChannelView,
    other_secrets: bool,
) -> Result<(), StoreError> {
    let action = match before {
        None => Action::Added,
        Some(_) => Action::Changed,
    };
    let mut deed = Deed::new(action, SubjectKind::Notification, after.name.as_str());
    deed.changes = differences(before, Some(after));
    if before.is_some() && other_secrets {
        let hidden = || Some(HIDDEN.to_owned());
        deed = deed.with("secrets", hidden(), hidden());
    }
    if deed.changes.is_empty() {
        return Ok(());
    }
    ledger.note(&deed)
}

async fn save(
    app: &App,
    admin: &Admin,
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
    let secrets = app.secrets.clone();
    let old_parts = old.as_ref().and_then(|old| open_parts(&secrets, old).ok());
    let other_secrets = old_parts.is_none_or(|old| {
        let (old, new) = (TargetBody::from(&old), TargetBody::from(&parts));
        (old.url, old.token, old.password) != (new.url, new.token, new.password)
    });
    let written = app
        .change(admin.actor(), move |ledger| {
            match &old {
                Some(old) => {
                    store::channels::update(ledger, old.id, &channel, &sealed, ledger.now)?;
                }
                None => store::channels::insert(ledger, &channel, &sealed, ledger.now)?,
            }
            let stored = store::channels::get(ledger, &channel.name)?;
            let before = old.map(|old| audited(&secrets, &old));
            let after = audited(&secrets, &stored);
            note(ledger, before.as_ref(), &after, other_secrets)?;
            Ok(stored)
        })
        .await;
    let stored = match written {
        Err(ApiError::Store(error @ StoreError::NotFound { what: "task", .. })) => {
            return Err(FieldError::new("tasks", error.to_string()).into());
        }
        other => other?,
    };
    app.notifier.channels_changed();
    Ok(stored)
}
