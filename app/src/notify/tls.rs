//! TLS to other servers, checked against the authorities of the system and the certificates that the administrator named.
//!
//! The files are read when they are needed and forgotten afterwards: they are larger than
//! everything else that is kept, and messages are rare.

use super::{Authorities, SendError};
use crate::blocking;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use std::io;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A connection, protected or not.
pub(super) trait NetStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> NetStream for T {}

/// Connects to a host.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, SendError> {
    let failed = |error: io::Error| SendError::Connect {
        place: format!("{host}:{port}"),
        why: error.to_string(),
    };
    // tokio looks names up with `spawn_blocking`, which panics where the system gives no thread.
    let place = (host.to_owned(), port);
    let look_up = move || Ok::<Vec<_>, io::Error>(place.to_socket_addrs()?.collect());
    let addresses = blocking::run_apart(look_up)
        .await
        .map_err(|error| failed(error.into()))?
        .map_err(failed)?;
    TcpStream::connect(addresses.as_slice())
        .await
        .map_err(failed)
}

/// Protects a connection and checks that it leads to `host`.
pub(super) async fn protect(
    stream: TcpStream,
    host: &str,
    port: u16,
    authorities: &Authorities,
) -> Result<Box<dyn NetStream>, SendError> {
    let failed = |why: String| SendError::Connect {
        place: format!("{host}:{port}"),
        why,
    };
    let config = config(authorities.clone()).await?;
    let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(e.to_string()))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| failed(error.to_string()))?;
    Ok(Box::new(stream))
}

async fn config(files: Authorities) -> Result<Arc<ClientConfig>, SendError> {
    let path = files.named.as_ref().unwrap_or(&files.system).display();
    let refuse = {
        let path = path.to_string();
        move |why: String| SendError::Authorities {
            path: path.clone(),
            why,
        }
    };
    let read = blocking::run(move || trusted(&files)).await;
    let (roots, named) = read.map_err(|error| refuse(error.to_string()))??;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .map_err(|error| refuse(error.to_string()))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(error.to_string()))?
        // It checks all that the usual verifier checks, and accepts one kind of certificate more.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NamedToo { authorities, named }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// All authorities, and the certificates that the administrator named.
fn trusted(
    files: &Authorities,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), SendError> {
    let read = |path: &Path| {
        let refuse = |why: String| SendError::Authorities {
            path: path.display().to_string(),
            why,
        };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| refuse(error.to_string()))?;
        match certificates.is_empty() {
            true => Err(refuse("holds no certificate".to_owned())),
            false => Ok(certificates),
        }
    };
    let named = files.named.as_deref().map(read).transpose()?;
    let mut roots = RootCertStore::empty();
    match read(&files.system) {
        Ok(system) => drop(roots.add_parsable_certificates(system)),
        // A system without authorities of its own still has the named ones.
        Err(error) if named.is_none() => return Err(error),
        Err(_) => {}
    }
    let named = named.unwrap_or_default();
    roots.add_parsable_certificates(named.iter().cloned());
    Ok((roots, named))
}

/// Accepts servers that an authority vouches for, and a server that shows one of the named certificates itself, while it
/// is valid and for its name. A self-signed certificate as `openssl req -x509` makes it is an authority's, and those are
/// no certificates of servers for webpki.
#[derive(Debug)]
struct NamedToo {
    authorities: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for NamedToo {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let usual = self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let is_named = || self.named.iter().any(|named| named == end_entity);
        match usual {
            Err(_) if is_named() => {
                fits(end_entity, server_name, now)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Checks the time and the name of a certificate that needs no authority.
fn fits(
    certificate: &CertificateDer<'_>,
    server: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|_| rustls::Error::from(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    let has_names = matches!(parsed.subject_alternative_name(), Ok(Some(_)));
    if has_names {
        return verify_server_name(&ParsedCertificate::try_from(certificate)?, server);
    }
    // Without further names `openssl req -x509` writes the common name alone.
    let host = server.to_str();
    let is_host = |name: &str| name.eq_ignore_ascii_case(&host);
    let mut names = parsed.subject().iter_common_name();
    match names.any(|name| name.as_str().is_ok_and(is_host)) {
        true => Ok(()),
        false => Err(CertificateError::NotValidForName.into()),
    }
}
