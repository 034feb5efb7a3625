//! Acts on notification channels. Their targets are sealed in the database.

use crate::domain::audit::{Action, Deed, HIDDEN, SubjectKind};
use crate::domain::names::ChannelName;
use crate::domain::target::Target;
use crate::notify::{open_parts, seal};
use crate::secrets::SecretKey;
use crate::store::{self, StoreError, StoredChannel};
use crate::view::{ChannelBody, ChannelView, TargetBody, differences, rfc3339};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::change::Ledger;
use crate::web::error::ApiError;

/// A channel as it may be shown.
pub(in crate::web) fn view(app: &App, stored: &StoredChannel) -> ChannelView {
    view_with(&app.secrets, stored)
}

fn view_with(secrets: &SecretKey, stored: &StoredChannel) -> ChannelView {
    let opened = open_parts(secrets, stored).ok();
    let target = opened.clone().unwrap_or_default();
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
pub(in crate::web) async fn create(
    admin: &Admin,
    body: ChannelBody,
) -> Result<StoredChannel, ApiError> {
    save(admin, body, None).await
}

/// Replaces the channel `name`; secrets that are left empty stay.
pub(in crate::web) async fn replace(
    admin: &Admin,
    name: &str,
    body: ChannelBody,
) -> Result<StoredChannel, ApiError> {
    save(admin, body, Some(get(admin, name).await?)).await
}

/// The channel `name`.
pub(in crate::web) async fn get(app: &App, name: &str) -> Result<StoredChannel, ApiError> {
    let name = ChannelName::new(name)?;
    let found = app.store.read(move |tx| store::channels::get(tx, &name));
    Ok(found.await?)
}

/// Deletes a channel and the notifications that wait for it.
pub(in crate::web) async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
    let name = ChannelName::new(name)?;
    let secrets = admin.secrets.clone();
    admin
        .change(move |ledger| {
            let before = audited(&secrets, &store::channels::get(ledger, &name)?);
            store::channels::delete(ledger, &name)?;
            let kind = SubjectKind::Notification;
            ledger.compare(kind, name.as_str(), Some(&before), None)
        })
        .await
}

/// Sends a test message now.
pub(in crate::web) async fn test(admin: &Admin, name: &str) -> Result<(), ApiError> {
    let name = ChannelName::new(name)?;
    let deed = Deed::new(Action::Tried, SubjectKind::Notification, name.as_str());
    admin.notifier.try_out(name).await?;
    admin.note(deed).await
}

/// The channel in the audit trail: its target without secrets.
fn audited(secrets: &SecretKey, stored: &StoredChannel) -> ChannelView {
    ChannelView {
        updated_at: String::new(),
        ..view_with(secrets, stored)
    }
}

/// Audits the changes of a channel. A changed secret appears without its value.
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
    admin: &Admin,
    body: ChannelBody,
    old: Option<StoredChannel>,
) -> Result<StoredChannel, ApiError> {
    let target = match &old {
        // With another key nothing can be kept; then every field is needed again.
        Some(old) => match open_parts(&admin.secrets, old) {
            Ok(parts) => body.target.clone().or_secrets_of(&parts),
            Err(_) => body.target.clone(),
        },
        None => body.target.clone(),
    };
    let parts = target;
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
    let sealed = seal(&admin.secrets, channel.name.as_str(), &parts)?;
    let secrets = admin.secrets.clone();
    let old_parts = old.as_ref().and_then(|old| open_parts(&secrets, old).ok());
    let other_secrets = old_parts.is_none_or(|old| {
        (&old.url, &old.token, &old.password) != (&parts.url, &parts.token, &parts.password)
    });
    let written = admin
        .change(move |ledger| {
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
    let stored = written.map_err(ApiError::about_tasks)?;
    admin.notifier.channels_changed();
    Ok(stored)
}
