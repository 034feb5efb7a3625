//! Files on a remote: mirrors, archives, `.versions`, and leftovers of uploads.
//!
//! Invariant: rclone's output is parsed into these types or reported as a problem; no value is guessed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::NaiveDate;

use super::aside::put_aside;
use super::standing::{Standings, standings};
use super::stored::Entry;
pub(in crate::action) use super::stored::ListedArchive;
use crate::action::Context;
use crate::action::probe;
use crate::action::remote::{Access, Task};
use crate::action::remote_folder::FolderSize;
use crate::retention::ArchiveName;
use base::error::{Failure, Interrupt};
use base::measure;
use base::names::{Remote, ServiceName};
use base::progress::Phase;
use base::sort;
use config::Config;
use host::Patience;
use host::program::Output;
use mirror::place::Places;
use rclone::call::{self, Call};

/// Time limit for one remote to list its files.
const ANSWER: Duration = Duration::from_secs(60);

/// Time limit for counting all mirrors, if no service was named: counting a mirror of many files takes minutes on
/// OneDrive.
const COUNTING: Duration = Duration::from_secs(10);

/// The folder of the extra targets.
const EXTRA: &str = "extra";

/// The state of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::action) enum MirrorCount {
    /// The mirror does not exist.
    Absent,
    /// The mirror was counted.
    Counted {
        /// The number of regular files.
        files: u64,
        /// The size of their content.
        bytes: u64,
    },
    /// The mirror was not counted, for this reason.
    Uncounted(String),
}

/// Files of one service on a remote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::action) struct Holding {
    /// The archives, newest first.
    pub(in crate::action) archives: Vec<ListedArchive>,
    /// The archives that retention put aside, newest first, each with the day on which it was put aside.
    pub(in crate::action) aside: Vec<(ListedArchive, NaiveDate)>,
    /// The days of `.versions`, oldest first.
    pub(in crate::action) versions: Vec<NaiveDate>,
    /// Names and sizes of files that an upload left behind, and of unknown files.
    pub(in crate::action) leftovers: Vec<(String, u64)>,
}

/// Everything found on a remote.
#[derive(Debug)]
pub(in crate::action) struct Inventory {
    /// The remote.
    pub(in crate::action) remote: Remote,
    /// The reason for which the remote could not be read.
    pub(in crate::action) problem: Option<String>,
    /// The mirror and files of each requested service.
    pub(in crate::action) services: BTreeMap<ServiceName, (MirrorCount, Holding)>,
    /// The mirrors of the configured extra targets.
    pub(in crate::action) extra: BTreeMap<String, MirrorCount>,
    /// The night that each mirror is the copy of.
    pub(in crate::action) standings: Standings,
    /// Folders that belong to no service of the configuration.
    pub(in crate::action) strangers: Vec<String>,
}

/// The reason for which rclone had no answer.
enum NoAnswer {
    NoFolder,
    InTime,
    Problem(String),
}

/// Examines one remote after the other.
pub(in crate::action) struct Look<'a, 'c> {
    context: &'a mut Context<'c>,
    only: Option<&'a ServiceName>,
    until: Instant,
    /// The time at which counting ends.
    counting: Instant,
    /// True if archives that were put aside are listed as well, which takes a call of its own.
    lists_aside: bool,
}

impl<'a, 'c> Look<'a, 'c> {
    pub(in crate::action) fn new(
        context: &'a mut Context<'c>,
        only: Option<&'a ServiceName>,
        until: Instant,
    ) -> Self {
        let now = context.host.now();
        let counting = match only {
            Some(_) => until,
            None => until.min(now + COUNTING),
        };
        Self {
            context,
            only,
            until,
            counting,
            lists_aside: true,
        }
    }

    /// As [`Look::new`] for all services, without counting mirrors and without the archives that were put aside.
    pub(in crate::action) fn without_counting(
        context: &'a mut Context<'c>,
        until: Instant,
    ) -> Self {
        let counting = context.host.now();
        Self {
            context,
            only: None,
            until,
            counting,
            lists_aside: false,
        }
    }

