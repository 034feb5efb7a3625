//! What rclone's way to end means, and what to do about it.
//!
//! Invariant: what is recognised is recognised by rclone's own words; names of files are no part of them. Whatever is
//! not recognised is told as it was said.

use std::fmt;

use super::Listener;
use crate::config::{BUNDLED_RCLONE, Config, Landlock};
use crate::error::Failure;
use crate::host::{Ended, Exit};
use crate::names::PlainPath;
use crate::progress::Cause;

/// Why a remote did not do its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Too many requests.
    Throttled,
    /// The stored sign-in is no longer accepted.
    SignIn {
        /// The command that renews it.
        renew: String,
    },
    /// The sign-in could not be renewed, and the reason is not known.
    Renewal {
        /// The command that makes a new one.
        renew: String,
    },
    /// The transfer carried the sign-in to a host that refuses it, as an old rclone does.
    OldRclone {
        /// The program.
        program: PlainPath,
    },
    /// `drive_id` names a drive that is not for files.
    WrongDrive {
        /// The command that asks for the drive again.
        choose: String,
    },
    /// It may read and not write.
    AccessDenied {
        /// The command that makes a new sign-in.
        renew: String,
    },
    /// rclone's configuration does not know the remote.
    NotSetUp {
        /// The remote's name.
        name: String,
        /// The command that makes it.
        create: String,
    },
    /// No way to get there.
    Unreachable,
    /// Connections break, or the remote has an error of its own.
    Broken,
    /// The certificate was not accepted.
    Certificate,
    /// It was denied a port.
    PortClosed,
    /// It was denied a file or a folder of this host.
    FileClosed,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttled => f.write_str(
                "the remote is overloaded or asks to be asked less often (throttled); run it again later, and if this comes back lower rclone.tpslimit, transfers and checkers",
            ),
            Self::SignIn { renew } => write!(
                f,
                "the remote no longer accepts the stored sign-in; renew it on the host with `{renew}`"
            ),
            Self::Renewal { renew } => write!(
                f,
                "the stored sign-in could not be renewed; run it again later, and if this comes back renew it on the host with `{renew}`"
            ),
            Self::OldRclone { program } => write!(
                f,
                "Microsoft refused a transfer because it carried the sign-in, as transfers of rclone before 1.67 do; {program} is too old for this account: set rclone.program = \"{BUNDLED_RCLONE}\" (a release brings it), or install a newer rclone there"
            ),
            Self::WrongDrive { choose } => write!(
                f,
                "drive_id in rclone's configuration names a drive that cannot hold files; choose the drive called OneDrive, of type personal or business, on the host with `{choose}`"
            ),
            Self::AccessDenied { renew } => write!(
                f,
                "the remote refuses to store files: its sign-in may only read, or the account is locked; sign in again with the right to write on the host with `{renew}`"
            ),
            Self::NotSetUp { name, create } => write!(
                f,
                "rclone knows no remote '{name}'; set it up on the host with `{create}`"
            ),
            Self::Unreachable => f.write_str(
                "the remote cannot be reached; check the network and the name resolution of this host, then run it again",
            ),
            Self::Broken => f.write_str(
                "connections to the remote break, or it has an error of its own; run it again later",
            ),
            Self::Certificate => f.write_str(
                "the remote's certificate was not accepted; check this host's clock and its package ca-certificates",
            ),
            Self::PortClosed => f.write_str(
                "rclone may connect only to the ports in rclone.ports; add the remote's to that list in the gate's configuration",
            ),
            Self::FileClosed => f.write_str(
                "rclone may open only its source and its own configuration; name a folder that the remote leads to in rclone.local_folders, and files that rclone.conf refers to in rclone.helpers",
            ),
        }
    }
}

/// Words that rclone and its backends use, in the order in which they decide.
const SIGN_IN: [&str; 8] = [
    "invalid_grant",
    "invalid_client",
    "cannot fetch token: 400",
    "cannot fetch token: 401",
    "invalidauthenticationtoken",
    "empty token found",
    "token expired",
    "401 unauthorized",
];
/// rclone says this of every renewal that fails: "maybe it has expired?"
const RENEWAL: [&str; 2] = ["couldn't fetch token", "config reconnect"];
const OLD_RCLONE: [&str; 1] = ["unauthenticated: unauthenticated"];
const WRONG_DRIVE: [&str; 1] = ["objecthandle is invalid"];
const ACCESS_DENIED: [&str; 1] = ["accessdenied"];
const NOT_SET_UP: [&str; 2] = [
    "didn't find section in config file",
    "couldn't find section",
];
const FULL: [&str; 6] = [
    "no space left on device",
    "file too big for remaining disk space",
    "quotalimitreached",
    "insufficientstorage",
    "insufficient storage",
    "quota exceeded",
];
const THROTTLED: [&str; 9] = [
    "activitylimitreached",
    "toomanyrequests",
    "too many requests",
    "throttledrequest",
    "servicenotavailable",
    "503 service unavailable",
    "http error 429",
    "error 429",
    "retry-after",
];
const CERTIFICATE: [&str; 2] = ["x509: ", "certificate has expired"];
const PORT_CLOSED: [&str; 1] = ["connect: permission denied"];
const FILE_CLOSED: [&str; 1] = [": permission denied"];
const UNREACHABLE: [&str; 7] = [
    "no such host",
    "network is unreachable",
    "no route to host",
    "connection refused",
    "i/o timeout",
    "tls handshake timeout",
    "server misbehaving",
];
const BROKEN: [&str; 15] = [
    "connection reset",
    "broken pipe",
    "unexpected eof",
    ": eof",
    "\": eof",
    "closed network connection",
    "server closed idle connection",
    "stream error",
    "goaway",
    "500 internal server error",
    "502 bad gateway",
    "504 gateway",
    "internalservererror",
    "generalexception",
    "serviceunavailable",
];

