//! A pool limits how many steps run at once across all tasks that name it.

use super::field::FieldError;
use super::names::PoolName;
use std::num::NonZeroU32;

/// Most slots a pool may have.
pub const MAX_SLOTS: u32 = 64;

/// A named number of slots; one slot is held by one running step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Unique among pools.
    pub name: PoolName,
    /// Number of steps of this pool that may run at the same time.
    pub slots: NonZeroU32,
}

impl Pool {
    /// Accepts a pool of `slots` slots.
    ///
    /// # Errors
    /// Refuses 0 slots, in which nothing could ever run, and more than [`MAX_SLOTS`].
    pub fn new(name: PoolName, slots: u32) -> Result<Self, FieldError> {
        match NonZeroU32::new(slots) {
            Some(slots) if slots.get() <= MAX_SLOTS => Ok(Self { name, slots }),
            _ => Err(FieldError::new(
                "slots",
                format!("{slots} is out of range; use 1 to {MAX_SLOTS}"),
            )),
        }
    }
}
