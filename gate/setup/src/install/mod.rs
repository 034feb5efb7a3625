//! `--install` and `--uninstall`: a release becomes this host's, again and again without harm.
//!
//! options → release → needs → plan → apply → needs of the runner → apply → `--doctor`. A step (`steps`) only looks; a
//! plan is a list of changes (`change`); `apply` makes one at a time. A dry run ends after the plan.
//!
//! The installer cannot be reached over SSH: its words take the place of a request and stand alone on the host's own
//! command line, see `request`.
//!
//! Invariant: the printed changes are the changes made, and a second run makes none.

mod apply;
mod change;
mod eyes;
mod files;
mod key;
#[cfg(test)]
mod made_up;
mod needs;
mod oci;
mod options;
mod record;
mod release;
mod removal;
mod scratch;
mod steps;
mod target;
#[cfg(test)]
mod tests;
mod tool;

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use base::error::ExitStatus;
use base::reply::{Reply, Stream};
use base::trusted::Trusted;
use change::{Change, NewFile, Owner, Proof};
use config::{Config, DEFAULT_PATH};
use eyes::{Eyes, Own};
use host::audit::Audit;
use needs::Need;
use options::{Asked, Options};
use privilege::hardening::umask_of_a_boot;
use record::Record;
use release::Release;
use steps::runner::{self, Runner};
use target::{PROGRAMS, Target};
use tool::{Input, run, words};

/// One installer at a time.
const LOCK: &str = "/run/backupctl-install.lock";

/// The two verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `--install`
    Install,
    /// `--uninstall`
    Uninstall,
}

/// The reason why an installation did not start, or did not finish.
enum Stop {
    /// The command line is wrong.
    Usage(String),
    /// Something is missing; nothing was done.
    Missing(Vec<Need>),
    /// A change could not be made; those before it were.
    Failed(String),
}

impl From<String> for Stop {
    fn from(words: String) -> Self {
        Self::Failed(words)
    }
}

/// The command line that has the runner of this host execute `words`; none where the installer put none.
pub(crate) fn runner_command(words: &[&str]) -> Option<Vec<String>> {
    let record = Record::load(&Own).ok().flatten()?;
    Some(runner::command(&record.user, false, words))
}

/// Carries out the options after the verb.
pub(crate) fn command(verb: Verb, words: &[OsString], audit: &Audit, reply: Reply) -> ExitStatus {
    let mut installer = Installer { reply, eyes: Own };
    let outcome = match options::parse(words, verb == Verb::Uninstall) {
        Err(reason) => Err(Stop::Usage(reason)),
        Ok(Asked::Help) => {
            options::HELP.lines().for_each(|line| installer.say(line));
            return ExitStatus::Done;
        }
        Ok(Asked::This(options)) => {
            let done = match verb {
                Verb::Install => installer.install(&options),
                Verb::Uninstall => installer.uninstall(&options),
            };
            if !options.dry_run {
                let event = if verb == Verb::Install {
                    "install"
                } else {
                    "uninstall"
                };
                let outcome = match &done {
                    Ok(_) => "done".to_owned(),
                    Err(Stop::Missing(_)) => "something is missing".to_owned(),
                    Err(Stop::Usage(words) | Stop::Failed(words)) => words.clone(),
                };
                audit.line(event, &[("outcome", outcome)]);
            }
            done
        }
    };
    match outcome {
        Ok(status) => status,
        Err(Stop::Usage(words)) => {
            installer.complain(&words);
            ExitStatus::Usage
        }
        Err(Stop::Missing(needs)) => {
            installer.tell(&needs);
            ExitStatus::Unavailable
        }
        Err(Stop::Failed(words)) => {
            installer.complain(&words);
            ExitStatus::Unavailable
        }
    }
}

struct Installer {
    reply: Reply,
    eyes: Own,
}

impl Installer {
    fn say(&mut self, line: &str) {
        self.reply.line(Stream::Out, line);
    }

    fn complain(&mut self, line: &str) {
        self.reply.line(Stream::Err, &format!("backupctl: {line}"));
    }

