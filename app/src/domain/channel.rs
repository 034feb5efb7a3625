//! Notification channels: a target and the occasions that it subscribes to.

use super::names::{ChannelName, TaskName};
use super::target::Kind;

/// The occasion of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A run failed or was interrupted.
    Failure,
    /// A run succeeded after a failure, or after the task was overdue.
    Recovery,
    /// A task did not succeed for longer than its schedule allows.
    Overdue,
    /// A run succeeded; only pings are told.
    Success,
    /// A test of a channel.
    Test,
}

impl Occasion {
    /// Every value.
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
    /// The kind of its target.
    pub kind: Kind,
    /// True if notifications are sent.
    pub enabled: bool,
    /// Its subscription. A ping hears of good and of failed runs in any case.
    pub wishes: Wishes,
    /// The tasks it is about; none means all.
    pub tasks: Option<Vec<TaskName>>,
}
