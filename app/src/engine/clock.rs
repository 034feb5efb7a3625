//! The time, as a parameter: the system's clock, or one that a test moves.

use chrono::{DateTime, Utc};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::future::Future;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

/// A wait that ends when the clock reaches a time, or was set.
pub type Alarm = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The engine's source of time.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
    /// Time that passed since a fixed moment, also while the machine slept. No setting of the clock changes it.
    fn steady(&self) -> Duration;
    /// Waits until the clock shows `due` or later. It may end early, when the clock is
    /// set: the caller looks at the time again.
    fn alarm(&self, due: DateTime<Utc>) -> Alarm;
}

/// The system's real-time clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one home of the system's time"
        )]
        Utc::now()
    }

    fn steady(&self) -> Duration {
        // Fails for unknown clocks only.
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)
            .map(Duration::from)
            .unwrap_or_default()
    }

    /// A timer on the wall clock itself: it ends at the right time also when the
    /// machine slept or a time server moved the clock, and costs nothing meanwhile.
    fn alarm(&self, due: DateTime<Utc>) -> Alarm {
        Box::pin(async move {
            if let Err(error) = wall_clock_timer(due).await {
                tracing::error!(%error, "cannot set a timer; looking again in a minute");
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            }
        })
    }
}

async fn wall_clock_timer(due: DateTime<Utc>) -> std::io::Result<()> {
    let timer = TimerFd::new(
        ClockId::CLOCK_REALTIME,
        TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
    )?;
    // Zero would disarm the timer, so a time long past becomes the first second.
    let at = TimeSpec::milliseconds(due.timestamp_millis().max(1000));
    timer.set(
        Expiration::OneShot(at),
        TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET,
    )?;
    // A timer descriptor becomes readable like a pipe does, and tokio's pipe is the safe
    // way to wait for a descriptor that tokio does not know.
    let watched = timer.as_fd().try_clone_to_owned()?;
    Receiver::from_owned_fd_unchecked(watched)?.readable().await
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Clone)]
pub struct ManualClock(watch::Sender<Shown>);

/// The time that a clock shows, and the time that passed.
#[derive(Debug, Clone, Copy)]
struct Shown {
    now: DateTime<Utc>,
    passed: Duration,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(watch::Sender::new(Shown {
            now,
            passed: Duration::ZERO,
        }))
    }

    /// Lets the time pass until `now`. Where that is earlier, the clock is set.
    pub fn set(&self, now: DateTime<Utc>) {
        self.0.send_modify(|shown| {
            // A negative span is no duration: no time passes.
            shown.passed += (now - shown.now).to_std().unwrap_or_default();
            shown.now = now;
        });
    }

    /// Sets the clock; no time passes.
    pub fn jump(&self, now: DateTime<Utc>) {
        self.0.send_modify(|shown| shown.now = now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.borrow().now
    }

    fn steady(&self) -> Duration {
        self.0.borrow().passed
    }

    /// As the system's timer does, it ends also when the clock goes back.
    fn alarm(&self, due: DateTime<Utc>) -> Alarm {
        let mut time = self.0.subscribe();
        let begin = time.borrow().now;
        Box::pin(async move {
            // Fails only when the clock is gone, and then nothing waits for it.
            let _ = time
                .wait_for(|shown| shown.now >= due || shown.now < begin)
                .await;
        })
    }
}
