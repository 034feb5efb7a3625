//! The transfer program and how it is run.

use serde::Deserialize;

use super::plain;
use base::names::PlainPath;
use host::program::Pin;

/// The rclone that a release brings, and the default.
pub const BUNDLED_RCLONE: &str = "/usr/local/lib/backupctl/rclone";

/// The default before a release brought an rclone: Debian's.
pub const FORMER_RCLONE: &str = "/usr/bin/rclone";

/// The transfer program and how it is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rclone {
    /// Absolute path of the program.
    pub program: PlainPath,
    /// Its configuration, which stays writable for it: the token rotates.
    pub config: PlainPath,
    /// The way in which rclone gets the source directory.
    pub pin: Pin,
    /// Files transferred at the same time.
    pub transfers: u8,
    /// Files compared, and folders listed, at the same time.
    pub checkers: u8,
    /// Behaviour on a kernel that cannot confine it.
    pub landlock: Landlock,
    /// The ports that it may connect to by TCP; none listed, all.
    pub ports: Vec<u16>,
    /// Folders of this host that remotes lead to, for example a mounted disk.
    pub local_folders: Vec<PlainPath>,
    /// Files that `config` refers to and programs that it has rclone run.
    pub helpers: Vec<PlainPath>,
    /// Requests a second, 0 for no limit. OneDrive answers who asks more often for long with pauses of minutes.
    pub tpslimit: u16,
    /// Requests that may come at once after a pause.
    pub tpslimit_burst: u16,
    /// Memory that each transfer reads ahead into, in MiB.
    pub buffer_mib: u16,
    /// Memory that each transfer to OneDrive sends from, in MiB; multiples of 5.
    pub chunk_mib: u16,
    /// Tries of a whole run.
    pub retries: u8,
    /// Tries of a single request.
    pub low_level_retries: u8,
    /// Seconds for making a connection.
    pub contimeout: u32,
    /// Seconds that a connection may be silent.
    pub timeout: u32,
    /// Total seconds that one action waits for a remote that does not answer while a lease keeps its service down.
    pub wait_while_down: u32,
    /// Bytes a second, as rclone's `--bwlimit` has it; no limit where there is none.
    pub bwlimit: Option<Bandwidth>,
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

impl Default for Rclone {
    fn default() -> Self {
        Self {
            program: plain(BUNDLED_RCLONE),
            config: plain("/etc/backupctl/rclone.conf"),
            pin: Pin::Mount,
            transfers: 4,
            checkers: 8,
            landlock: Landlock::Preferred,
            ports: vec![443],
            local_folders: Vec::new(),
            helpers: Vec::new(),
            tpslimit: 10,
            tpslimit_burst: 20,
            buffer_mib: 4,
            chunk_mib: 10,
            retries: 3,
            low_level_retries: 10,
            contimeout: 30,
            timeout: 300,
            wait_while_down: 60,
            bwlimit: None,
        }
    }
}

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
        let at_least_one = [
            ("transfers", u32::from(self.transfers)),
            ("checkers", u32::from(self.checkers)),
            ("retries", u32::from(self.retries)),
            ("low_level_retries", u32::from(self.low_level_retries)),
            ("contimeout", self.contimeout),
            ("timeout", self.timeout),
        ];
        // For retries, rclone takes 0 for "without end".
        if let Some((key, _)) = at_least_one.into_iter().find(|&(_, value)| value == 0) {
            return Err(format!("rclone.{key}: give at least 1"));
        }
        if self.tpslimit > 0 && self.tpslimit_burst == 0 {
            return Err("rclone.tpslimit_burst: give at least 1".into());
        }
        if self.chunk_mib == 0 || !self.chunk_mib.is_multiple_of(5) || self.chunk_mib > 250 {
            return Err("rclone.chunk_mib: OneDrive takes multiples of 5 up to 250".into());
        }
        Ok(())
    }
}
