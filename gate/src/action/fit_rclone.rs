//! Checks, at the start of each action that transfers, that the version of the configured rclone fits the kind of
//! remote.
//!
//! Most versions work with most remotes; `rclone::version` has the table. A version that may be too old is not refused
//! for its number: a write probe decides once, and its result is remembered for this program and configuration.
//!
//! Invariant: only an rclone whose write probe failed because of its age is refused; a probe that failed for another
//! reason, or could not be made, leaves the decision to the action itself.

use std::time::Duration;

use super::Context;
use super::probe::{self, PROBE};
use super::remote::{Access, Task};
use base::error::Failure;
use base::error::trouble::Trouble;
use base::names::Remote;
use base::progress::Phase;
use config::{BUNDLED_RCLONE, Config};
use host::Patience;
use host::program::Output;
use rclone::Version;
use rclone::credentials;
use rclone::credentials::backends::kinds;
use rclone::credentials::ini::Ini;
use rclone::known::Known;
use rclone::version::{Fitness, is_particular};

/// The time limit for a program to report its version.
const VERSION: Duration = Duration::from_secs(20);

/// The configured remote of a place: `onedrive:/Backup` for `onedrive:/Backup/app/data`.
fn remote_of<'c>(config: &'c Config, place: &str) -> Option<&'c Remote> {
    let within = |remote: &&Remote| {
        let rest = place.strip_prefix(&remote.to_string());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    config
        .remotes
        .iter()
        .filter(within)
        .max_by_key(|remote| remote.to_string().len())
}

