//! The store: everything that survives a restart, in one SQLite file.
//!
//! Two threads own a connection each; all changes go through one of them, in the
//! order in which they were asked for. With nothing to do both threads sleep.

pub mod accounts;
pub mod alarms;
pub mod audit;
pub mod channels;
mod codec;
mod connection;
mod error;
pub mod fares;
pub mod measure;
mod migrate;
pub mod outbox;
pub mod pools;
pub mod retention;
pub mod runs;
pub mod sessions;
pub mod settings;
pub mod snapshot;
pub mod tasks;
pub mod tokens;
pub mod variables;

pub use accounts::{Account, Principal, Role, Scope};
pub use channels::StoredChannel;
pub use error::StoreError;
pub use outbox::{Delivery, Message, MessageState};
pub use pools::PoolUse;
pub use runs::RunQuery;
pub use sessions::{Client, SessionInfo};
pub use settings::Settings;
pub use tasks::{Fire, StoredTask};
pub use tokens::TokenInfo;
pub use variables::{Content, StoredVariable};

use connection::Mode;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the store; clones share the two threads.
#[derive(Debug, Clone)]
pub struct Store {
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Job>,
    path: PathBuf,
}

impl Store {
    /// Opens (and if need be creates or migrates) the database file at `path`.
    ///
    /// # Errors
    /// Says why the file cannot be used: not writable, garbage, from a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut writer = connection::open(path, Mode::Writer)?;
        migrate::migrate(&mut writer, path).map_err(|e| match e {
            StoreError::Sqlite(e) => connection::explain(path, &e),
            other => other,
        })?;
        let reader = connection::open(path, Mode::Reader)?;
        Ok(Self {
            writer: serve("store-writer", writer)?,
            reader: serve("store-reader", reader)?,
            path: path.to_owned(),
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in one transaction and commits it durably before returning.
    ///
    /// # Errors
    /// Those of `work` (nothing is changed then), and of the commit.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        ask(&self.writer, |connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        })
        .await
    }

    /// Runs `work` on one consistent view of the database.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        ask(&self.reader, |connection| {
            let tx = connection.transaction()?;
            work(&tx)
        })
        .await
    }
}

/// Gives a connection to a thread of its own, which works off jobs until no handle is left.
fn serve(name: &str, mut connection: Connection) -> Result<mpsc::Sender<Job>, StoreError> {
    let (sender, jobs) = mpsc::channel::<Job>();
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(512 * 1024)
        .spawn(move || {
            for job in jobs {
                job(&mut connection);
            }
        })
        .map_err(|_| StoreError::Closed)?;
    Ok(sender)
}

async fn ask<T, F>(lane: &mpsc::Sender<Job>, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        // Whoever asked may have gone away (a closed browser); the work is done all the same.
        let _ = reply.send(work(connection));
    });
    lane.send(job).map_err(|_| StoreError::Closed)?;
    answer.await.map_err(|_| StoreError::Closed)?
}

#[cfg(test)]
mod tests;
