//! The words of the audit trail. A reader a year later knows
//! nothing but the entry, so it names things by value and not by number.

use super::field::FieldError;
use std::fmt;
use std::str::FromStr;

/// The replacement of a value that must not be read.
pub const HIDDEN: &str = "••••";

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$one:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$one])* $variant),+ }

        impl $name {
            /// Every value, in the order of menus.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the API and the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|one| one.as_str()).collect();
                    FieldError::new($what, format!("{text:?} is none of {}", known.join(", ")))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// The proof of an actor's identity.
    ActorKind, "actor", {
        /// A person who logged in.
        User = "user",
        /// A program with an API token.
        Token = "token",
        /// A program that may open the socket in the data directory: the command line.
        Local = "local",
        /// The server itself.
        Server = "server",
        /// A client without proof, for example one that tries passwords.
        Stranger = "stranger",
    }
);

/// An actor and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The proof of identity.
    pub kind: ActorKind,
    /// The name of the user or of the token.
    pub name: String,
    /// The network address; empty where there is none.
    pub address: String,
}

impl Actor {
    /// The server itself.
    pub fn server() -> Self {
        Self {
            kind: ActorKind::Server,
            name: "lightflow".to_owned(),
            address: String::new(),
        }
    }
}

words!(
    /// The act.
    Action, "action", {
        /// Something is there that was not.
        Added = "added",
        /// Something is otherwise than it was.
        Changed = "changed",
        /// Something is gone.
        Removed = "removed",
        /// A run was started by hand.
        Started = "started",
        /// A run was asked to stop.
        Cancelled = "cancelled",
        /// A login.
        LoggedIn = "logged in",
        /// A logout.
        LoggedOut = "logged out",
        /// Wrong passwords came so often that they are slowed down.
        Slowed = "slowed down",
        /// A test message was sent.
        Tried = "tried",
        /// A file was downloaded, for example a snapshot.
        Downloaded = "downloaded",
    }
);

words!(
    /// The kind of thing that was changed.
    SubjectKind, "kind", {
        /// A task.
        Task = "task",
        /// A run.
        Run = "run",
        /// A pool.
        Pool = "pool",
        /// A variable.
        Variable = "variable",
        /// A script.
        Script = "script",
        /// Libraries of scripts.
        Libraries = "libraries",
        /// A channel of notifications.
        Notification = "notification",
        /// A user.
        User = "user",
        /// An API token.
        Token = "token",
        /// A login that lasts.
        Session = "session",
        /// Settings of the server.
        Settings = "settings",
        /// The certificate of the server.
        Certificate = "certificate",
        /// A copy of the database.
        Snapshot = "snapshot",
    }
);

/// One field before and after; none where there was or is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Its path, such as `steps.sync.timeout`.
    pub field: String,
    /// The old value.
    pub old: Option<String>,
    /// The new value.
    pub new: Option<String>,
}

/// Something that was done, before it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The act.
    pub action: Action,
    /// The kind of thing.
    pub kind: SubjectKind,
    /// Its name or number.
    pub name: String,
    /// The changed fields.
    pub changes: Vec<FieldChange>,
}

impl Deed {
    /// Something of which no field changed.
    pub fn new(action: Action, kind: SubjectKind, name: impl Into<String>) -> Self {
        Self {
            action,
            kind,
            name: name.into(),
            changes: Vec::new(),
        }
    }

    /// The same with one more changed field.
    #[must_use]
    pub fn with(mut self, field: &str, old: Option<String>, new: Option<String>) -> Self {
        self.changes.push(FieldChange {
            field: field.to_owned(),
            old,
            new,
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse::<Action>().unwrap(), *action);
        }
        for kind in SubjectKind::ALL {
            assert_eq!(kind.as_str().parse::<SubjectKind>().unwrap(), *kind);
        }
        let error = "root".parse::<ActorKind>().unwrap_err();
        assert!(error.problem.contains("user, token, local"), "{error}");
    }
}
