//! Captures: the state of a service's data that a backup keeps, so that the service can start before the upload.

use super::command_line::CommandLine;
use crate::key::{own_section, section};
use base::names::{PlainPath, ServiceName};

section! {
    /// Terms for captures.
    Capture is "capture", "The data of a service is captured, so that it starts before the upload.";
    // A service that would be down for more than an hour is better uploaded while it is up.
    seconds: u32 = 120, in 1..=3600, "The longest time, in seconds, for which a service stays down while its data is copied on this host. Data that takes longer is uploaded while the service is down.";
}

own_section! {
    /// An administrator's own way to capture the data of a service, for ZFS and LVM.
    CaptureCommands is "services.NAME.capture", "Commands that capture the data of a service, for ZFS or LVM; btrfs and XFS need none.";
    take: CommandLine, like "[\"/usr/local/sbin/wiki-snapshot\", \"take\"]", "A program with its arguments that makes the capture. After that `path` has the content of `data/` as it is at this moment.";
    release: CommandLine, like "[\"/usr/local/sbin/wiki-snapshot\", \"release\"]", "A program with its arguments that removes the capture, and does no harm when there is none.";
    path: PlainPath, like "\"/mnt/wiki-snapshot/data\"", "The folder with the captured content. Only root may be able to change the folders above.";
}

impl CaptureCommands {
    /// `data` is the data of the service.
    pub(super) fn check(&self, name: &ServiceName, data: &PlainPath) -> Result<(), String> {
        self.check_ranges(&format!("services.{name}.capture"))?;
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
