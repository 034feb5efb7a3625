//! The runs that hold a pool's slots, and those that wait for one.
//!
//! Invariant: never more holders than slots, except right after the pool was made
//! smaller; then no run is granted a slot until enough were given back.

use crate::domain::lifecycle::RunId;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;

/// The slots of one pool.
///
/// First come, first served goes by run: the run that was created first gets the
/// next free slot. So with one slot a run that has stopped a service continues to its
/// end, instead of leaving the service down while every other run stops its own.
#[derive(Debug, Clone)]
pub(super) struct PoolSlots {
    slots: NonZeroUsize,
    holders: BTreeSet<RunId>,
    waiting: BTreeSet<RunId>,
}

impl PoolSlots {
    pub(super) fn new(slots: NonZeroUsize) -> Self {
        Self {
            slots,
            holders: BTreeSet::new(),
            waiting: BTreeSet::new(),
        }
    }

    pub(super) fn resize(&mut self, slots: NonZeroUsize) {
        self.slots = slots;
    }

    /// The run's current step wants a slot.
    pub(super) fn request(&mut self, run: RunId) {
        self.waiting.insert(run);
    }

    /// The run gives its slot back, or no longer waits for one.
    pub(super) fn release(&mut self, run: RunId) {
        self.holders.remove(&run);
        self.waiting.remove(&run);
    }

    /// Gives a free slot to the run that waits and came first.
    pub(super) fn grant(&mut self) -> Option<RunId> {
        if self.holders.len() >= self.slots.get() {
            return None;
        }
        let run = self.waiting.pop_first()?;
        self.holders.insert(run);
        Some(run)
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = RunId> {
        self.holders.iter().copied()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = RunId> {
        self.waiting.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_run_that_came_first_keeps_its_turn_until_it_is_done() {
        let mut pool = PoolSlots::new(NonZeroUsize::MIN);
        pool.request(RunId(1));
        pool.request(RunId(2));
        assert_eq!(pool.grant(), Some(RunId(1)));
        assert_eq!(pool.grant(), None);
        // Run 1 goes from its first to its second step.
        pool.release(RunId(1));
        pool.request(RunId(1));
        assert_eq!(pool.grant(), Some(RunId(1)));
        pool.release(RunId(1));
        assert_eq!(pool.grant(), Some(RunId(2)));
    }

    proptest! {
        #[test]
        fn a_pool_never_gives_more_than_it_has(
            slots in 1usize..4,
            moves in prop::collection::vec((0u8..4, 0i64..6), 0..80),
        ) {
            let mut pool = PoolSlots::new(NonZeroUsize::new(slots).unwrap());
            for (kind, run) in moves {
                match kind {
                    0 | 1 => if !pool.holders.contains(&RunId(run)) { pool.request(RunId(run)) },
                    2 => pool.release(RunId(run)),
                    _ => {
                        let free = pool.holders.len() < slots;
                        let first = pool.waiting.first().copied();
                        prop_assert_eq!(pool.grant(), first.filter(|_| free));
                    }
                }
                prop_assert!(pool.holders.len() <= slots);
                prop_assert!(pool.holders.is_disjoint(&pool.waiting));
            }
        }
    }
}
