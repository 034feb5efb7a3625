//! The folder of the working copies, and the configured file they are made from.
//!
//! `lock` is held while anything here is changed. Each copy is a folder with a number: `conf/` belongs to rclone;
//! `origin.json` records the text that the copy was made from and the tokens that went through it.
//!
//! Invariant: a copy is removed only after its tokens are in the configured file, and every change needs the lock,
//! represented by the [`Guard`].

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, geteuid, unlinkat};
use serde::{Deserialize, Serialize};

use super::files::{COPY, LIMIT, found, read, read_within};
use super::history::{forget, newest};
use super::ini::{Ini, Token};
use base::dirfd::{PinnedDir, entries, private_dir};
use base::durable::{self, Staged};
use base::error::Failure;
use base::names::PlainPath;
use base::repair::Closed;
use base::scratch;
use base::sort;
use base::trusted::{Trusted, read_trusted};
use config::Config;

const ORIGIN: &str = "origin.json";

/// The size limit of a record. It is larger than the limit of the texts, because JSON writes some bytes as six.
const ORIGIN_LIMIT: u64 = 16 << 20;

/// The longest wait for another gate that works in this folder; its work takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two attempts.
const AGAIN: Duration = Duration::from_millis(10);

/// The folder of the copies and the configured file.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PlainPath,
    configured: PlainPath,
}

/// The lock of the store, held.
#[derive(Debug)]
pub(super) struct Guard {
    _held: Flock<File>,
}

/// The configuration that a copy was made from.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    text: String,
    /// The tokens, in the order in which they were handed out or taken over.
    known: Vec<Token>,
}

/// Reads the record of a copy; an unreadable record is an error of the kind `InvalidData`.
fn origin(place: &OwnedFd) -> io::Result<Origin> {
    let text = read_within(place, ORIGIN, ORIGIN_LIMIT)?;
    serde_json::from_slice(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidData.into())
}

