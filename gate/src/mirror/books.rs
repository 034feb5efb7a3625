//! The memory of a mirror between syncs: deletions of the last day, the refused change, the approval that an
//! administrator gave, the last nights, and the reasons for which nothing is pruned.
//!
//! Five folders with a file for each service or extra target, so that an administrator can approve while another sync
//! runs. Each file has one entry per mirror, for mirrors on several remotes.
//!
//! Invariant: a file is complete or absent, also after a power cut. A file that cannot be read stops a sync and does
//! not count as empty.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use chrono::{DateTime, TimeDelta, Utc};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::anomaly::{NIGHTS, Night};
use super::change::Change;
use super::guard::Recent;
use base::dirfd::private_dir;
use base::durable;
use base::lock_name::LockName;
use base::names::PlainPath;
use base::sort;

/// The time window in which deletions are added up.
const WINDOW: TimeDelta = TimeDelta::hours(24);

/// The largest number of separate losses of one mirror. Beyond that the oldest are added up: any number of syncs must
/// leave a readable file.
const MOST_LOSSES: usize = 500;

/// The size limit: the gate writes no larger file.
const MAX_BYTES: u64 = 4 << 20;

/// One sync that deleted something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Loss {
    at: DateTime<Utc>,
    deleted: u64,
    mirrored: u64,
}

/// A refused change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The time of the refusal.
    pub at: DateTime<Utc>,
    /// The refused change.
    pub change: Change,
}

/// Permission for a large change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The end of the approval.
    pub until: DateTime<Utc>,
    /// The approved change.
    pub change: Change,
}

/// The reason for which nothing is pruned until an administrator approves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The time at which it came up.
    pub at: DateTime<Utc>,
    /// A sentence for people, without its full stop.
    pub why: String,
}

/// The books of one service or extra target, by the name of its lock. The maps use places on remotes as keys.
#[derive(Debug)]
pub struct Books {
    losses: Shelf<BTreeMap<String, Vec<Loss>>>,
    refusals: Shelf<BTreeMap<String, Refusal>>,
    approvals: Shelf<BTreeMap<String, Approval>>,
    nights: Shelf<BTreeMap<String, Vec<Night>>>,
    holds: Shelf<BTreeMap<String, Hold>>,
}

impl Books {
    /// Opens the books, and makes missing folders.
    ///
    /// # Errors
    /// When another user can access the folders.
    pub fn open(state_dir: &PlainPath, name: &LockName) -> io::Result<Self> {
        let name = &name.stem();
        Ok(Self {
            losses: Shelf::open(state_dir, "losses", name)?,
            refusals: Shelf::open(state_dir, "refusals", name)?,
            approvals: Shelf::open(state_dir, "approvals", name)?,
            nights: Shelf::open(state_dir, "nights", name)?,
            holds: Shelf::open(state_dir, "holds", name)?,
        })
    }

