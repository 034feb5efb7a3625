//! The two pipes of a running program: bytes → lines, for the caller, an ear, or the gate itself.
//!
//! Invariant: reading never waits, and a program that writes without end fills no memory.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdout};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags};

use super::{Ear, Exit};
use crate::program::{EXIT_PREPARE, NotStarted, Output, Token};
use base::reply::{Reply, Stream};

/// Limit of a program's captured output. A year of archives is a tenth of this.
const CAPTURE_LIMIT: usize = 4 << 20;

/// The longest line of standard output that is put together before it is passed on as it is.
const LINE_LIMIT: usize = 4096;

/// Remembered lines of standard error.
const LAST_WORDS: usize = 20;

/// The two pipes of a running program.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    out_line: Vec<u8>,
    err_line: Vec<u8>,
    pub(super) captured: Vec<u8>,
    pub(super) last_words: Vec<String>,
    /// By which the second instance says that it did not become the program.
    token: Option<Token>,
    not_started: Option<NotStarted>,
}

impl Streams {
    pub(super) fn new(
        out: Option<ChildStdout>,
        err: Option<ChildStderr>,
        token: Option<Token>,
    ) -> Self {
        for fd in [out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd)]
            .into_iter()
            .flatten()
        {
            // A blocking pipe would only make the loop wait for output; it cannot lose any.
            let _ = fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        }
        let (out_line, err_line) = (Vec::new(), Vec::new());
        Self {
            out,
            err,
            out_line,
            err_line,
            captured: Vec::new(),
            last_words: Vec::new(),
            token,
            not_started: None,
        }
    }

    /// The end of the program, once both pipes were read: a program that was never started did not end by itself.
    pub(super) fn judged(&self, exit: Option<Exit>) -> Exit {
        match (exit, self.not_started) {
            (Some(Exit::Code(EXIT_PREPARE)), Some(reason)) => Exit::NotStarted(reason),
            (exit, _) => exit.unwrap_or(Exit::Unknown),
        }
    }

    pub(super) fn pipes(&self) -> Vec<PollFd<'_>> {
        [
            self.out.as_ref().map(AsFd::as_fd),
            self.err.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect()
    }

    /// Reads the available bytes and passes them on.
    pub(super) fn pump(&mut self, output: Output, reply: &mut Reply, ear: &mut dyn Ear) {
        let mut fresh = Vec::new();
        if drain(&mut self.out, &mut fresh) {
            self.out = None;
        }
        match output {
            Output::Relayed => {
                split(&mut self.out_line, &fresh, LINE_LIMIT, |line| {
                    reply.line(Stream::Out, line)
                });
            }
            Output::Captured | Output::Silent => {
                let room = CAPTURE_LIMIT.saturating_sub(self.captured.len());
                self.captured.extend(fresh.iter().take(room));
            }
        }
        fresh.clear();
        if drain(&mut self.err, &mut fresh) {
            self.err = None;
        }
        let (token, not_started) = (&self.token, &mut self.not_started);
        let last_words = &mut self.last_words;
        split(&mut self.err_line, &fresh, ear.longest_line(), |line| {
            let line = match token.as_ref().and_then(|token| token.read(line)) {
                Some((reason, words)) => {
                    *not_started = Some(reason);
                    &format!("backupctl: {words}")
                }
                None => line,
            };
            heard(ear, output, reply, last_words, line);
        });
    }

    /// Passes on lines that have no end.
    pub(super) fn finish(&mut self, output: Output, reply: &mut Reply, ear: &mut dyn Ear) {
        if output == Output::Relayed && !self.out_line.is_empty() {
            reply.line(Stream::Out, &String::from_utf8_lossy(&self.out_line));
        }
        if !self.err_line.is_empty() {
            let line = String::from_utf8_lossy(&self.err_line).into_owned();
            heard(ear, output, reply, &mut self.last_words, &line);
        }
        self.out_line.clear();
        self.err_line.clear();
    }
}

/// Passes on the ear's text for a line.
fn heard(
    ear: &mut dyn Ear,
    output: Output,
    reply: &mut Reply,
    last_words: &mut Vec<String>,
    line: &str,
) {
    if let Some((stream, text)) = ear.hear(line) {
        // A silent program prints no progress itself; the ear makes these lines.
        if output != Output::Silent || stream == Stream::Out {
            reply.line(stream, &text);
        }
        if stream == Stream::Err {
            remember(last_words, &text);
        }
    }
}

fn remember(last_words: &mut Vec<String>, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    if last_words.len() == LAST_WORDS {
        last_words.remove(0);
    }
    last_words.push(line.trim().to_owned());
}

/// Reads the content of a pipe, a bounded amount at a time; true at its end.
fn drain(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> bool {
    let Some(pipe) = pipe else {
        return false;
    };
    let mut buffer = [0_u8; 16 << 10];
    for _ in 0..16 {
        match pipe.read(&mut buffer) {
            Ok(0) => return true,
            Ok(n) => into.extend(buffer.iter().take(n)),
            Err(error) if error.raw_os_error() == Some(Errno::EINTR as i32) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
    false
}

/// Adds bytes to a line, and hands over each line that is complete. A carriage return ends one as well:
/// that is how progress is drawn.
fn split(line: &mut Vec<u8>, bytes: &[u8], longest: usize, mut each: impl FnMut(&str)) {
    for &byte in bytes {
        let ends = byte == b'\n' || byte == b'\r';
        if !ends {
            line.push(byte);
        }
        if (ends && !line.is_empty()) || line.len() >= longest {
            each(&String::from_utf8_lossy(line));
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_across_reads() {
        let (mut line, mut seen) = (Vec::new(), Vec::new());
        for piece in [&b"one\ntw"[..], b"o\r\nthr", b"ee\n"] {
            split(&mut line, piece, LINE_LIMIT, |text| {
                seen.push(text.to_owned())
            });
        }
        assert_eq!(seen, ["one", "two", "three"]);
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_memory() {
        let (mut line, mut pieces) = (Vec::new(), 0);
        split(&mut line, &vec![b'x'; LINE_LIMIT * 3], LINE_LIMIT, |_| {
            pieces += 1;
        });
        assert_eq!((line.len(), pieces), (0, 3));
    }
}
