//! Listens, speaks TLS and HTTP, and hands requests to the router.

use super::patience::Patient;
use super::peer::Door;
use crate::config::Listen;
use axum::Router;
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit};
use rustls::ServerConfig;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Most connections from the network at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 2048;
/// Most connections through the socket at once.
const LOCAL_CONNECTIONS: usize = 64;
/// Time limit of a TLS handshake, of the first request, and of the head of a later one.
const PATIENCE: Duration = Duration::from_secs(15);

/// The reasons why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address or socket.
        address: String,
        /// The problem and its remedy.
        why: String,
    },
}

/// The doors, open but not yet served.
#[derive(Debug)]
pub struct Listeners {
    network: Network,
    /// None in a data directory that is write-protected.
    local: Option<UnixListener>,
}

/// The listening sockets.
#[derive(Debug)]
enum Network {
    Tcp(TcpListener),
    /// The socket of a reverse proxy.
    Unix(UnixListener),
}

impl Listeners {
    /// Opens the address of the web interface, and the socket in the data directory.
    ///
    /// # Errors
    /// Says which one cannot be had, and why.
    pub async fn open(listen: &Listen, local: &Path) -> Result<Self, ServeError> {
        let network = match listen {
            Listen::Tcp(address) => Network::Tcp(open_address(*address).await?),
            Listen::Unix(path) => {
                Network::Unix(open_proxy_socket(path).map_err(|error| ServeError::Listen {
                    address: path.display().to_string(),
                    why: format!(
                        "{error}; its folder must exist and be writable by the user that runs lightflow"
                    ),
                })?)
            }
        };
        let local = match open_socket(local) {
            Ok(socket) => Some(socket),
            // The server finishes runs also then; it is reached over the network.
            Err(error) if is_write_protected(&error) => {
                tracing::error!(socket = %local.display(), %error, "commands on this machine cannot reach the server");
                None
            }
            Err(error) => {
                return Err(ServeError::Listen {
                    address: local.display().to_string(),
                    why: format!(
                        "{error}; the data directory must be writable by the user that runs lightflow"
                    ),
                });
            }
        };
        Ok(Self { network, local })
    }

    /// The address that the network listener really has; none for a socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.network {
            Network::Tcp(listener) => listener.local_addr().ok(),
            Network::Unix(_) => None,
        }
    }
}

fn is_write_protected(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

async fn open_address(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| ServeError::Listen {
            address: address.to_string(),
            why: match error.kind() {
                ErrorKind::AddrInUse => {
                    "another program listens there already; stop it, or choose another port in LIGHTFLOW_LISTEN".to_owned()
                }
                ErrorKind::PermissionDenied => {
                    "ports below 1024 need privileges; choose a higher one in LIGHTFLOW_LISTEN".to_owned()
                }
                ErrorKind::AddrNotAvailable => {
                    "this machine has no such address; correct LIGHTFLOW_LISTEN".to_owned()
                }
                _ => error.to_string(),
            },
        })
}

/// Opens the socket of a reverse proxy, for its user and its group: the folder says who
/// that is. A file in its place is removed only if it is a socket without a server.
fn open_proxy_socket(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    ErrorKind::AddrInUse,
                    "another program serves it already",
                ));
            }
            fs::remove_file(path)?;
        }
        Ok(_) => {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                "something that is no socket lies there",
            ));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    bind_with_mode(path, 0o660)
}

/// Opens the socket for the same user only. A file in its place is ours to
/// remove: the data directory is locked by this process.
fn open_socket(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    bind_with_mode(path, 0o600)
}

fn bind_with_mode(path: &Path, mode: u32) -> io::Result<UnixListener> {
    // Made under a private mask, so that there is no moment in which others can connect.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(mask);
    let listener = listener?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Serves both doors for ever. Each has its own room, so that strangers who fill the one
/// do not lock out the owner at the other.
pub async fn serve(listeners: &Listeners, tls: Option<ServerConfig>, router: Router) {
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let Listeners { network, local } = listeners;
    let at_home = async {
        let room = Arc::new(Semaphore::new(LOCAL_CONNECTIONS));
        if let Some(local) = local {
            serve_socket(local, &room, Door::Local, &router).await;
        }
    };
    let outside = async {
        let room = Arc::new(Semaphore::new(network_connections()));
        match network {
            Network::Unix(socket) => {
                serve_socket(socket, &room, Door::Network(None), &router).await;
            }
            Network::Tcp(listener) => serve_network(listener, &room, acceptor, &router).await,
        }
    };
    tokio::join!(at_home, outside);
}

async fn serve_socket(socket: &UnixListener, room: &Arc<Semaphore>, door: Door, router: &Router) {
    loop {
        let permit = room.clone().acquire_owned().await;
        match socket.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    speak(stream, HttpVersion::Http1, router, door).await;
                    drop(permit);
                });
            }
            Err(error) => rest(&error).await,
        }
    }
}

