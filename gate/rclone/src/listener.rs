//! Turns rclone's output into progress and into lines for people.
//!
//! Invariant: memory stays bounded for any amount of output.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::log::{Level, Line, Message, Stats, refuses_sign_in};
use base::progress::{Amount, Cause, Phase, Progress, Waiting};
use base::reply::Stream;
use host::Ear;

/// The number of errors to keep; the first names the cause, the last the result.
const KEPT: usize = 20;

/// The largest number of failed files to list by name.
const NAMED: usize = 1000;

/// rclone's debug message for a wait because of throttling.
const THROTTLED: &str = "Too many requests. Trying again in ";

/// rclone's debug message for the reason why a requested file is not sent.
const NOT_OPENED: &str = "Get request open error: ";

/// Listens to one run of rclone.
#[derive(Debug)]
pub struct Listener {
    phase: Phase,
    /// Bytes and files to transfer, if known beforehand.
    totals: Option<(u64, u64)>,
    stats: Option<Stats>,
    errors: Vec<String>,
    unchecked: bool,
    sign_in_refused: bool,
    matching: u64,
    /// Files that this attempt did not transfer: the first thousand names, and the total number.
    failed: (BTreeSet<String>, u64),
    attempt_ended: bool,
    /// The end of rclone's current wait for a throttling remote, and the total time of all such waits.
    throttled: (Option<Instant>, Duration),
    /// The longest time that rclone may wait.
    allowed: Option<Duration>,
}

impl Listener {
    /// A listener that has read no output yet.
    #[must_use]
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            totals: None,
            stats: None,
            errors: Vec::new(),
            unchecked: false,
            sign_in_refused: false,
            matching: 0,
            failed: (BTreeSet::new(), 0),
            attempt_ended: false,
            throttled: (None, Duration::ZERO),
            allowed: None,
        }
    }

    /// Ends the run when the remote makes rclone wait longer than this.
    #[must_use]
    pub fn waiting_at_most(self, allowed: Option<Duration>) -> Self {
        Self { allowed, ..self }
    }

    /// The time that rclone still has to wait, as stated by the remote.
    #[must_use]
    pub fn throttled_for(&self, now: Instant) -> Duration {
        let until = self.throttled.0;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// The total time that rclone waited because it was throttled.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.throttled.1
    }

    /// Files that the last attempt did not transfer: the first thousand names, and the total number.
    #[must_use]
    pub fn failed(&self) -> (&BTreeSet<String>, u64) {
        (&self.failed.0, self.failed.1)
    }

    /// The last progress line, for a time without progress.
    #[must_use]
    pub fn standing_still(&self, waiting: Waiting) -> String {
        self.progress().waiting(waiting).to_string()
    }

    /// Adds a wait for the remote's own request limit; several transfers wait at the same time.
    fn throttle(&mut self, text: &str) -> Option<(Stream, String)> {
        let seconds = text.strip_prefix(THROTTLED)?.split(' ').next()?;
        let seconds: u64 = seconds.parse().ok()?;
        let now = Instant::now();
        let until = now.checked_add(Duration::from_secs(seconds))?;
        let before = self.throttled.0.map_or(now, |before| before.max(now));
        let longer = until.saturating_duration_since(before);
        self.throttled.1 = self.throttled.1.saturating_add(longer);
        self.throttled.0 = Some(until.max(before));
        if self.has_enough() {
            // The reason why the run ends now.
            self.remember(text);
        }
        let cause = Cause::Throttled;
        let line = self.standing_still(Waiting { cause, seconds });
        Some((Stream::Out, line))
    }

    fn miss(&mut self, message: &Message) {
        if message.text.starts_with("Attempt ") {
            self.attempt_ended = true;
        }
        let Some(object) = message
            .object
            .as_ref()
            .filter(|_| message.text.starts_with("Failed to copy"))
        else {
            return;
        };
        if std::mem::take(&mut self.attempt_ended) {
            self.failed = (BTreeSet::new(), 0);
        }
        if self.failed.0.contains(object) {
            return;
        }
        self.failed.1 += 1;
        if self.failed.0.len() < NAMED {
            self.failed.0.insert(object.clone());
        }
    }

    /// Sets the bytes and files to transfer, so that progress does not begin at a hundred percent of the first file.
    #[must_use]
    pub fn of(self, bytes: u64, files: u64) -> Self {
        Self {
            totals: Some((bytes, files)),
            ..self
        }
    }

    /// The first and the last errors, without file names.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// The number of files that a comparison found equal.
    #[must_use]
    pub fn matching(&self) -> u64 {
        self.matching
    }

    /// True when both sides share no hash, so the comparison used sizes alone.
    #[must_use]
    pub fn compared_sizes_alone(&self) -> bool {
        self.unchecked
    }

    /// True when the server refused the stored sign-in, at any level: rclone before 1.68 repeats the request for 5 s.
    #[must_use]
    pub fn sign_in_was_refused(&self) -> bool {
        self.sign_in_refused
    }

    /// The last progress report.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.unwrap_or_default()
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

    /// Records an error from the answer to a request.
    pub(super) fn answered(&mut self, error: &str) {
        self.sign_in_refused |= refuses_sign_in(error);
        self.remember(error);
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
        // Newer versions report their final error at the level of a notice.
        let last_words = message.level == Level::Notice && message.text.starts_with("Failed to ");
        if message.level == Level::Error || last_words {
            self.remember(&message.text);
            self.miss(message);
        }
        self.sign_in_refused |= refuses_sign_in(&message.text);
        self.unchecked |= message.text.contains("hashes could not be checked")
            || message.text.starts_with("No common hash found");
        if let Some(number) = message.text.strip_suffix(" matching files") {
            self.matching = number.parse().unwrap_or(0);
        }
        let worth_a_line = message.level >= Level::Notice;
        worth_a_line.then(|| (Stream::Err, message.show()))
    }
}

