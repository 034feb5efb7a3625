//! Settings of the server.

use crate::domain::audit::SubjectKind;
use crate::domain::field::FieldError;
use crate::domain::schedule::parse_zone;
use crate::domain::task::Retention;
use crate::store::{self, Settings};
use crate::view::SettingsBody;
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::extract::Json;
use axum::Json as JsonReply;
use axum::extract::State;
use std::sync::Arc;

/// What admins set; what is absent is as the environment or the program says.
#[utoipa::path(get, path = "/settings", responses((status = 200, body = SettingsBody)))]
pub(in crate::web) async fn show(
    _: Admin,
    State(app): State<Arc<App>>,
) -> Result<JsonReply<SettingsBody>, ApiError> {
    let settings = app.store.read(store::settings::get).await?;
    Ok(JsonReply(SettingsBody::from(&settings)))
}

/// Replaces the settings. With another zone, tasks that name none fire by it from now on.
#[utoipa::path(put, path = "/settings", request_body = SettingsBody,
    responses((status = 200, body = SettingsBody), (status = 422, body = crate::view::Problem)))]
pub(in crate::web) async fn replace(
    admin: Admin,
    State(app): State<Arc<App>>,
    Json(body): Json<SettingsBody>,
) -> Result<JsonReply<SettingsBody>, ApiError> {
    let settings = check(&body)?;
    let (base, zone) = (settings.base_url.clone(), settings.zone);
    let after = app
        .change(admin.actor(), move |ledger| {
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
    app.base_url.set(base);
    app.zone.set(zone);
    app.engine.tasks_changed().await;
    Ok(JsonReply(after))
}

/// What a new task keeps of its runs where it does not say so itself.
pub(in crate::web) async fn usual_retention(app: &App) -> Result<Retention, ApiError> {
    let settings = app.store.read(store::settings::get).await?;
    Ok(settings.retention.unwrap_or_default())
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
    let usual = Retention::default();
    if body.keep_runs.is_some() || body.keep_days.is_some() {
        let runs = body.keep_runs.unwrap_or(usual.runs);
        let days = body.keep_days.unwrap_or(usual.days);
        keep(Retention::new(runs, days).map(|retention| settings.retention = Some(retention)));
    }
    if errors.is_empty() {
        Ok(settings)
    } else {
        Err(errors)
    }
}
