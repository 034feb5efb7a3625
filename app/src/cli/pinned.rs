//! Trust in exactly the certificates that the caller named.
//!
//! The server's own certificate is self-signed, so there is no authority to ask. It is
//! trusted when it is, byte for byte, one of those in the file given with `--ca`; then
//! its names and dates say nothing that the file does not say better. That the server
//! holds the key to it is still proved by its signature, which rustls checks. Where the
//! file holds an authority instead, the chain and the host name are checked as usual.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use std::path::Path;
use std::sync::Arc;

/// Settings for a connection to a server that shows a certificate from `file` (PEM).
///
/// # Errors
/// Says why the file cannot be used.
pub(super) fn client_config(file: &Path) -> Result<ClientConfig, String> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("cannot read certificates from {}: {error}", file.display()))?;
    if certificates.is_empty() {
        return Err(format!(
            "{} holds no certificate in PEM form",
            file.display()
        ));
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = Arc::new(Pinned::new(certificates, Arc::clone(&provider)));
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| {
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth()
        })
        .map_err(|error| format!("cannot set up TLS: {error}"))
}

#[derive(Debug)]
struct Pinned {
    certificates: Vec<CertificateDer<'static>>,
    /// Present where at least one of the certificates can be an authority.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn new(certificates: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .ok();
        Self {
            certificates,
            authorities,
            provider,
        }
    }
}

/// The server shows a certificate that the caller did not name.
#[derive(Debug, thiserror::Error)]
#[error("it shows a certificate that is not in the file given with --ca")]
struct NotPinned;

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.iter().any(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let unknown = || Error::Other(OtherError(Arc::new(NotPinned)));
        let authorities = self.authorities.as_ref().ok_or_else(unknown)?;
        authorities
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| match error {
                // All self-signed certificates of one maker name the same issuer, so
                // another one of them looks like a bad signature.
                Error::InvalidCertificate(
                    CertificateError::UnknownIssuer | CertificateError::BadSignature,
                ) => unknown(),
                other => other,
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        made.cert.der().clone()
    }

    fn verify(pinned: &Pinned, shown: &CertificateDer<'_>) -> Result<ServerCertVerified, Error> {
        let name = ServerName::try_from("anything.example").unwrap();
        pinned.verify_server_cert(
            shown,
            &[],
            &name,
            &[],
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000)),
        )
    }

    #[test]
    fn the_very_certificate_is_trusted_and_no_other() {
        let mine = certificate("odroid");
        let provider = Arc::new(crypto::ring::default_provider());
        let pinned = Pinned::new(vec![mine.clone()], provider);
        assert!(verify(&pinned, &mine).is_ok());
        let error = verify(&pinned, &certificate("odroid")).unwrap_err();
        assert!(error.to_string().contains("--ca"), "{error}");
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = client_config(file.path()).unwrap_err();
        assert!(error.contains("no certificate"), "{error}");
    }
}
