//! Settings, certificate and snapshots on the wire.

use crate::store::Settings;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What admins set of the server. What is absent is as the environment or the program says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsBody {
    /// IANA name of the zone of tasks that name none, and of times on pages.
    pub zone: Option<String>,
    /// Address under which people reach the server, for links in notifications.
    pub base_url: Option<String>,
    /// Finished runs that a new task keeps.
    pub keep_runs: Option<u32>,
    /// Days for which a new task keeps them.
    pub keep_days: Option<u32>,
    /// Days for which entries of the audit trail are kept.
    pub audit_days: Option<u32>,
}

impl From<&Settings> for SettingsBody {
    fn from(settings: &Settings) -> Self {
        Self {
            zone: settings.zone.map(|zone| zone.name().to_owned()),
            base_url: settings.base_url.clone(),
            keep_runs: settings.keep_runs,
            keep_days: settings.keep_days,
            audit_days: settings.own_audit_days(),
        }
    }
}

/// A certificate to serve.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateBody {
    /// The certificate and those that signed it, in PEM form, its own first.
    pub chain: String,
    /// Its private key in PEM form, without a passphrase. It is never shown again.
    pub key: String,
}

/// The certificate that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateView {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Names and addresses it is good for.
    pub names: Vec<String>,
    /// From when on, RFC 3339.
    pub valid_from: String,
    /// Until when, RFC 3339.
    pub valid_until: String,
    /// SHA-256 of it.
    pub fingerprint: String,
    /// Whether it was made here, and so is renewed here.
    pub self_signed: bool,
}

/// A copy of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotView {
    /// File name in `backup/`.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// When it was made, RFC 3339.
    pub at: String,
}

/// All snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotList {
    /// Newest first.
    pub snapshots: Vec<SnapshotView>,
}
