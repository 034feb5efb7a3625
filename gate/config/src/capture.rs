//! Captures: the state of a service's data that a backup keeps, so that the service can start before the upload.

use serde::Deserialize;

use super::command_line::CommandLine;
use crate::key::section;
use base::names::{PlainPath, ServiceName};

section! {
    /// Terms for captures.
    Capture is "capture", "The data of a service is captured, so that it starts before the upload.";
    // A service that would be down for more than an hour is better uploaded while it is up.
    seconds: u32 = 120, in 1..=3600, "The longest time, in seconds, for which a service stays down while its data is copied on this host. Data that takes longer is uploaded while the service is down.";
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
