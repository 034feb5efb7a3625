//! The account as the system knows it, and its access to files.
//!
//! Invariant: only names, owners and modes are read; links in the account's home are never followed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, User, getgrouplist};

use config::Account as Settings;

/// Password access to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Password {
    /// `/etc/shadow` cannot be read.
    Unknown,
    /// No password opens the account.
    Locked,
    /// A password opens the account, or none is needed.
    Usable,
}

/// The account, as the system knows it.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    /// The primary group.
    pub(super) group: String,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
    /// Every group of the account, with its number.
    pub(super) groups: Vec<(u32, String)>,
    /// The files of keys that sshd reads.
    pub(super) key_files: Vec<String>,
    pub(super) password: Password,
}

/// A file or directory of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) directory: bool,
    /// Read by a login shell or by sshd before the gate starts.
    pub(super) runs: bool,
}

impl Account {
    /// Looks up the account; `None` if no user has this name.
    pub(super) fn find(settings: &Settings) -> Option<Self> {
        let user = User::from_name(settings.user.as_str()).ok()??;
        let name_of = |gid: Gid| {
            let group = Group::from_gid(gid).ok().flatten();
            group.map_or_else(|| gid.to_string(), |group| group.name)
        };
        let own = std::ffi::CString::new(user.name.as_str()).ok()?;
        let groups = getgrouplist(&own, user.gid).unwrap_or_else(|_| vec![user.gid]);
        let home = user.dir;
        Some(Self {
            uid: user.uid.as_raw(),
            group: name_of(user.gid),
            groups: groups
                .into_iter()
                .map(|gid| (gid.as_raw(), name_of(gid)))
                .collect(),
            key_files: match &settings.keys {
                Some(file) => vec![file.to_string()],
                None => vec![home.join(".ssh/authorized_keys").display().to_string()],
            },
            password: password(&user.name),
            name: user.name,
            home,
            shell: user.shell,
        })
    }

    pub(super) fn may_write(&self, entry: &Entry) -> bool {
        let in_group = self.groups.iter().any(|&(gid, _)| gid == entry.gid);
        entry.uid == self.uid || entry.mode & 0o002 != 0 || (in_group && entry.mode & 0o020 != 0)
    }

    pub(super) fn may_read(&self, entry: &Entry) -> bool {
        let need = if entry.directory { 0o1 } else { 0o4 };
        let in_group = self.groups.iter().any(|&(gid, _)| gid == entry.gid);
        let shift = match () {
            () if entry.uid == self.uid => 6,
            () if in_group => 3,
            () => 0,
        };
        (entry.mode >> shift) & need != 0
    }
}

fn password(user: &str) -> Password {
    let Ok(shadow) = std::fs::read_to_string("/etc/shadow") else {
        return Password::Unknown;
    };
    let field = shadow.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then(|| fields.next().unwrap_or_default())
    });
    match field {
        None => Password::Unknown,
        Some(hash) if hash.starts_with('!') || hash.starts_with('*') => Password::Locked,
        Some(_) => Password::Usable,
    }
}

pub(super) fn entry(path: &Path, runs: bool) -> Option<Entry> {
    let seen = path.symlink_metadata().ok()?;
    Some(Entry {
        path: path.display().to_string(),
        uid: seen.uid(),
        gid: seen.gid(),
        mode: seen.mode() & 0o7777,
        directory: seen.is_dir(),
        runs,
    })
}
