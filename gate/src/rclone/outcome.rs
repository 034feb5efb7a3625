//! What rclone's way to end means, and what to do about it.
//!
//! Invariant: what is recognised is recognised by rclone's own words; names of files are no part of them. Whatever is
//! not recognised is told as it was said.

use std::fmt;

use super::Listener;
use crate::config::{Config, Landlock};
use crate::error::Failure;
use crate::host::{Ended, Exit};
use crate::names::PlainPath;

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
    /// rclone's configuration does not know the remote.
    NotSetUp {
        /// The remote's name.
        name: String,
        /// rclone's configuration.
        config: PlainPath,
    },
    /// No way to get there.
    Unreachable,
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
            Self::NotSetUp { name, config } => write!(
                f,
                "rclone knows no remote '{name}'; set it up on the host with `sudo rclone --config {config} config`"
            ),
            Self::Unreachable => f.write_str(
                "the remote cannot be reached; check the network and the name resolution of this host, then run it again",
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
    "couldn't fetch token",
    "invalid_grant",
    "invalid_client",
    "config reconnect",
    "invalidauthenticationtoken",
    "empty token found",
    "token expired",
    "401 unauthorized",
];
const NOT_SET_UP: [&str; 2] = [
    "didn't find section in config file",
    "couldn't find section",
];
const FULL: [&str; 5] = [
    "no space left on device",
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
const UNREACHABLE: [&str; 8] = [
    "no such host",
    "network is unreachable",
    "no route to host",
    "connection refused",
    "connection reset",
    "i/o timeout",
    "tls handshake timeout",
    "server misbehaving",
];

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
    let file = &config.rclone.config;
    let confined = config.rclone.landlock != Landlock::Off;
    // First, because other words follow from it: no token can be fetched through a closed port.
    let trouble = if confined && said(&PORT_CLOSED) {
        Trouble::PortClosed
    } else if said(&NOT_SET_UP) {
        Trouble::NotSetUp {
            name: name.to_owned(),
            config: file.clone(),
        }
    } else if said(&SIGN_IN) {
        Trouble::SignIn {
            renew: format!("sudo rclone --config {file} config reconnect {name}:"),
        }
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

/// rclone's code for "there is no such folder".
#[must_use]
pub fn folder_missing(ended: &Ended) -> bool {
    ended.exit == Exit::Code(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ExitStatus;
    use crate::host::Ear;
    use crate::progress::Phase;

    fn judged(code: i32, line: &str) -> Result<(), Failure> {
        let mut heard = Listener::new(Phase::Mirroring);
        heard.hear(line);
        let ended = Ended {
            exit: Exit::Code(code),
            stdout: Vec::new(),
            last_words: Vec::new(),
        };
        let remote = "onedrive:/OdroidBackup/extra/docs";
        judge(
            "mirroring /srv/docs",
            remote,
            &ended,
            &heard,
            &Config::default(),
        )
    }

    fn error(text: &str) -> String {
        serde_json::json!({ "level": "error", "msg": text }).to_string()
    }

    #[test]
    fn each_trouble_has_its_status_and_says_what_to_do() {
        for (text, status, advice) in [
            (
                "couldn't fetch token - maybe it has expired? - refresh with \"rclone config reconnect onedrive:\": oauth2: cannot fetch token: 400 Bad Request",
                ExitStatus::Unavailable,
                "`sudo rclone --config /etc/backupctl/rclone.conf config reconnect onedrive:`",
            ),
            (
                "Failed to copy: activityLimitReached: The request has been throttled",
                ExitStatus::Unavailable,
                "rclone.tpslimit",
            ),
            (
                "Failed to copy: quotaLimitReached: Insufficient Space Available",
                ExitStatus::CannotCreate,
                "make room",
            ),
            (
                "Failed to copy: insufficient storage: 507 Insufficient Storage",
                ExitStatus::CannotCreate,
                "make room",
            ),
            (
                "Failed to create file system for \"onedrive:/OdroidBackup\": didn't find section in config file",
                ExitStatus::Unavailable,
                "knows no remote 'onedrive'",
            ),
            (
                "Get \"https://graph.microsoft.com\": dial tcp: lookup graph.microsoft.com: no such host",
                ExitStatus::Unavailable,
                "name resolution",
            ),
            (
                "x509: certificate has expired or is not yet valid",
                ExitStatus::Unavailable,
                "clock",
            ),
            (
                "couldn't fetch token: Post \"https://sso.example:8443\": dial tcp 192.0.2.1:8443: connect: permission denied",
                ExitStatus::Unavailable,
                "rclone.ports",
            ),
            (
                "failed to make directory: mkdir /mnt/usb/app: permission denied",
                ExitStatus::Unavailable,
                "rclone.local_folders",
            ),
            ("something else", ExitStatus::Unavailable, "something else"),
        ] {
            let failure = judged(1, &error(text)).unwrap_err();
            assert_eq!(failure.status(), status, "{text}");
            let words = failure.to_string();
            assert!(words.contains(advice), "{words}");
            assert!(
                words.starts_with("mirroring /srv/docs")
                    || words.starts_with("no space: mirroring"),
                "{words}"
            );
        }
    }

    #[test]
    fn a_name_of_a_file_is_not_taken_for_trouble() {
        let line = r#"{"level":"error","msg":"Failed to copy: input/output error","object":"invalid_grant quotaLimitReached"}"#;
        assert!(matches!(judged(1, line), Err(Failure::Tool { .. })));
    }

    #[test]
    fn throttling_that_was_overcome_is_no_failure() {
        assert!(judged(0, &error("429 Too Many Requests")).is_ok());
    }

    #[test]
    fn exit_codes_are_explained() {
        let words = judged(5, &error("try again")).unwrap_err().to_string();
        assert!(words.contains("exit code 5, a temporary error"), "{words}");
    }
}
