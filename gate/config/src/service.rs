//! One entry of the allow-lists: a service, or an extra directory.

use serde::Deserialize;

use super::capture::CaptureCommands;
use super::command_line::CommandLine;
use super::lease::check_seconds;
use super::limits::OwnLimits;
use base::names::{PlainPath, ServiceName, UserName};
use base::ready::ReadyUrl;

/// One service of the allow-list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Stops it. All three, or none for podmanctl.
    pub stop: Option<CommandLine>,
    /// Starts it.
    pub start: Option<CommandLine>,
    /// Exits 0 when it is up and 3 when it is down.
    pub status: Option<CommandLine>,
    /// The user whose systemd and Podman run it, or `root`. Without this key podmanctl looks for the user.
    pub user: Option<UserName>,
    /// Exits 0 when it answers; asked again until it does, once `status` says that it is up.
    pub ready: Option<CommandLine>,
    /// Answers with 2xx or 3xx when it is ready, asked likewise.
    pub ready_url: Option<ReadyUrl>,
    /// False: the service stays down until `--start` comes.
    pub early_start: Option<bool>,
    /// Commands that capture its data.
    pub capture: Option<CaptureCommands>,
    /// This service's own value of `room_before_stop`.
    pub room_before_stop: Option<bool>,
    /// For how many seconds a backup may keep it down, when `lease.seconds` is not right for it.
    pub lease: Option<u32>,
    /// Stop containers of other names that can write to the data, too. If false, a stop only names them.
    pub stop_writers: bool,
    /// Copied while it runs, never stopped. `lightflow` is, unless this says otherwise.
    pub hot: Option<bool>,
    /// Limits of its own for its mirror.
    pub limits: OwnLimits,
}

/// A directory of the host that is mirrored on its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// Its path.
    pub path: PlainPath,
    /// Limits of its own for its mirror.
    #[serde(default)]
    pub limits: OwnLimits,
}

/// The way of controlling a service.
#[derive(Debug, Clone, Copy)]
pub enum Control<'a> {
    /// With commands of its own.
    Commands {
        /// Stops it.
        stop: &'a CommandLine,
        /// Starts it.
        start: &'a CommandLine,
        /// Says whether it is up.
        status: &'a CommandLine,
    },
    /// With podmanctl.
    Podmanctl,
}

impl Service {
    /// The way of controlling it; `Config::load` refuses a service that mixes both ways.
    #[must_use]
    pub fn control(&self) -> Control<'_> {
        match (&self.stop, &self.start, &self.status) {
            (Some(stop), Some(start), Some(status)) => Control::Commands {
                stop,
                start,
                status,
            },
            _ => Control::Podmanctl,
        }
    }

    /// True if it is copied while it runs.
    #[must_use]
    pub fn is_hot(&self, name: &ServiceName) -> bool {
        self.hot.unwrap_or(name.as_str() == "lightflow")
    }
}

impl Service {
    pub(super) fn check(&self, name: &ServiceName) -> Result<(), String> {
        let given = [&self.stop, &self.start, &self.status];
        let count = given.iter().filter(|command| command.is_some()).count();
        if count != 0 && count != 3 {
            return Err(format!(
                "services.{name}: give stop, start and status together, or none of them for podmanctl"
            ));
        }
        if self.ready.is_some() && self.ready_url.is_some() {
            return Err(format!(
                "services.{name}: give ready or ready_url, not both"
            ));
        }
        if let Some(seconds) = self.lease {
            check_seconds(&format!("services.{name}.lease"), seconds)?;
        }
        self.limits.check(&format!("services.{name}.limits"))?;
        Ok(())
    }
}