    /// The files deleted within a day without approval.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn recent(&self, place: &str, now: DateTime<Utc>) -> io::Result<Recent> {
        let losses = self.losses.load()?;
        let recent = losses.get(place).into_iter().flatten();
        Ok(recent
            .filter(|loss| counts(loss, now))
            .fold(Recent::default(), |recent, loss| Recent {
                deleted: recent.deleted.saturating_add(loss.deleted),
                mirrored: recent.mirrored.max(loss.mirrored),
            }))
    }

    /// Records the number of files that a sync which began at `at` deletes: the planned number before the sync, and the
    /// true number after it.
    ///
    /// # Errors
    /// When the disk cannot store it.
    pub fn lose(
        &self,
        place: &str,
        at: DateTime<Utc>,
        mirrored: u64,
        deleted: u64,
    ) -> io::Result<()> {
        self.losses.alter(|losses| {
            for list in losses.values_mut() {
                list.retain(|loss| loss.at != at && counts(loss, at));
            }
            if deleted > 0 {
                losses.entry(place.to_owned()).or_default().push(Loss {
                    at,
                    deleted,
                    mirrored,
                });
            }
            losses.values_mut().for_each(join_oldest);
            losses.retain(|_, list| !list.is_empty());
        })
    }

    /// Records a refusal, for an administrator to approve.
    ///
    /// # Errors
    /// When the disk cannot store it.
    pub fn refuse(&self, place: &str, refusal: Refusal) -> io::Result<()> {
        self.refusals.alter(|refusals| {
            refusals.insert(place.to_owned(), refusal);
        })
    }

    /// The changes that wait for approval.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn refused(&self) -> io::Result<BTreeMap<String, Refusal>> {
        self.refusals.load()
    }

    /// Forgets a refusal after a successful sync.
    ///
    /// # Errors
    /// When the disk cannot store it.
    pub fn forget_refusal(&self, place: &str) -> io::Result<()> {
        self.refusals.alter(|refusals| {
            refusals.remove(place);
        })
    }

    /// The last nights of a mirror, without unusual ones.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn nights(&self, place: &str) -> io::Result<Vec<Night>> {
        Ok(self.nights.load()?.remove(place).unwrap_or_default())
    }

    /// Remembers a night.
    ///
    /// # Errors
    /// When the disk cannot store it.
    pub fn remember(&self, place: &str, night: Night) -> io::Result<()> {
        self.nights.alter(|nights| {
            let nights = nights.entry(place.to_owned()).or_default();
            nights.push(night);
            nights.drain(..nights.len().saturating_sub(NIGHTS));
        })
    }

    /// Keeps everything on the remote from now on. The first reason of a place stays.
    ///
    /// # Errors
    /// When the disk cannot store it.
    pub fn hold(&self, place: &str, hold: Hold) -> io::Result<()> {
        self.holds.alter(|holds| {
            holds.entry(place.to_owned()).or_insert(hold);
        })
    }

    /// The reasons for which nothing is pruned, by place.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn holds(&self) -> io::Result<BTreeMap<String, Hold>> {
        self.holds.load()
    }

    /// Forgets these reasons.
    ///
    /// # Errors
    /// When the disk cannot store it.
    pub fn release(&self, released: &BTreeMap<String, Hold>) -> io::Result<()> {
        self.holds
            .alter(|holds| holds.retain(|place, hold| released.get(place) != Some(hold)))
    }

    /// Approves every refused change, until a point in time.
    ///
    /// # Errors
    /// When the disk cannot store it.
    pub fn approve(
        &self,
        refused: &BTreeMap<String, Refusal>,
        until: DateTime<Utc>,
    ) -> io::Result<()> {
        self.approvals.alter(|approvals| {
            for (place, refusal) in refused {
                let change = refusal.change;
                approvals.insert(place.clone(), Approval { until, change });
            }
        })?;
        self.refusals
            .alter(|refusals| refusals.retain(|place, _| !refused.contains_key(place)))
    }

    /// The current approval.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn approval(&self, place: &str, now: DateTime<Utc>) -> io::Result<Option<Approval>> {
        let approval = self.approvals.load()?.remove(place);
        Ok(approval.filter(|approval| now < approval.until))
    }

    /// Stores the rest of an approval, or removes it.
    ///
    /// # Errors
    /// When the disk cannot store it.
    pub fn set_approval(&self, place: &str, approval: Option<Approval>) -> io::Result<()> {
        self.approvals.alter(|approvals| {
            match approval {
                Some(approval) => approvals.insert(place.to_owned(), approval),
                None => approvals.remove(place),
            };
        })
    }
}

/// Adds up the oldest losses. The sum gets the time of the later loss, so that it counts at least as long as each of
/// them.
fn join_oldest(list: &mut Vec<Loss>) {
    sort::sort_by(list, |one, other| one.at.cmp(&other.at));
    while list.len() > MOST_LOSSES {
        let oldest = list.remove(0);
        if let Some(next) = list.first_mut() {
            next.deleted = next.deleted.saturating_add(oldest.deleted);
            next.mirrored = next.mirrored.max(oldest.mirrored);
        }
    }
}

/// True if a loss lies within a day of now, before or after: a clock that ran ahead must not make it count for years.
fn counts(loss: &Loss, now: DateTime<Utc>) -> bool {
    (now - loss.at).abs() < WINDOW
}

