//! The steps of an installation, in their order: each file knows the wanted state of one part, and lists the missing
//! changes.
//!
//! Invariant: a step looks and never touches; on a host that is as it should be its plan is empty.

mod account;
mod boot;
pub(super) mod configuration;
mod container;
mod programs;
pub(super) mod rclone;
pub(super) mod runner;
mod service_user;
mod slice;
mod sshd;
mod sudoers;

use super::change::Change;
use super::target::Target;

pub(super) use account::{FORCED, KEY_COMMENT, is_gates, keys_file};
pub(super) use container::{CONTAINER, UNIT, data_folder, quadlet_file};
pub(super) use slice::slice_file;

/// All changes before the runner can be asked.
pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let steps: [fn(&Target<'_>) -> Vec<Change>; 9] = [
        programs::plan,
        configuration::plan,
        account::plan,
        sudoers::plan,
        sshd::plan,
        boot::plan,
        slice::plan,
        service_user::plan,
        container::plan,
    ];
    steps.iter().flat_map(|step| step(target)).collect()
}
