//! Finding a service's stack: asking systemd and Podman of everybody who may own it.
//!
//! Invariant: a service has one owner. One that is found with two is refused, and so nobody else's container of the
//! same name is ever moved instead of the right one.

use std::time::{Duration, Instant};

use super::owner::{Owner, PODMAN, everybody};
use crate::config::Config;
use crate::error::Failure;
use crate::host::{Ended, Host, Patience};
use crate::names::{PlainPath, ServiceName};
use crate::program::{Output, Profile, Program, Tether};
use crate::reply::Stream;
use crate::stack::{Container, Stack, Unit, container, unit};

/// The most members that a stack may have.
pub(super) const MOST_MEMBERS: usize = 200;

/// How long each of the users may take who are only asked whether a service is theirs.
const STRANGER: Duration = Duration::from_secs(10);

/// A stack, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Whose systemd and Podman move it.
    pub(super) owner: Owner,
    /// What it is made of.
    pub(super) stack: Stack,
}

/// What an owner has, of all services.
#[derive(Debug, Clone, Default)]
pub(super) struct Inventory {
    units: Vec<String>,
    containers: Vec<Container>,
}

/// The tools by which stacks are seen and moved.
pub(super) struct Tools<'a> {
    /// Who owns what.
    pub(super) config: &'a Config,
    /// The names of all services, by which it is decided what is whose.
    pub(super) services: Vec<ServiceName>,
    /// What runs programs.
    pub(super) host: &'a mut dyn Host,
    /// The deadline.
    pub(super) until: Instant,
    /// Whether a signal, or the end of whoever reads our output, ends the work.
    pub(super) attended: bool,
}

