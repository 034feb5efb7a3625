//! One HTTP/1.1 answer, read as it comes; and the request before it.
//!
//! The other end is rclone, or any program in its place, so nothing of the answer is trusted: the head and the lines of a chunked
//! body have a limit, a length is only a promise, and bytes after the end are an error.
//!
//! Invariant: the pieces in which the bytes come make no difference. Memory stays bounded by the limits here and by the
//! caller's limit for the body.

/// The longest head, and the longest line between two chunks.
const HEAD: usize = 16 << 10;
const LINE: usize = 256;

/// An answer that is not HTTP/1.1 as rclone speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// The bytes of a request for a file, from a byte on. The connection ends with the answer.
#[must_use]
pub fn get(path: &str, from: u64) -> Vec<u8> {
    let range = match from {
        0 => String::new(),
        from => format!("Range: bytes={from}-\r\n"),
    };
    format!("GET {path} HTTP/1.1\r\nHost: rclone\r\nConnection: close\r\n{range}\r\n").into_bytes()
}

/// The bytes of a request that has a JSON body. The connection ends with the answer.
#[must_use]
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /{path} HTTP/1.1\r\nHost: rclone\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// This number of bytes of the body is to come.
    Length(u64),
    /// The body ends with the connection.
    UntilClosed,
    ChunkSize,
    Chunk(u64),
    /// The end of line after a chunk.
    ChunkEnd,
    Trailer,
    Done,
}

/// Reads an answer.
#[derive(Debug)]
pub struct Answer {
    state: State,
    /// The head, or a line between two chunks, as far as it has come.
    line: Vec<u8>,
    status: u16,
    /// The first byte of a part of a file.
    from: Option<u64>,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            state: State::Head,
            line: Vec::new(),
            status: 0,
            from: None,
        }
    }
}

impl Answer {
    /// The status; 0 before it has come.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the body is the rest of a file from this byte on.
    #[must_use]
    pub fn begins_at(&self, from: u64) -> bool {
        match self.status {
            200 => from == 0,
            206 => self.from == Some(from),
            _ => false,
        }
    }

    /// True once the whole answer has come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes the next bytes, and adds those of the body to `body`.
    ///
    /// # Errors
    /// When they are not HTTP.
    pub fn take(&mut self, mut bytes: &[u8], body: &mut Vec<u8>) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            match self.state {
                State::Done => return Err(Malformed("bytes after the end of an answer")),
                State::UntilClosed => {
                    body.extend_from_slice(bytes);
                    return Ok(());
                }
                State::Length(left) | State::Chunk(left) => {
                    let count = usize::try_from(left).map_or(bytes.len(), |n| n.min(bytes.len()));
                    let (now, later) = bytes.split_at(count);
                    body.extend_from_slice(now);
                    bytes = later;
                    let left = left - count as u64;
                    self.state = match self.state {
                        State::Chunk(_) if left == 0 => State::ChunkEnd,
                        State::Chunk(_) => State::Chunk(left),
                        _ if left == 0 => State::Done,
                        _ => State::Length(left),
                    };
                }
                State::Head | State::ChunkSize | State::ChunkEnd | State::Trailer => {
                    let (&byte, later) = bytes.split_first().unwrap_or((&0, &[]));
                    bytes = later;
                    self.byte(byte)?;
                }
            }
        }
        Ok(())
    }

    /// The connection was closed.
    ///
    /// # Errors
    /// When more was promised.
    pub fn close(&mut self) -> Result<(), Malformed> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClosed => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(Malformed("an answer without its end")),
        }
    }

    /// One byte of the head, or of a line between two chunks.
    fn byte(&mut self, byte: u8) -> Result<(), Malformed> {
        self.line.push(byte);
        if self.state == State::Head {
            if self.line.ends_with(b"\r\n\r\n") {
                self.state = self.head()?;
                self.line.clear();
            } else if self.line.len() >= HEAD {
                return Err(Malformed("a head that is too long"));
            }
            return Ok(());
        }
        if !self.line.ends_with(b"\r\n") {
            return if self.line.len() < LINE {
                Ok(())
            } else {
                Err(Malformed("a line that is too long"))
            };
        }
        let line = self.line.get(..self.line.len() - 2).unwrap_or_default();
        self.state = match self.state {
            State::ChunkSize => match hexadecimal(line)? {
                0 => State::Trailer,
                size => State::Chunk(size),
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::Trailer if line.is_empty() => State::Done,
            State::ChunkEnd => return Err(Malformed("a chunk that is longer than it says")),
            // rclone sends no trailers.
            _ => return Err(Malformed("a trailer")),
        };
        self.line.clear();
        Ok(())
    }

    /// Reads the head, and tells how the body comes.
    fn head(&mut self) -> Result<State, Malformed> {
        let head = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&head).map_err(|_| Malformed("a head that is no text"))?;
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u16>().ok())
            .filter(|status| (200..600).contains(status))
            .ok_or(Malformed("a status line that is not HTTP/1.1"))?;
        let (mut length, mut chunked) = (None, false);
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or(Malformed("a header without a colon"))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" if length.is_some() => return Err(Malformed("two lengths")),
                "content-length" => {
                    let digits =
                        !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                    let value = value.parse::<u64>().ok().filter(|_| digits);
                    length = Some(value.ok_or(Malformed("a length that is no number"))?);
                }
                "content-range" => {
                    let first = value
                        .strip_prefix("bytes ")
                        .and_then(|range| range.split_once('-'));
                    self.from = first.and_then(|(first, _)| first.parse().ok());
                }
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") && !chunked => {
                    chunked = true;
                }
                "transfer-encoding" => return Err(Malformed("an unknown encoding")),
                _ => {}
            }
        }
        self.status = status;
        Ok(match (chunked, length) {
            (true, Some(_)) => return Err(Malformed("a length and chunks")),
            (true, None) => State::ChunkSize,
            (false, Some(0)) => State::Done,
            (false, Some(length)) => State::Length(length),
            (false, None) => State::UntilClosed,
        })
    }
}

