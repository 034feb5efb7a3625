//! The address of the server: the socket in its data directory, or a URL with a token.

use super::error::{CliError, notice};
use super::pinned;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use hyper::Uri;
use rustls::ClientConfig;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HEADING: &str = "Which server";

/// The target of requests.
#[derive(Clone)]
pub(super) enum Address {
    /// The Unix socket; a user who may open it is an administrator.
    Socket(PathBuf),
    /// A host and port.
    Tcp(Remote),
}

/// A server somewhere in the network.
#[derive(Clone)]
pub(super) struct Remote {
    /// Name or number, without brackets.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
    /// The value of the Host header.
    pub(super) authority: String,
    /// TLS settings; none for plain HTTP.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// The bearer token.
    pub(super) token: Option<String>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp(remote) => {
                let scheme = if remote.tls.is_some() {
                    "https"
                } else {
                    "http"
                };
                write!(f, "{scheme}://{}", remote.authority)
            }
        }
    }
}

/// Adds the options that say which server is meant, to a command and all below it.
pub(super) fn with_options(command: Command) -> Command {
    command.args(options())
}

/// Keeps the help of a command free of those options that mean nothing to it.
pub(super) fn hiding(ids: &[&str], command: Command) -> Command {
    let own = |arg: &Arg| command.get_arguments().any(|a| a.get_id() == arg.get_id());
    let hidden: Vec<Arg> = options()
        .into_iter()
        .filter(|arg| ids.iter().any(|id| arg.get_id() == id) && !own(arg))
        .map(|arg| arg.hide(true))
        .collect();
    command.args(hidden)
}

/// The names of these options.
pub(super) const ALL: &[&str] = &["data-dir", "url", "ca", "token-file"];

fn options() -> [Arg; 4] {
    [
        with_env(
            "LIGHTFLOW_DATA_DIR",
            option(
                "data-dir",
                "DIR",
                "The data directory of a server on this machine",
            ),
        )
        .default_value(crate::config::DEFAULT_DATA)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::DirPath),
        with_env(
            "LIGHTFLOW_URL",
            option(
                "url",
                "URL",
                "A server in the network, such as https://odroid:8443",
            ),
        )
        .value_hint(ValueHint::Url),
        with_env(
            "LIGHTFLOW_CA",
            option(
                "ca",
                "FILE",
                "The certificate to trust: the server's tls/cert.pem",
            ),
        )
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath),
        option(
            "token-file",
            "FILE",
            "A file with the API token [or env: LIGHTFLOW_TOKEN]",
        )
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath),
    ]
}

/// A variable that is set to nothing counts as not set, which clap sees otherwise.
fn with_env(key: &'static str, arg: Arg) -> Arg {
    if std::env::var_os(key).is_some_and(|value| value.is_empty()) {
        arg
    } else {
        arg.env(key)
    }
}

fn option(id: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(id)
        .long(id)
        .value_name(value)
        .help(help)
        .help_heading(HEADING)
        .global(true)
        .hide_env_values(true)
        .hide_short_help(true)
}

/// The data directory that was asked for.
pub(super) fn data_directory(matches: &ArgMatches) -> PathBuf {
    matches
        .get_one::<PathBuf>("data-dir")
        .cloned()
        .unwrap_or_else(|| PathBuf::from(crate::config::DEFAULT_DATA))
}

impl Address {
    /// The server that the options and the environment name.
    pub(super) fn from_matches(matches: &ArgMatches) -> Result<Self, CliError> {
        let data = data_directory(matches);
        let url = matches
            .get_one::<String>("url")
            .filter(|url| !url.is_empty());
        let typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        match url {
            // An option on the command line wins over the environment.
            Some(url) if typed("url") || !typed("data-dir") => {
                let ca = matches.get_one::<PathBuf>("ca").map(PathBuf::as_path);
                let token_file = matches.get_one::<PathBuf>("token-file");
                Self::remote(url, ca, &data, token(token_file)?)
            }
            _ => Ok(Self::Socket(crate::config::socket(&data))),
        }
    }

    fn remote(
        url: &str,
        ca: Option<&Path>,
        data: &Path,
        token: Option<String>,
    ) -> Result<Self, CliError> {
        let bad = |why: &str| {
            CliError::Usage(format!(
                "--url {url:?} {why}; write it like https://odroid:8443"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| bad("is not a URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(bad("has no scheme or no host"));
        };
        if uri.path() != "/" || uri.query().is_some() {
            return Err(bad("has more than a host and a port"));
        }
        if authority.as_str().contains('@') {
            return Err(bad("holds a user name, which no request would send"));
        }
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(bad("is neither https nor http")),
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = match (secure, ca) {
            (false, _) => None,
            (true, Some(ca)) => Some(trust(ca)?),
            (true, None) => Some(trust(&own_certificate(url, &host, data)?)?),
        };
        if !secure && token.is_some() && !is_loopback(&host) {
            notice("warning: the token goes over the network in clear; use https");
        }
        Ok(Self::Tcp(Remote {
            port: authority
                .port_u16()
                .unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.to_string(),
            host,
            tls,
            token,
        }))
    }
}

/// For a server on this very machine: the certificate in its data directory.
fn own_certificate(url: &str, host: &str, data: &Path) -> Result<PathBuf, CliError> {
    let certificate = data.join("tls").join("cert.pem");
    if is_loopback(host) && certificate.exists() {
        return Ok(certificate);
    }
    Err(CliError::Usage(format!(
        "which certificate does {url} have? Copy tls/cert.pem out of the server's data directory and name it with --ca FILE or LIGHTFLOW_CA"
    )))
}

fn trust(ca: &Path) -> Result<Arc<ClientConfig>, CliError> {
    let config = pinned::client_config(ca).map_err(CliError::Local)?;
    Ok(Arc::new(config))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn token(file: Option<&PathBuf>) -> Result<Option<String>, CliError> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file).map_err(|error| {
            CliError::Local(format!(
                "cannot read the token in {}: {error}",
                file.display()
            ))
        })?,
        None => match std::env::var("LIGHTFLOW_TOKEN") {
            Ok(token) => token,
            Err(_) => return Ok(None),
        },
    };
    let token = text.trim();
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::Usage(
            "the API token holds characters that no token has; copy it again".to_owned(),
        ));
    }
    Ok(Some(token.to_owned()).filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match Address::remote(url, None, Path::new("/nonexistent"), None) {
            Ok(address) => panic!("{url} became {address}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_url_is_a_scheme_a_host_and_a_port() {
        for bad in [
            "odroid",
            "ftp://odroid",
            "http://odroid/x",
            "http://a:b@odroid",
            "http://",
        ] {
            assert!(refusal(bad).contains("https://odroid:8443"), "{bad}");
        }
        let good = Address::remote("http://[::1]:8080", None, Path::new("/"), None).unwrap();
        let Address::Tcp(remote) = good else {
            panic!("a socket");
        };
        assert_eq!((remote.host.as_str(), remote.port), ("::1", 8080));
    }

    #[test]
    fn https_without_a_certificate_says_which_one_is_meant() {
        assert!(refusal("https://odroid:8443").contains("tls/cert.pem"));
        assert!(refusal("https://localhost:8443").contains("--ca"));
    }
}
