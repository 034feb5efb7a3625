//! Listens to the output of a step for the few lines that the runner understands.
//!
//! Invariant: it holds one line's beginning at most, however long a line is, and all that is
//! longer than [`LONGEST`] means nothing.

use crate::domain::figure::Figures;
use crate::domain::progress::Progress;
use tokio::sync::watch;

/// Longest line that is understood, in bytes. A line `result: {json}` has at most 2,000.
const LONGEST: usize = 2048;

/// Reads along while a log is written.
#[derive(Debug)]
pub(super) struct Listener {
    line: Vec<u8>,
    /// The line became too long to mean anything.
    overlong: bool,
    figures: Figures,
    progress: watch::Sender<Option<Progress>>,
}

impl Listener {
    /// Tells `progress` how far the step says it is.
    pub(super) fn new(progress: watch::Sender<Option<Progress>>) -> Self {
        Self {
            line: Vec::new(),
            overlong: false,
            figures: Figures::default(),
            progress,
        }
    }

    /// The figures that the step reported so far.
    pub(super) fn figures(&self) -> Figures {
        self.figures.clone()
    }

    /// The last progress, if it was that of an upload.
    pub(super) fn upload(&self) -> Option<String> {
        let progress = self.progress.borrow();
        progress
            .as_ref()
            .filter(|p| p.uploads())
            .map(ToString::to_string)
    }

    /// Takes the next bytes of the log.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if self.line.len() + text.len() > LONGEST {
                self.overlong = true;
            } else if !self.overlong {
                self.line.extend_from_slice(text);
            }
            if ended {
                if !self.overlong {
                    self.hear();
                }
                self.line.clear();
                self.overlong = false;
            }
        }
    }

    fn hear(&mut self) {
        let Ok(line) = std::str::from_utf8(&self.line) else {
            return;
        };
        let line = line.trim_end_matches('\r');
        self.figures.hear(line);
        if let Some(progress) = Progress::parse(line) {
            self.progress.send_replace(Some(progress));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_however_they_are_cut() {
        let text = b"noise\nresult: {\"version\":1,\"kind\":\"downtime\",\"subject\":\"n8n\",\"ms\":2500}\r\nprogress: 40% half\nprogress: 50% no end";
        for size in 1..text.len() {
            let (sender, progress) = watch::channel(None);
            let mut listener = Listener::new(sender);
            for piece in text.chunks(size) {
                listener.push(piece);
            }
            assert_eq!(listener.figures().down_ms, Some(2500), "{size}");
            let percent = progress.borrow().as_ref().and_then(|p| p.percent);
            assert_eq!(percent, Some(40), "{size}");
        }
    }

    #[test]
    fn an_endless_line_takes_no_memory_and_the_next_one_counts() {
        let mut listener = Listener::new(watch::Sender::new(None));
        for _ in 0..100 {
            listener.push(&[b'x'; 4096]);
        }
        assert!(listener.line.capacity() <= 2 * LONGEST);
        listener.push(
            b"\nresult: {\"version\":1,\"kind\":\"downtime\",\"subject\":\"n8n\",\"ms\":1000}\n",
        );
        assert_eq!(listener.figures().down_ms, Some(1000));
    }
}
