//! A program of the host that the installer runs: absolute path, fresh environment, text on standard input.
//!
//! Unlike an action of the gate, the installer serves an administrator at the terminal, without a remote peer or a
//! deadline: Ctrl-C reaches the program as well.
//!
//! Invariant: text for standard input is on no command line and in no file.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Limit for a program in a user's session; loading an image on a slow disk takes minutes.
pub(super) const PATIENCE: Duration = Duration::from_secs(1800);

/// Input of a program.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(&'a [u8]),
    /// A file.
    File(&'a Path),
}

/// Exit code and output of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Its exit code; none after a signal.
    pub(super) code: Option<i32>,
    /// Standard output.
    pub(super) out: String,
    /// Standard error.
    pub(super) err: String,
}

impl Said {
    /// True if it reported success.
    pub(super) fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Its last words, on one line.
    pub(super) fn words(&self) -> String {
        let last = |text: &str| {
            text.lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .map(str::to_owned)
        };
        let words = last(&self.err).or_else(|| last(&self.out));
        match (self.code, words) {
            (Some(code), Some(words)) => format!("exit code {code} ({})", words.trim()),
            (Some(code), None) => format!("exit code {code}"),
            (None, words) => format!("ended by a signal ({})", words.unwrap_or_default()),
        }
    }
}

/// Runs a program to its end.
///
/// # Errors
/// A sentence, when it could not be run.
pub(super) fn run(argv: &[String], input: &Input<'_>) -> Result<Said, String> {
    let program = argv.first().map_or("", String::as_str);
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let mut command = Command::new(program);
    command
        .args(argv.get(1..).unwrap_or_default())
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LANG", "C.UTF-8")
        .env("HOME", "/root")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    match input {
        Input::Nothing => command.stdin(Stdio::null()),
        Input::Bytes(_) => command.stdin(Stdio::piped()),
        Input::File(path) => {
            let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            command.stdin(Stdio::from(file))
        }
    };
    let mut child = command.spawn().map_err(failed)?;
    if let (Input::Bytes(bytes), Some(mut stdin)) = (input, child.stdin.take()) {
        // All that is ever sent fits a pipe's buffer; who does not read it says why in a moment.
        let _ = stdin.write_all(bytes);
    }
    let ended = child.wait_with_output().map_err(failed)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said {
        code: ended.status.code(),
        out: text(&ended.stdout),
        err: text(&ended.stderr),
    })
}

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Runs a program that has to succeed.
pub(super) fn good(argv: &[String]) -> Result<Said, String> {
    good_with(argv, &Input::Nothing)
}

/// Likewise, with something on its standard input.
pub(super) fn good_with(argv: &[String], input: &Input<'_>) -> Result<Said, String> {
    succeeded(argv, run(argv, input)?)
}

/// The output of a program that succeeded.
///
/// # Errors
/// A sentence that names the program, when it failed.
pub(super) fn succeeded(argv: &[String], said: Said) -> Result<Said, String> {
    if said.ok() {
        return Ok(said);
    }
    // The program of a user's session comes after the options.
    let shown = argv
        .iter()
        .position(|word| word == "--")
        .map_or(argv, |at| &argv[at + 1..]);
    Err(format!("{}: {}", shown.join(" "), said.words()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_program_hears_and_says_and_its_code_is_known() {
        let said = run(&argv(&["/bin/cat"]), &Input::Bytes(b"secret")).unwrap();
        assert_eq!((said.ok(), said.out.as_str()), (true, "secret"));
        let said = run(
            &argv(&["/bin/sh", "-c", "echo no >&2; exit 3"]),
            &Input::Nothing,
        )
        .unwrap();
        assert_eq!(said.words(), "exit code 3 (no)");
        assert!(run(&argv(&["/nonexistent"]), &Input::Nothing).is_err());
    }

    #[test]
    fn a_program_that_fails_is_named_without_what_brought_it_into_a_session() {
        let argv = words(&["/usr/bin/env", "--", "false", "x"]);
        assert_eq!(good(&argv).unwrap_err(), "false x: exit code 1");
    }
}
