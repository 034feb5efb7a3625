//! Captures: the state of a service's data that a backup keeps, so that the service can start before the upload.

use serde::Deserialize;

use super::service::CommandLine;
use base::names::{PlainPath, ServiceName};

/// The longest time for copying, an hour: a service that is down for longer is better uploaded while it is up.
const MAX_SECONDS: u32 = 3600;

/// Terms for captures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    /// The longest time, in seconds, for which a service stays down while its data is copied on this host.
    pub seconds: u32,
}

impl Default for Capture {
    fn default() -> Self {
        Self { seconds: 120 }
    }
}

impl Capture {
    pub(super) fn check(&self) -> Result<(), String> {
        if (1..=MAX_SECONDS).contains(&self.seconds) {
            Ok(())
        } else {
            Err(format!("capture.seconds: give 1 to {MAX_SECONDS} seconds"))
        }
    }
}

/// An administrator's own way to capture the data of a service, for ZFS and LVM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureCommands {
    /// Makes the capture. Exit code 0: `path` is the data as it was.
    pub take: CommandLine,
    /// Removes the capture. Must do no harm when there is none.
    pub release: CommandLine,
    /// The folder with the content of the data.
    pub path: PlainPath,
}

impl CaptureCommands {
    /// `data` is the data of the service.
    pub(super) fn check(&self, name: &ServiceName, data: &PlainPath) -> Result<(), String> {
        let (path, data) = (self.path.to_path_buf(), data.to_path_buf());
        if path.starts_with(&data) || data.starts_with(&path) {
            return Err(format!(
                "services.{name}.capture.path: name a folder that the service cannot reach; {} and the data {} lie in each other",
                path.display(),
                data.display()
            ));
        }
        Ok(())
    }
}
