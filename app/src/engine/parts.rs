//! The parts from which the engine is built.

use super::clock::Clock;
use super::environment::Folders;
use super::log_file::LogStore;
use super::process::Supervisors;
use super::run_secrets::RunSecrets;
use crate::libraries::Libraries;
use crate::secrets::SecretKey;
use crate::setting::Setting;
use crate::store::Store;
use crate::zones::Zone;
use std::sync::Arc;
use std::time::Duration;

/// The parts of the engine.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Opens secret variables.
    pub secrets: Arc<SecretKey>,
    /// The secrets of the runs that go on.
    pub run_secrets: RunSecrets,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The logs of steps.
    pub logs: LogStore,
    /// The folders steps get to know.
    pub folders: Folders,
    /// The Python packages for steps.
    pub libraries: Libraries,
    /// The zone of tasks that name none, and of every step's TZ.
    pub zone: Setting<Zone>,
    /// The supervisors of steps.
    pub supervisors: Supervisors,
    /// Time a step gets between being asked to end and being killed.
    pub grace: Duration,
}
