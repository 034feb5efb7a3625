//! The store: everything that survives a restart, in one SQLite file.
//!
//! Three threads own a connection each; all changes go through one of them, in the
//! order in which they were asked for. One of the two readers serves the engine alone. With nothing to do all threads sleep.

pub mod accounts;
pub mod alarms;
pub mod audit;
pub mod channels;
mod codec;
mod connection;
mod error;
pub mod fares;
mod health;
pub mod measure;
mod migrate;
pub mod outbox;
pub mod pauses;
pub mod pools;
pub mod retention;
pub mod runs;
pub mod sessions;
pub mod set_aside;
pub mod settings;
pub mod snapshot;
pub mod snapshot_place;
pub mod task_facts;
pub mod tasks;
pub mod timekeeping;
pub mod tokens;
mod transaction;
pub mod variables;

pub use accounts::{Account, Principal, Role, Scope};
pub use channels::StoredChannel;
pub use error::{Found, Obstacle, StoreError};
pub use outbox::{Delivery, Message, MessageState};
pub use pools::PoolUse;
pub use runs::RunQuery;
pub use sessions::{Client, SessionInfo};
pub use settings::Settings;
pub use task_facts::TaskFacts;
pub use tasks::{Fire, StoredTask};
pub use tokens::TokenInfo;
pub use transaction::Tx;
pub use variables::{Content, StoredVariable};

use crate::panics::{Panicked, abort, caught};
use connection::Mode;
use health::WriteHealth;
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::thread;
use tokio::sync::{oneshot, watch};

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the store; clones share the threads.
#[derive(Debug, Clone)]
pub struct Store {
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Job>,
    /// The engine's own: a step starts while pages read a long history.
    engine_reader: mpsc::Sender<Job>,
    path: PathBuf,
    on_panic: OnPanic,
    /// A write failed by a fault of the disk since the last checkpoint.
    faulty: Arc<AtomicBool>,
    health: WriteHealth,
}

/// The consequence of a panic in work on the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnPanic {
    /// An error for the caller; the transaction is rolled back.
    Report,
    /// The end of the process.
    Abort,
}