/// True for a message that the stored sign-in is not accepted.
pub(super) fn refuses_sign_in(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["invalid_grant", "invalid_client"]
        .iter()
        .any(|word| message.contains(word))
}

/// The failure of a remote that refuses the stored sign-in.
#[must_use]
pub fn sign_in_refused(what: &str, name: &str, config: &Config) -> Failure {
    Failure::Remote {
        what: what.to_owned(),
        trouble: Trouble::SignIn {
            renew: command(config, &format!("config reconnect {name}:")),
        },
        detail: "invalid_grant".into(),
    }
}

/// A command of rclone's for a person to type on the host, with the gate's own rclone and configuration.
#[must_use]
pub fn command(config: &Config, words: &str) -> String {
    let rclone = &config.rclone;
    format!("sudo {} --config {} {words}", rclone.program, rclone.config)
}

/// What rclone's way to end means: `what` it was doing, in words, with a place on `remote`.
///
/// # Errors
/// When it did not end well.
pub fn judge(
    what: &str,
    remote: &str,
    ended: &Ended,
    heard: &Listener,
    config: &Config,
) -> Result<(), Failure> {
    let errors: Vec<String> = heard
        .errors()
        .iter()
        .map(|error| error.to_ascii_lowercase())
        .collect();
    let said = |words: &[&str]| {
        errors
            .iter()
            .any(|error| words.iter().any(|word| error.contains(word)))
    };
    let too_many = said(&["max-delete threshold reached"]);
    if ended.ok() && !too_many {
        return Ok(());
    }
    if too_many {
        return Err(Failure::VanishedMeanwhile(what.to_owned()));
    }
    let detail = describe(ended, heard);
    let name = remote.split(':').next().unwrap_or_default();
    let command = |words: &str| command(config, words);
    let renew = || command(&format!("config reconnect {name}:"));
    let confined = config.rclone.landlock != Landlock::Off;
    // First, because other words follow from it: no token can be fetched through a closed port.
    let trouble = if confined && said(&PORT_CLOSED) {
        Trouble::PortClosed
    } else if said(&NOT_SET_UP) {
        Trouble::NotSetUp {
            name: name.to_owned(),
            create: command("config"),
        }
    } else if said(&OLD_RCLONE) {
        Trouble::OldRclone {
            program: config.rclone.program.clone(),
        }
    } else if said(&WRONG_DRIVE) {
        Trouble::WrongDrive { choose: renew() }
    } else if said(&SIGN_IN) {
        Trouble::SignIn { renew: renew() }
    } else if said(&FULL) {
        return Err(Failure::NoSpace(format!(
            "{}: the remote is full; make room there (its recycle bin counts too), then run it again ({detail})",
            what
        )));
    } else if said(&THROTTLED) {
        Trouble::Throttled
    } else if said(&CERTIFICATE) {
        Trouble::Certificate
    } else if said(&UNREACHABLE) {
        Trouble::Unreachable
    } else if said(&BROKEN) {
        Trouble::Broken
    } else if said(&RENEWAL) {
        Trouble::Renewal { renew: renew() }
    } else if said(&ACCESS_DENIED) {
        Trouble::AccessDenied { renew: renew() }
    } else if confined && said(&FILE_CLOSED) {
        Trouble::FileClosed
    } else {
        return Err(Failure::Tool {
            what: what.to_owned(),
            detail: format!("rclone: {detail}"),
        });
    };
    Err(Failure::Remote {
        what: what.to_owned(),
        trouble,
        detail,
    })
}

/// The end of rclone and its last error, on one line.
fn describe(ended: &Ended, heard: &Listener) -> String {
    let meaning = match ended.exit {
        Exit::Code(3) => ", a directory was not found",
        Exit::Code(4) => ", a file was not found",
        Exit::Code(5) => ", a temporary error outlasted all retries; run it again later",
        Exit::Code(6) => ", an error that retrying does not mend",
        Exit::Code(7) => ", an error that ends everything",
        Exit::Code(8) => ", a transfer limit was reached",
        Exit::Code(9) => ", nothing was transferred",
        _ => "",
    };
    let last = heard.errors().last().or_else(|| ended.last_words.last());
    match last {
        Some(words) => format!(
            "{}{meaning}: {}",
            ended.exit,
            words.trim().replace('\n', "; ")
        ),
        None => format!("{}{meaning}", ended.exit),
    }
}

/// The cause of a failure that passes by itself; `None` for one that waiting does not mend.
#[must_use]
pub fn passing(failure: &Failure) -> Option<Cause> {
    match failure {
        Failure::Remote { trouble, .. } => match trouble {
            Trouble::Throttled => Some(Cause::Throttled),
            Trouble::Unreachable => Some(Cause::Unreachable),
            Trouble::Broken => Some(Cause::Broken),
            Trouble::SignIn { .. }
            | Trouble::Renewal { .. }
            | Trouble::OldRclone { .. }
            | Trouble::WrongDrive { .. }
            | Trouble::AccessDenied { .. }
            | Trouble::NotSetUp { .. }
            | Trouble::Certificate
            | Trouble::PortClosed
            | Trouble::FileClosed => None,
        },
        _ => None,
    }
}

/// True when `cryptcheck` could not compare, because the storage below knows no hashes.
#[must_use]
pub fn no_hash_below(heard: &Listener) -> bool {
    heard
        .errors()
        .iter()
        .any(|error| error.contains("does not support any hashes"))
}

/// rclone's code for "there is no such folder".
#[must_use]
pub fn folder_missing(ended: &Ended) -> bool {
    ended.exit == Exit::Code(3)
}

#[cfg(test)]
mod tests;
