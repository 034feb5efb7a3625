//! The capture of a service's data: the service starts again, and the backup continues from the capture.
//!
//! A whole capture holds all data as it was while the service was down. It belongs to the lease under which it was made:
//! a retry, a second remote and the archive of the same night use it. Without a whole capture the backup reads the live
//! data, and starts the service as soon as it has read everything it needs.
//!
//! A backup that finds its service brought back early, and no capture, stops the service once more under the same
//! lease.
//!
//! Invariant: a failure to capture never fails a backup; it then reads the data as if there were no captures. A record
//! on disk names each capture before it is made, so that the next action removes the leftovers of a killed gate.

mod btrfs;
mod commands;
mod data;
mod leftovers;
mod need;
mod record;
mod ways;

pub(super) use data::Capture;
pub(super) use leftovers::{forget, sweep_all};
pub(super) use need::{Need, Wish};
