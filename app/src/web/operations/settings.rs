//! The server's settings.

use crate::domain::audit::SubjectKind;
use crate::domain::field::FieldError;
use crate::domain::schedule::parse_zone;
use crate::domain::task::Retention;
use crate::store::{self, Settings};
use crate::view::SettingsBody;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;

/// The settings that an admin set.
pub(in crate::web) async fn get(app: &App) -> Result<SettingsBody, ApiError> {
    let settings = app.store.read(store::settings::get).await?;
    Ok(SettingsBody::from(&settings))
}

/// The retention of a new task that does not set its own.
pub(in crate::web) async fn default_retention(app: &App) -> Result<Retention, ApiError> {
    let settings = app.store.read(store::settings::get).await?;
    Ok(settings.default_retention())
}

/// Replaces the settings. With another time zone, tasks without one of their own follow it
/// from now on.
pub(in crate::web) async fn replace(
    admin: &Admin,
    body: &SettingsBody,
) -> Result<SettingsBody, ApiError> {
    let settings = check(body)?;
    let (base, zone) = (settings.base_url.clone(), settings.zone);
    let after = admin
        .change(move |ledger| {
            let before = store::settings::get(ledger)?;
            if before.zone != settings.zone {
                store::tasks::change_zone(ledger, ledger.now)?;
            }
            let before = SettingsBody::from(&before);
            store::settings::set(ledger, &settings)?;
            let after = SettingsBody::from(&settings);
            ledger.compare(SubjectKind::Settings, "server", Some(&before), Some(&after))?;
            Ok(after)
        })
        .await?;
    admin.base_url.set(base);
    admin.zone.set(zone);
    admin.engine.tasks_changed().await;
    Ok(after)
}

fn check(body: &SettingsBody) -> Result<Settings, Vec<FieldError>> {
    let mut settings = Settings::default();
    let mut errors = Vec::new();
    let mut keep = |result: Result<(), FieldError>| errors.extend(result.err());
    keep(body.zone.as_deref().map_or(Ok(()), |zone| {
        settings.zone = Some(parse_zone(zone).map_err(|e| FieldError::new("zone", e.to_string()))?);
        Ok(())
    }));
    keep(settings.set_base_url(body.base_url.as_deref()));
    keep(settings.set_audit_days(body.audit_days));
    // Only a value that was given is saved; the other one stays that of the program.
    (settings.keep_runs, settings.keep_days) = (body.keep_runs, body.keep_days);
    let retention = settings.default_retention();
    keep(Retention::new(retention.runs, retention.days).map(|_| ()));
    match errors.is_empty() {
        true => Ok(settings),
        false => Err(errors),
    }
}
