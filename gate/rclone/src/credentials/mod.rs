//! rclone's working copy of its configuration, and the way new tokens get back into the configured file.
//!
//! rclone rewrites its configuration each time a token is renewed: it writes a second file beside the first and moves
//! it into place in two steps, between which there is no file. rclone must be able to do that, but must not be able to
//! write to the folder that holds the gate's own configuration. So rclone works on a copy in a separate folder, and the
//! gate takes over only tokens from this copy, atomically.
//!
//! Transfers that run at the same time share one copy, so a token renewed by one serves all of them; rclone reads its
//! file again before it renews. A copy lasts while it is in use: each user holds a lock on the copy's folder, and
//! rclone inherits that lock. So the copy stays as long as rclone runs, even if its gate was killed. The next gate that
//! opens the store finds the leftovers.
//!
//! Invariant: the configured file is complete at any moment, and the newest token is in this file or in a copy that the
//! next action checks first.

pub mod backends;
mod files;
pub mod history;
pub mod ini;
pub mod key_files;
mod store;
mod turn;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::fcntl::{AtFlags, Flock};
use nix::sys::stat::fstatat;

use base::error::Failure;
use base::names::PlainPath;
use base::trusted::Trusted;
use config::Config;
use files::COPY;
use host::program::{FOLDER_FD, WorkingFolder};
use ini::{Ini, Token};
use store::{Guard, Store};

/// The configuration's name as passed to rclone.
#[must_use]
pub fn argument() -> String {
    format!("/proc/self/fd/{FOLDER_FD}/{COPY}")
}

/// The values that distinguish two states of a file.
type Stamp = Option<(u64, i64, i64)>;

/// A working copy, in use.
#[derive(Debug)]
pub struct WorkingCopy {
    store: Store,
    /// The number of the copy.
    number: u32,
    folder: PlainPath,
    /// `None` only while the copy is dropped.
    users: Option<Flock<OwnedFd>>,
    seen: Cell<Stamp>,
    /// The turn to renew the remote's tokens; held until they are new.
    turn: RefCell<Option<Turn>>,
}

/// The turn to renew these tokens.
#[derive(Debug)]
struct Turn {
    remote: String,
    tokens: Vec<Token>,
    _held: Flock<File>,
}

/// Takes over the tokens that killed gates and rclones left behind. Returns true if a token was among them.
///
/// # Errors
/// When the configuration, or the folder of the copies, cannot be used.
pub fn recover(config: &Config) -> Result<bool, Failure> {
    let store = Store::of(config);
    let guard = store.lock()?;
    if store.is_empty(&guard)? {
        return Ok(false);
    }
    let before = store.read_configured()?;
    let (after, written) = store.harvest_all(&guard, before.clone())?;
    written.map_err(|words| store.failure(words))?;
    Ok(before != after)
}

/// Reads the configured text. It amounts to code and holds the token, so only the gate's own user may be able to write
/// and read it. The same applies to the key files that it names.
///
/// # Errors
/// When another user could write or read one of them, or the text cannot be read.
pub fn configured(config: &Config) -> Result<String, Failure> {
    let text = Store::of(config).read_configured()?;
    keys_are_closed(config, &text)?;
    Ok(text)
}

fn keys_are_closed(config: &Config, text: &str) -> Result<(), Failure> {
    let trusted = Trusted {
        uid: nix::unistd::geteuid().as_raw(),
    };
    key_files::check(config, &Ini::parse(text), trusted)
        .map_err(|open| Failure::Config(open.to_string()))
}