async fn serve_network(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    acceptor: Option<TlsAcceptor>,
    router: &Router,
) {
    loop {
        let permit = room.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (router, acceptor) = (router.clone(), acceptor.clone());
                let door = Door::Network(Some(peer.ip()));
                tokio::spawn(async move {
                    greet(stream, acceptor, router, door).await;
                    drop(permit);
                });
            }
            Err(error) => rest(&error).await,
        }
    }
}

/// At most half of the descriptors go to the network, so that steps, logs and the
/// database always get theirs.
fn network_connections() -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(soft / 2).map_or(MAX_CONNECTIONS, |half| half.min(MAX_CONNECTIONS))
}

async fn greet(stream: TcpStream, acceptor: Option<TlsAcceptor>, router: Router, door: Door) {
    // Events are small and should arrive at once.
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => speak(stream, HttpVersion::Http1, router, door).await,
        Some(acceptor) => {
            if timeout(PATIENCE, speaks_http(&stream))
                .await
                .unwrap_or(false)
            {
                return redirect(stream).await;
            }
            // On the heap: three kilobytes that are free again when it is over.
            let handshake = Box::pin(acceptor.accept(stream));
            if let Ok(Ok(stream)) = timeout(PATIENCE, handshake).await {
                let version = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => HttpVersion::Http2,
                    _ => HttpVersion::Http1,
                };
                // It is two kilobytes large and would be in here several times, on its way.
                speak(Box::new(stream), version, router, door).await;
            }
        }
    }
}

/// Reports if the other side begins with a letter, as a request of plain HTTP does; TLS begins with a record of type 22
/// (RFC 8446, 5.1). The letter stays in the stream.
async fn speaks_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase()
}

/// Answers plain HTTP at the port of TLS: the same address with https.
async fn redirect(stream: TcpStream) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, std::convert::Infallible>(at_https(request.headers(), request.uri()))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // It fails when the other side goes away.
    let _ = timeout(PATIENCE, connection).await;
}

/// The redirect. A browser does not keep it: the server may speak plain HTTP later.
fn at_https(headers: &HeaderMap, uri: &Uri) -> axum::http::Response<String> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.filter(|host| host.parse::<Authority>().is_ok());
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let to = host.and_then(|host| HeaderValue::from_str(&format!("https://{host}{path}")).ok());
    let mut answer = axum::http::Response::new("This port speaks HTTPS.\n".to_owned());
    match to {
        Some(to) => {
            *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            answer.headers_mut().insert(header::LOCATION, to);
        }
        None => *answer.status_mut() = StatusCode::BAD_REQUEST,
    }
    answer
}

/// The protocol that both sides agreed on. Finding it out from the first bytes would cost each connection
/// another eight kilobytes: hyper reads behind them into a buffer that has to grow.
#[derive(Debug, Clone, Copy)]
enum HttpVersion {
    Http1,
    Http2,
}

/// Speaks HTTP until the other side goes away, or has not asked for anything for too long.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    version: HttpVersion,
    router: Router,
    door: Door,
) {
    let asked = Arc::new(AtomicBool::new(false));
    let inner = TowerToHyperService::new(router);
    let service = service_fn({
        let asked = asked.clone();
        move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(door);
            inner.call(request.map(Patient::new))
        }
    });
    let stream = TokioIo::new(stream);
    match version {
        HttpVersion::Http1 => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(64 * 1024)
                .serve_connection(stream, service);
            attend(connection, &asked).await;
        }
        HttpVersion::Http2 => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(Some(PATIENCE))
                .keep_alive_timeout(PATIENCE)
                .max_concurrent_streams(64)
                .max_header_list_size(64 * 1024)
                .serve_connection(stream, service);
            attend(connection, &asked).await;
        }
    }
}

/// Serves a connection to its end, as long as requests come soon.
async fn attend(connection: impl Future, asked: &AtomicBool) {
    // On the heap, so that the wider of the two does not make room for itself in each.
    let mut connection = Box::pin(connection);
    // Either future fails when the other side misbehaves or goes away; neither is news.
    if timeout(PATIENCE, connection.as_mut()).await.is_err() && asked.load(Ordering::Relaxed) {
        connection.await;
    }
}

/// Accepting fails when descriptors run out; a pause lets some be closed.
async fn rest(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(200)).await;
}
