//! A certificate by itself: read, checked together with its key, and made.

use crate::view::{CertificateView, rfc3339};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The mark of a certificate of our own making.
const MADE_HERE: &str = "self-signed by Lightflow";
/// Life of one of our own: the longest that Apple's systems accept of a server, also where
/// its owner trusts it by hand (support.apple.com/en-us/103769).
pub(super) const LIFE: TimeDelta = TimeDelta::days(825);

/// The reasons why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The chain is not one.
    #[error("is no chain of certificates in PEM form: {0}")]
    Chain(String),
    /// The key is not one, or not of this chain.
    #[error("{0}")]
    Key(String),
    /// It is not valid now.
    #[error("{0}")]
    Time(String),
    /// A file cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// The system's words.
        why: String,
    },
}

/// The contents of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    /// Its owner.
    pub(super) subject: String,
    /// Its issuer.
    pub(super) issuer: String,
    /// Names and addresses it is good for.
    pub(super) names: Vec<String>,
    /// From when on.
    pub(super) from: DateTime<Utc>,
    /// Until when.
    pub(super) until: DateTime<Utc>,
    /// SHA-256 of the certificate, as browsers show it.
    pub(super) fingerprint: String,
    /// True if it was made here.
    pub(super) made_here: bool,
}

/// A chain with its key, and its contents.
pub(super) struct Served {
    /// The key and chain in the form of rustls.
    pub(super) key: Arc<CertifiedKey>,
    /// The contents of the first certificate of the chain.
    pub(super) about: About,
}

/// A chain and a key that belong together.
pub(super) fn check(
    chain: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<Served, CertificateError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Chain(error.to_string()))?;
    let Some(first) = chain.first() else {
        return Err(CertificateError::Chain(
            "it holds no block BEGIN CERTIFICATE".to_owned(),
        ));
    };
    let about = about(first)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        CertificateError::Key(format!(
            "is no private key in PEM form ({error}); one with a passphrase has to be opened first"
        ))
    })?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::Key(
            "does not belong to the first certificate of the chain".to_owned(),
        ),
        other => CertificateError::Key(format!("cannot be used: {other}")),
    })?;
    Ok(Served {
        key: Arc::new(certified),
        about,
    })
}

fn about(certificate: &CertificateDer<'_>) -> Result<About, CertificateError> {
    let wrong = |error: &dyn std::fmt::Display| CertificateError::Chain(error.to_string());
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| wrong(&error))?;
    let time = |seconds| {
        DateTime::from_timestamp(seconds, 0).ok_or_else(|| wrong(&"its dates cannot be read"))
    };
    let names = parsed
        .subject_alternative_name()
        .map_err(|error| wrong(&error))?
        .map(|names| names.value.general_names.iter().filter_map(name).collect())
        .unwrap_or_default();
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let fingerprint: Vec<String> = digest.as_ref().iter().map(|b| format!("{b:02X}")).collect();
    let made_here = parsed
        .issuer()
        .iter_organization()
        .any(|words| words.as_str() == Ok(MADE_HERE));
    Ok(About {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        names,
        from: time(parsed.validity().not_before.timestamp())?,
        until: time(parsed.validity().not_after.timestamp())?,
        fingerprint: fingerprint.join(":"),
        made_here,
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// A new self-signed certificate and its key, in PEM form.
pub(super) fn make(
    names: &[String],
    now: DateTime<Utc>,
) -> Result<(String, String), CertificateError> {
    let failed = |error: rcgen::Error| CertificateError::Key(format!("cannot be made: {error}"));
    let mut params = rcgen::CertificateParams::new(names.to_vec()).map_err(failed)?;
    let day = |time: DateTime<Utc>| {
        let date = time.date_naive();
        // Neither is over 31.
        let (month, day) = (date.month() as u8, date.day() as u8);
        rcgen::date_time_ymd(date.year(), month, day)
    };
    // From yesterday on: the clock of a phone may be a little behind.
    params.not_before = day(now - TimeDelta::days(1));
    params.not_after = day(now + LIFE - TimeDelta::days(2));
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Lightflow");
    params
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, MADE_HERE);
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
impl From<About> for CertificateView {
    fn from(about: About) -> Self {
        Self {
            subject: about.subject,
            issuer: about.issuer,
            names: about.names,
            valid_from: rfc3339(about.from),
            valid_until: rfc3339(about.until),
            fingerprint: about.fingerprint,
            self_signed: about.made_here,
        }
    }
}
