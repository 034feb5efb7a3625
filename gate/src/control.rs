//! Stopping, starting and asking a service, by podmanctl or by its own commands.
//!
//! A status command exits 0 when the service is up, 3 when it is down and 4 when there is no such service, like
//! `systemctl is-active`; anything else means "neither, or I cannot tell", and the question is asked again
//! until the deadline.
//!
//! Invariant: a service counts as down, or as up, only when its status command says so; that a stop or start
//! command ended well is not enough.

use std::time::Duration;

use crate::config::{Config, Control};
use crate::names::ServiceName;

/// How a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Exit code 0.
    Up,
    /// Exit code 3.
    Down,
    /// Exit code 4: there is no such service.
    Missing,
    /// Any other way to end.
    Unclear(String),
}

/// The three argument vectors by which a service is controlled.
#[derive(Debug, Clone)]
pub struct Controls {
    /// Stops it.
    pub stop: Vec<String>,
    /// Starts it. Must do no harm when the service is up already.
    pub start: Vec<String>,
    /// Says how it is.
    pub status: Vec<String>,
}

impl Controls {
    /// Those of a service. `timeout` is handed on to podmanctl.
    #[must_use]
    pub fn of(config: &Config, service: &ServiceName, timeout: Duration) -> Self {
        let control = config
            .services
            .get(service)
            .map(crate::config::Service::control);
        if let Some(Control::Commands {
            stop,
            start,
            status,
        }) = control
        {
            return Self {
                stop: stop.argv().to_vec(),
                start: start.argv().to_vec(),
                status: status.argv().to_vec(),
            };
        }
        let podmanctl = |verb: &str, timeout: Option<Duration>| {
            let mut argv = vec![
                config.podmanctl.to_string(),
                verb.to_owned(),
                service.to_string(),
            ];
            if let Some(timeout) = timeout {
                argv.extend(["--timeout".to_owned(), timeout.as_secs().max(1).to_string()]);
            }
            argv
        };
        Self {
            stop: podmanctl("--stop", Some(timeout)),
            start: podmanctl("--start", Some(timeout)),
            status: podmanctl("--status", None),
        }
    }
}