    /// Runs rclone; `Err` in the `Ok` is the sentence that says why there is no answer.
    fn ask(
        &mut self,
        what: &str,
        remote: &str,
        (argv, call): (Vec<String>, Call),
        until: Instant,
    ) -> Result<Result<Vec<u8>, NoAnswer>, Failure> {
        let task = Task {
            what,
            argv,
            call: Some(call),
            remote,
            access: Access::Remote,
            output: Output::Silent,
            phase: Phase::Comparing,
        };
        match self.context.rclone(&task, &Patience::attended(until)) {
            Ok(ran) if rclone::folder_missing(&ran.ended) => Ok(Err(NoAnswer::NoFolder)),
            Ok(ran) => Ok(match self.context.judge(&task, &ran.ended, &ran.heard) {
                Ok(()) => Ok(ran.ended.stdout),
                Err(failure) => Err(NoAnswer::Problem(failure.to_string())),
            }),
            Err(Failure::Interrupted {
                cause: Interrupt::DeadlinePassed,
                ..
            }) => Ok(Err(NoAnswer::InTime)),
            Err(failure) => Err(failure),
        }
    }

    /// Examines one remote.
    ///
    /// # Errors
    /// When rclone cannot be run at all, or the caller has gone.
    pub(in crate::action) fn at(&mut self, remote: &Remote) -> Result<Inventory, Failure> {
        let config = self.context.config;
        let mut inventory = Inventory {
            remote: remote.clone(),
            problem: None,
            services: BTreeMap::new(),
            extra: BTreeMap::new(),
            standings: Standings::new(),
            strangers: Vec::new(),
        };
        // One call for everything: each costs rclone's start and, on OneDrive, a token.
        let prefix = self.only.map(|service| format!("{service}/"));
        let asked = (
            rclone::inventory(config, remote, self.only),
            call::inventory(remote, self.only),
        );
        let mut entries = match self.entries("listing the remote", remote, asked)? {
            Ok(entries) => entries,
            Err(problem) => {
                inventory.problem = Some(problem);
                return Ok(inventory);
            }
        };
        if self.lists_aside && !entries.is_empty() {
            let asked = (
                rclone::put_aside(config, remote, self.only),
                call::put_aside(remote, self.only),
            );
            match self.entries("listing the archives put aside", remote, asked)? {
                Ok(aside) => entries.extend(aside),
                Err(problem) => {
                    inventory.problem = Some(format!("the archives put aside: {problem}"));
                }
            }
        }
        match prefix {
            Some(prefix) => entries
                .iter_mut()
                .for_each(|entry| entry.path.insert_str(0, &prefix)),
            None => inventory.strangers = strangers(config, &entries),
        }
        if self.lists_aside {
            let services = config.services.keys();
            let services = services.filter(|one| self.only.is_none_or(|only| only == *one));
            let mut mirrors: Vec<Places> = services
                .map(|service| Places::of_service(remote, service))
                .collect();
            if self.only.is_none() {
                let targets = config.extra.keys();
                mirrors.extend(targets.map(|target| Places::of_extra(remote, target)));
            }
            inventory.standings =
                standings((self.context, self.counting), remote, &mirrors, &entries)?;
        }
        for service in config.services.keys() {
            if self.only.is_some_and(|only| only != service) {
                continue;
            }
            let mirror = self.count(&remote.join(&format!("{service}/data")))?;
            let holding = Holding::of(service, &entries);
            inventory
                .services
                .insert(service.clone(), (mirror, holding));
        }
        if self.only.is_none() {
            for target in config.extra.keys() {
                let mirror = self.count(&remote.join(&format!("{EXTRA}/{target}")))?;
                inventory.extra.insert(target.to_string(), mirror);
            }
        }
        Ok(inventory)
    }

    /// The answer of one `rclone lsjson`; the inner error is the sentence that says why there is none.
    fn entries(
        &mut self,
        what: &str,
        remote: &Remote,
        asked: (Vec<String>, Call),
    ) -> Result<Result<Vec<Entry>, String>, Failure> {
        let until = self.until.min(self.context.host.now() + ANSWER);
        Ok(match self.ask(what, &remote.to_string(), asked, until)? {
            Ok(answer) => serde_json::from_slice(&answer)
                .map_err(|error| format!("rclone's answer cannot be read: {error}")),
            Err(NoAnswer::NoFolder) => Ok(Vec::new()),
            Err(NoAnswer::InTime) => Err("it did not answer in time".into()),
            Err(NoAnswer::Problem(reason)) => Err(reason),
        })
    }

