//! The end of one attempt of a step, and the state of its box after it.

use super::state::StepState;
use std::time::Duration;

/// The exit code by which a step says "nothing to do today" (sysexits `EX_TEMPFAIL`).
pub const SKIP_EXIT_CODE: i32 = 75;

/// The end of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The command ended by itself with this code.
    Exited(i32),
    /// A signal ended the command.
    Signalled(i32),
    /// The timeout passed and everything the step had started was stopped.
    TimedOut {
        /// The limit that passed.
        limit: Duration,
        /// The command itself had ended, but a process it left behind held the log open.
        command_had_ended: bool,
        /// The last progress of the upload that the limit ended.
        uploading: Option<String>,
    },
    /// The command could not be started; the text says why.
    CannotStart(String),
    /// The system had no process, thread or descriptor for it; the command did not run.
    OutOfResources(String),
    /// A person stopped it.
    Cancelled,
    /// The runner or the machine went down while it ran.
    Interrupted,
    /// The process that supervises the step vanished; the text says how.
    Lost(String),
}

impl Outcome {
    /// The colour of the box.
    pub fn state(&self) -> StepState {
        match self {
            Self::Exited(0) => StepState::Success,
            Self::Exited(SKIP_EXIT_CODE) => StepState::Skipped,
            Self::Exited(_)
            | Self::Signalled(_)
            | Self::TimedOut { .. }
            | Self::CannotStart(_)
            | Self::OutOfResources(_)
            | Self::Lost(_) => StepState::Failed,
            Self::Cancelled => StepState::Cancelled,
            Self::Interrupted => StepState::Interrupted,
        }
    }

    /// The exit code as a shell would report it; none where the command never ended by itself.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Exited(code) => Some(*code),
            Self::Signalled(signal) => Some(128 + signal),
            Self::CannotStart(_) | Self::OutOfResources(_) => Some(127),
            Self::TimedOut { .. } | Self::Cancelled | Self::Interrupted | Self::Lost(_) => None,
        }
    }

    /// The reason of the state, in words; none for a plain success.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Exited(0) => None,
            Self::Exited(SKIP_EXIT_CODE) => Some("exit code 75: nothing to do".to_owned()),
            Self::Exited(code) => Some(format!("exit code {code}")),
            Self::Signalled(signal) => Some(format!("ended by signal {signal}")),
            Self::TimedOut {
                limit,
                uploading: Some(progress),
                ..
            } => Some(format!(
                "timed out after {} s: the step's own limit ended an upload ({progress}); the next run continues it. If this happens often, give the step a longer timeout",
                limit.as_secs()
            )),
            Self::TimedOut {
                limit,
                command_had_ended: false,
                ..
            } => Some(format!("timed out after {} s", limit.as_secs())),
            Self::TimedOut {
                limit,
                command_had_ended: true,
                ..
            } => Some(format!(
                "timed out after {} s: the command had ended, but a process it started in the background held its output open",
                limit.as_secs()
            )),
            Self::CannotStart(why) | Self::OutOfResources(why) => {
                Some(format!("cannot start: {why}"))
            }
            Self::Cancelled => Some("cancelled".to_owned()),
            Self::Interrupted => Some("the runner went down while this step ran".to_owned()),
            Self::Lost(how) => Some(format!("the step's supervisor vanished: {how}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_is_green_and_only_75_is_grey() {
        for code in 0..=255 {
            let expected = match code {
                0 => StepState::Success,
                75 => StepState::Skipped,
                _ => StepState::Failed,
            };
            assert_eq!(Outcome::Exited(code).state(), expected, "{code}");
        }
        assert_eq!(Outcome::Signalled(9).state(), StepState::Failed);
        assert_eq!(Outcome::Signalled(9).exit_code(), Some(137));
    }
}
