//! Server-sent events out of bytes that arrive in pieces of any size.
//!
//! The grammar is that of the HTML standard, section 9.2.6, without `retry`: a caller that
//! reads decides when to come back.

/// Most bytes of one line or of one event's data; a log chunk is far below.
const LIMIT: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// Its kind; `message` where the server named none.
    pub(super) name: String,
    /// Its data, lines joined by newlines.
    pub(super) data: String,
}

/// A line or an event is longer than anything the server sends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {LIMIT} bytes")]
pub(super) struct TooLong;

/// Holds the beginning of an incomplete event.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    /// The last byte was a carriage return; a newline right after belongs to it.
    after_return: bool,
    started: bool,
    name: String,
    data: Option<String>,
}

impl Parser {
    /// Takes the next bytes and gives the events they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let second_half = std::mem::take(&mut self.after_return) && byte == b'\n';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    events.extend(self.end_line()?);
                }
                _ if self.line.len() >= LIMIT => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>, TooLong> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let mut line = line.as_ref();
        if !std::mem::replace(&mut self.started, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                let data = match &mut self.data {
                    None => self.data.insert(String::new()),
                    Some(data) => {
                        data.push('\n');
                        data
                    }
                };
                data.push_str(value);
                if data.len() > LIMIT {
                    return Err(TooLong);
                }
            }
            // A comment (no name), an id (log chunks carry their own offsets) or something newer.
            _ => {}
        }
        Ok(None)
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let name = std::mem::take(&mut self.name);
        let data = self.data.take()?;
        let name = if name.is_empty() {
            "message".to_owned()
        } else {
            name
        };
        Some(SseEvent { name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\nevent: run\ndata: {\"a\":\"é\"}\nid: 7\n\nevent:tasks\rdata\r\rdata: one\r\ndata:  two\r\n\r\nevent: dropped\n\nevent: unfinished\ndata: x\n";

    fn event(name: &str, data: &str) -> SseEvent {
        SseEvent {
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn bytes_may_be_split_anywhere() {
        let expected = [
            event("run", "{\"a\":\"é\"}"),
            event("tasks", ""),
            event("message", "one\n two"),
        ];
        let bytes = STREAM.as_bytes();
        for first in 0..=bytes.len() {
            for second in [first, (first + bytes.len()) / 2, bytes.len()] {
                let mut parser = Parser::default();
                let mut found = Vec::new();
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    found.extend(parser.push(piece).unwrap());
                }
                assert_eq!(found, expected, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn one_byte_at_a_time_is_the_same() {
        let mut parser = Parser::default();
        let found: Vec<SseEvent> = STREAM
            .bytes()
            .flat_map(|byte| parser.push(&[byte]).unwrap())
            .collect();
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn an_endless_line_does_not_fill_memory() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; LIMIT];
        assert_eq!(parser.push(&piece), Ok(vec![]));
        assert_eq!(parser.push(b"x"), Err(TooLong));
    }
}
