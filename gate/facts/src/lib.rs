//! Facts that only `backupctl` can collect, for the doctor in `backupctl-setup`.
//!
//! Only `backupctl` can confine rclone, and only it knows the records of stopped services. So the doctor starts `backupctl`
//! at a hidden entry, once for each question, and reads one line of JSON.
//!
//! Invariant: a fact holds no secret, and the doctor alone judges it.
#![forbid(unsafe_code)]

pub mod lease;
pub mod remote;
pub mod service;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The hidden first argument for a question; the words of a [`Question`] follow.
pub const ENTRY: &str = "__facts";

/// A question about this host or a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The quota of a remote, by the remote's name; the answer is a [`remote::Quota`].
    Quota(String),
    /// The newest archives on a remote folder; the answer is [`remote::Archives`].
    Archives(String),
    /// A write probe of a remote folder; the answer is a [`remote::Report`].
    Probe(String),
    /// The services that the gate has stopped; the answer is [`lease::Leases`].
    Leases,
    /// The state of a service; the answer is [`service::Service`].
    Service(String),
}

impl Question {
    /// The words after [`ENTRY`].
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        match self {
            Self::Quota(name) => vec!["quota", name],
            Self::Archives(remote) => vec!["archives", remote],
            Self::Probe(remote) => vec!["probe", remote],
            Self::Leases => vec!["leases"],
            Self::Service(service) => vec!["service", service],
        }
    }

    /// Reads the words after [`ENTRY`].
    #[must_use]
    pub fn parse(words: &[&str]) -> Option<Self> {
        Some(match *words {
            ["quota", name] => Self::Quota(name.into()),
            ["archives", remote] => Self::Archives(remote.into()),
            ["probe", remote] => Self::Probe(remote.into()),
            ["leases"] => Self::Leases,
            ["service", service] => Self::Service(service.into()),
            _ => return None,
        })
    }
}

/// The line of an answer.
#[must_use]
pub fn line(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

/// Reads an answer: the last line of the output.
///
/// # Errors
/// When that line is no such answer.
pub fn read<T: DeserializeOwned>(output: &[u8]) -> Result<T, serde_json::Error> {
    let text = String::from_utf8_lossy(output);
    serde_json::from_slice(text.lines().last().unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_survives_the_way_through_its_words() {
        for question in [
            Question::Quota("onedrive".into()),
            Question::Archives("onedrive:/B".into()),
            Question::Probe("onedrive:/B".into()),
            Question::Leases,
            Question::Service("n8n".into()),
        ] {
            assert_eq!(Question::parse(&question.words()), Some(question));
        }
        assert_eq!(Question::parse(&["leases", "n8n"]), None);
        assert_eq!(Question::parse(&[]), None);
    }
}
