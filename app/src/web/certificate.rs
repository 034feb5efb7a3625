//! The server's certificate: made here, or brought by an admin, and exchanged while the
//! server runs. It always serves a chain with the key that belongs to this chain.

use super::x509::{About, CertificateError, Served, check, make};
use chrono::{DateTime, TimeDelta, Utc};
use durable::Staged;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Notify;

/// Time before the expiry at which one of our own is renewed.
const EARLY: TimeDelta = TimeDelta::days(30);
/// Largest chain or key.
pub(super) const MAX_PEM: usize = 128 * 1024;

struct Inner {
    folder: PathBuf,
    names: Vec<String>,
    provider: Arc<CryptoProvider>,
    served: RwLock<Served>,
    changed: Notify,
}

/// The certificate that is served; clones share it.
#[derive(Clone)]
pub struct Certificates(Arc<Inner>);

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificates").field(&self.about()).finish()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let served = self.0.served.read().unwrap_or_else(PoisonError::into_inner);
        Some(served.key.clone())
    }
}

impl Certificates {
    /// The certificate in `folder` (`cert.pem` and `key.pem`), made there where both are
    /// missing, self-signed for the names this machine is known by.
    ///
    /// # Errors
    /// Names the file that cannot be read, written or used.
    pub fn open(folder: &Path, host: &str, now: DateTime<Utc>) -> Result<Self, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut names: Vec<String> = [
            "localhost",
            "127.0.0.1",
            "::1",
            "host.containers.internal",
            host,
        ]
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
        names.dedup();
        finish_exchange(folder).map_err(|error| file(folder, &error))?;
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        if !cert.exists() && !key.exists() {
            let (chain, secret) = make(&names, now)?;
            exchange(folder, &chain, &secret)?;
        }
        let read = |path: &Path| fs::read(path).map_err(|error| file(path, &error));
        let served = check(&read(&cert)?, &read(&key)?, &provider).map_err(|error| {
            file(
                &cert,
                &format!("{error}; replace it and key.pem, or remove both for a self-signed one"),
            )
        })?;
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            names,
            provider,
            served: RwLock::new(served),
            changed: Notify::new(),
        })))
    }

    /// Settings of TLS that serve the present certificate at each time.
    ///
    /// # Errors
    /// Where the library refuses its own defaults.
    pub fn tls(&self) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(self.0.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        // HTTP/2 lets a browser hold many live streams over one connection.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The contents of the present certificate.
    pub(super) fn about(&self) -> About {
        let served = self.0.served.read().unwrap_or_else(PoisonError::into_inner);
        served.about.clone()
    }

    /// Serves another one from the next connection on, and from the next start on.
    ///
    /// # Errors
    /// Names the problem; the present one stays then.
    pub(super) fn replace(
        &self,
        chain: &str,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<About, CertificateError> {
        let served = check(chain.as_bytes(), key.as_bytes(), &self.0.provider)?;
        let about = served.about.clone();
        if about.until <= now {
            return Err(CertificateError::Time(format!(
                "ended on {}; get a new one",
                about.until.format("%Y-%m-%d")
            )));
        }
        if about.from > now + TimeDelta::days(1) {
            return Err(CertificateError::Time(format!(
                "is valid from {} on only; check this machine's clock",
                about.from.format("%Y-%m-%d")
            )));
        }
        exchange(&self.0.folder, chain, key)?;
        *self
            .0
            .served
            .write()
            .unwrap_or_else(PoisonError::into_inner) = served;
        self.0.changed.notify_one();
        Ok(about)
    }

    /// Makes a new self-signed one and serves it.
    ///
    /// # Errors
    /// As [`Self::replace`].
    pub(super) fn renew(&self, now: DateTime<Utc>) -> Result<About, CertificateError> {
        let (chain, key) = make(&self.0.names, now)?;
        self.replace(&chain, &key, now)
    }

    /// The time to renew the present one; never where an admin brought it.
    pub(super) fn renewal(&self) -> Option<DateTime<Utc>> {
        let about = self.about();
        about.made_here.then(|| about.until - EARLY)
    }

    /// Waits until another one is served.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

fn file(path: &Path, why: &dyn std::fmt::Display) -> CertificateError {
    CertificateError::File {
        path: path.display().to_string(),
        why: why.to_string(),
    }
}

/// Puts both files in their places. After a crash in between, the next start finds a
/// pair: `cert.pem.new` is there only while both new files are whole.
fn exchange(folder: &Path, chain: &str, key: &str) -> Result<(), CertificateError> {
    let all = || {
        let opened = File::open(folder)?;
        durable::replace(&opened, "key.pem.new", key.as_bytes())?;
        let chain = Staged::write(opened.as_fd(), "cert.pem.half".into(), chain.as_bytes())?;
        chain
            .file()
            .set_permissions(fs::Permissions::from_mode(0o644))?;
        chain.place("cert.pem.new")?;
        finish_exchange(folder)
    };
    all().map_err(|error| file(folder, &error))
}

/// Ends an exchange that was begun.
fn finish_exchange(folder: &Path) -> io::Result<()> {
    if !folder.join("cert.pem.new").exists() {
        return Ok(());
    }
    let opened = File::open(folder)?;
    match durable::rename(&opened, "key.pem.new", "key.pem") {
        // It was moved already.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => other?,
    }
    durable::rename(&opened, "cert.pem.new", "cert.pem")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::x509::LIFE;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    #[test]
    fn one_made_here_is_renewed_a_month_before_its_end_and_one_brought_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let certificates = Certificates::open(dir.path(), "nas", now()).unwrap();
        let about = certificates.about();
        assert!(
            about.made_here && about.names.contains(&"nas".to_owned()),
            "{about:?}"
        );
        assert!(about.names.contains(&"127.0.0.1".to_owned()), "{about:?}");
        assert!(about.until - about.from <= LIFE, "{about:?}");
        assert_eq!(certificates.renewal(), Some(about.until - EARLY));
        let renewed = certificates.renew(about.until - EARLY).unwrap();
        assert!(renewed.until > about.until);
        let mut params = rcgen::CertificateParams::new(vec!["nas.lan".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        certificates
            .replace(&chain, &key.serialize_pem(), now())
            .unwrap();
        assert_eq!(certificates.renewal(), None);
        let again = Certificates::open(dir.path(), "nas", now()).unwrap();
        assert_eq!(again.about().names, ["nas.lan"]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_the_present_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let certificates = Certificates::open(dir.path(), "nas", now()).unwrap();
        let before = certificates.about();
        let (chain, key) = make(&["a".to_owned()], now()).unwrap();
        let (_, other) = make(&["a".to_owned()], now()).unwrap();
        let said = |chain: &str, key: &str, now| {
            certificates
                .replace(chain, key, now)
                .unwrap_err()
                .to_string()
        };
        assert!(said(&chain, &other, now()).contains("does not belong"));
        assert!(said("hello", &key, now()).contains("PEM"));
        assert!(said(&chain, "hello", now()).contains("no private key"));
        assert!(said(&chain, &key, now() + LIFE).contains("ended on"));
        assert!(said(&chain, &key, now() - LIFE).contains("valid from"));
        assert_eq!(certificates.about(), before);
    }

    #[test]
    fn an_exchange_that_a_crash_cut_off_is_ended_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        Certificates::open(dir.path(), "old", now()).unwrap();
        let (chain, key) = make(&["new".to_owned()], now()).unwrap();
        let path = |name: &str| dir.path().join(name);
        // Before it was decided: the old pair stays.
        fs::write(path("key.pem.new"), &key).unwrap();
        let open = || {
            Certificates::open(dir.path(), "old", now())
                .unwrap()
                .about()
        };
        assert!(open().names.contains(&"old".to_owned()));
        // After it: the new pair, with one of the two moved or both.
        fs::write(path("cert.pem.new"), &chain).unwrap();
        fs::rename(path("key.pem.new"), path("key.pem")).unwrap();
        assert_eq!(open().names, ["new"]);
    }
}
