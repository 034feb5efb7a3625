//! Blocking work (files, hashes, name lookups) on threads of its own, away from the event loop.
//!
//! Invariant: a thread that the system refuses is an error, never a panic. tokio's `spawn_blocking` panics there, when
//! a limit of processes is reached, and its pool keeps idle threads; a thread per call costs tens of microseconds.

use crate::panics::{Panicked, caught};
use std::io;
use std::thread;
use tokio::sync::{Semaphore, oneshot};

/// Most threads at once: they belong to the process, and so does their number.
static ROOM: Semaphore = Semaphore::const_new(8);

/// Enough for SQLite's backup and Argon2, which has its memory on the heap.
const STACK: usize = 512 * 1024;

/// The reasons why blocking work is not done.
#[derive(Debug, thiserror::Error)]
pub enum BlockingError {
    /// The system refused a thread.
    #[error("the system gives no more threads ({0}); try again in a moment")]
    NoThread(io::Error),
    /// The work panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl From<BlockingError> for io::Error {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::NoThread(error) => error,
            BlockingError::Panicked(panicked) => Self::other(panicked),
        }
    }
}

/// Runs `work` on a thread and waits for its result. The work runs to its end even if the caller stops waiting.
///
/// # Errors
/// [`BlockingError`]: the system refused a thread, or the work panicked.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BlockingError> {
    // Fails only for a semaphore that was closed, and this one never is.
    let permit = ROOM.acquire().await.map_err(|_| Panicked)?;
    run_apart(move || {
        let _permit = permit;
        work()
    })
    .await
}

/// As [`run`], for work that can hang for long, as the lookup of a name does: it takes no room from other work. The caller
/// bounds the number of threads.
///
/// # Errors
/// As [`run`].
pub async fn run_apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BlockingError> {
    let (reply, result) = oneshot::channel();
    thread::Builder::new()
        .name("blocking".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // The caller may have gone away, as a closed browser does.
            let _ = reply.send(caught(work));
        })
        .map_err(BlockingError::NoThread)?;
    Ok(result.await.unwrap_or(Err(Panicked))?)
}
