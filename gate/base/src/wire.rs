//! Bytes from the wire → words.
//!
//! Invariant: a word is 1 to 1024 ASCII characters of `A–Z a–z 0–9 . _ / : -`. Quotes, globs, escapes,
//! control characters and anything beyond ASCII never get past this file, so that no later stage has to
//! think about them, and no program that is handed a word can be surprised by one.

use thiserror::Error;

/// The longest request line, in bytes. The longest useful one is a tenth of this.
pub const MAX_LINE: usize = 1024;

/// The reason why a line is not a sequence of words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// Nothing was sent.
    #[error("the request is empty; it should read like `backupctl --stop SERVICE`")]
    Empty,
    /// More than [`MAX_LINE`] bytes.
    #[error("the request is {0} bytes long; at most {MAX_LINE} are read")]
    TooLong(usize),
    /// A byte outside the alphabet.
    #[error("byte {position} of the request is {}, which is not allowed; words consist of letters, digits and . _ / : -", show(*.byte))]
    Forbidden {
        /// Counted from 1.
        position: usize,
        /// The byte itself.
        byte: u8,
    },
    /// A space at either end, or two in a row.
    #[error("words are separated by exactly one space (see byte {0} of the request)")]
    Spacing(usize),
}

fn show(byte: u8) -> String {
    if byte.is_ascii_graphic() {
        format!("'{}'", byte as char)
    } else {
        format!("0x{byte:02x}")
    }
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b':' | b'-')
}

/// Splits a request line into its words.
///
/// # Errors
/// When the line is empty, too long, badly spaced, or holds a byte outside the alphabet.
pub fn words(line: &[u8]) -> Result<Vec<&str>, WireError> {
    if line.is_empty() {
        return Err(WireError::Empty);
    }
    if line.len() > MAX_LINE {
        return Err(WireError::TooLong(line.len()));
    }
    if let Some(at) = line.iter().position(|&byte| byte != b' ' && !allowed(byte)) {
        return Err(WireError::Forbidden {
            position: at + 1,
            byte: line[at],
        });
    }
    let mut words = Vec::new();
    let mut position = 1;
    for word in line.split(|&byte| byte == b' ') {
        let Ok(text) = std::str::from_utf8(word) else {
            return Err(WireError::Spacing(position));
        };
        if text.is_empty() {
            return Err(WireError::Spacing(position));
        }
        position += text.len() + 1;
        words.push(text);
    }
    Ok(words)
}

/// Writes untrusted bytes so that a log line stays one line of printable ASCII.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes.iter().take(MAX_LINE) {
        // Quotes need no escape in a line of printable text; escape_default would give them one.
        if matches!(byte, b'\'' | b'"') {
            text.push(char::from(byte));
        } else {
            text.extend(std::ascii::escape_default(byte).map(char::from));
        }
    }
    if bytes.len() > MAX_LINE {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_single_spaces() {
        assert_eq!(
            words(b"backupctl --stop n8n"),
            Ok(vec!["backupctl", "--stop", "n8n"])
        );
    }

    #[test]
    fn spaces_at_the_ends_and_doubled_are_refused() {
        assert_eq!(words(b" a"), Err(WireError::Spacing(1)));
        assert_eq!(words(b"a "), Err(WireError::Spacing(3)));
        assert_eq!(words(b"a  b"), Err(WireError::Spacing(3)));
        assert_eq!(words(b""), Err(WireError::Empty));
    }

    #[test]
    fn every_byte_outside_the_alphabet_is_refused() {
        for byte in 0..=255_u8 {
            let line = [b'a', byte, b'b'];
            let fine = byte == b' ' || byte.is_ascii_alphanumeric() || b"._/:-".contains(&byte);
            assert_eq!(words(&line).is_ok(), fine, "byte {byte:#04x}");
        }
    }

    #[test]
    fn the_length_limit_is_exact() {
        assert!(words(&vec![b'a'; MAX_LINE]).is_ok());
        assert_eq!(
            words(&vec![b'a'; MAX_LINE + 1]),
            Err(WireError::TooLong(MAX_LINE + 1))
        );
    }

    #[test]
    fn printable_leaves_no_control_character() {
        assert_eq!(printable(b"a\n\x1b[\xff"), "a\\n\\x1b[\\xff");
    }
}
