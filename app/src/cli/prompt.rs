//! Questions to a person at a terminal, passwords without echo, and values out of files.

use super::error::CliError;
use nix::sys::termios::{self, ControlFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Stdin, Write};
use std::path::Path;

/// Most bytes read for one value: more than anything the server takes.
const MAX_VALUE: u64 = 16 * 1024 * 1024;

/// Reports if standard input is a terminal.
pub(super) fn at_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Asks a question and waits for yes or no.
pub(super) fn confirm(question: &str) -> Result<bool, CliError> {
    say(&format!("{question}? [y/N] "));
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| unreadable("standard input", &error))?;
    Ok(matches!(
        answer.trim().to_lowercase().as_str(),
        "y" | "yes" | "o" | "oui"
    ))
}

/// Asks for a text that does not appear on the screen.
pub(super) fn hidden(question: &str) -> Result<String, CliError> {
    say(&format!("{question}: "));
    let stdin = io::stdin();
    let quiet = Quiet::new(&stdin)?;
    let line = read_quietly(&mut stdin.lock());
    drop(quiet);
    say("\n");
    line
}

/// Asks twice, since the typed text is hidden.
pub(super) fn new_secret(what: &str) -> Result<String, CliError> {
    let first = hidden(what)?;
    if hidden(&format!("{what} again"))? == first {
        Ok(first)
    } else {
        Err(CliError::Local(
            "these were two different texts; nothing was done".to_owned(),
        ))
    }
}

/// Reads a file, or standard input where its name is `-`.
pub(super) fn read_file(file: &Path) -> Result<Vec<u8>, CliError> {
    let name = file.display().to_string();
    let mut bytes = Vec::new();
    let read = if name == "-" {
        io::stdin()
            .lock()
            .take(MAX_VALUE + 1)
            .read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(MAX_VALUE + 1).read_to_end(&mut bytes))
    };
    let length = read.map_err(|error| unreadable(&name, &error))?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_VALUE) {
        Ok(bytes)
    } else {
        Err(CliError::Local(format!(
            "{name} is longer than {MAX_VALUE} bytes"
        )))
    }
}

/// Reads a text file, or standard input where its name is `-`.
pub(super) fn read_text(file: &Path) -> Result<String, CliError> {
    String::from_utf8(read_file(file)?)
        .map_err(|_| CliError::Local(format!("{} is not UTF-8 text", file.display())))
}

/// The text without the newline that editors and `echo` put at the end.
pub(super) fn without_final_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

fn unreadable(name: &str, error: &io::Error) -> CliError {
    CliError::Local(format!("cannot read {name}: {error}"))
}

/// Questions go to standard error, so that standard output holds results only.
fn say(text: &str) {
    let mut err = io::stderr();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// A terminal that shows nothing and hands over each key, until this is dropped.
struct Quiet<'a> {
    stdin: &'a Stdin,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(stdin: &'a Stdin) -> Result<Self, CliError> {
        let refused = |error: nix::errno::Errno| {
            CliError::Local(format!("cannot switch off the terminal's echo: {error}"))
        };
        let before = termios::tcgetattr(stdin).map_err(refused)?;
        let mut quiet = before.clone();
        // Without ISIG, Ctrl-C arrives as a key: dying here would leave the echo off.
        quiet.local_flags &= !(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        quiet.control_flags |= ControlFlags::CREAD;
        quiet.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        quiet.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        termios::tcsetattr(stdin, SetArg::TCSAFLUSH, &quiet).map_err(refused)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // The terminal is gone where this fails.
        let _ = termios::tcsetattr(self.stdin, SetArg::TCSAFLUSH, &self.before);
    }
}

fn read_quietly(input: &mut impl BufRead) -> Result<String, CliError> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 21;
    const BACKSPACE: u8 = 8;
    const DELETE: u8 = 127;
    let mut typed = Vec::new();
    for byte in input.bytes() {
        match byte.map_err(|error| unreadable("the terminal", &error))? {
            b'\n' | b'\r' | CTRL_D => break,
            CTRL_C => return Err(CliError::Local("nothing was done".to_owned())),
            CTRL_U => typed.clear(),
            BACKSPACE | DELETE => {
                // A character may be several bytes: those of the form 10xxxxxx continue one.
                while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte => typed.push(byte),
        }
    }
    String::from_utf8(typed).map_err(|_| CliError::Local("this is not UTF-8 text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_correct_are_not_part_of_the_password() {
        let typed = |keys: &[u8]| read_quietly(&mut &*keys);
        assert_eq!(
            typed("wrong\x15a\u{e9}\x7fb\rrest".as_bytes()).unwrap(),
            "ab"
        );
        assert_eq!(typed(b"\x7fx\n").unwrap(), "x");
        assert!(typed(b"secret\x03").is_err());
    }

    #[test]
    fn exactly_one_newline_is_taken_off() {
        assert_eq!(without_final_newline("a\n\n".to_owned()), "a\n");
        assert_eq!(without_final_newline("a\r\n".to_owned()), "a");
        assert_eq!(without_final_newline("a".to_owned()), "a");
    }
}