impl WorkingCopy {
    /// Joins the copy that other gates use, if it was made from the current configuration; otherwise makes a new copy.
    ///
    /// If a token of `remote` is about to expire and another gate renews it, waits for the new token at most `left`,
    /// and once only: see `turn`.
    ///
    /// # Errors
    /// When the configuration, or the folder of the copies, cannot be used.
    pub fn open(config: &Config, remote: &str, left: Duration) -> Result<Self, Failure> {
        let store = Store::of(config);
        let Prepared {
            guard,
            configured,
            text,
            turn,
        } = prepare(&store, remote, left.min(turn::PATIENCE))?;
        keys_are_closed(config, &configured)?;
        let number = match store.joinable(&guard, &text)? {
            Some(number) => number,
            None => store.make(&guard, &configured, &text)?,
        };
        let (folder, users) = store.join(number)?;
        let copy = Self {
            store,
            number,
            folder,
            users: Some(users),
            seen: Cell::new(None),
            turn: RefCell::new(turn),
        };
        copy.seen.set(copy.stamp());
        Ok(copy)
    }

    fn stamp(&self) -> Stamp {
        let folder = self.users.as_deref()?;
        let stat = fstatat(folder, COPY, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_ino, stat.st_mtime, stat.st_mtime_nsec))
    }

    /// Gives back the turn to renew once the tokens are new.
    fn end_turn(&self, text: &str) {
        let mut turn = self.turn.borrow_mut();
        let is_over = |turn: &Turn| turn::tokens_of(text, &turn.remote) != turn.tokens;
        if turn.as_ref().is_some_and(is_over) {
            *turn = None;
        }
    }
}

impl WorkingFolder for WorkingCopy {
    fn folder(&self) -> &PlainPath {
        &self.folder
    }

    /// Looks for a new token; without one this costs one fstatat(2). A token that cannot be put in place is kept and
    /// tried again.
    fn look(&self) -> Result<(), String> {
        let stamp = self.stamp();
        // The file is missing: rclone is between its two renames.
        if stamp.is_none() || stamp == self.seen.get() {
            return Ok(());
        }
        let Some(guard) = self.store.try_lock() else {
            return Ok(());
        };
        // Also after a failure: one message per change is enough. The next action tries again.
        self.seen.set(stamp);
        let configured = self
            .store
            .read_configured()
            .map_err(|failure| failure.to_string())?;
        let (text, done) = self.store.harvest(&guard, self.number, false, configured);
        self.end_turn(&text);
        done
    }
}

/// The store, ready for a copy with the newest tokens.
struct Prepared {
    guard: Guard,
    configured: String,
    text: String,
    turn: Option<Turn>,
}

/// Takes over the newest tokens, and takes the turn to renew if a renewal is due.
fn prepare(store: &Store, remote: &str, patience: Duration) -> Result<Prepared, Failure> {
    let mut first: Option<Vec<Token>> = None;
    let mut held = None;
    let mut waited = Duration::ZERO;
    loop {
        let guard = store.lock()?;
        let configured = store.read_configured()?;
        // rclone gets the newest token even if it could not be written back.
        let (text, _) = store.harvest_all(&guard, configured.clone())?;
        let tokens = turn::tokens_of(&text, remote);
        let is_new = first.as_ref().is_some_and(|first| *first != tokens);
        let needs_turn = !is_new && turn::renewal_is_due(&tokens);
        if needs_turn && held.is_none() {
            held = store.try_turn();
        }
        let in_vain = waited >= patience || turn::was_in_vain(waited);
        if !needs_turn || held.is_some() || in_vain {
            let turn = held.filter(|_| needs_turn).map(|held| Turn {
                remote: remote.to_owned(),
                tokens,
                _held: held,
            });
            return Ok(Prepared {
                guard,
                configured,
                text,
                turn,
            });
        }
        drop(guard);
        first.get_or_insert(tokens);
        std::thread::sleep(turn::AGAIN);
        waited += turn::AGAIN;
    }
}

impl Drop for WorkingCopy {
    /// Gives the copy back. The last user removes it, after its tokens are taken over.
    fn drop(&mut self) {
        let _ = self.look();
        self.users = None;
        if let Ok(guard) = self.store.lock()
            && let Ok(configured) = self.store.read_configured()
        {
            // If this fails the copy stays, and the next action checks it.
            let _ = self.store.harvest(&guard, self.number, true, configured);
        }
    }
}

#[cfg(test)]
mod tests;
