//! Panics: each one is counted and logged with its place, and none spreads further than it must.
//!
//! Invariant: a panic in a request, a stream, a notification or a maintenance task ends that one alone. A panic in the
//! engine ends the process, because the state of the runs could be wrong; the next start recovers them.

use futures_util::FutureExt;
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Panics since the start of the process. A panic hook is one per process, and so is this.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Pause before a maintenance task that panicked is started again.
const START_AGAIN: Duration = Duration::from_secs(60);

/// The work panicked. The panic hook has logged the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work ended in a panic; the server's log names the line")]
pub struct Panicked;

/// Logs and counts every panic from now on.
pub fn install_hook() {
    std::panic::set_hook(Box::new(log));
}

/// The number of panics since the start of the process.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn log(panic: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let place = panic.location().map(ToString::to_string);
    let message = message(panic.payload());
    // Only with RUST_BACKTRACE=1; a stripped program has no names to show.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    tracing::error!(
        place = place.as_deref().unwrap_or("an unknown place"),
        backtrace = backtrace.map(tracing::field::display),
        "panic: {message}"
    );
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Runs `work`; a panic becomes an error.
///
/// # Errors
/// [`Panicked`]. The caller must not use state that the work was changing.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// Awaits `work`; a panic becomes an error.
///
/// # Errors
/// [`Panicked`]. The caller must not use state that the work was changing.
pub async fn caught_in<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.map_err(|_| Panicked)
}

/// Awaits a part of the engine; a panic in it ends the process.
pub async fn fatal<T>(work: impl Future<Output = T>) -> T {
    match caught_in(work).await {
        Ok(value) => value,
        Err(Panicked) => abort(),
    }
}

/// Ends the process after a panic in the engine.
pub fn abort() -> ! {
    tracing::error!("the engine cannot go on after a panic; the next start recovers its runs");
    std::process::abort()
}

/// Runs a maintenance task, and starts it again a minute after each panic.
pub async fn restarted<F: Future<Output = ()>>(name: &str, mut task: impl FnMut() -> F) {
    while caught_in(task()).await.is_err() {
        tracing::error!("{name}: stopped by a panic; starting again in a minute");
        tokio::time::sleep(START_AGAIN).await;
    }
}
