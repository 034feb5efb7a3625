//! The result of a rehearsal: the size of the change that a sync would make, and the files in question.
//!
//! The sync that follows gets these names. With them rclone lists only the folders in which files change, and can
//! change only the rehearsed files. On OneDrive every folder costs a request, so this halves the cost of a sync.
//!
//! Invariant: names are passed on only if they are complete, few enough, and each fits on a line of a list; otherwise
//! the sync checks everything.

use std::collections::BTreeSet;

use crate::log::{Message, Stats};

/// The largest number of names, and of their bytes: rclone and the gate keep them all in memory.
const MAX_NAMES: usize = 20_000;
const MAX_BYTES: usize = 2 << 20;

/// The suffix that rclone appends to the name of a symbolic link.
const LINK: &str = ".rclonelink";

/// Makes rclone list a directory: the name of a file that does not exist there.
const WITHIN: &str = "/.looked-at-by-backupctl";

/// The changes that a rehearsal has reported so far.
#[derive(Debug, Default)]
pub struct Survey {
    deleted: u64,
    /// Files moved away because they are replaced.
    replaced: u64,
    copied: u64,
    touched: u64,
    /// Directories made or removed. Empty directories are made each time, even if they exist.
    directories: u64,
    bytes: u64,
    names: Names,
}

/// File names, as long as they can be passed on.
#[derive(Debug)]
enum Names {
    Known {
        deleted: BTreeSet<String>,
        others: Vec<String>,
        bytes: usize,
    },
    TooMany,
}

impl Default for Names {
    fn default() -> Self {
        Self::Known {
            deleted: BTreeSet::new(),
            others: Vec::new(),
            bytes: 0,
        }
    }
}

impl Names {
    fn push(&mut self, name: String, is_deleted: bool) {
        let Self::Known {
            deleted,
            others,
            bytes,
        } = self
        else {
            return;
        };
        *bytes += name.len();
        let many = deleted.len() + others.len() >= MAX_NAMES || *bytes > MAX_BYTES;
        // Names that are not UTF-8 arrive with this character in place of the invalid bytes.
        let odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        if many || name.is_empty() || name.contains(odd) {
            *self = Self::TooMany;
        } else if is_deleted {
            deleted.insert(name);
        } else {
            others.push(name);
        }
    }
}

/// True if a file to delete is in the way of this one: it has the name of a needed folder, or lies in a folder with the
/// name of this file.
fn is_blocked(name: &str, deleted: &BTreeSet<String>) -> bool {
    let folders = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
    let within = format!("{name}/");
    folders.chain([name]).any(|folder| deleted.contains(folder))
        || deleted
            .range(within.clone()..)
            .next()
            .is_some_and(|first| first.starts_with(&within))
}

impl Survey {
    /// Counts a skipped change; false for other messages.
    pub fn take(&mut self, message: &Message) -> bool {
        let Some(skipped) = message.skipped.as_deref() else {
            return false;
        };
        let name = message.object.clone().unwrap_or_default();
        match skipped {
            "copy" => {
                self.copied += 1;
                self.bytes = self.bytes.saturating_add(message.size);
            }
            "move" => self.replaced += 1,
            "delete" | "move into backup dir" => self.deleted += 1,
            "update modification time" => self.touched += 1,
            _ => {
                // Changes to a directory, and any change that a later rclone may add: treating a file as a directory
                // does no harm.
                self.directories += 1;
                self.names.push(format!("{name}{WITHIN}"), false);
            }
        }
        if let Some(target) = name.strip_suffix(LINK) {
            // rclone 1.60 filters a link by one name while reading and by the other name while storing.
            self.names.push(target.to_owned(), false);
        }
        let is_deleted = matches!(skipped, "delete" | "move into backup dir");
        self.names.push(name, is_deleted);
        true
    }

    /// Files in the mirror before the sync. `stats` are the final ones.
    #[must_use]
    pub fn mirrored(&self, stats: Stats) -> u64 {
        // Each file of the mirror is checked once, and moving a file away counts as another check.
        stats
            .checks
            .saturating_sub(stats.renames)
            .max(self.deleted + self.replaced)
    }

    /// Files that the sync would remove from the mirror.
    #[must_use]
    pub fn deleted(&self) -> u64 {
        self.deleted
    }

