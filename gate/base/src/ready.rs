//! One HTTP request to an address of this host or its network: does the service answer?
//!
//! Nothing of the answer is read but its first line, and no name is looked up: a resolver that does not answer
//! would hold up a start. So this is a few lines of our own and not a client that knows the rest of HTTP.
//!
//! Invariant: an attempt ends within its time, for any behaviour of the other side.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// The longest first line of an answer: `HTTP/1.1 200`, and a reason that is not looked at.
const LINE: usize = 512;

/// `http://ADDRESS[:PORT][/PATH]`, with an IP address or `localhost`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ReadyUrl {
    text: String,
    host: String,
    addresses: Vec<SocketAddr>,
    path: String,
}

impl TryFrom<String> for ReadyUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "'{text}' {why}; write it as http://127.0.0.1:8080/alive, with an IP address or localhost"
            )
        };
        let rest = text
            .strip_prefix("http://")
            .ok_or_else(|| wrong("does not begin with http://"))?;
        if !rest
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
        {
            return Err(wrong("holds a character that no request can"));
        }
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let addresses = addresses(host).ok_or_else(|| wrong("names no address and port"))?;
        Ok(Self {
            host: host.to_owned(),
            addresses,
            path: path.to_owned(),
            text,
        })
    }
}

/// The addresses of a host and port.
fn addresses(host: &str) -> Option<Vec<SocketAddr>> {
    const HTTP: u16 = 80;
    let at = |ip: IpAddr| Some(vec![SocketAddr::new(ip, HTTP)]);
    if let Ok(address) = host.parse::<SocketAddr>() {
        return (address.port() != 0).then(|| vec![address]);
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return at(ip.into());
    }
    if let Some(inside) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return at(inside.parse::<Ipv6Addr>().ok()?.into());
    }
    let port = match host.strip_prefix("localhost")? {
        "" => HTTP,
        port => port
            .strip_prefix(':')?
            .parse()
            .ok()
            .filter(|&port| port != 0)?,
    };
    Some(vec![
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
        SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
    ])
}

impl ReadyUrl {
    /// Asks once.
    ///
    /// # Errors
    /// In words, when there is no answer in time, or one that is not 2xx or 3xx.
    pub fn ask(&self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        let mut last = String::new();
        for address in &self.addresses {
            match self.ask_at(*address, until) {
                Ok(status) if (200..400).contains(&status) => return Ok(()),
                Ok(status) => last = format!("{} answers {status}", self.text),
                Err(error) => last = format!("{}: {error}", self.text),
            }
        }
        Err(last)
    }

    fn ask_at(&self, address: SocketAddr, until: Instant) -> std::io::Result<u16> {
        let left = || {
            let left = until.saturating_duration_since(Instant::now());
            // Zero would mean "for ever".
            (!left.is_zero())
                .then_some(left)
                .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::TimedOut))
        };
        let mut stream = TcpStream::connect_timeout(&address, left()?)?;
        stream.set_write_timeout(Some(left()?))?;
        let (path, host) = (&self.path, &self.host);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: backupctl\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut line = Vec::new();
        let mut buffer = [0_u8; LINE];
        while line.len() < LINE && !line.contains(&b'\n') {
            stream.set_read_timeout(Some(left()?))?;
            match stream.read(&mut buffer)? {
                0 => break,
                read => line.extend(buffer.iter().take(read)),
            }
        }
        status(&line).ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
    }
}

/// `HTTP/1.1 200 OK` → 200
fn status(line: &[u8]) -> Option<u16> {
    let line =
        std::str::from_utf8(line.split(|&byte| byte == b'\r' || byte == b'\n').next()?).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let code = rest.split(' ').next()?;
    (version.starts_with("HTTP/") && code.len() == 3)
        .then(|| code.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ReadyUrl, String> {
        ReadyUrl::try_from(text.to_owned())
    }

    #[test]
    fn only_plain_addresses_are_urls() {
        for (text, first, path) in [
            ("http://127.0.0.1:8080/alive", "127.0.0.1:8080", "/alive"),
            ("http://10.0.0.2", "10.0.0.2:80", "/"),
            ("http://[::1]:81/a?b=c", "[::1]:81", "/a?b=c"),
            ("http://[::1]/", "[::1]:80", "/"),
            ("http://localhost:9/x", "127.0.0.1:9", "/x"),
            ("http://localhost", "127.0.0.1:80", "/"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(
                (url.addresses[0].to_string().as_str(), url.path.as_str()),
                (first, path)
            );
        }
        for text in [
            "",
            "https://127.0.0.1/",
            "http://",
            "http:///x",
            "http://example.org/",
            "http://localhostess/",
            "http://127.0.0.1:0/",
            "http://localhost:0/",
            "http://127.0.0.1:99999/",
            "http://user@127.0.0.1/",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/a\r\nX: y",
            "http://127.0.0.1/#a",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_first_line_of_an_answer_counts() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\nx"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503"), Some(503));
        for line in [
            &b""[..],
            b"HTTP/1.1",
            b"HTTP/1.1 2000 x",
            b"220 ftp 200",
            b"HTTP/1.1 \xff\xff\xff",
        ] {
            assert_eq!(status(line), None);
        }
    }

    #[test]
    fn a_server_that_says_nothing_does_not_hold_us_up() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = parse(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
        assert!(url.ask(Duration::from_millis(50)).is_err());
    }
}
