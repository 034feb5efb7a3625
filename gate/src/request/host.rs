//! The verbs of the host's own command line: words → [`HostVerb`], and back.
//!
//! Invariant: these verbs share the grammar of the requests, so that an SSH line with such a verb is read to its end
//! and refused for the right reason.

use super::error::ParseError;
use super::inner_path::InnerPath;
use super::table::{self, Report};
use super::typed::Typed;
use base::names::{NameError, Origin, PlainPath, Remote, Seconds, ServiceName, TargetName};

/// The destination of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A fresh directory beside the service's data.
    Beside,
    /// `--to DIR`: that directory, which is empty or does not exist.
    At(PlainPath),
    /// `--in-place`: the place of the service's data.
    InPlace,
}

/// Verbs that are refused over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostVerb {
    /// `--list [SVC] [--json]`, `--status [SVC] [--json]`: report something, and change nothing.
    Report {
        /// The report.
        report: Report,
        /// The only service in it.
        service: Option<ServiceName>,
        /// JSON, for scripts.
        json: bool,
    },
    /// `--recover [SVC] [--boot]`: bring back services that a backup stopped and that were not started again.
    Recover {
        /// The service; `None` for all services.
        service: Option<ServiceName>,
        /// After a boot: also services that have no keeper any more.
        boot: bool,
    },
    /// `--approve SVC`: let the next sync make the refused change.
    Approve(ServiceName),
    /// `--approve-extra NAME`: let the next sync of an extra target make the refused change.
    ApproveExtra(TargetName),
    /// `--verify SVC [--from DAY|mirror] [--remote R] [--timeout S]`: read an archive or the mirror back and check its
    /// whole content.
    Verify {
        /// The service.
        service: ServiceName,
        /// The source; `None` for the newest archive.
        from: Option<Origin>,
        /// The remote; `None` to search every remote of the configuration.
        remote: Option<Remote>,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--restore SVC [--from DAY|mirror] [--only PATH]... [--to DIR | --in-place] [--keep-privileges] [--remote R] [--timeout S]`:
    /// bring data back.
    Restore {
        /// The service.
        service: ServiceName,
        /// The source; `None` for the newest archive.
        from: Option<Origin>,
        /// Files and folders of the data; none for all data.
        only: Vec<InnerPath>,
        /// The destination.
        target: Target,
        /// Restore the set-user-ID and set-group-ID bits and the capabilities of files.
        keep_privileges: bool,
        /// The remote; `None` to search every remote of the configuration.
        remote: Option<Remote>,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--verify-extra NAME [--remote R] [--timeout S]`: read the mirror of an extra target back and check its whole content.
    VerifyExtra {
        /// The extra target.
        target: TargetName,
        /// The remote; `None` to search every remote of the configuration.
        remote: Option<Remote>,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--restore-extra NAME --to DIR [--keep-privileges] [--remote R] [--timeout S]`: bring an extra target back.
    RestoreExtra {
        /// The extra target.
        target: TargetName,
        /// The destination, which is empty or does not exist.
        to: PlainPath,
        /// Restore the set-user-ID and set-group-ID bits and the capabilities of files.
        keep_privileges: bool,
        /// The remote; `None` to search every remote of the configuration.
        remote: Option<Remote>,
        /// The time limit.
        timeout: Option<Seconds>,
    },
    /// `--doctor [--json]`: report problems of the host and their fixes.
    Doctor {
        /// JSON, for scripts.
        json: bool,
    },
    /// A word that is known only to be refused with the right reason; the words after it are not read.
    Alone(&'static str),
}

impl HostVerb {
    /// Reads one of these verbs, and takes its options from the typed ones.
    pub(super) fn read(
        verb: &'static str,
        value: Option<&str>,
        typed: &mut Typed<'_>,
    ) -> Result<Self, ParseError> {
        let named = |source: NameError| ParseError::Value {
            option: verb,
            source,
        };
        if matches!(
            verb,
            "--approve-extra" | "--verify-extra" | "--restore-extra"
        ) {
            let target = value.ok_or(ParseError::NoValue(verb))?;
            let target = TargetName::parse(target).map_err(named)?;
            return Self::of_extra(verb, target, typed);
        }
        let service = value.map(ServiceName::parse).transpose().map_err(named)?;
        if verb == "--approve" {
            return service.map(Self::Approve).ok_or(ParseError::NoValue(verb));
        }
        if verb == "--verify" {
            return Ok(Self::Verify {
                service: service.ok_or(ParseError::NoValue(verb))?,
                from: typed.take("--from", Origin::parse)?,
                remote: typed.take("--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            });
        }
        if verb == "--restore" {
            return Ok(Self::Restore {
                service: service.ok_or(ParseError::NoValue(verb))?,
                from: typed.take("--from", Origin::parse)?,
                // Their words leave the line before it is read.
                only: Vec::new(),
                target: match (
                    typed.take("--to", PlainPath::parse)?,
                    typed.flag("--in-place"),
                ) {
                    (Some(_), true) => return Err(ParseError::TwoVerbs("--to", "--in-place")),
                    (Some(path), false) => Target::At(path),
                    (None, true) => Target::InPlace,
                    (None, false) => Target::Beside,
                },
                keep_privileges: typed.flag("--keep-privileges"),
                remote: typed.take("--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            });
        }
        if verb == "--recover" {
            let boot = typed.flag("--boot");
            return Ok(Self::Recover { service, boot });
        }
        let json = typed.flag("--json");
        Ok(match table::report_named(verb) {
            Some(report) => Self::Report {
                report,
                service,
                json,
            },
            None => Self::Doctor { json },
        })
    }

    /// Reads the options of a verb for an extra target.
    fn of_extra(
        verb: &'static str,
        target: TargetName,
        typed: &mut Typed<'_>,
    ) -> Result<Self, ParseError> {
        Ok(match verb {
            "--verify-extra" => Self::VerifyExtra {
                target,
                remote: typed.take("--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            "--restore-extra" => Self::RestoreExtra {
                target,
                to: typed.need(verb, "--to", PlainPath::parse)?,
                keep_privileges: typed.flag("--keep-privileges"),
                remote: typed.take("--remote", Remote::parse)?,
                timeout: typed.take("--timeout", Seconds::parse)?,
            },
            _ => Self::ApproveExtra(target),
        })
    }

    /// The verb, as typed.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Report { report, .. } => report.name(),
            Self::Recover { .. } => "--recover",
            Self::Approve(_) => "--approve",
            Self::ApproveExtra(_) => "--approve-extra",
            Self::Verify { .. } => "--verify",
            Self::Restore { .. } => "--restore",
            Self::VerifyExtra { .. } => "--verify-extra",
            Self::RestoreExtra { .. } => "--restore-extra",
            Self::Doctor { .. } => "--doctor",
            Self::Alone(word) => word,
        }
    }

    /// The service it names.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Report { service, .. } | Self::Recover { service, .. } => service.as_ref(),
            Self::Approve(service)
            | Self::Verify { service, .. }
            | Self::Restore { service, .. } => Some(service),
            Self::ApproveExtra(_)
            | Self::VerifyExtra { .. }
            | Self::RestoreExtra { .. }
            | Self::Doctor { .. }
            | Self::Alone(_) => None,
        }
    }

    /// The service or extra target that it names.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::ApproveExtra(target)
            | Self::VerifyExtra { target, .. }
            | Self::RestoreExtra { target, .. } => Some(target.as_str()),
            verb => verb.service().map(ServiceName::as_str),
        }
    }

    /// Its options in their canonical order.
    #[must_use]
    pub fn options(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Report { json, .. } | Self::Doctor { json } => flag("--json", *json),
            Self::Recover { boot, .. } => flag("--boot", *boot),
            Self::Restore {
                from,
                only,
                target,
                keep_privileges,
                remote,
                timeout,
                ..
            } => {
                let mut options = given("--from", from.as_ref());
                options.extend(only.iter().flat_map(|path| given("--only", Some(path))));
                match target {
                    Target::Beside => {}
                    Target::At(path) => options.extend(given("--to", Some(path))),
                    Target::InPlace => options.extend(flag("--in-place", true)),
                }
                options.extend(flag("--keep-privileges", *keep_privileges));
                options.extend(given("--remote", remote.as_ref()));
                options.extend(given("--timeout", timeout.as_ref()));
                options
            }
            Self::Verify {
                from,
                remote,
                timeout,
                ..
            } => {
                let mut options = given("--from", from.as_ref());
                options.extend(given("--remote", remote.as_ref()));
                options.extend(given("--timeout", timeout.as_ref()));
                options
            }
            Self::VerifyExtra {
                remote, timeout, ..
            } => {
                let mut options = given("--remote", remote.as_ref());
                options.extend(given("--timeout", timeout.as_ref()));
                options
            }
            Self::RestoreExtra {
                to,
                keep_privileges,
                remote,
                timeout,
                ..
            } => {
                let mut options = given("--to", Some(to));
                options.extend(flag("--keep-privileges", *keep_privileges));
                options.extend(given("--remote", remote.as_ref()));
                options.extend(given("--timeout", timeout.as_ref()));
                options
            }
            Self::Approve(_) | Self::ApproveExtra(_) | Self::Alone(_) => Vec::new(),
        }
    }
}

fn given(name: &'static str, value: Option<&impl ToString>) -> Vec<(&'static str, String)> {
    value
        .map(|value| (name, value.to_string()))
        .into_iter()
        .collect()
}

fn flag(name: &'static str, given: bool) -> Vec<(&'static str, String)> {
    given.then(|| (name, String::new())).into_iter().collect()
}