    /// Files that the sync would replace by others.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Files that the sync would add.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.copied.saturating_sub(self.replaced)
    }

    /// Bytes and files to transfer.
    #[must_use]
    pub fn transfers(&self) -> (u64, u64) {
        (self.bytes, self.copied)
    }

    /// True if the sync would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deleted + self.replaced + self.copied + self.touched + self.directories == 0
    }

    /// The files in question, one on each line; `None` if there are too many.
    #[must_use]
    pub fn list(&self) -> Option<String> {
        match &self.names {
            Names::Known {
                deleted, others, ..
            } => Some(
                deleted
                    .iter()
                    .chain(others)
                    .map(|name| format!("{name}\n"))
                    .collect(),
            ),
            Names::TooMany => None,
        }
    }

    /// True if a file has taken the place of a folder, or a folder the place of a file. By default rclone deletes last,
    /// and would find the place taken.
    #[must_use]
    pub fn must_delete_first(&self) -> bool {
        match &self.names {
            Names::Known {
                deleted, others, ..
            } => others.iter().any(|name| is_blocked(name, deleted)),
            Names::TooMany => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;

    fn would(skipped: &str, object: &str, size: u64) -> Message {
        Message {
            level: Level::Notice,
            text: format!("Skipped {skipped} as --dry-run is set"),
            object: Some(object.to_owned()),
            skipped: Some(skipped.to_owned()),
            size,
        }
    }

    /// The output of rclone 1.60 for a real tree.
    #[test]
    fn a_rehearsal_is_counted() {
        let mut survey = Survey::default();
        for message in [
            would("copy", "l.rclonelink", 11),
            would("copy", "new", 4),
            would("copy", "newdir/f", 2),
            would("move", "ch", 5),
            would("copy", "ch", 4),
            would("update modification time", "touch", 2),
            would("make directory", "emptyd", 0),
            would("move into backup dir", "del2", 2),
            would("move into backup dir", "d/del1", 2),
        ] {
            assert!(survey.take(&message));
        }
        let stats = Stats {
            checks: 8,
            renames: 1,
            ..Stats::default()
        };
        assert_eq!(survey.mirrored(stats), 7);
        let change = (survey.deleted(), survey.replaced(), survey.added());
        assert_eq!(change, (2, 1, 3));
        assert_eq!(survey.transfers(), (21, 4));
        let list = survey.list().unwrap();
        let names: Vec<&str> = list.lines().collect();
        let within = format!("emptyd{WITHIN}");
        for name in ["l", "l.rclonelink", "newdir/f", "d/del1", within.as_str()] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(!survey.must_delete_first());
    }

    #[test]
    fn what_is_in_the_way_is_deleted_first() {
        for (deleted, skipped, name, first) in [
            ("a", "copy", "a/b/c", true),
            ("a/b", "copy", "a/b/c", true),
            ("a/b/c", "copy", "a/b", true),
            ("a/b/c", "copy", "a", true),
            ("a", "make directory", "a", true),
            ("a", "copy", "ab", false),
            ("a/b", "copy", "a/c", false),
            ("a-b", "copy", "a", false),
        ] {
            let mut survey = Survey::default();
            survey.take(&would("move into backup dir", deleted, 1));
            survey.take(&would(skipped, name, 1));
            assert_eq!(survey.must_delete_first(), first, "{deleted} and {name}");
        }
    }

    #[test]
    fn names_that_do_not_fit_on_a_line_are_not_listed() {
        for name in ["a\nb", "a\r", "", "caf\u{fffd}"] {
            let mut survey = Survey::default();
            survey.take(&would("copy", name, 1));
            assert_eq!(survey.list(), None, "{name:?}");
            assert_eq!(survey.transfers().1, 1);
        }
    }

    #[test]
    fn too_many_names_are_not_kept() {
        let mut survey = Survey::default();
        for number in 0..=MAX_NAMES {
            survey.take(&would("copy", &number.to_string(), 1));
        }
        assert_eq!(survey.list(), None);
        let mut survey = Survey::default();
        for _ in 0..=MAX_BYTES / 4000 {
            survey.take(&would("delete", &"x".repeat(4000), 1));
        }
        assert_eq!(survey.list(), None);
    }

    #[test]
    fn other_messages_are_not_its_business() {
        let mut survey = Survey::default();
        let message = Message {
            skipped: None,
            ..would("copy", "a", 1)
        };
        assert!(!survey.take(&message));
        assert!(survey.is_empty());
    }
}
