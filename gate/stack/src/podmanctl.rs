//! The program `podmanctl`: one service's whole stack, by systemd and Podman.
//!
//! A stack is found with its owner (root, or a user with rootless containers), moved by the owner's own systemd and
//! Podman, and looked at again until it is in the expected state. The members that ran before the stop are those that
//! run after the start.
//!
//! Invariant: `--stop` and `--start` answer 0 only when the whole stack is down, or up.

mod errand;
mod find;
mod memories;
mod moving;
mod neighbours;
pub mod owner;
mod question;
mod verbs;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base::error::{ExitStatus, Failure};
use base::names::{NameError, Seconds, ServiceName};
use base::reply::{Reply, Stream};
use config::Config;
use find::{Podman, Recorded, Tools};
use host::Host;
use host::door::door;
use host::linux::LinuxHost;
use memories::Memories;
use privilege::hardening::Surroundings;
use verbs::Verbs;

const HELP: &str = "\
podmanctl --list | --status SVC | --stop SVC | --start SVC [--timeout S]

--status exits 0 when the whole stack is up and healthy, 3 when it is down,
1 when it is neither, 4 when there is none. --stop remembers what runs.
--start brings that back or, when nothing is remembered, what a boot starts.

--config FILE before any of these names another configuration than
/etc/backupctl/backupctl.toml.";

/// There while systemd is PID 1; see sd_booted(3).
const SYSTEMD: &str = "/run/systemd/system";

/// The deadline without `--timeout`.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    door("podmanctl", &arguments, command)
}

enum Verb {
    List,
    Status(ServiceName),
    Stop(ServiceName),
    Start(ServiceName),
}

fn parse(words: &[&str]) -> Result<(Verb, Duration), String> {
    let name = |word: &str| ServiceName::parse(word).map_err(|error: NameError| error.to_string());
    let (verb, rest) = match words {
        ["--list", rest @ ..] => (Verb::List, rest),
        ["--status", service, rest @ ..] => (Verb::Status(name(service)?), rest),
        ["--stop", service, rest @ ..] => (Verb::Stop(name(service)?), rest),
        ["--start", service, rest @ ..] => (Verb::Start(name(service)?), rest),
        _ => return Err(HELP.into()),
    };
    match rest {
        [] => Ok((verb, TIMEOUT)),
        ["--timeout", seconds] => {
            let seconds = Seconds::parse(seconds).map_err(|error| error.to_string())?;
            Ok((verb, Duration::from_secs(seconds.get().into())))
        }
        _ => Err(HELP.into()),
    }
}

fn command(arguments: &[OsString], _: &Surroundings, mut reply: Reply) -> u8 {
    let (config, rest) = match arguments {
        [option, file, rest @ ..] if option == "--config" => (Some(PathBuf::from(file)), rest),
        all => (None, all),
    };
    let words: Option<Vec<&str>> = rest.iter().map(|word| word.to_str()).collect();
    let words = words.unwrap_or_default();
    if words == ["--help"] {
        HELP.lines().for_each(|line| reply.line(Stream::Out, line));
        return ExitStatus::Done.code();
    }
    let parsed = match parse(&words) {
        Ok(parsed) => parsed,
        Err(words) => {
            words.lines().for_each(|line| reply.line(Stream::Err, line));
            return ExitStatus::Usage.code();
        }
    };
    let config = match Config::find(config) {
        Ok(config) => config,
        Err(failure) => {
            reply.line(Stream::Err, &format!("podmanctl: {failure}"));
            return failure.status().code();
        }
    };
    let mut host = match LinuxHost::take_over(reply) {
        Ok(host) => host,
        Err(_) => return ExitStatus::Internal.code(),
    };
    let (verb, timeout) = parsed;
    carry_out(&verb, timeout, &config, &mut host).unwrap_or_else(|failure| {
        host.say(Stream::Err, &format!("podmanctl: {failure}"));
        failure.status().code()
    })
}

fn carry_out(
    verb: &Verb,
    timeout: Duration,
    config: &Config,
    host: &mut LinuxHost,
) -> Result<u8, Failure> {
    if !Path::new(SYSTEMD).exists() {
        return Err(Failure::Tool {
            what: "podmanctl".into(),
            detail: "systemd does not run here; give each service its own stop, start and status commands in the configuration".into(),
        });
    }
    let memories =
        Memories::open(&config.state_dir).map_err(Failure::io("the records of stopped stacks"))?;
    let mut services: Vec<ServiceName> = config.services.keys().cloned().collect();
    if let Verb::Status(asked) | Verb::Stop(asked) | Verb::Start(asked) = verb
        && !services.contains(asked)
    {
        services.push(asked.clone());
    }
    let tools = Tools {
        config,
        services,
        until: host.now() + timeout,
        // The caller of a start may go away; the service has to come back in any case.
        attended: !matches!(verb, Verb::Start(_)),
        host,
        recorded: Recorded::default(),
        podman: Podman::Needed,
        listed: Vec::new(),
    };
    let mut verbs = Verbs { tools, memories };
    match verb {
        Verb::List => verbs.list(),
        Verb::Status(service) => verbs.status(service),
        Verb::Stop(service) => verbs.stop(service),
        Verb::Start(service) => verbs.start(service),
    }
}
