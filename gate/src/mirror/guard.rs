//! Decides if a change to a mirror is too large to be made without approval. Pure.
//!
//! A limit per sync is not enough: a caller that may sync can sync again. So deletions are added up over a day.
//!
//! Invariant: the more a sync would delete or replace, the less it is allowed; a request cannot change the limits.

use std::fmt;

use super::change::Change;
use config::Bounds;

/// The files that recent syncs deleted without approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    /// Files deleted within a day.
    pub deleted: u64,
    /// The most files that the mirror had within that day.
    pub mirrored: u64,
}

/// The reason why a change is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    /// The number of files to delete is too large.
    Deletes {
        /// Files deleted within a day, this sync included.
        files: u64,
        /// `max_delete`
        limit: u64,
    },
    /// The share of files to delete is too large.
    DeletesShare {
        /// Files deleted within a day, this sync included.
        files: u64,
        /// Files in the mirror.
        of: u64,
        /// `max_delete_percent`
        limit: u64,
    },
    /// The share of files to replace is too large, as when everything has been encrypted.
    ReplacesShare {
        /// Files to replace.
        files: u64,
        /// Files in the mirror.
        of: u64,
        /// `max_change_percent`
        limit: u64,
    },
    /// The source is almost empty.
    AlmostEmpty {
        /// Files that would remain in the mirror.
        left: u64,
        /// Files in the mirror now.
        of: u64,
        /// `min_left_percent`
        limit: u64,
    },
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deletes { files, limit } => write!(
                f,
                "it would bring the files deleted within 24 hours to {files} (limits.max_delete is {limit})"
            ),
            Self::DeletesShare { files, of, limit } => write!(
                f,
                "it would bring the files deleted within 24 hours to {files} of {of} (limits.max_delete_percent is {limit})"
            ),
            Self::ReplacesShare { files, of, limit } => write!(
                f,
                "it would replace {files} of {of} files (limits.max_change_percent is {limit})"
            ),
            Self::AlmostEmpty { left, of, limit } => write!(
                f,
                "it would leave {left} of {of} files (limits.min_left_percent is {limit})"
            ),
        }
    }
}

/// The decision about a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Make the change.
    Fine,
    /// Make the change: an administrator has approved one of this size.
    Approved,
    /// Refuse the change.
    TooMuch(Vec<Danger>),
}

/// Decides about a change.
pub fn decide(
    change: &Change,
    recent: Recent,
    approved: Option<&Change>,
    bounds: &Bounds,
) -> Verdict {
    let dangers = dangers(change, recent, bounds);
    if dangers.is_empty() {
        Verdict::Fine
    } else if approved.is_some_and(|approved| covers(approved, change)) {
        Verdict::Approved
    } else {
        Verdict::TooMuch(dangers)
    }
}

fn dangers(change: &Change, recent: Recent, bounds: &Bounds) -> Vec<Danger> {
    let mut dangers = Vec::new();
    let files = recent.deleted.saturating_add(change.deleted);
    let of = recent.mirrored.max(change.mirrored);
    if change.deleted > 0 && files > bounds.max_delete {
        let limit = bounds.max_delete;
        dangers.push(Danger::Deletes { files, limit });
    }
    if change.deleted > 0 && files > bounds.few_files && above(files, of, bounds.max_delete_percent)
    {
        let limit = bounds.max_delete_percent;
        dangers.push(Danger::DeletesShare { files, of, limit });
    }
    let (files, of) = (change.replaced, change.mirrored);
    if files > bounds.few_files && above(files, of, bounds.max_change_percent) {
        let limit = bounds.max_change_percent;
        dangers.push(Danger::ReplacesShare { files, of, limit });
    }
    let left = change.left();
    if below(left, of, bounds.min_left_percent) {
        let limit = bounds.min_left_percent;
        dangers.push(Danger::AlmostEmpty { left, of, limit });
    }
    dangers
}

fn above(part: u64, whole: u64, percent: u64) -> bool {
    u128::from(part) * 100 > u128::from(whole) * u128::from(percent)
}

fn below(part: u64, whole: u64, percent: u64) -> bool {
    u128::from(part) * 100 < u128::from(whole) * u128::from(percent)
}