impl Context<'_> {
    /// Checks that an action can write to this place, and warns if this version of rclone has known faults there.
    ///
    /// # Errors
    /// When rclone's configuration cannot be trusted, or rclone cannot write there because it is too old.
    pub(super) fn rclone_fits(
        &mut self,
        place: &str,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let text = credentials::configured(self.config)?;
        let ini = Ini::parse(&text);
        let Some(remote) = remote_of(self.config, place) else {
            return Ok(());
        };
        let name = remote.name();
        if !self.advise(&ini, name, patience)? {
            return Ok(());
        }
        if self.known_rclone()?.probed(&ini, name) == Some(true) {
            return Ok(());
        }
        let patience = Patience {
            until: patience.until.min(self.host.now() + PROBE),
            ..*patience
        };
        self.say(format!("{remote}: storing a small file as a test"));
        match self.probe_and_remember(remote, &patience)? {
            Ok(_) => Ok(()),
            Err(broken) if broken.is_too_old() => Err(broken.failure),
            Err(broken) => {
                self.warn(format!("the test did not pass: {broken}; going on"));
                Ok(())
            }
        }
    }

    /// Checks rclone for an action that only reads: makes no write probe, but gives the advice.
    ///
    /// # Errors
    /// When rclone's configuration cannot be trusted.
    pub(super) fn rclone_reads(
        &mut self,
        remotes: &[Remote],
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let text = credentials::configured(self.config)?;
        let ini = Ini::parse(&text);
        let mut names: Vec<&str> = remotes.iter().map(Remote::name).collect();
        names.dedup();
        for name in names {
            self.advise(&ini, name, patience)?;
        }
        Ok(())
    }

    /// Gives the advice of the table. Returns true if rclone may be too old to work at all.
    fn advise(
        &mut self,
        ini: &Ini<'_>,
        name: &str,
        patience: &Patience<'_>,
    ) -> Result<bool, Failure> {
        let kinds = kinds(ini, name);
        if !kinds.iter().any(|kind| is_particular(kind)) {
            return Ok(false);
        }
        let program = &self.config.rclone.program;
        let Some(version) = self.rclone_version(patience)? else {
            self.warn(format!("{program} does not tell its version"));
            return Ok(false);
        };
        let (words, too_old) = match version.worst(&kinds) {
            (_, Fitness::Fine) => return Ok(false),
            (kind, Fitness::Faulty { needs, reason }) => {
                (advice(kind, version, needs, reason), false)
            }
            (kind, Fitness::TooOld { needs, reason }) => {
                (advice(kind, version, needs, reason), true)
            }
        };
        self.warn(words);
        Ok(too_old)
    }

    /// The version of the configured rclone, asked once for each program; `None` if it does not report one.
    ///
    /// # Errors
    /// When rclone cannot be run.
    pub(super) fn rclone_version(
        &mut self,
        patience: &Patience<'_>,
    ) -> Result<Option<Version>, Failure> {
        let mut known = self.known_rclone()?;
        if !known.was_asked() {
            let task = Task {
                what: "asking rclone for its version",
                argv: rclone::version(self.config),
                call: None,
                remote: "",
                access: Access::Remote,
                output: Output::Silent,
                phase: Phase::Comparing,
            };
            let until = patience.until.min(self.host.now() + VERSION);
            let ran = self.rclone(&task, &Patience { until, ..*patience })?;
            known.set_version(&String::from_utf8_lossy(&ran.ended.stdout));
            self.remember(&known);
        }
        Ok(known.version())
    }

    /// The remembered facts about the configured rclone.
    pub(super) fn known_rclone(&self) -> Result<Known, Failure> {
        let program = self.config.rclone.program.to_string();
        let seen = std::fs::metadata(&program).map_err(|source| Failure::ToolMissing {
            program: program.clone(),
            source,
        })?;
        let folder = self.own_directory(&self.config.state_dir)?;
        Ok(Known::load(&folder, &program, &seen))
    }

    /// Stores the facts. If the disk cannot take them, the next action asks again.
    fn remember(&self, known: &Known) {
        if let Ok(folder) = self.own_directory(&self.config.state_dir) {
            let _ = known.save(&folder);
        }
    }

    /// Returns the failure if rclone is too old for this remote; `None` if it works, or may work. Makes a write probe
    /// if none was made yet.
    pub(super) fn rclone_is_too_old(
        &mut self,
        ini: &Ini<'_>,
        name: &str,
        patience: &Patience<'_>,
    ) -> Result<Option<Failure>, Failure> {
        let kinds = kinds(ini, name);
        if !kinds.iter().any(|kind| is_particular(kind)) {
            return Ok(None);
        }
        let version = self.rclone_version(patience)?;
        let may_be = |version: Version| matches!(version.worst(&kinds).1, Fitness::TooOld { .. });
        if !version.is_some_and(may_be) {
            return Ok(None);
        }
        match self.known_rclone()?.probed(ini, name) {
            Some(true) => return Ok(None),
            Some(false) => {
                return Ok(Some(Failure::Remote {
                    what: format!("a write probe of {name} failed before"),
                    trouble: Trouble::OldRclone {
                        program: self.config.rclone.program.clone(),
                        better: BUNDLED_RCLONE,
                    },
                    detail: "`backupctl --doctor` makes another one".into(),
                }));
            }
            None => {}
        }
        let named = self
            .config
            .remotes
            .iter()
            .find(|remote| remote.name() == name);
        let Some(remote) = named else {
            return Ok(None);
        };
        let probed = self.probe_and_remember(remote, patience)?;
        Ok(probed
            .err()
            .filter(probe::Broken::is_too_old)
            .map(|broken| broken.failure))
    }

    /// Makes a requested write probe, and remembers its result.
    pub(super) fn probe_and_remember(
        &mut self,
        remote: &Remote,
        patience: &Patience<'_>,
    ) -> Result<Result<probe::Passed, probe::Broken>, Failure> {
        let text = credentials::configured(self.config)?;
        let ini = Ini::parse(&text);
        let probed = probe::probe(self, remote, patience)?;
        let works = match &probed {
            Ok(_) => Some(true),
            Err(broken) if broken.is_too_old() => Some(false),
            Err(_) => None,
        };
        if let Some(works) = works {
            let mut known = self.known_rclone()?;
            known.set_probed(&ini, remote.name(), works);
            self.remember(&known);
        }
        Ok(probed)
    }
}

fn advice(kind: &str, version: Version, needs: Version, reason: &str) -> String {
    format!(
        "rclone is {version}, and remotes of type {kind} need {needs}: {reason}; see rclone.program in backupctl.toml(5)"
    )
}

impl probe::Broken {
    /// True when the reason is the age of rclone.
    fn is_too_old(&self) -> bool {
        matches!(
            &self.failure,
            Failure::Remote {
                trouble: Trouble::OldRclone { .. },
                ..
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_belongs_to_the_remote_that_it_lies_in() {
        let config = Config::parse("remotes = [\"a:/B\", \"a:/B/C\", \"b:/B\"]").unwrap();
        let of = |place: &str| remote_of(&config, place).map(ToString::to_string);
        assert_eq!(of("a:/B/app/data").as_deref(), Some("a:/B"));
        assert_eq!(of("a:/B/C/app/data").as_deref(), Some("a:/B/C"));
        assert_eq!(of("c:/B/app"), None);
        assert_eq!(of("b:/Backup/app"), None);
    }
}
