//! Stops, starts and queries a service, with podmanctl or with the service's own commands.
//!
//! A status command exits 0 when the service is up, 3 when it is down and 4 when the service does not exist, like
//! `systemctl is-active`. Any other exit means "neither, or I cannot tell", and the gate asks again until the deadline.
//!
//! Invariant: a service counts as down, or as up, only when its status command says so; a successful stop or start
//! command is not enough.

use std::time::Duration;

use base::names::ServiceName;
use config::{Config, Control};

/// The state of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Exit code 0.
    Up,
    /// Exit code 3.
    Down,
    /// Exit code 4: the service does not exist.
    Missing,
    /// Any other exit.
    Unclear(String),
}

/// The three argument vectors that control a service.
#[derive(Debug, Clone)]
pub struct Controls {
    /// Stops the service.
    pub stop: Vec<String>,
    /// Starts the service. Must do no harm when it is up already.
    pub start: Vec<String>,
    /// Reports the state of the service.
    pub status: Vec<String>,
}

impl Controls {
    /// The commands of a service. `timeout` is passed on to podmanctl.
    #[must_use]
    pub fn of(config: &Config, service: &ServiceName, timeout: Duration) -> Self {
        let control = config.services.get(service).map(config::Service::control);
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
