//! Addresses to which notifications go: an `http` or `https` URL, and a mailbox.
//!
//! A value exists only if it can be used as it is: nothing that would end a line of a
//! protocol, no user name that would be sent somewhere else than it was typed for.

use super::field::FieldError;

/// Longest address accepted, in bytes.
const LONGEST: usize = 2048;

/// An `http` or `https` URL. It may carry a secret in any part, so it is never printed whole.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// True for `https`.
    pub secure: bool,
    /// Name or number, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Host and port as a Host header has them.
    pub authority: String,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// User and password in front of the host.
    pub login: Option<(String, String)>,
    text: String,
}

impl std::fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl HttpUrl {
    /// Accepts a URL.
    ///
    /// # Errors
    /// Names the problem, with an example.
    pub fn new(text: &str) -> Result<Self, FieldError> {
        let refuse = |why: &str| {
            FieldError::new(
                "url",
                format!("{why}; write it like https://host.example/path"),
            )
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(refuse("is empty"));
        }
        if text.len() > LONGEST || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(refuse(
                "is too long, or holds spaces or letters outside ASCII",
            ));
        }
        let (secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(refuse("is neither https:// nor http://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(end);
        let (login, place) = match place.rsplit_once('@') {
            None => (None, place),
            Some((login, place)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some((decoded(user), decoded(password))), place)
            }
        };
        let (host, port) = host_and_port(place, if secure { 443 } else { 80 })
            .ok_or_else(|| refuse("has no usable host"))?;
        Ok(Self {
            secure,
            host,
            port,
            authority: place.to_owned(),
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
            login,
            text: text.to_owned(),
        })
    }

    /// The whole URL, secrets included.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The parts that may be shown: scheme and host.
    pub fn shown(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}/…", self.authority)
    }
}

fn host_and_port(place: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<core::net::Ipv6Addr>().ok()?;
        (host, after.strip_prefix(':'))
    } else {
        match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    if !is_host(host) {
        return None;
    }
    let port = match port {
        None => default,
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
    };
    Some((host.to_owned(), port))
}

/// The address of this server for links, without a slash at its end.
///
/// # Errors
/// The problem of any other text, with an example.
pub fn server_address(text: &str) -> Result<String, String> {
    let example = "use something like https://lightflow.lan:8443";
    let url =
        HttpUrl::new(text).map_err(|_| format!("is not the address of a server; {example}"))?;
    let plain = url.login.is_none() && !text.contains(['"', '\'', '<', '>', '\\', '#', '?']);
    if !plain || url.text.len() > 256 {
        return Err(format!("is not the address of a server; {example}"));
    }
    if url.path != "/" {
        let path = &url.path;
        return Err(format!(
            "has the path {path}; Lightflow answers at the root of its address, so leave the path out"
        ));
    }
    let scheme = if url.secure { "https" } else { "http" };
    Ok(format!("{scheme}://{}", url.authority))
}

/// Reports if `text` is a host name or an address number.
pub(super) fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && (text.parse::<core::net::IpAddr>().is_ok()
            || text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)))
}

/// Percent-decoding; other text stays unchanged.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A mailbox like `ann@example.org` (the part of RFC 5321 that is in use).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox(String);

impl Mailbox {
    /// Accepts an address for `field`.
    ///
    /// # Errors
    /// Refuses other texts, with an example of an address.
    pub fn new(field: &str, text: &str) -> Result<Self, FieldError> {
        let text = text.trim();
        let fits = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"<>()[]\\,;:\"@".contains(&b))
        };
        match text.rsplit_once('@') {
            Some((name, host)) if fits(name) && is_host(host) && text.len() <= 254 => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(FieldError::new(
                field,
                format!("{text:?} is not an address; write it like ann@example.org"),
            )),
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_never_shown_whole() {
        let url = HttpUrl::new("https://ann:p%40ss@hooks.example:8443/a/SECRET?x=1#y").unwrap();
        assert!(url.secure);
        assert_eq!((url.host.as_str(), url.port), ("hooks.example", 8443));
        assert_eq!(url.path, "/a/SECRET?x=1");
        assert_eq!(url.login, Some(("ann".to_owned(), "p@ss".to_owned())));
        for text in [url.shown(), format!("{url:?}")] {
            assert!(!text.contains("SECRET") && !text.contains("ss@"), "{text}");
        }
        let bare = HttpUrl::new("http://[::1]").unwrap();
        assert_eq!((bare.host.as_str(), bare.port), ("::1", 80));
        assert_eq!(bare.path, "/");
        assert_eq!(HttpUrl::new("http://h?q").unwrap().path, "/?q");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for bad in [
            "",
            "hooks.example",
            "ftp://h/",
            "https://",
            "https:///x",
            "http://h:0/",
            "http://h:x/",
            "http://a b/",
            "http://h/\r\nX: y",
            "http://[zz]/",
            "https://h\u{e9}/",
        ] {
            assert!(HttpUrl::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mailbox_cannot_end_a_line() {
        assert!(Mailbox::new("to", "ann@example.org").is_ok());
        for bad in [
            "",
            "ann",
            "ann@",
            "@x",
            "a b@x",
            "a@x>\r\nRCPT",
            "<a@x>",
            "a@b@c d",
            "a,b@x",
        ] {
            assert!(Mailbox::new("to", bad).is_err(), "{bad:?}");
        }
    }
}
