//! The transaction in which the store is read and written. Only the store sees the SQL below
//! it: others get this type and pass it to the store's functions.

/// A transaction.
pub struct Tx<'a>(pub(super) rusqlite::Transaction<'a>);
