//! The API's client: one connection a request, problem details as errors.

use super::address::{Address, Remote};
use super::error::CliError;
use super::sse::{Parser, SseEvent};
use crate::view::Problem;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time limit of connecting.
const CONNECT: Duration = Duration::from_secs(10);
/// Time limit of the server's answer; an import writes many files.
const ANSWER: Duration = Duration::from_secs(120);
/// Most bytes of an answer that is held in memory; an export with many scripts is long.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The body of a request.
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// A JSON document.
    Json(Bytes),
    /// TOML text.
    Toml(Bytes),
    /// Bytes of no type in particular.
    Bytes(Bytes),
}

impl Body {
    /// A wire type as JSON.
    pub(super) fn json<T: Serialize>(value: &T) -> Result<Self, CliError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| CliError::Local(format!("cannot write JSON: {error}")))?;
        Ok(Self::Json(bytes.into()))
    }

    fn into_parts(self) -> (Option<&'static str>, Bytes) {
        match self {
            Self::Empty => (None, Bytes::new()),
            Self::Json(bytes) => (Some("application/json"), bytes),
            Self::Toml(bytes) => (Some("application/toml"), bytes),
            Self::Bytes(bytes) => (Some("application/octet-stream"), bytes),
        }
    }
}

/// Talks to one server.
#[derive(Clone)]
pub(super) struct ApiClient {
    address: Address,
}

impl ApiClient {
    /// A client of the server at `address`; nothing is sent yet.
    pub(super) fn new(address: Address) -> Self {
        Self { address }
    }

    /// Gets a document.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        read(&self.fetch(path).await?)
    }

    /// Gets the bytes of an answer.
    pub(super) async fn fetch(&self, path: &str) -> Result<Bytes, CliError> {
        self.send(Method::GET, path, Body::Empty).await
    }

    /// Asks for a change and gives the bytes of the answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Bytes, CliError> {
        let response = self.request(method, path, body).await?;
        self.collect(response.into_body()).await
    }

    /// Opens an answer to read its body as it comes.
    pub(super) async fn open(&self, path: &str) -> Result<Download, CliError> {
        let response = self.request(Method::GET, path, Body::Empty).await?;
        Ok(Download {
            body: response.into_body(),
            place: self.address.to_string(),
        })
    }

    /// Opens a stream of events.
    pub(super) async fn events(&self, path: &str) -> Result<SseEvents, CliError> {
        Ok(SseEvents {
            download: self.open(path).await?,
            parser: Parser::default(),
            ready: VecDeque::new(),
        })
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Response<Incoming>, CliError> {
        let stream = match timeout(CONNECT, self.connect()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(self.unreachable("it does not answer")),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        // It ends with the answer; its errors reach the reader of the answer.
        tokio::spawn(connection);
        let request = self.build(method, path, body)?;
        let response = match timeout(ANSWER, sender.send_request(request)).await {
            Ok(answer) => answer.map_err(|error| self.unreachable(&chain(&error)))?,
            Err(_) => return Err(self.unreachable("it took the request and is silent")),
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.refusal(response).await)
        }
    }

    fn build(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Request<Full<Bytes>>, CliError> {
        let (content_type, bytes) = body.into_parts();
        let mut request = Request::new(Full::new(bytes));
        *request.method_mut() = method;
        *request.uri_mut() = path
            .parse()
            .map_err(|_| CliError::Usage(format!("{path:?} cannot be asked for")))?;
        let headers = request.headers_mut();
        let bad_header = |_| CliError::Usage("the URL or the token cannot be sent".to_owned());
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let host = match &self.address {
            Address::Socket(_) => "localhost",
            Address::Tcp(remote) => &remote.authority,
        };
        headers.insert(HOST, HeaderValue::from_str(host).map_err(bad_header)?);
        if let Address::Tcp(Remote {
            token: Some(token), ..
        }) = &self.address
        {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {token}")).map_err(bad_header)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, CliError> {
        let failed = |error: std::io::Error| self.unreachable(&chain(&error));
        match &self.address {
            Address::Socket(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?)),
            Address::Tcp(remote) => {
                let stream = TcpStream::connect((remote.host.as_str(), remote.port))
                    .await
                    .map_err(failed)?;
                watch_over(&stream);
                let Some(tls) = &remote.tls else {
                    return Ok(Box::new(stream));
                };
                let name = ServerName::try_from(remote.host.clone()).map_err(|_| {
                    CliError::Usage(format!("{:?} is not a host name", remote.host))
                })?;
                let connector = TlsConnector::from(tls.clone());
                Ok(Box::new(
                    connector.connect(name, stream).await.map_err(failed)?,
                ))
            }
        }
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, CliError> {
        let limited = Limited::new(body, MAX_ANSWER);
        match timeout(ANSWER, limited.collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) => Err(self.unreachable(&format!("its answer broke off: {error}"))),
            Err(_) => Err(self.unreachable("its answer does not end")),
        }
    }

    async fn refusal(&self, response: Response<Incoming>) -> CliError {
        let status = response.status();
        let body = match self.collect(response.into_body()).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
            kind: "about:blank".to_owned(),
            title: status.to_string(),
            status: status.as_u16(),
            detail: format!("the server answers {status}"),
            errors: Vec::new(),
        });
        let problem = Box::new(problem);
        match &self.address {
            Address::Tcp(remote) if status == StatusCode::UNAUTHORIZED => CliError::Unauthorised {
                problem,
                advice: if remote.token.is_some() {
                    "The token given is not, or no longer, one of this server's."
                } else {
                    "Make a token on the server with `lightflow token create NAME --role admin` and give it in LIGHTFLOW_TOKEN or with --token-file."
                }
                .to_owned(),
            },
            _ => CliError::Refused(problem),
        }
    }

    fn unreachable(&self, why: &str) -> CliError {
        let advice = match &self.address {
            Address::Socket(_) if why.contains("ermission denied") => {
                "Only the user that runs the server may use its socket: run this as that user, or give --url and a token."
            }
            Address::Socket(_) => {
                "Start one with `lightflow serve`, or say where it is with --data-dir or --url (see `lightflow --help`)."
            }
            Address::Tcp(_) if why.contains("--ca") => {
                "Copy tls/cert.pem from the server's data directory again if the server has a new one; otherwise this is another server."
            }
            Address::Tcp(_) => "Is the server up, and are host, port and http or https right?",
        };
        CliError::Unreachable {
            place: self.address.to_string(),
            // The name that rustls has for an error of our own says nothing.
            why: why.replace("other error: ", ""),
            advice: advice.to_owned(),
        }
    }
}

