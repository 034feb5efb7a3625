//! The environment of the process, read once and turned into a [`Config`].

mod proxy;

pub use proxy::Proxy;

use crate::domain::address::server_address;
use crate::domain::schedule::parse_zone;
use crate::zones::Zone;
use anyhow::{Context, Result, anyhow, bail};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The transport of the web interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTPS; a self-signed certificate is made where there is none.
    Tls,
    /// Plain HTTP, asked for by `LIGHTFLOW_TLS=off`.
    Plain,
}

/// The listening address of the web interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A network address.
    Tcp(SocketAddr),
    /// A Unix socket, for a reverse proxy on this machine.
    Unix(PathBuf),
}

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// The listening address of the web interface.
    pub listen: Listen,
    /// TLS or plain HTTP.
    pub transport: Transport,
    /// The trusted reverse proxies.
    pub proxy: Proxy,
    /// Zone of tasks that name none.
    pub zone: Zone,
    /// Address under which people reach the server, for links; guessed when absent.
    pub base_url: Option<String>,
    /// Time a step gets between being asked to end and being killed.
    pub grace: Duration,
    /// Most bytes kept of one step's log.
    pub log_limit: u64,
    /// The binary that supervises steps.
    pub supervisor: PathBuf,
    /// Certificates of other servers and of their authorities, beside those of the system, in PEM form.
    pub certificates: Option<PathBuf>,
}

/// The data directory where `LIGHTFLOW_DATA_DIR` names none.
pub const DEFAULT_DATA: &str = "/data";
/// The listening address where `LIGHTFLOW_LISTEN` names none.
pub const DEFAULT_LISTEN: &str = "0.0.0.0:8443";
/// Debian's certificate authorities.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
const DEFAULT_GRACE_S: u64 = 10;
const DEFAULT_LOG_LIMIT: u64 = 64 * 1024 * 1024;

impl Config {
    /// Reads the settings through `env`, which looks up one environment variable.
    ///
    /// # Errors
    /// Names the variable with an unusable value, with an example.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let env = |key: &str| env(key).filter(|value| !value.is_empty());
        let listen = listen(&env("LIGHTFLOW_LISTEN").unwrap_or_else(|| DEFAULT_LISTEN.to_owned()))?;
        Ok(Self {
            data: data_dir(env),
            transport: match (env("LIGHTFLOW_TLS").as_deref(), &listen) {
                (None, Listen::Unix(_)) | (Some("off"), _) => Transport::Plain,
                (Some("on"), Listen::Unix(path)) => bail!(
                    "LIGHTFLOW_TLS is on, but LIGHTFLOW_LISTEN is the socket {}, where the reverse proxy speaks plain HTTP; leave LIGHTFLOW_TLS out",
                    path.display()
                ),
                (None | Some("on"), Listen::Tcp(_)) => Transport::Tls,
                (Some(other), _) => bail!("LIGHTFLOW_TLS is {other:?}; use on or off"),
            },
            listen,
            proxy: Proxy::new(
                env("LIGHTFLOW_TRUSTED_PROXY").as_deref(),
                env("LIGHTFLOW_PROXY_USER_HEADER").as_deref(),
            )?,
            zone: zone(&env)?,
            base_url: env("LIGHTFLOW_BASE_URL")
                .map(|url| {
                    let address = server_address(&url);
                    address.map_err(|problem| {
                        anyhow!("LIGHTFLOW_BASE_URL is {url:?}, which {problem}")
                    })
                })
                .transpose()?,
            grace: Duration::from_secs(number(
                &env,
                "LIGHTFLOW_KILL_GRACE",
                DEFAULT_GRACE_S,
                0,
                600,
            )?),
            log_limit: number(
                &env,
                "LIGHTFLOW_LOG_LIMIT",
                DEFAULT_LOG_LIMIT,
                64 * 1024,
                1 << 40,
            )?,
            // This very program, also after its file was replaced by an upgrade.
            supervisor: PathBuf::from("/proc/self/exe"),
            certificates: env("SSL_CERT_FILE").map(PathBuf::from),
        })
    }

    /// The socket for programs on the same machine and of the same user.
    pub fn socket(&self) -> PathBuf {
        socket(&self.data)
    }
}