impl Store {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            folder: config.state_dir.below(&["rclone"]),
            configured: config.rclone.config.clone(),
        }
    }

    pub(super) fn failure(&self, detail: String) -> Failure {
        Failure::Path {
            path: self.configured.to_path_buf(),
            detail,
        }
    }

    fn here(&self, what: &str) -> impl FnOnce(io::Error) -> Failure + use<> {
        Failure::io(format!("{what} in {}", self.folder))
    }

    fn open_folder(&self) -> io::Result<OwnedFd> {
        private_dir(&self.folder, geteuid().as_raw())
    }

    /// Waits for the lock of the store.
    pub(super) fn lock(&self) -> Result<Guard, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(guard) = self.attempt().map_err(self.here("the lock"))? {
                return Ok(guard);
            }
            if waited >= PATIENCE {
                return Err(self.here("the lock")(io::Error::other(format!(
                    "another process holds it; find it with `fuser -v {}/lock`",
                    self.folder
                ))));
            }
            std::thread::sleep(AGAIN);
            waited += AGAIN;
        }
    }

    pub(super) fn try_lock(&self) -> Option<Guard> {
        self.attempt().ok().flatten()
    }

    /// Takes the turn to renew tokens, if no other gate has it.
    pub(super) fn try_turn(&self) -> Option<Flock<File>> {
        self.attempt_at("turn").ok().flatten()
    }

    fn attempt(&self) -> io::Result<Option<Guard>> {
        Ok(self.attempt_at("lock")?.map(|held| Guard { _held: held }))
    }

    fn attempt_at(&self, name: &str) -> io::Result<Option<Flock<File>>> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = File::from(openat(&self.open_folder()?, name, flags, mode)?);
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(held)),
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// Reads the configured file. Only the gate's own user may be able to write it, because it amounts to code, and to read it,
    /// because it holds the token.
    pub(super) fn read_configured(&self) -> Result<String, Failure> {
        let trusted = Trusted {
            uid: geteuid().as_raw(),
        };
        let unsafe_to_use = Failure::Config;
        let path = self.configured.to_path_buf();
        let bytes = read_trusted(&path, trusted, Closed::All, LIMIT).map_err(unsafe_to_use)?;
        String::from_utf8(bytes)
            .map_err(|_| unsafe_to_use(format!("{} is not text (UTF-8)", self.configured)))
    }

    fn numbers(&self) -> io::Result<Vec<u32>> {
        let names = entries(&self.open_folder()?)?;
        let mut numbers: Vec<u32> = names
            .iter()
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect();
        sort::sort(&mut numbers);
        Ok(numbers)
    }

    pub(super) fn is_empty(&self, _guard: &Guard) -> Result<bool, Failure> {
        let numbers = self.numbers().map_err(self.here("the copies"))?;
        Ok(numbers.is_empty())
    }

    fn place(&self, number: u32) -> PlainPath {
        self.folder.below(&[&number.to_string()])
    }

    fn open_copy(&self, number: u32) -> io::Result<(OwnedFd, OwnedFd)> {
        let owner = geteuid().as_raw();
        let place = self.place(number);
        Ok((
            private_dir(&place, owner)?,
            private_dir(&place.below(&["conf"]), owner)?,
        ))
    }

    /// Takes over the new tokens of all copies, and removes unused copies. Returns the configuration with the newest
    /// tokens, and an error if the file could not be written.
    pub(super) fn harvest_all(
        &self,
        guard: &Guard,
        mut configured: String,
    ) -> Result<(String, Result<(), String>), Failure> {
        let mut outcome = Ok(());
        for number in self.numbers().map_err(self.here("the copies"))? {
            let (text, done) = self.harvest(guard, number, true, configured);
            configured = text;
            outcome = outcome.and(done);
        }
        Ok((configured, outcome))
    }

    /// Takes over the new tokens of one copy. With `remove`, also removes the copy if it is unused.
    pub(super) fn harvest(
        &self,
        _guard: &Guard,
        number: u32,
        remove: bool,
        configured: String,
    ) -> (String, Result<(), String>) {
        let words = |error: io::Error| format!("the working copy {number}: {error}");
        let (place, conf) = match self.open_copy(number) {
            Ok(opened) => opened,
            Err(error) => return (configured, Err(words(error))),
        };
        let origin = match origin(&place) {
            Ok(origin) => Some(origin),
            // The gate that made this copy was killed before any gate used it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return (configured, self.remove(number, conf).map_err(words));
            }
            // Damaged, or larger than any record that a gate writes: this must not keep the copy for ever.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return (configured, Err(words(error))),
        };
        let (conf, idle) = match Flock::lock(conf, FlockArg::LockExclusiveNonblock) {
            Ok(held) => (Ok(held), true),
            Err((conf, _)) => (Err(conf), false),
        };
        let folder: &OwnedFd = match &conf {
            Ok(held) => held,
            Err(conf) => conf,
        };
        let (text, done) = self.take_over(&place, folder, idle, origin, configured);
        if done.is_ok()
            && remove
            && let Ok(held) = conf
        {
            return (text, self.remove(number, held).map_err(words));
        }
        (text, done)
    }

    fn take_over(
        &self,
        place: &OwnedFd,
        conf: &OwnedFd,
        idle: bool,
        origin: Option<Origin>,
        configured: String,
    ) -> (String, Result<(), String>) {
        let current = Ini::parse(&configured);
        let unknown = origin.is_none();
        let mut origin = origin.unwrap_or_else(|| Origin {
            text: configured.clone(),
            known: current.tokens().cloned().collect(),
        });
        let base = origin.text.clone();
        let base = Ini::parse(&base);
        let texts = found(conf, idle);
        let complete: Vec<Ini<'_>> = texts
            .iter()
            .map(|text| Ini::parse(text))
            .filter(|ini| ini.is_complete_beside(&base))
            .collect();
        let mut newer = newest(&origin.known, &current, &complete);
        if unknown {
            // Without a record, only the expiry time tells a newer token from an older one.
            newer.retain(|token| {
                let mut same = current.tokens().filter(|other| other.is_for(token));
                same.all(|other| token.expiry() > other.expiry())
            });
        }
        let text = current.with(&newer);
        // A larger configuration could never be read again, so these tokens are dropped.
        if newer.is_empty() || text.len() as u64 > LIMIT {
            return (configured, Ok(()));
        }
        for token in newer {
            if !origin.known.contains(&token) {
                origin.known.push(token);
            }
        }
        forget(&mut origin.known, &current, LIMIT as usize);
        // Write the record first: if the second step fails, the next action repeats it.
        let done = durable::replace(
            place,
            ORIGIN,
            &serde_json::to_vec(&origin).unwrap_or_default(),
        )
        .and_then(|()| self.write_configured(&configured, &text))
        .map_err(|error| {
            format!(
                "{} cannot be given its new token ({error}); it is kept in {} until that works",
                self.configured, self.folder
            )
        });
        (text, done)
    }

    /// Replaces the configured file, keeping its owner and mode, unless it has changed since it was read.
    fn write_configured(&self, before: &str, after: &str) -> io::Result<()> {
        let path = self.configured.components();
        let (Some(name), Some(parent)) = (path.last(), self.configured.parent()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = PinnedDir::open(&parent)?;
        let folder = folder.fd();
        let read_only = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let old = File::from(openat(folder, name.as_str(), read_only, Mode::empty())?);
        let stat = fstat(&old)?;
        let fresh = format!(".{name}.new");
        let new = Staged::write(folder.as_fd(), fresh, after.as_bytes())?;
        if (stat.st_uid, stat.st_gid) != (geteuid().as_raw(), nix::unistd::getegid().as_raw()) {
            fchown(
                new.file(),
                Some(Uid::from_raw(stat.st_uid)),
                Some(Gid::from_raw(stat.st_gid)),
            )?;
        }
        fchmod(new.file(), Mode::from_bits_truncate(stat.st_mode & 0o7777))?;
        let mut now = String::new();
        (&old).take(LIMIT).read_to_string(&mut now)?;
        if now != before {
            return Err(io::Error::other("it was changed at this moment"));
        }
        new.place(name)
    }

    /// The copy that other gates use, if it can be shared.
    pub(super) fn joinable(&self, _guard: &Guard, text: &str) -> Result<Option<u32>, Failure> {
        let wanted = Ini::parse(text);
        for number in self.numbers().map_err(self.here("the copies"))? {
            let Ok((place, conf)) = self.open_copy(number) else {
                continue;
            };
            let Ok(origin) = origin(&place) else {
                continue;
            };
            let fits = Ini::parse(&origin.text).agrees_with(&wanted)
                && wanted.tokens().all(|token| origin.known.contains(token));
            // A newcomer also cannot use a copy whose rclone was killed while writing, even if another gate still uses
            // it.
            if fits && read(&conf, COPY).is_ok_and(|text| Ini::parse(&text).agrees_with(&wanted)) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Makes a new copy.
    pub(super) fn make(
        &self,
        _guard: &Guard,
        configured: &str,
        text: &str,
    ) -> Result<u32, Failure> {
        let numbers = self.numbers().map_err(self.here("the copies"))?;
        let number = numbers.last().map_or(0, |last| last + 1);
        let mut known: Vec<Token> = Ini::parse(configured).tokens().cloned().collect();
        for token in Ini::parse(text).tokens() {
            if !known.contains(token) {
                known.push(token.clone());
            }
        }
        let origin = Origin {
            text: text.to_owned(),
            known,
        };
        let made = self.open_copy(number).and_then(|(place, conf)| {
            durable::create(&conf, COPY, text.as_bytes())?;
            durable::replace(&place, ORIGIN, &serde_json::to_vec(&origin)?)
        });
        made.map_err(self.here("a new copy"))?;
        Ok(number)
    }

    /// Registers this process as a user of the copy.
    pub(super) fn join(&self, number: u32) -> Result<(PlainPath, Flock<OwnedFd>), Failure> {
        let joined = self.open_copy(number).and_then(|(_, conf)| {
            Flock::lock(conf, FlockArg::LockSharedNonblock).map_err(|(_, errno)| errno.into())
        });
        let users = joined.map_err(self.here("the copy"))?;
        Ok((self.place(number).below(&["conf"]), users))
    }

    fn remove(&self, number: u32, conf: impl Sized) -> io::Result<()> {
        let place = private_dir(&self.place(number), geteuid().as_raw())?;
        scratch::empty(&place)?;
        drop(conf);
        let folder = self.open_folder()?;
        Ok(unlinkat(
            &folder,
            number.to_string().as_str(),
            UnlinkatFlags::RemoveDir,
        )?)
    }
}