impl Tools<'_> {
    /// Everybody who may own a service.
    pub(super) fn owners(&self, service: &ServiceName) -> Vec<Owner> {
        let known = self.config.services.get(service);
        match known.and_then(|known| known.user.as_ref()) {
            Some(user) => vec![Owner::named(user.as_str())],
            None => everybody(),
        }
    }

    /// Finds a service's stack. `likely` is asked first, and nobody else when he has it. `None` only when everybody
    /// was seen to have nothing: a user who cannot be seen may be the one who has it.
    pub(super) fn find(
        &mut self,
        service: &ServiceName,
        likely: Option<Owner>,
    ) -> Result<Option<Found>, Failure> {
        let owners = self.owners(service);
        if let Some(owner) = likely.filter(|owner| owners.contains(owner)) {
            let stack = self.look(&owner, service)?;
            if !stack.is_empty() {
                return Ok(Some(Found { owner, stack }));
            }
        }
        let alone = owners.len() == 1;
        let mut found: Vec<Found> = Vec::new();
        let mut unseen = None;
        for owner in owners {
            match self.inventory_within(&owner, alone) {
                Ok(inventory) => {
                    let stack = self.stack(&owner, service, &inventory)?;
                    if !stack.is_empty() {
                        found.push(Found { owner, stack });
                    }
                }
                // A user whose tools do not work must not be in the way of everybody's services.
                Err(failure) if !alone && owner != Owner::System => {
                    self.warn_of(&owner, &failure);
                    unseen = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        match found.as_slice() {
            [one, other, ..] => Err(Failure::Tool {
                what: format!("finding {service}"),
                detail: format!(
                    "both {} and {} have something of that name; say whose it is with services.{service}.user (\"root\", or the user) in the configuration",
                    one.owner.name(),
                    other.owner.name()
                ),
            }),
            [_] => Ok(found.pop()),
            [] => unseen.map_or(Ok(None), Err),
        }
    }

    /// Says that a user is left out.
    pub(super) fn warn_of(&mut self, owner: &Owner, failure: &Failure) {
        let name = owner.name();
        self.host.say(
            Stream::Err,
            &format!("podmanctl: what {name} runs cannot be seen, and is left out: {failure}"),
        );
    }

    /// How a service's stack is now, with an owner who is known.
    pub(super) fn look(&mut self, owner: &Owner, service: &ServiceName) -> Result<Stack, Failure> {
        let inventory = self.inventory(owner, self.until)?;
        self.stack(owner, service, &inventory)
    }

    /// What an owner has. Who is only asked because he might have something does not get much time.
    pub(super) fn inventory_within(
        &mut self,
        owner: &Owner,
        alone: bool,
    ) -> Result<Inventory, Failure> {
        let until = if alone || *owner == Owner::System {
            self.until
        } else {
            self.until.min(self.host.now() + STRANGER)
        };
        self.inventory(owner, until)
    }

    fn inventory(&mut self, owner: &Owner, until: Instant) -> Result<Inventory, Failure> {
        let words = [
            "list-unit-files",
            "--type=service",
            "--no-legend",
            "--plain",
            "--full",
        ];
        let listed = self.ask(owner.systemctl(), &words, "listing units", until)?;
        let units = unit::candidates(&String::from_utf8_lossy(&listed), &self.services);
        let explicit = self.config.services.values().any(|known| {
            known
                .user
                .as_ref()
                .is_some_and(|user| user.as_str() == owner.name())
        });
        let podman = std::path::Path::new(PODMAN).exists() && (explicit || owner.uses_podman());
        let containers = if podman {
            let words = ["ps", "--all", "--pod", "--format", "json"];
            let argv = owner.podman(until.saturating_duration_since(self.host.now()));
            let what = "listing containers";
            let json = self.ask(argv, &words, what, until)?;
            container::parse(&json).map_err(tool(what))?
        } else {
            Vec::new()
        };
        Ok(Inventory { units, containers })
    }

    /// The part of an inventory that is one service.
    pub(super) fn stack(
        &mut self,
        owner: &Owner,
        service: &ServiceName,
        inventory: &Inventory,
    ) -> Result<Stack, Failure> {
        let services = self.services.clone();
        let part = |one: &&Container| container::belongs(one, &[], service, &services);
        let named: Vec<&String> = inventory
            .containers
            .iter()
            .filter(part)
            .filter_map(|one| one.unit.as_ref())
            .collect();
        let mut asked: Vec<String> = inventory.units.clone();
        asked.extend(unit::patterns(service));
        asked.extend(named.iter().map(|&name| name.clone()));
        let mut units = self.show(owner, &asked)?;
        units.retain(|unit| {
            unit::belongs(unit, service, &services)
                || (named.contains(&&unit.id) && unit::may_be_named(unit, service, &services))
        });
        let triggers: Vec<String> = units
            .iter()
            .flat_map(|unit| unit.triggered_by.clone())
            .collect();
        if !triggers.is_empty() {
            units.extend(self.show(owner, &triggers)?);
        }
        let mut containers: Vec<Container> = inventory
            .containers
            .iter()
            .filter(|one| container::belongs(one, &units, service, &services))
            .cloned()
            .collect();
        if units.len() + containers.len() > MOST_MEMBERS {
            return Err(tool("finding a stack")(format!(
                "{service} has more than {MOST_MEMBERS} units and containers"
            )));
        }
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        let mut stack = Stack { units, containers };
        self.add_details(owner, &mut stack)?;
        Ok(stack)
    }

    /// Only of containers that nothing but Podman knows about is more asked than the listing says.
    fn add_details(&mut self, owner: &Owner, stack: &mut Stack) -> Result<(), Failure> {
        let bare: Vec<String> = stack.bare().map(|one| one.name.clone()).collect();
        if bare.is_empty() {
            return Ok(());
        }
        let mut words = vec!["container", "inspect", "--"];
        words.extend(bare.iter().map(String::as_str));
        let argv = owner.podman(self.left());
        let json = self.ask(argv, &words, "reading containers", self.until)?;
        container::add_details(&mut stack.containers, &json).map_err(tool("reading containers"))
    }

    fn show(&mut self, owner: &Owner, names: &[String]) -> Result<Vec<Unit>, Failure> {
        let mut words = vec!["show", unit::PROPERTIES, "--"];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        words.extend(names);
        let shown = self.ask(owner.systemctl(), &words, "reading units", self.until)?;
        Ok(unit::parse(&String::from_utf8_lossy(&shown)))
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(self.host.now())
    }

    /// Runs a program that has to succeed, and returns what it printed.
    fn ask(
        &mut self,
        argv: Vec<String>,
        words: &[&str],
        what: &str,
        until: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let ended = self.run(argv, words, what, Output::Captured, until)?;
        if ended.ok() {
            Ok(ended.stdout)
        } else {
            Err(tool(what)(ended.describe()))
        }
    }

    /// Runs a program.
    pub(super) fn run(
        &mut self,
        mut argv: Vec<String>,
        words: &[&str],
        what: &str,
        output: Output,
        until: Instant,
    ) -> Result<Ended, Failure> {
        argv.extend(words.iter().map(|&word| word.to_owned()));
        let program = Program {
            what: what.to_owned(),
            argv,
            source: None,
            tether: Tether::Free,
            output,
            profile: Profile::Service,
            home: PlainPath::parse("/run").map_err(|error| tool(what)(error.to_string()))?,
        };
        let patience = self.patience(until);
        self.host.run(&program, &patience)
    }

    /// Until when, and for whom, something lets itself be interrupted.
    pub(super) fn patience(&self, until: Instant) -> Patience<'static> {
        if self.attended {
            Patience::attended(until)
        } else {
            Patience::unattended(until)
        }
    }
}

/// A failure of a tool, by what it was doing.
pub(super) fn tool(what: &str) -> impl Fn(String) -> Failure {
    move |detail| Failure::Tool {
        what: what.to_owned(),
        detail,
    }
}
