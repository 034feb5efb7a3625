//! Who is told of what: a channel has a target and says which occasions it wants to hear of.

use super::names::{ChannelName, TaskName};
use super::target::Kind;

/// Why a notification is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A run failed or was interrupted.
    Failure,
    /// A run succeeded after a failure, or after the task was overdue.
    Recovery,
    /// A task did not succeed for longer than its schedule allows.
    Overdue,
    /// A run succeeded; only pings hear of it.
    Success,
    /// Somebody tries a channel out.
    Test,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Failure,
        Self::Recovery,
        Self::Overdue,
        Self::Success,
        Self::Test,
    ];

    /// The name in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::Overdue => "overdue",
            Self::Success => "success",
            Self::Test => "test",
        }
    }
}

/// The occasions a channel wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// [`Occasion::Failure`].
    pub failure: bool,
    /// [`Occasion::Recovery`].
    pub recovery: bool,
    /// [`Occasion::Overdue`].
    pub overdue: bool,
}

/// A channel without its target's secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Unique among channels.
    pub name: ChannelName,
    /// What its target is.
    pub kind: Kind,
    /// Whether anything is sent.
    pub enabled: bool,
    /// What it wants to hear of; a ping hears of good and of failed runs, whatever this says.
    pub wishes: Wishes,
    /// The tasks it is about; none means all.
    pub tasks: Option<Vec<TaskName>>,
}
