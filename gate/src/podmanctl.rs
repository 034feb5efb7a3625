//! The program `podmanctl`: one service's whole stack, by systemd.
//!
//! A service's units are those of the system's manager, or of the manager of the user that the configuration
//! names for it. systemd knows the order of a stack: units are handed to it together, and it stops them in
//! the reverse of the order in which it starts them.
//!
//! Invariant: `--stop` and `--start` answer 0 only when the whole stack is down, or up.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{ExitStatus, Failure};
use crate::gate::{door, load};
use crate::hardening::Surroundings;
use crate::host::linux::LinuxHost;
use crate::host::{Ended, Host, Patience};
use crate::names::{NameError, PlainPath, Seconds, ServiceName};
use crate::program::{Output, Profile, Program, Tether};
use crate::reply::{Reply, Stream};
use crate::stack::{self, Unit, Whole};

const SYSTEMCTL: &str = "/usr/bin/systemctl";

const HELP: &str = "podmanctl --list | --status SVC | --stop SVC | --start SVC [--timeout S]
--status exits 0 when the whole stack is up, 3 when it is down, 1 when it is neither, 4 when there is none.
--config FILE before any of these names another configuration than /etc/backupctl/backupctl.toml.";

/// Exit codes of `--status`, as systemctl has them.
const PARTLY: u8 = 1;
const DOWN: u8 = 3;
const NOTHING: u8 = 4;

/// When nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(300);

/// How often a stack is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    door("podmanctl", command)
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
    let config = match load(config) {
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
    let until = host.now() + timeout;
    let mut stacks = Stacks {
        config: &config,
        host: &mut host,
        until,
    };
    let outcome = match verb {
        Verb::List => stacks.list(),
        Verb::Status(service) => stacks.status(&service),
        Verb::Stop(service) => stacks.bring("stop", &service, Whole::Down),
        Verb::Start(service) => stacks.bring("start", &service, Whole::Up),
    };
    outcome.unwrap_or_else(|failure| {
        host.say(Stream::Err, &format!("podmanctl: {failure}"));
        failure.status().code()
    })
}

struct Stacks<'a> {
    config: &'a Config,
    host: &'a mut LinuxHost,
    until: Instant,
}

impl Stacks<'_> {
    /// Runs `systemctl`, of the system or of the service's user.
    fn systemctl(
        &mut self,
        service: &ServiceName,
        words: &[&str],
        output: Output,
    ) -> Result<Ended, Failure> {
        let mut argv = vec![
            SYSTEMCTL.to_owned(),
            "--no-pager".into(),
            "--no-ask-password".into(),
        ];
        if let Some(user) = self
            .config
            .services
            .get(service)
            .and_then(|known| known.user.as_ref())
        {
            argv.extend(["--user".into(), format!("--machine={user}@")]);
        }
        argv.extend(words.iter().map(|&word| word.to_owned()));
        let program = Program {
            what: format!("systemctl {}", words.first().copied().unwrap_or_default()),
            argv,
            source: None,
            tether: Tether::Free,
            output,
            profile: Profile::Service,
            home: PlainPath::parse("/run").map_err(|error| Failure::Tool {
                what: "podmanctl".into(),
                detail: error.to_string(),
            })?,
        };
        self.host.run(&program, &Patience::attended(self.until))
    }

    /// The units of a service.
    fn units(&mut self, service: &ServiceName) -> Result<Vec<Unit>, Failure> {
        let patterns = stack::patterns(service);
        let mut words = vec![
            "list-unit-files",
            "--type=service",
            "--no-legend",
            "--plain",
            "--full",
        ];
        words.extend(patterns.iter().map(String::as_str));
        let listed = self.systemctl(service, &words, Output::Captured)?;
        // systemctl exits 1 when nothing matches. Only words of its own tell that from a failure.
        if !listed.ok() && !listed.last_words.is_empty() {
            return Err(Failure::Tool {
                what: "listing units".into(),
                detail: listed.describe(),
            });
        }
        let names = stack::names(&String::from_utf8_lossy(&listed.stdout));
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut words = vec!["show", stack::PROPERTIES, "--"];
        words.extend(names.iter().map(String::as_str));
        let shown = self.systemctl(service, &words, Output::Captured)?;
        if !shown.ok() {
            return Err(Failure::Tool {
                what: "reading units".into(),
                detail: shown.describe(),
            });
        }
        let all: Vec<ServiceName> = self.config.services.keys().cloned().collect();
        let mut units = stack::units(&String::from_utf8_lossy(&shown.stdout));
        units.retain(|unit| stack::belongs(unit, service, &all));
        Ok(units)
    }

    fn list(&mut self) -> Result<u8, Failure> {
        for service in self.config.services.keys() {
            let units = self.units(service)?;
            let word = match stack::whole(&units) {
                Whole::Up => "up",
                Whole::Down => "down",
                Whole::Partly => "partly up",
                Whole::Nothing => "no units",
            };
            let names: Vec<&str> = units.iter().map(|unit| unit.id.as_str()).collect();
            self.host.say(
                Stream::Out,
                &format!("{service}\t{word}\t{}", names.join(" ")),
            );
        }
        Ok(ExitStatus::Done.code())
    }

    fn status(&mut self, service: &ServiceName) -> Result<u8, Failure> {
        let units = self.units(service)?;
        for unit in &units {
            self.host.say(
                Stream::Out,
                &format!("{}\t{} ({})", unit.id, unit.active, unit.sub),
            );
        }
        Ok(match stack::whole(&units) {
            Whole::Up => ExitStatus::Done.code(),
            Whole::Partly => PARTLY,
            Whole::Down => DOWN,
            Whole::Nothing => {
                self.host
                    .say(Stream::Err, &format!("podmanctl: {}", missing(service)));
                NOTHING
            }
        })
    }

    /// Stops or starts all units of a service at once, and waits until they are.
    fn bring(
        &mut self,
        verb: &'static str,
        service: &ServiceName,
        wanted: Whole,
    ) -> Result<u8, Failure> {
        let units = self.units(service)?;
        if units.is_empty() {
            return Err(Failure::Tool {
                what: format!("podmanctl --{verb}"),
                detail: missing(service),
            });
        }
        let mut words = vec![verb, "--"];
        words.extend(units.iter().map(|unit| unit.id.as_str()));
        let ended = self.systemctl(service, &words, Output::Relayed)?;
        if !ended.ok() {
            let what = format!("systemctl {verb}");
            return Err(Failure::Tool {
                what,
                detail: ended.describe(),
            });
        }
        loop {
            let units = self.units(service)?;
            if stack::whole(&units) == wanted {
                for unit in &units {
                    self.host.say(
                        Stream::Out,
                        &format!("{}\t{} ({})", unit.id, unit.active, unit.sub),
                    );
                }
                return Ok(ExitStatus::Done.code());
            }
            self.host
                .pause(AGAIN, &Patience::attended(self.until))
                .map_err(|cause| {
                    let waiting: Vec<String> = units
                        .iter()
                        .map(|unit| format!("{} is {}", unit.id, unit.active))
                        .collect();
                    Failure::Interrupted {
                        what: waiting.join(", "),
                        cause,
                    }
                })?;
        }
    }
}

fn missing(service: &ServiceName) -> String {
    format!(
        "there is no unit of '{service}'; name its quadlet {service}.container or {service}-SOMETHING.container, or set services.{service}.user in the configuration if another user runs it"
    )
}
