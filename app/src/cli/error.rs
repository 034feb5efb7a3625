//! The errors of commands, and the one table of their exit codes.

use crate::view::Problem;
use std::io::{self, Write};
use std::process::ExitCode;

/// Exit code of a command that was refused or failed.
pub(super) const FAILURE: u8 = 1;
/// Exit code of a command that has to be written differently, as clap uses it.
pub(super) const USAGE: u8 = 2;
/// Exit code where no server answers: `EX_UNAVAILABLE` of sysexits.h.
pub(super) const UNREACHABLE: u8 = 69;
/// Exit code of a wait that Ctrl-C ended, as a shell reports it.
pub(super) const INTERRUPTED: u8 = 130;

/// The errors of a command.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The reader of standard output has closed it.
    #[error("standard output is closed")]
    OutputClosed,
    /// Standard output takes nothing more, for example on a full disk.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// The command line is understood but makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Something on this machine is not as it has to be.
    #[error("{0}")]
    Local(String),
    /// No server answers.
    #[error("no Lightflow server answers at {place}: {why}\n{advice}")]
    Unreachable {
        /// The socket or URL that was tried.
        place: String,
        /// The system's words.
        why: String,
        /// The remedy.
        advice: String,
    },
    /// The server answered and said no.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// The server said no and its reason is of another kind, for example a missing token.
    #[error("{detail}\n{advice}", detail = problem.detail)]
    Unauthorised {
        /// The server's words.
        problem: Box<Problem>,
        /// The remedy.
        advice: String,
    },
    /// The answer is not one a Lightflow server gives.
    #[error("the server's answer makes no sense: {0}")]
    Nonsense(String),
}

impl CliError {
    /// The exit code, a contract with scripts.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Usage(_) => USAGE,
            Self::Unreachable { .. } => UNREACHABLE,
            Self::Output(_)
            | Self::Local(_)
            | Self::Refused(_)
            | Self::Unauthorised { .. }
            | Self::Nonsense(_) => FAILURE,
        }
    }

    /// Prints the error on standard error, and returns the exit code.
    pub(super) fn report(&self) -> ExitCode {
        if !matches!(self, Self::OutputClosed) {
            // With standard error closed, the exit code still tells.
            let _ = io::stderr().write_all(self.text().as_bytes());
        }
        ExitCode::from(self.code())
    }

    fn text(&self) -> String {
        let mut text = format!("error: {self}\n");
        if let Self::Refused(problem) = self {
            for error in &problem.errors {
                text.push_str(&format!("  {}: {}\n", error.field, error.message));
            }
        }
        text
    }

    /// Reports if the server may answer again in a moment, as after a restart.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            // 502 to 504 come from a proxy in front, or from a server going down.
            Self::Refused(problem) => matches!(problem.status, 502..=504),
            Self::OutputClosed
            | Self::Output(_)
            | Self::Usage(_)
            | Self::Local(_)
            | Self::Unauthorised { .. }
            | Self::Nonsense(_) => false,
        }
    }
}

/// Says something beside the result, on standard error.
pub(super) fn notice(text: &str) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::ProblemField;

    fn problem(status: u16) -> Box<Problem> {
        Box::new(Problem {
            kind: "about:blank".to_owned(),
            title: "Refused".to_owned(),
            status,
            detail: "the task is refused".to_owned(),
            errors: vec![ProblemField {
                field: "steps[0].timeout".to_owned(),
                message: "0 is out of range".to_owned(),
            }],
        })
    }

    #[test]
    fn each_kind_has_its_exit_code() {
        let unreachable = CliError::Unreachable {
            place: String::new(),
            why: String::new(),
            advice: String::new(),
        };
        assert_eq!(unreachable.code(), 69);
        assert_eq!(CliError::OutputClosed.code(), 0);
        assert_eq!(CliError::Usage(String::new()).code(), 2);
        assert_eq!(CliError::Refused(problem(409)).code(), 1);
        assert_eq!(CliError::Local(String::new()).code(), 1);
    }

    #[test]
    fn every_refused_field_has_a_line() {
        assert_eq!(
            CliError::Refused(problem(422)).text(),
            "error: the task is refused\n  steps[0].timeout: 0 is out of range\n"
        );
    }

    #[test]
    fn only_a_server_that_is_away_may_come_back() {
        assert!(CliError::Refused(problem(503)).may_pass());
        assert!(!CliError::Refused(problem(404)).may_pass());
        assert!(!CliError::Nonsense(String::new()).may_pass());
    }
}