/// Has the kernel notice a peer that vanished, so that waiting for events needs no timer.
fn watch_over(stream: &TcpStream) {
    // Without them a silent loss is noticed late, which is no reason to give up now.
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    let _ = setsockopt(stream, sockopt::TcpKeepIdle, &30);
    let _ = setsockopt(stream, sockopt::TcpKeepInterval, &10);
    let _ = setsockopt(stream, sockopt::TcpKeepCount, &3);
}

/// An error with its causes: hyper and rustls hide the interesting part inside.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        source = error.source();
    }
    text
}

/// Reads a document of the API.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CliError> {
    serde_json::from_slice(body).map_err(|error| CliError::Nonsense(error.to_string()))
}

/// The body of an answer, piece by piece.
pub(super) struct Download {
    body: Incoming,
    place: String,
}

impl Download {
    /// The next piece; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, CliError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(CliError::Unreachable {
                        place: self.place.clone(),
                        why: format!("the connection broke: {}", chain(&error)),
                        advice: "Is the server still up?".to_owned(),
                    });
                }
            }
        }
    }
}

/// A stream of events.
pub(super) struct SseEvents {
    download: Download,
    parser: Parser,
    ready: VecDeque<SseEvent>,
}

impl SseEvents {
    /// The next event; none where the server ended the stream.
    pub(super) async fn next(&mut self) -> Result<Option<SseEvent>, CliError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(bytes) = self.download.next().await? else {
                return Ok(None);
            };
            let events = self.parser.push(&bytes);
            self.ready
                .extend(events.map_err(|error| CliError::Nonsense(error.to_string()))?);
        }
    }
}

/// The address of a thing of the API; each part may hold any characters.
pub(super) fn path(parts: &[&str]) -> String {
    let mut path = "/api/v1".to_owned();
    for part in parts {
        path.push('/');
        path.push_str(&encode(part));
    }
    path
}

/// An address with a query.
pub(super) fn query(path: &str, pairs: &[(&str, String)]) -> String {
    let mut url = path.to_owned();
    for (index, (key, value)) in pairs.iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(&format!("{key}={}", encode(value)));
    }
    url
}

/// Percent-encoding of all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_part_of_a_path() {
        assert_eq!(
            path(&["tokens", "my laptop/é?"]),
            "/api/v1/tokens/my%20laptop%2F%C3%A9%3F"
        );
        assert_eq!(
            query(
                "/x",
                &[("task", "a&b".to_owned()), ("limit", "5".to_owned())]
            ),
            "/x?task=a%26b&limit=5"
        );
    }
}
