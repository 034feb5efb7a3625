//! Names on this host that services cannot have: tables that were set aside, and folders with data.
//!
//! Invariant: everything that is left out is reported. `--list` and `--doctor` show each name with the reason and the
//! fix, and every action warns of tables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use crate::Config;
use base::dirfd::{PinnedDir, entries};
use base::names::usable::unusable;
use base::wire::printable;

/// The most folders below `data_root` that are checked.
const MOST: usize = 10_000;

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The place: a table of the configuration, or a folder.
    pub place: String,
    /// The reason, and the fix.
    pub reason: String,
}

/// The tables of the configuration that are not in force.
#[must_use]
pub fn tables(config: &Config) -> Vec<Unusable> {
    let aside = config.set_aside.iter();
    aside
        .map(|one| Unusable {
            place: one.header(),
            reason: printable(one.reason.as_bytes()),
        })
        .collect()
}

/// Folders below `data_root` that hold data and cannot be services. The folders of services are known already.
#[must_use]
pub fn folders(config: &Config) -> Vec<Unusable> {
    let Ok(root) = PinnedDir::open(&config.data_root) else {
        return Vec::new();
    };
    // A folder without read permission is not left out.
    let has_data = |name: &OsString| {
        let data = Path::new(name).join("data");
        match fstatat(root.fd(), &data, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits(),
            Err(errno) => errno == Errno::EACCES,
        }
    };
    let names: Vec<String> = entries(root.fd())
        .unwrap_or_default()
        .into_iter()
        .take(MOST)
        .filter(has_data)
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let reasons: BTreeMap<String, String> = unusable("services", names.iter().map(String::as_str));
    reasons
        .into_iter()
        .map(|(name, reason)| Unusable {
            place: printable(format!("{}/{name}", config.data_root).as_bytes()),
            reason: printable(reason.as_bytes()),
        })
        .collect()
}
