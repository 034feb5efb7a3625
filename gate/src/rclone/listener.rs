//! What rclone says while it works, turned into progress and into lines for people.
//!
//! Invariant: memory stays bounded however much is said.

use super::log::{Level, Line, Message, Stats};
use super::outcome::refuses_sign_in;
use super::survey::Survey;
use crate::host::Ear;
use crate::progress::{Amount, Phase, Progress};
use crate::reply::Stream;

/// How many errors are kept; the first says what happened, the last what came of it.
const KEPT: usize = 20;

/// Hears one run of rclone.
#[derive(Debug)]
pub struct Listener {
    phase: Phase,
    /// Bytes and files to transfer, where that is known beforehand.
    totals: Option<(u64, u64)>,
    stats: Option<Stats>,
    deleted: u64,
    survey: Survey,
    errors: Vec<String>,
    unchecked: bool,
    sign_in_refused: bool,
    matching: u64,
}

impl Listener {
    /// Nothing was heard yet.
    #[must_use]
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            totals: None,
            stats: None,
            deleted: 0,
            survey: Survey::default(),
            errors: Vec::new(),
            unchecked: false,
            sign_in_refused: false,
            matching: 0,
        }
    }

    /// With the bytes and files to transfer, so that progress does not begin at a hundred percent of the first file.
    #[must_use]
    pub fn of(self, bytes: u64, files: u64) -> Self {
        Self {
            totals: Some((bytes, files)),
            ..self
        }
    }

    /// What a rehearsal found.
    #[must_use]
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Files that were deleted, also when the run was cut short.
    #[must_use]
    pub fn deleted(&self) -> u64 {
        self.deleted.max(self.stats().deletes)
    }

    /// The first and the last errors, without the names of files.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Files that a comparison found to be alike.
    #[must_use]
    pub fn matching(&self) -> u64 {
        self.matching
    }

    /// True when a comparison had no hash that both sides know, and so compared sizes alone.
    #[must_use]
    pub fn compared_sizes_alone(&self) -> bool {
        self.unchecked
    }

    /// True when the server refused the stored sign-in, said at any level: rclone before 1.68 repeats the question for 5 s.
    #[must_use]
    pub fn sign_in_was_refused(&self) -> bool {
        self.sign_in_refused
    }

    /// The last report of progress.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.unwrap_or_default()
    }

    /// Whether there was any.
    #[must_use]
    pub fn has_stats(&self) -> bool {
        self.stats.is_some()
    }

    fn remember(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.errors.len() == KEPT {
            self.errors.remove(KEPT / 2);
        }
        self.errors.push(text.to_owned());
    }

    fn progress(&self) -> Progress {
        let stats = self.stats();
        let (bytes, files) = match self.phase {
            Phase::Comparing => (Amount::new(0, None), Amount::new(stats.checks, None)),
            _ => {
                let listed = (stats.total_bytes, stats.total_transfers);
                let (bytes, files) = self.totals.unwrap_or(listed);
                (
                    Amount::new(stats.bytes, Some(bytes)),
                    Amount::new(stats.transfers, Some(files)),
                )
            }
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and takes what is not a number for 0"
        )]
        let speed = match self.phase {
            Phase::Comparing => 0,
            _ => stats.speed as u64,
        };
        Progress::new(self.phase, bytes, files, speed)
    }

    fn message(&mut self, message: &Message) -> Option<(Stream, String)> {
        // Newer versions say their last words at the level of a notice.
        let last_words = message.level == Level::Notice && message.text.starts_with("Failed to ");
        if message.level == Level::Error || last_words {
            self.remember(&message.text);
        }
        if self.survey.take(message) {
            return None;
        }
        self.sign_in_refused |= refuses_sign_in(&message.text);
        self.unchecked |= message.text.contains("hashes could not be checked")
            || message.text.starts_with("No common hash found");
        if let Some(number) = message.text.strip_suffix(" matching files") {
            self.matching = number.parse().unwrap_or(0);
        }
        if matches!(message.text.as_str(), "Deleted" | "Moved into backup dir") {
            self.deleted += 1;
        }
        let worth_a_line = message.level >= Level::Notice;
        worth_a_line.then(|| (Stream::Err, message.show()))
    }
}

impl Ear for Listener {
    fn hear(&mut self, line: &str) -> Option<(Stream, String)> {
        match Line::parse(line) {
            Line::Stats(stats) => {
                self.stats = Some(stats);
                Some((Stream::Out, self.progress().to_string()))
            }
            Line::Message(message) => self.message(&message),
            Line::Text(text) => {
                self.remember(&text);
                Some((Stream::Err, text))
            }
        }
    }

    /// A report names all files that are being transferred and compared at the time, each up to 4096 bytes long
    /// and written with up to six characters a byte.
    fn longest_line(&self) -> usize {
        1 << 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_become_progress_on_standard_output() {
        let mut listener = Listener::new(Phase::Uploading);
        let said = listener.hear(r#"{"level":"warning","msg":"x","stats":{"bytes":50,"totalBytes":100,"transfers":0,"totalTransfers":1,"speed":1e6}}"#);
        let line = "progress: 50% 50 of 100 bytes, 0 of 1 files, 1.0 MB/s, 0 s left (uploading)";
        assert_eq!(said, Some((Stream::Out, line.to_owned())));
    }

    #[test]
    fn errors_are_shown_and_kept_without_names() {
        let mut listener = Listener::new(Phase::Mirroring);
        let said = listener
            .hear(r#"{"level":"error","msg":"Failed to copy: no","object":"invalid_grant"}"#);
        let line = "error: Failed to copy: no (invalid_grant)".to_owned();
        assert_eq!(said, Some((Stream::Err, line)));
        assert_eq!(listener.errors(), ["Failed to copy: no"]);
    }

    #[test]
    fn what_is_done_file_by_file_is_not_shown() {
        let mut listener = Listener::new(Phase::Mirroring);
        assert_eq!(
            listener.hear(r#"{"level":"info","msg":"Copied (new)","object":"a"}"#),
            None
        );
        assert_eq!(
            listener
                .hear(r#"{"level":"warning","msg":"Skipped copy","object":"a","skipped":"copy"}"#),
            None
        );
    }

    #[test]
    fn the_first_and_the_last_errors_are_kept() {
        let mut listener = Listener::new(Phase::Mirroring);
        for number in 0..1000 {
            listener.hear(&number.to_string());
        }
        let errors = listener.errors();
        assert_eq!(
            (errors.len(), errors[0].as_str(), errors[KEPT - 1].as_str()),
            (KEPT, "0", "999")
        );
    }
}
