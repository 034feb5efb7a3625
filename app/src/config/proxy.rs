//! The reverse proxies that are trusted to name the address, the protocol and the user of a request
//! came. By default there is none: any client can send these headers.

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use std::net::IpAddr;

/// The trusted proxies, and the headers that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    ranges: Vec<IpNet>,
    socket: bool,
    user_header: Option<String>,
}

impl Proxy {
    /// Reads `LIGHTFLOW_TRUSTED_PROXY` (addresses, ranges, or `unix` for clients that connect to
    /// the Unix socket, separated by commas) and `LIGHTFLOW_PROXY_USER_HEADER`.
    ///
    /// # Errors
    /// Names the unusable variable, with an example.
    pub fn new(trusted: Option<&str>, user_header: Option<&str>) -> Result<Self> {
        let mut proxy = Self::default();
        for word in trusted.unwrap_or_default().split(',').map(str::trim) {
            match word {
                "" => {}
                "unix" => proxy.socket = true,
                word => proxy.ranges.push(range(word)?),
            }
        }
        let Some(header) = user_header else {
            return Ok(proxy);
        };
        let token = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if header.is_empty() || !header.chars().all(token) {
            bail!(
                "LIGHTFLOW_PROXY_USER_HEADER is {header:?}; use the name of a header, such as Remote-User"
            );
        }
        let header = header.to_ascii_lowercase();
        if ["authorization", "cookie", "host", "origin"].contains(&header.as_str()) {
            bail!(
                "LIGHTFLOW_PROXY_USER_HEADER is {header:?}, which browsers send themselves; use another header"
            );
        }
        if proxy.ranges.is_empty() && !proxy.socket {
            bail!(
                "LIGHTFLOW_PROXY_USER_HEADER needs LIGHTFLOW_TRUSTED_PROXY, or anybody could say who they are; name the proxy's address there"
            );
        }
        proxy.user_header = Some(header);
        Ok(proxy)
    }

    /// Reports if a peer is trusted; one without an address came through the Unix socket.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            None => self.socket,
            Some(address) => self.has(address),
        }
    }

    /// Reports if an address is a proxy's.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// The header in which the proxy names who logged in there, in lower case.
    pub fn user_header(&self) -> Option<&str> {
        self.user_header.as_deref()
    }
}

fn range(word: &str) -> Result<IpNet> {
    let range = match word.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => word.parse::<IpNet>().with_context(|| {
            format!("LIGHTFLOW_TRUSTED_PROXY has {word:?}; use addresses such as 127.0.0.1, ranges such as 10.89.0.0/24, or unix")
        })?,
    };
    if range.prefix_len() == 0 {
        bail!(
            "LIGHTFLOW_TRUSTED_PROXY has {word:?}, which is everybody; name the proxy's own address"
        );
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(proxy: &Proxy, address: &str) -> bool {
        proxy.trusts(Some(address.parse().unwrap()))
    }

    #[test]
    fn nobody_is_believed_who_is_not_named() {
        let proxy = Proxy::default();
        assert!(!trusts(&proxy, "127.0.0.1") && !proxy.trusts(None));
        let proxy = Proxy::new(Some("10.89.0.0/24, ::1"), None).unwrap();
        assert!(trusts(&proxy, "10.89.0.7") && trusts(&proxy, "::1"));
        assert!(
            trusts(&proxy, "::ffff:10.89.0.7"),
            "the same address as IPv6 writes it"
        );
        assert!(!trusts(&proxy, "10.89.1.7") && !proxy.trusts(None));
    }

    #[test]
    fn what_would_believe_anybody_is_refused() {
        for trusted in ["0.0.0.0/0", "::/0", "proxy.lan", "10.0.0.0/33"] {
            let error = Proxy::new(Some(trusted), None).unwrap_err().to_string();
            assert!(error.contains("LIGHTFLOW_TRUSTED_PROXY"), "{error}");
        }
        for header in ["Cookie", "a b", "Remote:User"] {
            assert!(Proxy::new(Some("unix"), Some(header)).is_err(), "{header}");
        }
        assert!(Proxy::new(None, Some("Remote-User")).is_err());
    }
}
