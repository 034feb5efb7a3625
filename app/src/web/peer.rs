//! From where a request comes: over which door, from which address, through TLS or not.
//! The headers of a reverse proxy are trusted only if the environment names the proxy.

use super::error::ApiError;
use crate::config::{Proxy, Transport};
use crate::store::Client;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use std::convert::Infallible;
use std::net::IpAddr;

/// Longest name of a browser that is kept.
const LONGEST_AGENT: usize = 200;

/// The door of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The socket in the data directory. A user who can open it can read the database and
    /// the key beside it, so asking for a password there would protect nothing.
    Local,
    /// The network; without an address it is the Unix socket meant for a reverse proxy.
    Network(Option<IpAddr>),
}

/// From where a request comes.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Address and browser, as lists show them.
    pub(super) client: Client,
    /// True if the browser speaks TLS, with us or with the proxy.
    pub(super) secure: bool,
    /// The user who logged in at the proxy.
    pub(super) user: Option<String>,
}

impl Peer {
    /// Reads the connection and the headers.
    ///
    /// # Errors
    /// [`ApiError::NotTheProxy`] where another client sends the proxy's user header.
    pub(super) fn new(
        door: Door,
        headers: &HeaderMap,
        proxy: &Proxy,
        transport: Transport,
    ) -> Result<Self, ApiError> {
        let agent: String = text(headers, header::USER_AGENT.as_str())
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_AGENT)
            .collect();
        let mut peer = Self {
            client: Client {
                address: match door {
                    Door::Network(Some(address)) => address.to_canonical().to_string(),
                    Door::Network(None) | Door::Local => String::new(),
                },
                agent,
            },
            secure: transport == Transport::Tls,
            user: None,
        };
        let Door::Network(address) = door else {
            return Ok(peer);
        };
        let named = proxy.user_header().map(|name| headers.get_all(name));
        let mut named = named.into_iter().flatten();
        if !proxy.trusts(address) {
            return match named.next() {
                Some(_) => Err(ApiError::NotTheProxy),
                None => Ok(peer),
            };
        }
        if let Some(client) = forwarded_for(headers, proxy) {
            peer.client.address = client.to_canonical().to_string();
        }
        peer.secure |= text(headers, "x-forwarded-proto") == Some("https");
        peer.user = match (named.next(), named.next()) {
            (Some(name), None) => {
                Some(name.to_str().map_err(|_| ApiError::NotTheProxy)?.to_owned())
                    .filter(|name| !name.is_empty())
            }
            (None, _) => None,
            // A proxy that adds its header to the one a client sent lets the client choose.
            (Some(_), Some(_)) => return Err(ApiError::NotTheProxy),
        };
        Ok(peer)
    }
}

/// The address that the nearest trusted proxy saw: each proxy appends the one it sees, so
/// an address further left than the first stranger was written by that stranger.
fn forwarded_for(headers: &HeaderMap, proxy: &Proxy) -> Option<IpAddr> {
    let addresses: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut seen = None;
    for word in addresses.into_iter().rev() {
        let Some(address) = address(word.trim()) else {
            break;
        };
        seen = Some(address);
        if !proxy.has(address) {
            break;
        }
    }
    seen
}

/// Reads an address, which some proxies write with a port.
fn address(word: &str) -> Option<IpAddr> {
    word.parse::<IpAddr>().ok().or_else(|| {
        word.parse::<std::net::SocketAddr>()
            .ok()
            .map(|socket| socket.ip())
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let found = parts.extensions.get::<Self>().cloned();
        // The guard puts it there; without it nothing is known, and nothing is believed.
        Ok(found.unwrap_or(Self {
            client: Client::default(),
            secure: false,
            user: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn peer(from: &str, pairs: &[(&'static str, &'static str)]) -> Result<Peer, ApiError> {
        let headers = pairs
            .iter()
            .map(|(k, v)| (HeaderName::from_static(k), HeaderValue::from_static(v)))
            .collect();
        let proxy = Proxy::new(Some("127.0.0.1,10.0.0.0/8"), Some("Remote-User")).unwrap();
        let door = Door::Network(Some(from.parse().unwrap()));
        Peer::new(door, &headers, &proxy, Transport::Plain)
    }

    #[test]
    fn what_a_stranger_says_of_the_way_is_ignored() {
        let head = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
        ];
        let peer = peer("192.168.1.9", &head).unwrap();
        assert_eq!(peer.client.address, "192.168.1.9");
        assert!(!peer.secure);
    }

    #[test]
    fn a_stranger_cannot_say_who_logged_in() {
        let head = [("remote-user", "ann")];
        assert!(matches!(
            peer("192.168.1.9", &head),
            Err(ApiError::NotTheProxy)
        ));
        let twice = [("remote-user", "eve"), ("remote-user", "ann")];
        let mut headers = HeaderMap::new();
        for (name, value) in twice {
            headers.append(name, HeaderValue::from_static(value));
        }
        let proxy = Proxy::new(Some("127.0.0.1"), Some("Remote-User")).unwrap();
        let door = Door::Network(Some("127.0.0.1".parse().unwrap()));
        assert!(Peer::new(door, &headers, &proxy, Transport::Plain).is_err());
    }

    #[test]
    fn the_proxy_is_believed_up_to_the_first_stranger() {
        let head = [
            ("x-forwarded-for", "6.6.6.6, 192.168.1.9, 10.1.2.3"),
            ("x-forwarded-proto", "https"),
            ("remote-user", "ann"),
        ];
        let peer = peer("127.0.0.1", &head).unwrap();
        assert_eq!(peer.client.address, "192.168.1.9");
        assert!(peer.secure);
        assert_eq!(peer.user.as_deref(), Some("ann"));
    }
}
