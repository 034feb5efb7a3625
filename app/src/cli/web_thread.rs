//! The web server on a thread of its own.
//!
//! Invariant: pages, the API and TLS share no event loop with the engine, so that no request delays a step.

use anyhow::{Context, Result};
use std::thread;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct WebThread {
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl WebThread {
    /// Serves on the event loop `runtime` until the end.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn start(
        runtime: Runtime,
        serve: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self> {
        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("web".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve => {}
                        _ = ended => {}
                    }
                });
            })
            .context("the system gives no thread for the web server; end other programs")?;
        Ok(Self {
            end: Some(end),
            thread: Some(thread),
        })
    }
}

impl Drop for WebThread {
    /// Closes all connections, and waits for the request at hand at most.
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It fails after a panic, which the panic hook has logged.
            let _ = thread.join();
        }
    }
}
