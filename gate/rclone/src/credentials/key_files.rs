//! Checks the secret files that rclone.conf names: keys of service accounts, of SSH and of clients.
//!
//! Invariant: the gate uses a secret, like the token in rclone.conf itself, only while no other user can read or
//! replace it.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::backends::behind;
use super::ini::Ini;
use base::owners::program_is_trusted;
use base::repair::{self, Closed, Seen};
use base::trusted::Trusted;
use config::Config;

/// The settings of rclone's backends that name a file with a secret (rclone 1.71: drive, google cloud storage, sftp, s3,
/// azureblob, azurefiles, box, oracleobjectstorage, smb).
const SETTINGS: [&str; 8] = [
    "service_account_file",
    "key_file",
    "shared_credentials_file",
    "service_principal_file",
    "client_certificate_path",
    "box_config_file",
    "config_file",
    "kerberos_ccache",
];

/// A key file that others can read or replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenKey {
    /// The file, the setting that names it, and its fault.
    pub what: String,
    /// The commands that repair the file; empty if a folder on the path is at fault, which `what` says.
    pub fix: Vec<String>,
}

impl fmt::Display for OpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.fix.is_empty() {
            return Ok(());
        }
        write!(f, "; run `{}`", self.fix.join(" && "))
    }
}

/// Checks the key files of all sections behind the gate's remotes. rclone itself handles a missing file, a path with
/// `~` or a variable, and options of a remote that is named inside another one.
///
/// # Errors
/// The first key file that other users can read or replace.
pub fn check(config: &Config, ini: &Ini<'_>, trusted: Trusted) -> Result<(), OpenKey> {
    for remote in &config.remotes {
        for backend in behind(ini, remote.name()) {
            for setting in SETTINGS {
                let value = ini.get(&backend.section, setting).unwrap_or_default();
                if !value.is_empty() && !value.starts_with(['~', '$', '%']) {
                    // rclone's working directory is the root.
                    let path = Path::new("/").join(value);
                    check_file(&path, trusted).map_err(|open| OpenKey {
                        what: format!(
                            "{setting} of [{}] in {}: {}",
                            backend.section, config.rclone.config, open.what
                        ),
                        ..open
                    })?;
                }
            }
        }
    }
    Ok(())
}

fn check_file(path: &Path, trusted: Trusted) -> Result<(), OpenKey> {
    if let Some(open) = open_to_others(path, trusted) {
        return Err(open);
    }
    // The folders on the path, and those behind links.
    program_is_trusted(path, trusted).map_err(|what| OpenKey {
        what,
        fix: Vec::new(),
    })
}

/// The fault of the file itself, with all repair commands at once.
fn open_to_others(path: &Path, trusted: Trusted) -> Option<OpenKey> {
    let real = std::fs::canonicalize(path).ok()?;
    let seen = real.metadata().ok()?;
    let seen = Seen {
        uid: seen.uid(),
        mode: seen.mode() & 0o7777,
        directory: seen.is_dir(),
    };
    let fix = repair::commands(&real, seen, trusted.uid, Closed::All);
    if seen.directory || fix.is_empty() {
        return None;
    }
    Some(OpenKey {
        what: format!(
            "{} belongs to uid {} with mode {:04o}, and a secret is kept there",
            real.display(),
            seen.uid,
            seen.mode
        ),
        fix,
    })
}