impl Store {
    /// Opens (and if need be creates or migrates) the database file at `path`.
    ///
    /// # Errors
    /// Says why the file cannot be used: not writable, garbage, from a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // Runs whose steps stopped a service are finished also from a database that cannot be written.
        let (writer, problem) = match connection::open(path, Mode::Writer) {
            Err(StoreError::ReadOnly(path)) => {
                let problem = health::read_only();
                tracing::error!("{problem}");
                (connection::open(&path, Mode::Reader)?, Some(problem))
            }
            writer => (migrated(writer?, path)?, None),
        };
        migrate::check(&writer, path)?;
        let reader = connection::open(path, Mode::Reader)?;
        let engine_reader = connection::open(path, Mode::Reader)?;
        Ok(Self {
            writer: serve("store-writer", path, writer)?,
            reader: serve("store-reader", path, reader)?,
            engine_reader: serve("store-engine", path, engine_reader)?,
            path: path.to_owned(),
            on_panic: OnPanic::Report,
            faulty: Arc::default(),
            health: WriteHealth::new(problem),
        })
    }

    /// The reason why the database cannot be written, as the last write showed it.
    pub fn obstacle(&self) -> watch::Receiver<Option<String>> {
        self.health.subscribe()
    }

    /// Writes something that changes nothing, to learn if the database can be written again.
    ///
    /// # Errors
    /// The obstacle.
    pub async fn try_to_write(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            let version: i64 =
                tx.0.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok(tx.0.pragma_update(None, "user_version", version)?)
        })
        .await
    }

    /// Writes the log of changes back into the database and empties it.
    ///
    /// # Errors
    /// Where the disk does not take it, or a reader of another process needs the log.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        ask(&self.writer, self.on_panic, |connection| {
            connection::checkpoint(connection)
        })
        .await
    }

    /// Looks for damage in the whole database, on a connection and a thread of its own.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first damage, and those of reading.
    pub async fn check(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let checked = crate::blocking::run(move || {
            connection::quick_check(&connection::open(&path, Mode::Reader)?)
        });
        checked.await.map_err(std::io::Error::from)?
    }

    /// A handle for the engine: a panic in its work ends the process, see [`crate::panics`].
    #[must_use]
    pub fn for_engine(&self) -> Self {
        Self {
            on_panic: OnPanic::Abort,
            reader: self.engine_reader.clone(),
            ..self.clone()
        }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in one transaction and commits it durably before returning. Its turn among all changes is that of the
    /// call, not of the first poll.
    ///
    /// # Errors
    /// Those of `work` (nothing is changed then), and of the commit.
    pub fn write<T, F>(&self, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (faulty, health) = (self.faulty.clone(), self.health.clone());
        ask(&self.writer, self.on_panic, move |connection| {
            let written = commit(connection, work);
            health.note(&written);
            match &written {
                Err(error) if error.is_of_the_disk() => faulty.store(true, Ordering::Relaxed),
                // After a failed fsync the kernel may have dropped pages of the log that later commits build on
                // (fsync(2), "errseq"): what it still holds in memory is written to the database itself.
                Ok(_) if faulty.load(Ordering::Relaxed) => match connection::checkpoint(connection)
                {
                    Ok(()) => faulty.store(false, Ordering::Relaxed),
                    Err(error) => {
                        tracing::warn!(%error, "the log of changes is not written back yet; trying again with the next change");
                    }
                },
                _ => {}
            }
            written
        })
    }

    /// Runs `work` in one transaction that is rolled back, to learn its result.
    pub async fn rehearse<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        ask(&self.writer, self.on_panic, |connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            work(&Tx(tx))
        })
        .await
    }

    /// Runs `work` on one consistent view of the database.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        ask(&self.reader, self.on_panic, |connection| {
            work(&Tx(connection.transaction()?))
        })
        .await
    }
}

/// Runs `work` in one transaction and commits it.
fn commit<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tx = Tx(tx);
    let value = work(&tx)?;
    tx.0.commit()?;
    Ok(value)
}

fn migrated(mut writer: Connection, path: &Path) -> Result<Connection, StoreError> {
    migrate::migrate(&mut writer, path).map_err(|e| match e {
        StoreError::Sqlite(e) => connection::explain(path, &e),
        other => other,
    })?;
    Ok(writer)
}

/// Gives a connection to a thread of its own, which works off jobs until no handle is left.
fn serve(
    name: &str,
    path: &Path,
    mut connection: Connection,
) -> Result<mpsc::Sender<Job>, StoreError> {
    let (sender, jobs) = mpsc::channel::<Job>();
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(512 * 1024)
        .spawn(move || {
            for job in jobs {
                job(&mut connection);
            }
        })
        .map_err(|error| StoreError::Open {
            path: path.to_owned(),
            why: format!("the system gives no thread for it ({error}); end other programs"),
        })?;
    Ok(sender)
}

/// Gives `work` to a thread at once; the future waits for the result.
fn ask<T, F>(lane: &mpsc::Sender<Job>, on_panic: OnPanic, work: F) -> Answer<T>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        // An unfinished transaction is rolled back while the panic unwinds, so the connection stays good.
        let done = match (caught(|| work(connection)), on_panic) {
            (Ok(done), _) => done,
            (Err(Panicked), OnPanic::Abort) => abort(),
            (Err(panicked), OnPanic::Report) => Err(panicked.into()),
        };
        // The caller may have gone away, as a closed browser does; the work is done all the same.
        let _ = reply.send(done);
    });
    // Fails where the thread is gone, and then no answer comes.
    let _ = lane.send(job);
    Answer(answer)
}

/// The result of work that was given to a thread of the store.
#[derive(Debug)]
#[must_use = "only its result tells if the work was done"]
pub struct Answer<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Future for Answer<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(context);
        answer.map(|answer| answer.unwrap_or(Err(StoreError::Closed)))
    }
}

#[cfg(test)]
mod tests;
