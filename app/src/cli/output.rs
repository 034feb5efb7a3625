//! Standard output: whole texts at a time, and a closed pipe is no failure.

use super::error::CliError;
use std::io::{self, IsTerminal, Write};

/// Lines are laid out for this width where the terminal does not tell its own.
const WIDTH: usize = 80;

/// Standard output, with its width and colours.
#[derive(Debug)]
pub(super) struct Out {
    symbols: bool,
    width: Option<usize>,
    outlives_reader: bool,
    muted: bool,
    at_line_start: bool,
}

impl Out {
    /// Looks at standard output: a terminal gets coloured boxes and lines that fit, a file
    /// or a pipe gets plain words that are never cut.
    pub(super) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let unwanted = |key: &str| std::env::var_os(key).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            symbols: terminal && !dumb && !unwanted("NO_COLOR"),
            width: terminal.then(|| columns().filter(|width| *width >= 40).unwrap_or(WIDTH)),
            outlives_reader: false,
            muted: false,
            at_line_start: true,
        }
    }

    /// Columns a line may have; none means no limit.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// True if states are shown with their coloured box.
    pub(super) fn symbols(&self) -> bool {
        self.symbols
    }

    /// From now on a closed pipe silences the output instead of ending the command,
    /// which has something else to wait for.
    pub(super) fn outlive_reader(&mut self) {
        self.outlives_reader = true;
    }

    /// Writes bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        let Some(last) = bytes.last() else {
            return Ok(());
        };
        self.at_line_start = *last == b'\n';
        if self.muted {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.outlives_reader => {
                self.muted = true;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(CliError::OutputClosed),
            Err(error) => Err(CliError::Output(error)),
        }
    }

    /// Writes a text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.bytes(text.as_bytes())
    }

    /// Writes a line of its own, also after a text that did not end its last line.
    pub(super) fn line(&mut self, line: &str) -> Result<(), CliError> {
        let start = if self.at_line_start { "" } else { "\n" };
        self.text(&format!("{start}{line}\n"))
    }

    /// Writes the API's answer.
    pub(super) fn json(&mut self, body: &[u8]) -> Result<(), CliError> {
        self.line(String::from_utf8_lossy(body).trim_end())
    }
}