/// A small JSON file.
#[derive(Debug)]
struct Shelf<T> {
    directory: OwnedFd,
    file: String,
    holds: std::marker::PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned + Default + PartialEq> Shelf<T> {
    fn open(state_dir: &PlainPath, folder: &str, name: &str) -> io::Result<Self> {
        Ok(Self {
            directory: private_dir(&state_dir.below(&[folder]), geteuid().as_raw())?,
            file: format!("{name}.json"),
            holds: std::marker::PhantomData,
        })
    }

    /// Reads the file; the default value without a file.
    fn load(&self) -> io::Result<T> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.directory, self.file.as_str(), flags, Mode::empty()) {
            Err(Errno::ENOENT) => Ok(T::default()),
            Err(errno) => Err(errno.into()),
            Ok(fd) => {
                let mut text = Vec::new();
                File::from(fd).take(MAX_BYTES).read_to_end(&mut text)?;
                Ok(serde_json::from_slice(&text)?)
            }
        }
    }

    /// Changes the content under an exclusive lock.
    fn alter(&self, change: impl FnOnce(&mut T)) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let own = openat(&self.directory, ".", flags, Mode::empty())?;
        let _alone = Flock::lock(own, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        let mut value = self.load()?;
        change(&mut value);
        self.save(&value)
    }

    /// Writes the file durably; removes it if the value is empty.
    fn save(&self, value: &T) -> io::Result<()> {
        if *value == T::default() {
            return durable::remove(&self.directory, &self.file);
        }
        durable::replace(&self.directory, &self.file, &serde_json::to_vec(value)?)?;
        // The folder itself may be new.
        durable::keep_folder(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::names::ServiceName;

    const PLACE: &str = "onedrive:/OdroidBackup/n8n/data";

    fn books() -> (tempfile::TempDir, Books) {
        let base = std::fs::canonicalize(std::env::temp_dir()).unwrap();
        let folder = tempfile::Builder::new()
            .prefix("books")
            .tempdir_in(base)
            .unwrap();
        let path = PlainPath::parse(folder.path().to_str().unwrap()).unwrap();
        let service = ServiceName::parse("n8n").unwrap();
        let books = Books::open(&path, &LockName::service(&service)).unwrap();
        (folder, books)
    }

    fn hour(number: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(number)
    }

    #[test]
    fn deletions_of_a_day_are_added_up_for_each_place() {
        let (_folder, books) = books();
        books.lose(PLACE, hour(0), 1000, 10).unwrap();
        books.lose(PLACE, hour(10), 990, 20).unwrap();
        books.lose("second:Folder", hour(11), 5, 5).unwrap();
        let recent = |at| books.recent(PLACE, hour(at)).unwrap();
        assert_eq!((recent(12).deleted, recent(12).mirrored), (30, 1000));
        assert_eq!((recent(25).deleted, recent(25).mirrored), (20, 990));
        assert_eq!(recent(40), Recent::default());
    }

    #[test]
    fn the_true_number_takes_the_place_of_the_planned_one() {
        let (folder, books) = books();
        books.lose(PLACE, hour(0), 1000, 500).unwrap();
        books.lose(PLACE, hour(0), 1000, 7).unwrap();
        assert_eq!(books.recent(PLACE, hour(1)).unwrap().deleted, 7);
        books.lose(PLACE, hour(0), 1000, 0).unwrap();
        assert_eq!(books.recent(PLACE, hour(1)).unwrap().deleted, 0);
        assert!(!folder.path().join("losses/n8n.json").exists());
    }

    #[test]
    fn deletions_without_end_are_added_up_in_a_bounded_file() {
        let (folder, books) = books();
        let minute = |number: i64| hour(0) + TimeDelta::minutes(number);
        for number in 0..600 {
            books.lose(PLACE, minute(number), 1000, 2).unwrap();
        }
        assert_eq!(books.recent(PLACE, minute(600)).unwrap().deleted, 1200);
        let file = folder.path().join("losses/n8n.json");
        assert!(std::fs::metadata(file).unwrap().len() < 60_000);
        // The true number of the last one still replaces the planned one.
        books.lose(PLACE, minute(599), 1000, 1).unwrap();
        assert_eq!(books.recent(PLACE, minute(600)).unwrap().deleted, 1199);
    }

    #[test]
    fn an_approval_lasts_until_its_hour_and_takes_the_refusal_away() {
        let (_folder, books) = books();
        let change = Change {
            mirrored: 10,
            deleted: 10,
            ..Change::default()
        };
        let at = hour(0);
        books.refuse(PLACE, Refusal { at, change }).unwrap();
        let refused = books.refused().unwrap();
        assert_eq!(refused.len(), 1);
        books.approve(&refused, hour(24)).unwrap();
        assert!(books.refused().unwrap().is_empty());
        let until = hour(24);
        let approval = Some(Approval { until, change });
        assert_eq!(books.approval(PLACE, hour(23)).unwrap(), approval);
        assert_eq!(books.approval(PLACE, hour(24)).unwrap(), None);
        assert_eq!(books.approval("second:Folder", hour(1)).unwrap(), None);
        books.set_approval(PLACE, None).unwrap();
        assert_eq!(books.approval(PLACE, hour(1)).unwrap(), None);
    }

    #[test]
    fn books_that_cannot_be_read_are_not_taken_for_empty() {
        let (folder, books) = books();
        books.lose(PLACE, hour(0), 1000, 500).unwrap();
        std::fs::write(folder.path().join("losses/n8n.json"), "{ torn").unwrap();
        assert!(books.recent(PLACE, hour(1)).is_err());
    }
}
