//! The account behind the forced command.

use base::names::{PlainPath, UserName};

use crate::key::section;

section! {
    /// The account behind the forced command. Only `--doctor` looks at it: the gate itself trusts no account.
    Account is "account", "Only `--doctor` uses it.";
    // Covered by `defaults_are_well_formed`.
    user: UserName = UserName::parse("backup_ops").unwrap_or_else(|_| unreachable!("backup_ops")), "The account behind the forced command.";
    keys: Option<PlainPath> = None, like "\"/etc/ssh/keys/backup_ops\"", "Its file of keys, if that is not the one of sshd's `AuthorizedKeysFile`.";
}
