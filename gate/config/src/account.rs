//! The account behind the forced command.

use serde::Deserialize;

use base::names::{PlainPath, UserName};

/// The account behind the forced command. Only `--doctor` looks at it: the gate itself trusts no account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// Its name.
    pub user: UserName,
    /// Its file of keys, when that is not where sshd's settings say.
    pub keys: Option<PlainPath>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            // Covered by `defaults_are_well_formed`.
            user: UserName::parse("backup_ops").unwrap_or_else(|_| unreachable!("backup_ops")),
            keys: None,
        }
    }
}
