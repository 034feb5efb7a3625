//! Decides if a change within the limits is so unusual for a mirror that no older copy may be removed. Pure.
//!
//! A program that encrypts files can stay below the limits of [`super::guard`]. The replaced files are in `.versions` and
//! the archives of before on the remote, until retention removes them.
//!
//! Invariant: an unusual night is never a part of the history that later nights are compared with.

use serde::{Deserialize, Serialize};

use super::change::Change;

/// Nights that are remembered for each mirror.
pub const NIGHTS: usize = 30;

/// Nights without which nothing is known about the usual changes.
const FEWEST: usize = 7;

/// A smaller share of the mirror is never unusual, in percent.
const PERCENT: u64 = 10;

/// The number of times by which the share must be larger than the largest of the nights before.
const TIMES: u64 = 4;

/// The share of a mirror that a night deleted or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Night {
    /// Files deleted or replaced.
    altered: u64,
    /// Files in the mirror before.
    mirrored: u64,
}

impl Night {
    /// The night of a change.
    #[must_use]
    pub fn of(change: &Change) -> Self {
        Self {
            altered: change.deleted.saturating_add(change.replaced),
            mirrored: change.mirrored,
        }
    }

    /// True if its share is more than `times` as large as that of `other`.
    fn exceeds(self, other: Self, times: u64) -> bool {
        let ours = u128::from(self.altered) * u128::from(other.mirrored);
        ours > u128::from(other.altered) * u128::from(self.mirrored) * u128::from(times)
    }
}

/// True if a change is unusual after these nights. `few_files` is the limit of the same name: a change of so few files is
/// never unusual.
#[must_use]
pub fn is_unusual(change: &Change, nights: &[Night], few_files: u64) -> bool {
    let tonight = Night::of(change);
    let least = Night {
        altered: PERCENT,
        mirrored: 100,
    };
    nights.len() >= FEWEST
        && tonight.altered > few_files
        && tonight.exceeds(least, 1)
        && nights.iter().all(|night| tonight.exceeds(*night, TIMES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(mirrored: u64, deleted: u64, replaced: u64) -> Change {
        Change {
            mirrored,
            deleted,
            replaced,
            added: 0,
        }
    }

    fn nights(altered: &[u64]) -> Vec<Night> {
        let night = |altered| Night {
            altered,
            mirrored: 1000,
        };
        altered.iter().copied().map(night).collect()
    }

    #[test]
    fn a_night_is_compared_with_the_largest_before() {
        let usual = nights(&[0, 3, 10, 0, 12, 1, 0]);
        assert!(!is_unusual(&change(1000, 0, 100), &usual, 20));
        assert!(is_unusual(&change(1000, 0, 101), &usual, 20));
        assert!(is_unusual(&change(1000, 60, 60), &usual, 20));
        // Nights that always change much, and a mirror that is too young.
        let lively = nights(&[200, 90, 180, 220, 150, 300, 120]);
        assert!(!is_unusual(&change(1000, 0, 900), &lively, 20));
        assert!(!is_unusual(&change(1000, 0, 900), &usual[..6], 20));
        // Twenty files of a small service.
        assert!(!is_unusual(&change(25, 0, 20), &nights(&[0; 7]), 20));
        assert!(is_unusual(&change(25, 0, 21), &nights(&[0; 7]), 20));
    }

    proptest! {
        #[test]
        fn more_is_unusual_where_less_is(altered in 0_u64..2000, more in 0_u64..2000, before in proptest::collection::vec(0_u64..1000, 0..40)) {
            let nights = nights(&before);
            if is_unusual(&change(4000, altered, 0), &nights, 20) {
                prop_assert!(is_unusual(&change(4000, altered, more), &nights, 20));
            }
        }

        #[test]
        fn a_night_like_one_before_is_usual(before in proptest::collection::vec(0_u64..1000, 7..40), which in 0_usize..7) {
            prop_assert!(!is_unusual(&change(1000, before[which], 0), &nights(&before), 20));
        }
    }
}