/// The socket inside the data directory `data`.
pub fn socket(data: &Path) -> PathBuf {
    data.join("lightflow.sock")
}

/// The data directory.
pub fn data_dir(env: impl Fn(&str) -> Option<String>) -> PathBuf {
    PathBuf::from(env("LIGHTFLOW_DATA_DIR").unwrap_or_else(|| DEFAULT_DATA.to_owned()))
}

/// Reads a listening address like `0.0.0.0:8443`, `localhost:8443` or
/// `unix:/run/lightflow/http.sock`.
///
/// # Errors
/// Refuses other texts, with an example of an address.
pub fn listen(text: &str) -> Result<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            bail!(
                "LIGHTFLOW_LISTEN is {text:?}; use a whole path, such as unix:/run/lightflow/http.sock"
            );
        }
        return Ok(Listen::Unix(path));
    }
    address(text).map(Listen::Tcp)
}

/// Reads a network address like `0.0.0.0:8443` or `localhost:8443`.
///
/// # Errors
/// Refuses other texts, with an example of an address.
pub fn address(text: &str) -> Result<SocketAddr> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .with_context(|| {
            format!(
                "LIGHTFLOW_LISTEN is {text:?}; use ADDRESS:PORT, such as {DEFAULT_LISTEN}, or unix:/PATH"
            )
        })
}

fn zone(env: &impl Fn(&str) -> Option<String>) -> Result<Zone> {
    for key in ["LIGHTFLOW_TZ", "TZ"] {
        if let Some(name) = env(key) {
            // tzset(3) allows a colon in front of a file name.
            let name = name.trim_start_matches(':');
            return parse_zone(name).map_err(|e| anyhow::anyhow!("{key}: {e}"));
        }
    }
    Ok(Zone::utc())
}

fn number(
    env: &impl Fn(&str) -> Option<String>,
    key: &str,
    default: u64,
    least: u64,
    most: u64,
) -> Result<u64> {
    let Some(text) = env(key) else {
        return Ok(default);
    };
    match text.parse() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => bail!("{key} is {text:?}; use a number from {least} to {most}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config> {
        Config::from_env(|key| {
            let found = pairs.iter().find(|(k, _)| *k == key);
            found.map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn an_empty_environment_is_the_contracts_default() {
        let config = config(&[]).unwrap();
        assert_eq!(config.data, Path::new("/data"));
        assert_eq!(config.listen, Listen::Tcp("0.0.0.0:8443".parse().unwrap()));
        assert_eq!(config.transport, Transport::Tls);
        assert_eq!(config.zone, Zone::utc());
    }

    #[test]
    fn lightflow_tz_wins_over_tz() {
        let config = config(&[("TZ", ":Asia/Tokyo"), ("LIGHTFLOW_TZ", "Europe/Paris")]).unwrap();
        assert_eq!(config.zone, crate::zones::find("Europe/Paris").unwrap());
    }

    #[test]
    fn a_socket_speaks_plain_http_and_nothing_else() {
        let socket = ("LIGHTFLOW_LISTEN", "unix:/run/lightflow/http.sock");
        assert_eq!(config(&[socket]).unwrap().transport, Transport::Plain);
        let error = config(&[socket, ("LIGHTFLOW_TLS", "on")]).unwrap_err();
        assert!(error.to_string().contains("plain HTTP"), "{error}");
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        for (key, value) in [
            ("LIGHTFLOW_LISTEN", "8443"),
            ("LIGHTFLOW_LISTEN", "unix:http.sock"),
            ("LIGHTFLOW_TRUSTED_PROXY", "0.0.0.0/0"),
            ("LIGHTFLOW_PROXY_USER_HEADER", "Remote-User"),
            ("LIGHTFLOW_TZ", "Mars/Olympus"),
            ("LIGHTFLOW_TLS", "maybe"),
            ("LIGHTFLOW_BASE_URL", "lightflow.lan:8443"),
            ("LIGHTFLOW_BASE_URL", "https://lightflow.lan/flow"),
            ("LIGHTFLOW_KILL_GRACE", "-1"),
            ("LIGHTFLOW_LOG_LIMIT", "1"),
        ] {
            let error = config(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
