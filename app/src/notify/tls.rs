//! TLS to other servers, checked against the authorities of the system's bundle.
//!
//! The bundle is read when it is needed and forgotten afterwards: it is larger than
//! everything else that is kept, and messages are rare.

use super::SendError;
use crate::blocking;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

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
    let addresses = blocking::run(look_up)
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
    ca_bundle: &Path,
) -> Result<Box<dyn NetStream>, SendError> {
    let failed = |why: String| SendError::Connect {
        place: format!("{host}:{port}"),
        why,
    };
    let config = config(ca_bundle.to_owned()).await?;
    let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(e.to_string()))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| failed(error.to_string()))?;
    Ok(Box::new(stream))
}

async fn config(bundle: PathBuf) -> Result<Arc<ClientConfig>, SendError> {
    let refuse = |why: String| SendError::Authorities {
        path: bundle.display().to_string(),
        why,
    };
    let path = bundle.clone();
    let roots = blocking::run(move || {
        let certificates = CertificateDer::pem_file_iter(&path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| error.to_string())?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        Ok::<_, String>(roots)
    })
    .await
    .map_err(|error| refuse(error.to_string()))?
    .map_err(refuse)?;
    if roots.is_empty() {
        return Err(refuse("holds no certificate of an authority".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
