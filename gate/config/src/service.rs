//! One entry of the allow-lists: a service, or an extra directory.

use super::capture::CaptureCommands;
use super::command_line::CommandLine;
use super::data_path::DataPath;
use super::limits::OwnLimits;
use crate::key::own_section;
use base::names::{PlainPath, ServiceName, UserName};
use base::ready::ReadyUrl;

own_section! {
    /// One service of the allow-list.
    #[derive(Default)]
    Service is "services.NAME", "The keys of a service; it needs none of them.";
    user: Option<UserName>, like "\"paperless\"", "The user whose systemd and Podman run the service, or `root`. Without this key podmanctl looks at root, at users with services that run without a login, and at users who are logged in. If two of them have units or containers of the name, the key is required. With the key podmanctl is quicker and asks no other user.";
    stop_writers: bool = default, like "true", "If true, podmanctl also stops and starts containers of other names that can write to the data of the service. If false, which is the default, `--stop` names them in a warning.";
    stop: Option<CommandLine>, like "[\"/usr/local/sbin/wiki\", \"stop\"]", "A program by absolute path, with its arguments, that stops the service in the place of podmanctl. There is no shell. Give all three of `stop`, `start` and `status`, or none.";
    start: Option<CommandLine>, like "[\"/usr/local/sbin/wiki\", \"start\"]", "A program that starts the service. It must do no harm to a service that is up, and processes that it leaves running should not keep its standard output.";
    status: Option<CommandLine>, like "[\"/usr/local/sbin/wiki\", \"status\"]", "A program that exits 0 when the service is up, 3 when it is down, 4 when it does not exist; any other code means that the gate asks again.";
    ready: Option<CommandLine>, like "[\"/usr/local/sbin/wiki-answers\"]", "A program that exits 0 when the service answers. The gate asks again until then, once the service is up.";
    ready_url: Option<ReadyUrl>, like "\"http://127.0.0.1:8080/status.php\"", "An address that answers with 2xx or 3xx when the service is ready, in the place of `ready`: an IP address or localhost, plain HTTP.";
    early_start: Option<bool>, like "false", "If false, the service stays down until `--start` comes, or its lease ends. Otherwise it starts as soon as its data is captured.";
    lease: Option<u32>, in 1..=604_800, like "14400", "Seconds for which a backup may keep this service down, in the place of `lease.seconds`.";
    room_before_stop: Option<bool>, like "true", "As above all tables, for this service.";
    rehearse_start: Option<bool>, like "false", "If false, a rehearsal does not start this service on a copy, in the place of `rehearsal.start`.";
    must_hold: Option<Vec<DataPath>>, like "[\"config/secret.key\"]", "Files below the data without which a copy is of no use. A rehearsal fails when one of them is missing or empty.";
    hot: Option<bool>, like "true", "If true, the service is copied while it runs, and never stopped. The default is true for `lightflow` and false for all others.";
    limits: OwnLimits = default, like "{ max_delete = 100000, max_delete_percent = 100 }", "Limits for the mirror of this service, see `[services.NAME.limits]`.";
    capture: Option<CaptureCommands>, like "{ take = [\"/usr/local/sbin/take\"], release = [\"/usr/local/sbin/release\"], path = \"/mnt/wiki\" }", "Commands that capture the data of this service, see `[services.NAME.capture]`.";
}

own_section! {
    /// A directory of the host that is mirrored on its own.
    Extra is "extra.NAME", "The keys of an extra target.";
    path: PlainPath, like "\"/srv/docs\"", "A directory that `--sync-extra` mirrors to `REMOTE/extra/NAME`.";
    limits: OwnLimits = default, like "{ max_delete = 100000 }", "Limits for the mirror of this target, with the keys of `[services.NAME.limits]`.";
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
        self.check_ranges(&format!("services.{name}"))?;
        self.limits
            .check_ranges(&format!("services.{name}.limits"))?;
        Ok(())
    }
}