    fn install(&mut self, options: &Options) -> Result<ExitStatus, Stop> {
        let eyes = Own;
        let _lock = alone()?;
        let release = Release::own()?;
        let config = configuration()?;
        let record = Record::load(&eyes)?;
        let mut target = Target::new(&eyes, &release, options, record, config);
        let needs = needs::check(&target);
        if !needs.is_empty() {
            return Err(Stop::Missing(needs));
        }
        let title = if options.dry_run { "would do" } else { "does" };
        let (version, user) = (release.version.clone(), target.user.clone());
        self.say(&format!(
            "Lightflow {version}, as the container of {user}; the installer {title}:"
        ));
        let plan = steps::plan(&target);
        let mut advice = steps::rclone::advice(&target);
        advice.extend(steps::configuration::advice(&target));
        for line in advice {
            self.complain(&format!("warning: {line}"));
        }
        if options.dry_run {
            let runner = runner::ask(&target).unwrap_or_default();
            let lacks = runner::plan(&target, &runner);
            self.show(plan.iter().chain(&lacks));
            return Ok(ExitStatus::Done);
        }
        umask_of_a_boot();
        let intended = Record {
            version,
            user,
            data_root: target.data_root.to_string(),
            ..target.record.with(&plan)
        };
        if !plan.is_empty() {
            remember(&intended)?;
        }
        self.carry_out(&plan)?;
        // From here on the written configuration decides.
        target.config = configuration()?;
        let runner = runner::ask(&target)?;
        let lacks = runner::plan(&target, &runner);
        self.carry_out(&lacks)?;
        if plan.is_empty() && lacks.is_empty() {
            self.say("  nothing: all is as it should be");
        }
        let resolve = |path: &str| {
            let uid = |name: &str| eyes.person(name).map(|person| person.uid);
            let path = change::resolved(Path::new(path), uid).ok()?;
            Some(path.display().to_string())
        };
        remember(&Record {
            rclone_moved: true,
            ..intended.settled(&eyes, resolve)
        })?;
        self.look_at_it(&target, &runner)
    }

    fn uninstall(&mut self, options: &Options) -> Result<ExitStatus, Stop> {
        let eyes = Own;
        let _lock = alone()?;
        let Some(record) = Record::load(&eyes)? else {
            return Err(Stop::Failed(format!(
                "nothing is installed here ({} is not there)",
                record::PATH
            )));
        };
        // Only the files on the host count; a removal needs no release.
        let release = Release::none();
        let config = configuration().ok().flatten();
        let target = Target::new(&eyes, &release, options, Some(record), config);
        let needs = needs::before_removal(&target);
        if !needs.is_empty() {
            return Err(Stop::Missing(needs));
        }
        let answers = runner::ask(&target).is_ok();
        let plan = removal::plan(&target, answers);
        let stays = removal::what_stays(&target);
        let title = if options.dry_run { "would do" } else { "does" };
        self.say(&format!("The installer {title}:"));
        if options.dry_run {
            self.show(plan.iter());
        } else {
            self.carry_out(&plan)?;
        }
        stays.iter().for_each(|line| self.say(line));
        Ok(ExitStatus::Done)
    }