/// The size of a chunk.
fn hexadecimal(line: &[u8]) -> Result<u64, Malformed> {
    let digits = (1..=15).contains(&line.len()) && line.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(line)
        .ok()
        .filter(|_| digits)
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or(Malformed("a chunk without a size"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer in two pieces is the answer in one.
    fn read(bytes: &[u8]) {
        let whole = |pieces: &[&[u8]]| {
            let (mut answer, mut body) = (Answer::default(), Vec::new());
            let taken = pieces
                .iter()
                .try_for_each(|piece| answer.take(piece, &mut body))
                .and_then(|()| answer.close());
            (taken, answer.status(), answer.is_done(), body)
        };
        let at_once = whole(&[bytes]);
        assert!(at_once.3.len() <= bytes.len());
        assert_eq!(at_once.0.is_ok(), at_once.2 && at_once.0.is_ok());
        for cut in 0..=bytes.len().min(64) {
            let (one, other) = bytes.split_at(cut);
            let in_two = whole(&[one, other]);
            assert_eq!(
                (&in_two.0, in_two.1, in_two.2),
                (&at_once.0, at_once.1, at_once.2)
            );
            assert_eq!(in_two.3, at_once.3);
        }
    }

    fn answer(text: &str) -> Result<(u16, String), Malformed> {
        let (mut answer, mut body) = (Answer::default(), Vec::new());
        answer.take(text.as_bytes(), &mut body)?;
        answer.close()?;
        Ok((answer.status(), String::from_utf8(body).unwrap()))
    }

    #[test]
    fn bodies_come_by_length_in_chunks_or_until_the_end() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"),
            (
                "HTTP/1.1 404 Not Found\r\nContent-Type: a\r\ncontent-length:0\r\n\r\n",
                404,
                "",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
                200,
                "abc0123456789",
            ),
            ("HTTP/1.1 500 No\r\n\r\nwords", 500, "words"),
        ] {
            assert_eq!(answer(text), Ok((status, body.to_owned())), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_an_answer() {
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(HEAD));
        let line = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n",
            "0".repeat(LINE)
        );
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 20x OK\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nnothing\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
            long.as_str(),
            line.as_str(),
        ] {
            assert!(answer(text).is_err(), "{text:.80}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }

        #[test]
        fn pieces_of_an_answer_make_no_difference(
            head in "HTTP/1.1 [2-5][0-9]{2}( OK)?\r\n((Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked|X:)\r\n){0,2}\r\n",
            body in "([0-9a-f]{1,2}\r\n[a-z]{0,12}\r\n){0,3}(0\r\n\r\n)?",
        ) {
            read(format!("{head}{body}").as_bytes());
        }
    }
}