    fn count(&mut self, folder: &str) -> Result<MirrorCount, Failure> {
        if self.context.host.now() >= self.counting {
            return Ok(MirrorCount::Uncounted(self.unfinished()));
        }
        let asked = (
            rclone::size(self.context.config, folder),
            call::size(folder),
        );
        let counting = self.counting;
        Ok(
            match self.ask("counting a mirror", folder, asked, counting)? {
                Ok(answer) => match serde_json::from_slice::<FolderSize>(&answer) {
                    Ok(size) => MirrorCount::Counted {
                        files: size.count,
                        bytes: size.bytes(),
                    },
                    Err(error) => MirrorCount::Uncounted(format!("rclone's answer: {error}")),
                },
                Err(NoAnswer::NoFolder) => MirrorCount::Absent,
                Err(NoAnswer::Problem(reason)) => MirrorCount::Uncounted(reason),
                Err(NoAnswer::InTime) => MirrorCount::Uncounted(self.unfinished()),
            },
        )
    }

    fn unfinished(&self) -> String {
        match self.only {
            Some(_) => "counting it took too long".into(),
            None => format!(
                "counting all takes more than {}; --list SVC counts one",
                measure::count(COUNTING.as_secs(), "second")
            ),
        }
    }
}

/// Top-level folders that the configuration does not know.
fn strangers(config: &Config, entries: &[Entry]) -> Vec<String> {
    let services = config.services.keys().map(ServiceName::as_str);
    let known = sort::set(services.chain([EXTRA, probe::FOLDER]));
    let mut found: Vec<String> = entries
        .iter()
        .filter(|entry| !entry.path.contains('/') && !known.contains(entry.path.as_str()))
        .map(|entry| entry.path.clone())
        .collect();
    sort::sort(&mut found);
    found
}

impl Holding {
    fn of(service: &ServiceName, entries: &[Entry]) -> Self {
        let below = |entry: &Entry, folder: &str| -> Option<String> {
            let rest = entry.path.strip_prefix(service.as_str())?;
            let rest = rest.strip_prefix('/')?.strip_prefix(folder)?;
            Some(rest.strip_prefix('/')?.to_owned())
        };
        let files = entries.iter().filter(|entry| !entry.is_dir);
        let files = sort::map(files.filter_map(|entry| {
            let size = u64::try_from(entry.size).unwrap_or(0);
            Some((below(entry, "archives")?, size))
        }));
        let mut holding = Self::default();
        for (file, &bytes) in &files {
            if let Some(name) = ArchiveName::parse(service, file) {
                holding.archives.push(ListedArchive {
                    manifest: files.contains_key(&name.manifest()),
                    name,
                    bytes,
                });
            } else if !ArchiveName::of_manifest(service, file)
                .is_some_and(|archive| files.contains_key(&archive.to_string()))
            {
                holding.leftovers.push((file.clone(), bytes));
            }
        }
        holding.archives.reverse();
        holding.aside = put_aside(
            service,
            entries.iter().filter_map(|entry| {
                let size = u64::try_from(entry.size).unwrap_or(0);
                Some((below(entry, ".pruned")?, size))
            }),
        );
        holding.versions = entries
            .iter()
            .filter_map(|entry| below(entry, ".versions")?.parse().ok())
            .collect();
        sort::sort(&mut holding.versions);
        holding
    }
}

/// For `crate::fuzzing`: for any names on a remote, each file of a service is counted exactly once.
#[cfg(any(test, fuzzing))]
pub(crate) fn read(answer: &[u8]) {
    let Ok(entries) = serde_json::from_slice::<Vec<Entry>>(answer) else {
        return;
    };
    let Ok(service) = ServiceName::parse("n8n") else {
        return;
    };
    let holding = Holding::of(&service, &entries);
    let mut files: std::collections::BTreeSet<String> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| entry.path.strip_prefix("n8n/archives/"))
        .map(str::to_owned)
        .collect();
    for ListedArchive { name, manifest, .. } in &holding.archives {
        assert!(files.remove(&name.to_string()));
        assert_eq!(files.remove(&name.manifest()), *manifest);
    }
    for (file, _) in &holding.leftovers {
        assert!(files.remove(file));
    }
    assert!(files.is_empty(), "{files:?}");
    let mut newest_first = holding.archives.iter().map(|stored| &stored.name);
    assert!(newest_first.by_ref().is_sorted_by(|a, b| a > b));
    assert!(holding.versions.is_sorted());
    strangers(&Config::default(), &entries);
}

#[cfg(test)]
mod tests;
