//! The one door to every change: one function for each act, with typed input and result.
//!
//! The API, the pages and the import call these functions and change nothing themselves. An
//! act and its audit entry are one transaction, also for acts on files.

pub(super) mod certificate;
pub(super) mod channels;
pub(super) mod connection;
pub(super) mod libraries;
pub(super) mod once;
pub(super) mod pools;
pub(super) mod runs;
pub(super) mod scripts;
pub(super) mod sessions;
pub(super) mod settings;
pub(super) mod snapshots;
pub(super) mod tasks;
pub(super) mod tokens;
pub(super) mod transfer;
pub(super) mod users;
pub(super) mod variables;
