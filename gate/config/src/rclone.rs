//! The transfer program and how it is run.

use serde::Deserialize;

use crate::key::{plain, section, shown_by_their_word, shown_in_quotes};
use base::names::PlainPath;
use host::program::Pin;

/// The rclone that a release brings, and the default.
pub const BUNDLED_RCLONE: &str = "/usr/local/lib/backupctl/rclone";

/// The default before a release brought an rclone: Debian's.
pub const FORMER_RCLONE: &str = "/usr/bin/rclone";

section! {
    /// The transfer program.
    Rclone is "rclone", "";
    program: PlainPath = plain(BUNDLED_RCLONE), "The rclone of the release. A remote of type onedrive, also behind an alias, crypt, union or combine, needs 1.67 and works well from 1.70 on; others work from 1.60 on. An older program is kept: the gate warns with each action, and refuses an action only after a small file could not be stored because of the version.";
    config: PlainPath = plain("/etc/backupctl/rclone.conf"), "The configuration of rclone. Must be writable: rclone stores the token here each time Microsoft rotates it.";
    pin: Pin = Pin::Mount, "The way in which rclone gets the opened directory. `mount`: a read-only bind mount in a mount namespace of its own; symbolic links are stored as `NAME.rclonelink`. `descriptor`: `/proc/self/fd/9`, for hosts that forbid mounts; symbolic links are left out of the mirror. Archives have them in either case.";
    transfers: u8 = 4, in 1..=255, "Files transferred at the same time.";
    checkers: u8 = 8, in 1..=255, "Files compared, and folders listed, at the same time.";
    tpslimit: u16 = 10, "Requests a second; 0 is no limit. A client that sends more for long has to wait for minutes at OneDrive. To list a folder takes one request, so 10 a second are 36000 folders an hour.";
    tpslimit_burst: u16 = 20, "Requests that may come at once after a pause.";
    buffer_mib: u16 = 4, "Memory in MiB that each transfer reads ahead into. Besides this and `chunk_mib` rclone takes some 60 MiB, and 1 MiB for every thousand files of the largest folder.";
    chunk_mib: u16 = 10, in 5..=250, "Memory in MiB that each transfer to OneDrive sends from, a multiple of 5.";
    retries: u8 = 3, in 1..=255, "Tries of a whole run.";
    low_level_retries: u8 = 10, in 1..=255, "Tries of a single request.";
    contimeout: u32 = 30, in 1..=4_294_967_295, "Seconds for making a connection.";
    timeout: u32 = 300, in 1..=4_294_967_295, "Seconds that a connection may be silent.";
    wait_while_down: u32 = 60, "Total seconds that an action waits for a remote that throttles or does not answer while a lease keeps its service down. If the service is up, an action waits until its deadline.";
    bwlimit: Option<Bandwidth> = None, like "\"08:00,2M 23:00,off\"", "Bytes a second, in the form of rclone's `--bwlimit`.";
    landlock: Landlock = Landlock::Preferred, "Landlock confines rclone to its source, a working copy of its configuration, and the files that it needs to reach the network. `preferred`: without Landlock in the kernel (older than 5.13, or built without) transfers are made with a warning; `required`: they are refused then; `off`: Landlock is not used.";
    ports: Vec<u16> = vec![443], "The ports that rclone may connect to by TCP (Linux 6.7). An empty list opens all.";
    local_folders: Vec<PlainPath> = Vec::new(), "Folders of this host that a remote leads to, for example a mounted disk: rclone may read and write there. They must belong to root, because the confined rclone has no power over files of others.";
    helpers: Vec<PlainPath> = Vec::new(), "Files that rclone.conf refers to (a key file, a known_hosts) and programs that rclone runs for it (bearer_token_command). A folder includes its content.";
}

/// Behaviour on a kernel without Landlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Landlock {
    /// Transfers are refused.
    Required,
    /// Transfers are done, and a warning is given with each.
    Preferred,
    /// Landlock is not used: for a program in rclone's place that needs more than rclone.
    Off,
}

/// The value of rclone's `--bwlimit`: "8M", or a timetable as in "08:00,512k 23:00,off".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Bandwidth(String);

impl TryFrom<String> for Bandwidth {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:, -".contains(&byte);
        if !text.is_empty() && !text.starts_with('-') && text.bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err(format!(
                "'{text}' is not a bandwidth; write \"8M\" or a timetable such as \"08:00,512k 23:00,off\""
            ))
        }
    }
}

impl std::fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

shown_by_their_word! { Landlock { Required = "required", Preferred = "preferred", Off = "off" } }
shown_in_quotes!(Bandwidth);

impl Rclone {
    /// `private` are the folders that no remote may lead to, with the names of their keys.
    pub(super) fn check(&self, private: &[(&str, &PlainPath)]) -> Result<(), String> {
        for folder in &self.local_folders {
            if let Some((key, other)) = private.iter().find(|(_, other)| {
                folder.to_path_buf().starts_with(other.to_path_buf())
                    || other.to_path_buf().starts_with(folder.to_path_buf())
            }) {
                return Err(format!(
                    "rclone.local_folders: {folder} and {key} ({other}) lie one in the other; rclone may write to the one and must not reach the other"
                ));
            }
        }
        // For retries, rclone takes 0 for "without end".
        self.check_ranges()?;
        if self.tpslimit > 0 && self.tpslimit_burst == 0 {
            return Err("rclone.tpslimit_burst: give at least 1".into());
        }
        if !self.chunk_mib.is_multiple_of(5) {
            return Err("rclone.chunk_mib: OneDrive takes multiples of 5 up to 250".into());
        }
        Ok(())
    }
}