    fn show<'a>(&mut self, plan: impl Iterator<Item = &'a Change>) {
        let lines: Vec<String> = plan.map(|change| format!("  {change}")).collect();
        if lines.is_empty() {
            self.say("  nothing: all is as it should be");
        }
        lines.iter().for_each(|line| self.say(line));
    }

    fn carry_out(&mut self, plan: &[Change]) -> Result<(), Stop> {
        for change in plan {
            self.say(&format!("  {change}"));
            apply::apply(change).map_err(|reason| {
                Stop::Failed(format!(
                    "{reason}; mend that, and run the installer again: it goes on where it was"
                ))
            })?;
        }
        Ok(())
    }

    /// Prints the missing parts, and the packages or commands that bring them.
    fn tell(&mut self, needs: &[Need]) {
        self.complain("nothing was done, because something is missing:");
        for need in needs {
            self.reply.line(Stream::Err, &format!("  - {}", need.what));
            if let Some(fix) = &need.fix {
                self.reply.line(Stream::Err, &format!("      {fix}"));
            }
        }
        let packages = needs::packages(needs);
        if !packages.is_empty() {
            let line = format!("  apt install {}", packages.join(" "));
            self.reply.line(Stream::Err, &line);
        }
    }

    /// The doctor's opinion, and the steps that are left to a person.
    fn look_at_it(&mut self, target: &Target<'_>, runner: &Runner) -> Result<ExitStatus, Stop> {
        self.say("");
        let argv = words(&[&format!("{PROGRAMS}/backupctl"), "--doctor"]);
        let said = run(&argv, &Input::Nothing)?;
        said.out
            .lines()
            .chain(said.err.lines())
            .for_each(|line| self.say(line));
        self.say("");
        let rclone = target.config.as_ref().map(|config| &config.rclone);
        let rclone = rclone.filter(|rclone| self.eyes.look(&rclone.config.to_path_buf()).is_none());
        if let Some(rclone) = rclone {
            let (path, program) = (&rclone.config, &rclone.program);
            let remote = target
                .config
                .as_ref()
                .and_then(|config| config.remotes.first())
                .map(ToString::to_string);
            let remote = remote.unwrap_or_default();
            let name = remote.split(':').next().unwrap_or_default();
            self.say(&format!(
                "One thing only you can do: make the remote '{name}', and its folder, with"
            ));
            self.say(&format!("  sudo {program} config --config {path}"));
            self.say(&format!("  sudo {program} mkdir --config {path} {remote}"));
            self.say("and then look at it with  sudo backupctl --doctor");
        }
        match (runner.has_users, setup_link(target)) {
            (false, Some(link)) => self.say(&format!("Make yourself a login, once: {link}")),
            _ => self.say("Lightflow's page is on port 8443 of this host, by https."),
        }
        Ok(match said.code {
            Some(0) => ExitStatus::Done,
            _ if rclone.is_some() => ExitStatus::Done,
            _ => ExitStatus::Unavailable,
        })
    }
}

/// Takes the lock that one installer has at a time.
fn alone() -> Result<Flock<File>, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("the installer changes what root owns; run it with sudo".into());
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(LOCK);
    let file = file.map_err(|error| format!("{LOCK}: {error}"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| "another installer is at work".to_owned())
}

/// The gate's configuration; none is fine, a broken one is not.
fn configuration() -> Result<Option<Config>, String> {
    let path = Path::new(DEFAULT_PATH);
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    Config::load(path, Trusted { uid: 0 })
        .map(Some)
        .map_err(|error| {
            format!("the gate's configuration cannot be used, and is not touched: {error}")
        })
}

fn remember(record: &Record) -> Result<(), String> {
    let path = Path::new(record::PATH);
    let bytes = record.bytes();
    if std::fs::read(path).is_ok_and(|now| now == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        let folder = Change::Folder {
            path: folder.to_owned(),
            owner: Owner::root(),
            mode: 0o700,
        };
        apply::apply(&folder)?;
    }
    files::put(&NewFile {
        path: path.to_owned(),
        bytes,
        owner: Owner::root(),
        mode: 0o600,
        proof: Proof::None,
        keep: false,
        theirs: true,
    })
}

/// The link by which the first administrator is made, from the log of the runner's last start.
fn setup_link(target: &Target<'_>) -> Option<String> {
    let uid = target.eyes.person(&target.user)?.uid;
    let argv = words(&[
        "/usr/bin/journalctl",
        "--no-pager",
        "--output=cat",
        "--lines=200",
        &format!("_UID={uid}"),
        &format!("CONTAINER_NAME={}", steps::CONTAINER),
    ]);
    let said = target.eyes.ask(&argv).ok()?;
    let mut words = said
        .out
        .split_whitespace()
        .filter(|word| word.contains("/setup?token="));
    words.next_back().map(str::to_owned)
}
