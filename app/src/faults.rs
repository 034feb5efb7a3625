//! Deliberate panics for tests of the boundaries that the module `panics` draws. Only debug builds hold them: in a release,
//! [`check`] is empty and no address arms anything.

/// A place in the program that can be told to panic once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A request's handler.
    Handler,
    /// The body of an answer, after its first piece.
    Body,
    /// Work on the database for a request.
    Store,
    /// Work on a thread of its own for a request.
    Blocking,
    /// The sending of a notification.
    Notification,
    /// The loop of the notifications.
    Maintenance,
    /// The engine's event loop.
    Engine,
}

#[cfg(debug_assertions)]
mod armed {
    use super::Place;
    use std::sync::{Mutex, PoisonError};

    /// Shared by the whole process, because any layer may hold a place.
    static ARMED: Mutex<Vec<Place>> = Mutex::new(Vec::new());

    /// Makes `place` panic when it is reached next.
    pub fn arm(place: Place) {
        lock().push(place);
    }

    /// Panics if `place` was armed.
    pub fn check(place: Place) {
        let found = {
            let mut armed = lock();
            let at = armed.iter().position(|armed| *armed == place);
            at.map(|at| armed.remove(at))
        };
        #[expect(clippy::panic, reason = "this is the fault that tests ask for")]
        if let Some(place) = found {
            panic!("a test asked for a panic in {place:?}");
        }
    }

    fn lock() -> std::sync::MutexGuard<'static, Vec<Place>> {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(debug_assertions)]
pub use armed::{arm, check};

/// Does nothing in a release.
#[cfg(not(debug_assertions))]
pub fn check(_: Place) {}
