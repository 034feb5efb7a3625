//! The lines of the walking process on its standard output.
//!
//! Invariant: a line is complete and flushed before the walk goes on.

use std::io::{StdoutLock, Write, stdout};
use std::time::{Duration, Instant};

use super::answer::Line;
use base::error::Failure;

/// Time between two reports of progress, each with a look at the free space.
const INTERVAL: Duration = Duration::from_millis(100);

/// Reports the progress of a walk, and ends it when `also` fails.
pub(super) fn watcher(
    also: impl Fn() -> Result<(), Failure>,
) -> impl FnMut(u64) -> Result<(), Failure> {
    let mut looked = Instant::now();
    move |bytes| {
        let now = Instant::now();
        if now.duration_since(looked) >= INTERVAL {
            looked = now;
            also()?;
            say(&Line::At(bytes));
        }
        Ok(())
    }
}

/// Writes one line.
pub(super) fn say(line: &Line) {
    let mut out: StdoutLock<'_> = stdout().lock();
    if let Ok(text) = serde_json::to_string(line) {
        // A gate that is gone kills this process.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}