impl Ear for Listener {
    fn hear(&mut self, line: &str) -> Option<(Stream, String)> {
        // rclone writes a line of this level for each file of a mirror. The quotes of a name are escaped in JSON.
        let matters =
            line.contains(THROTTLED) || line.contains("invalid_") || line.contains(NOT_OPENED);
        if line.contains(r#""level":"debug""#) && !matters {
            return None;
        }
        match Line::parse(line) {
            // `rclone rcd` repeats requests in its log, with their answers.
            Line::Message(message) if is_about_requests(&message.text) => None,
            Line::Message(message) if message.level == Level::Debug => {
                // rclone reports this before it gives up.
                self.sign_in_refused |= refuses_sign_in(&message.text);
                if let Some(reason) = message.text.strip_prefix(NOT_OPENED) {
                    self.remember(reason);
                }
                self.throttle(&message.text)
            }
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

    fn measure(&mut self, answer: &[u8]) -> Option<(Stream, String)> {
        self.stats = Some(serde_json::from_slice(answer).ok()?);
        Some((Stream::Out, self.progress().to_string()))
    }

    /// The limit of a line. A report names every file that is being transferred or compared, each up to 4096 bytes long
    /// and written with up to six characters a byte.
    fn longest_line(&self) -> usize {
        1 << 20
    }

    fn has_enough(&self) -> bool {
        self.allowed
            .is_some_and(|allowed| self.throttled.1 > allowed)
    }
}

/// True for messages of the part of rclone that answers requests.
fn is_about_requests(text: &str) -> bool {
    text.starts_with("rc: ") || text.starts_with("Serving remote control on ")
}

/// One listener for several runs; each run begins where the one before it ended.
#[derive(Debug, Clone)]
pub struct Shared(pub Rc<RefCell<Listener>>);

impl Ear for Shared {
    fn hear(&mut self, line: &str) -> Option<(Stream, String)> {
        self.0.borrow_mut().hear(line)
    }

    fn longest_line(&self) -> usize {
        self.0.borrow().longest_line()
    }

    fn has_enough(&self) -> bool {
        self.0.borrow().has_enough()
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
    }

    #[test]
    fn throttling_is_told_and_ends_a_run_that_waits_for_too_long() {
        let line = |seconds: u64| {
            format!(
                r#"{{"level":"debug","msg":"Too many requests. Trying again in {seconds} seconds."}}"#
            )
        };
        let mut listener =
            Listener::new(Phase::Uploading).waiting_at_most(Some(Duration::from_secs(60)));
        let said = listener.hear(&line(40)).unwrap();
        assert_eq!(said.0, Stream::Out);
        assert!(
            said.1
                .ends_with("(uploading; throttled by the remote, next try in 40 s)"),
            "{}",
            said.1
        );
        // Another transfer waits at the same time.
        listener.hear(&line(40));
        assert!(!listener.has_enough() && listener.waited() < Duration::from_secs(41));
        assert!(listener.throttled_for(Instant::now()) > Duration::from_secs(30));
        listener.hear(&line(61));
        assert!(listener.has_enough() && listener.errors().len() == 1);
        let named = r#"{"level":"debug","msg":"Unchanged skipping","object":"Too many requests. Trying again in 90 seconds."}"#;
        assert_eq!(Listener::new(Phase::Uploading).hear(named), None);
    }

    /// rclone 1.60 names the remote as the object of this message.
    #[test]
    fn a_refused_sign_in_is_heard_while_rclone_still_tries() {
        let mut listener = Listener::new(Phase::Comparing);
        let line = r#"{"level":"debug","msg":"Token refresh failed try 1/5: oauth2: cannot fetch token: 400 Bad Request: invalid_grant","object":"onedrive"}"#;
        assert_eq!(listener.hear(line), None);
        assert!(listener.sign_in_was_refused());
    }

    #[test]
    fn files_that_failed_are_those_of_the_last_attempt() {
        let mut listener = Listener::new(Phase::Downloading);
        for line in [
            r#"{"level":"error","msg":"Failed to copy: no","object":"a"}"#,
            r#"{"level":"error","msg":"Failed to copy: no","object":"b"}"#,
            r#"{"level":"error","msg":"Attempt 1/3 failed with 2 errors"}"#,
            r#"{"level":"error","msg":"Failed to copy: no","object":"b"}"#,
            r#"{"level":"error","msg":"Attempt 2/3 failed with 1 errors"}"#,
        ] {
            listener.hear(line);
        }
        assert_eq!(listener.failed(), (&BTreeSet::from(["b".to_owned()]), 1));
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
