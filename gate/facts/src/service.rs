//! Facts about a service: its state, and the stops of today.

use serde::{Deserialize, Serialize};

/// The state of a service, as its status command reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The service is copied while it runs.
    NeverStopped,
    /// Every part is up.
    Up,
    /// Every part is down.
    Down,
    /// podmanctl reports that some units are up.
    Partly,
    /// There is no such service.
    Missing,
    /// The service could not be asked, or gave another answer.
    Unclear(String),
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its state.
    pub state: State,
    /// The number of stops by the gate today.
    pub stops_today: u32,
}
