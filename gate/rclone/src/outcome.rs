//! The meaning of rclone's exit, and the advice for it.
//!
//! Invariant: messages are recognised only by rclone's own words, never by file names. Unknown messages are passed
//! through unchanged.

use crate::listener::Listener;
use base::error::Failure;
use base::error::trouble::Trouble;
use base::progress::Cause;
use config::{BUNDLED_RCLONE, Config, Landlock};
use host::{Ended, Exit};

/// Messages of rclone and its backends, in order of precedence.
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
/// rclone adds this to every failed renewal: "maybe it has expired?"
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

/// An rclone command for a person to type on the host, with the gate's own rclone and configuration.
#[must_use]
pub fn command(config: &Config, words: &str) -> String {
    let rclone = &config.rclone;
    format!("sudo {} --config {} {words}", rclone.program, rclone.config)
}

/// Translates rclone's exit. `what` names the work, with a place on `remote`.
///
/// # Errors
/// When rclone failed.
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
    // Check this first, because other messages follow from it: no token can be fetched through a closed port.
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
            better: BUNDLED_RCLONE,
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

/// rclone's exit and its last error, on one line.
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

/// The cause of a temporary failure; `None` for a failure that waiting does not repair.
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

/// True when `cryptcheck` could not compare, because the storage below supports no hashes.
#[must_use]
pub fn no_hash_below(heard: &Listener) -> bool {
    heard
        .errors()
        .iter()
        .any(|error| error.contains("does not support any hashes"))
}

/// True for rclone's exit code "folder not found".
#[must_use]
pub fn folder_missing(ended: &Ended) -> bool {
    ended.exit == Exit::Code(3)
}

#[cfg(test)]
mod tests;
