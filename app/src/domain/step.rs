//! A step: one command with its run rule and its time limit.

use super::field::FieldError;
use super::names::{StepName, VariableKey};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Longest timeout and retry delay accepted, in seconds: a week.
pub const MAX_SECONDS: u32 = 7 * 24 * 3600;
/// Seconds that one attempt may take where the task does not say so.
pub const DEFAULT_TIMEOUT_S: u32 = 3600;
/// Most retries accepted.
pub const MAX_RETRIES: u32 = 20;
/// Most bytes in the command and its arguments together; Linux refuses single
/// arguments over 128 KiB (execve(2), `MAX_ARG_STRLEN`).
pub const MAX_COMMAND_BYTES: usize = 64 * 1024;

/// The condition of a step, given the results of the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunRule {
    /// Only while no earlier step failed. A skipped step does not count as failed.
    OnSuccess,
    /// Only after an earlier step failed.
    OnFailure,
    /// In any case, also after a cancel, a crash or a power loss.
    Always,
}

impl RunRule {
    /// The rule's name in the API, the database and exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnSuccess => "on_success",
            Self::OnFailure => "on_failure",
            Self::Always => "always",
        }
    }
}

impl FromStr for RunRule {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        match text {
            "on_success" => Ok(Self::OnSuccess),
            "on_failure" => Ok(Self::OnFailure),
            "always" => Ok(Self::Always),
            other => Err(FieldError::new(
                "rule",
                format!("{other:?} is not a run rule; use on_success, on_failure or always"),
            )),
        }
    }
}

/// A step's program and its arguments, checked so that `execve` can take them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    program: String,
    args: Vec<String>,
}

impl Command {
    /// Accepts a program (a name looked up in PATH, or a path) and its arguments.
    ///
    /// # Errors
    /// Refuses an empty program, a NUL byte anywhere, and more than
    /// [`MAX_COMMAND_BYTES`] in all.
    pub fn new(program: impl Into<String>, args: Vec<String>) -> Result<Self, FieldError> {
        let program = program.into();
        if program.trim().is_empty() {
            return Err(FieldError::new(
                "command",
                "is empty; name the program to run, such as python3",
            ));
        }
        if program.trim() != program {
            return Err(FieldError::new(
                "command",
                format!("{program:?} begins or ends with white space; remove it"),
            ));
        }
        if program.contains('\0') {
            return Err(FieldError::new("command", "must not hold a NUL byte"));
        }
        if args.iter().any(|arg| arg.contains('\0')) {
            return Err(FieldError::new("args", "must not hold a NUL byte"));
        }
        let bytes: usize = program.len() + args.iter().map(String::len).sum::<usize>();
        if bytes > MAX_COMMAND_BYTES {
            return Err(FieldError::new(
                "args",
                format!(
                    "command and arguments are {bytes} bytes, more than {MAX_COMMAND_BYTES}; put the data into a script"
                ),
            ));
        }
        Ok(Self { program, args })
    }

    /// The program, looked up in the step's PATH unless it holds a `/`.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The arguments, one element each, never seen by a shell.
    pub fn args(&self) -> &[String] {
        &self.args
    }
}

/// Number and delay of the retries of a failed step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first.
    pub count: u32,
    /// Seconds between two attempts; the pool's slot is free meanwhile.
    pub delay_s: u32,
}

impl Retry {
    /// Accepts a number of retries and the delay between them.
    ///
    /// # Errors
    /// Names the field that is out of range and the range.
    pub fn new(count: u32, delay_s: u32) -> Result<Self, FieldError> {
        if count > MAX_RETRIES {
            return Err(FieldError::new(
                "retries",
                format!("{count} is too many; use 0 to {MAX_RETRIES}"),
            ));
        }
        if delay_s > MAX_SECONDS {
            return Err(FieldError::new(
                "retry_delay",
                format!("{delay_s} s is too long; use 0 to {MAX_SECONDS} seconds"),
            ));
        }
        Ok(Self { count, delay_s })
    }
}

/// Accepts a timeout in seconds.
///
/// # Errors
/// Refuses 0 and more than a week.
pub fn timeout(seconds: u32) -> Result<NonZeroU32, FieldError> {
    match NonZeroU32::new(seconds) {
        Some(value) if seconds <= MAX_SECONDS => Ok(value),
        _ => Err(FieldError::new(
            "timeout",
            format!("{seconds} is out of range; use 1 to {MAX_SECONDS} seconds"),
        )),
    }
}

/// One step of a task, complete and valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Shown in the grid; unique within the task.
    pub name: StepName,
    /// The command.
    pub command: Command,
    /// Its run rule.
    pub rule: RunRule,
    /// Seconds one attempt may take before it is stopped and counts as failed.
    pub timeout_s: NonZeroU32,
    /// The retries after a failure.
    pub retry: Retry,
    /// The run continues and succeeds although this step fails.
    pub may_fail: bool,
    /// Environment of this step alone; wins over variables of the same name.
    pub env: BTreeMap<VariableKey, String>,
    /// Directory to run in, relative to `scripts/` or absolute; `scripts/` itself when absent.
    pub working_dir: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_of_zero_is_refused_with_the_range() {
        let error = timeout(0).unwrap_err();
        assert_eq!(error.field, "timeout");
        assert!(error.problem.contains("1 to 604800"), "{error}");
        assert!(timeout(MAX_SECONDS).is_ok());
        assert!(timeout(MAX_SECONDS + 1).is_err());
    }

    #[test]
    fn a_rule_reads_back_as_it_prints() {
        for rule in [RunRule::OnSuccess, RunRule::OnFailure, RunRule::Always] {
            assert_eq!(rule.as_str().parse::<RunRule>().unwrap(), rule);
        }
        assert!("ALWAYS".parse::<RunRule>().is_err());
    }

    #[test]
    fn what_execve_cannot_take_is_refused() {
        assert!(Command::new("", vec![]).is_err());
        assert!(Command::new("a\0b", vec![]).is_err());
        assert!(Command::new("a", vec!["b\0".into()]).is_err());
        assert!(Command::new("a", vec!["x".repeat(MAX_COMMAND_BYTES)]).is_err());
    }
}