/// The service keeps changing between the refusal and the approved sync, so a slightly larger change is also covered.
fn covers(approved: &Change, change: &Change) -> bool {
    let slack = |seen: u64| seen.saturating_add(seen / 20).saturating_add(10);
    change.deleted <= slack(approved.deleted) && change.replaced <= slack(approved.replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds {
        max_delete: 1000,
        max_delete_percent: 25,
        max_change_percent: 50,
        min_left_percent: 10,
        few_files: 20,
    };

    fn change(mirrored: u64, deleted: u64, replaced: u64, added: u64) -> Change {
        Change {
            mirrored,
            deleted,
            replaced,
            added,
        }
    }

    #[track_caller]
    fn check(change: Change, recent: Recent, fine: bool) {
        let verdict = decide(&change, recent, None, &BOUNDS);
        assert_eq!(verdict == Verdict::Fine, fine, "{change}: {verdict:?}");
    }

    #[test]
    fn what_happens_on_ordinary_days_is_fine() {
        let none = Recent::default();
        // A first sync, a quiet day, a tidy-up, a database and its journal, half of a few files.
        check(change(0, 0, 0, 50_000), none, true);
        check(change(50_000, 0, 0, 0), none, true);
        check(change(50_000, 1000, 0, 1), none, true);
        check(change(3, 0, 3, 0), none, true);
        check(change(6, 3, 0, 0), none, true);
        check(change(20, 10, 20, 0), none, true);
    }

    #[test]
    fn what_would_destroy_is_not() {
        let none = Recent::default();
        check(change(50_000, 1001, 0, 0), none, false);
        check(change(84, 22, 0, 0), none, false);
        // Encrypted in place, and encrypted under other names.
        check(change(400, 0, 400, 0), none, false);
        check(change(400, 400, 0, 400), none, false);
        // Only directories are left, and a new installation replaces the data.
        check(change(5, 5, 0, 0), none, false);
        check(change(21, 20, 0, 1), none, false);
    }

    #[test]
    fn asking_again_does_not_help() {
        let recent = Recent {
            deleted: 900,
            mirrored: 50_000,
        };
        check(change(49_100, 100, 0, 0), recent, true);
        check(change(49_100, 101, 0, 0), recent, false);
        // The share counts the mirror as it was, not the rest that earlier syncs left.
        let recent = Recent {
            deleted: 200,
            mirrored: 1000,
        };
        check(change(800, 50, 0, 0), recent, true);
        check(change(800, 51, 0, 0), recent, false);
        // No further deletions: earlier deletions do not block this sync.
        check(
            change(0, 0, 0, 5),
            Recent {
                deleted: 5000,
                mirrored: 6000,
            },
            true,
        );
    }

    #[test]
    fn an_approval_is_for_what_was_seen_and_a_little_more() {
        let seen = change(5000, 4000, 0, 10);
        let verdict = |change: Change| decide(&change, Recent::default(), Some(&seen), &BOUNDS);
        assert_eq!(verdict(seen), Verdict::Approved);
        assert_eq!(verdict(change(5000, 4210, 0, 10)), Verdict::Approved);
        assert!(matches!(
            verdict(change(5000, 4211, 0, 10)),
            Verdict::TooMuch(_)
        ));
        assert!(matches!(
            verdict(change(5000, 4000, 4000, 0)),
            Verdict::TooMuch(_)
        ));
        assert_eq!(verdict(change(5000, 5, 0, 0)), Verdict::Fine);
    }

    prop_compose! {
        fn any_change()(mirrored in 0_u64..10_000)(mirrored in Just(mirrored), deleted in 0..=mirrored, replaced in 0..=mirrored, added in 0_u64..10_000) -> Change {
            change(mirrored, deleted, replaced.min(mirrored - deleted), added)
        }
    }

    proptest! {
        #[test]
        fn more_is_never_allowed_where_less_was_not(change in any_change(), deleted in 0_u64..2000, more in 0_u64..100) {
            let recent = Recent { deleted, mirrored: change.mirrored };
            let larger = Change { deleted: change.deleted + more, ..change };
            if decide(&larger, recent, None, &BOUNDS) == Verdict::Fine && change.deleted > 0 {
                prop_assert_eq!(decide(&change, recent, None, &BOUNDS), Verdict::Fine);
            }
        }

        #[test]
        fn a_day_of_syncs_never_deletes_more_than_the_limits(syncs in proptest::collection::vec((0_u64..500, 0_u64..100), 1..40), mirrored in 100_u64..20_000) {
            let mut recent = Recent::default();
            let mut files = mirrored;
            for (deleted, added) in syncs {
                let change = change(files, deleted.min(files), 0, added);
                if decide(&change, recent, None, &BOUNDS) == Verdict::Fine {
                    recent = Recent { deleted: recent.deleted + change.deleted, mirrored: recent.mirrored.max(files) };
                    files = change.left();
                }
            }
            prop_assert!(recent.deleted <= BOUNDS.max_delete);
            prop_assert!(recent.deleted <= BOUNDS.few_files || recent.deleted * 100 <= recent.mirrored * BOUNDS.max_delete_percent);
        }

        #[test]
        fn nothing_is_ever_left_empty(change in any_change()) {
            if change.mirrored > 0 && change.left() == 0 {
                prop_assert_ne!(decide(&change, Recent::default(), None, &BOUNDS), Verdict::Fine);
            }
        }
    }
}
