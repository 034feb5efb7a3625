//! The kinds of values that verbs and options take.
//!
//! Invariant: plain data; `table` says which verb takes which.

/// The kind of a value, which shells complete and people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A service of the configuration.
    Service,
    /// An extra target of the configuration.
    Target,
    /// The data directory of a service.
    Path,
    /// A remote folder of the configuration.
    Remote,
    /// A number of seconds.
    Seconds,
    /// A number of archives.
    Count,
    /// The day of an archive, or the word `mirror`.
    Origin,
    /// A directory of this host.
    Directory,
    /// A path below the data of a service, in raw bytes.
    InnerPath,
    /// A user of this host.
    User,
    /// `bash`, `zsh` or `fish`.
    Shell,
    /// A whole request line.
    Line,
}

impl Value {
    /// The word for it in a synopsis.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "SVC",
            Self::Target => "NAME",
            Self::Path => "P",
            Self::Remote => "R",
            Self::Seconds => "S",
            Self::Count => "N",
            Self::Origin => "DAY|mirror",
            Self::Directory => "DIR",
            Self::InnerPath => "PATH",
            Self::User => "USER",
            Self::Shell => "bash|zsh|fish",
            Self::Line => "\"LINE\"",
        }
    }
}

/// The values that follow a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// There must be one.
    One(Value),
    /// There may be one.
    AtMostOne(Value),
    /// There is none.
    Nothing,
}

impl Takes {
    /// The kind of the value, where there may be one.
    #[must_use]
    pub fn value(self) -> Option<Value> {
        match self {
            Self::One(value) | Self::AtMostOne(value) => Some(value),
            Self::Nothing => None,
        }
    }
}
