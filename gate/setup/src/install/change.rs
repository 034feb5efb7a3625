//! The changes that the installer makes to a host: a plan is a list of these, and the installer makes no others.
//!
//! Invariant: a change says in one line all that it does; a dry run prints these lines and a run carries them out, one by
//! one, each of which leaves the host either as it was or as the line says.

use std::fmt;
use std::path::{Path, PathBuf};

use config::{BUNDLED_RCLONE, FORMER_RCLONE};

/// Folder for replaced files of others.
pub(super) const KEPT: &str = "/var/lib/backupctl/replaced";

/// Stands in a path for the number of a user who may not exist yet.
const UID_OF: &str = "{uid of ";

/// The owner of a file, by name: user and group may be created in the same plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The user.
    pub(super) user: String,
    /// The group.
    pub(super) group: String,
}

impl Owner {
    /// Root and its group.
    pub(super) fn root() -> Self {
        Self::of("root", "root")
    }

    /// A user and a group.
    pub(super) fn of(user: &str, group: &str) -> Self {
        Self {
            user: user.to_owned(),
            group: group.to_owned(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.group)
    }
}

/// The check of a new file before it replaces the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing.
    None,
    /// visudo(8) accepts it.
    Sudoers,
    /// sshd(8) still accepts its configuration; if not, the file is removed again.
    Sshd,
}

/// A file in its new state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewFile {
    /// Path.
    pub(super) path: PathBuf,
    /// Content.
    pub(super) bytes: Vec<u8>,
    /// Owner.
    pub(super) owner: Owner,
    /// Its permissions.
    pub(super) mode: u32,
    /// Check before it counts.
    pub(super) proof: Proof,
    /// Keep the existing file, which is not ours, aside.
    pub(super) keep: bool,
    /// The file belongs to the administrator from then on: upgrades and removals leave it alone.
    pub(super) theirs: bool,
}

/// Owner of a service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manager {
    /// The system's.
    System,
    /// A user's.
    User(String),
}

/// A request to a service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    /// Read the units again.
    Reread,
    /// Start a unit at each boot.
    Enable(&'static str),
    /// Stop a unit, and no longer start it at boot.
    Disable(&'static str),
    /// Start a unit now.
    Start(&'static str),
    /// Start a unit, or restart it.
    Restart(&'static str),
    /// Reload the settings of a unit, if it runs.
    Reload(&'static str),
    /// Stop a unit.
    Stop(&'static str),
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A system account without a password.
    Account {
        /// Its name.
        name: String,
        /// Its home, which is a change of its own.
        home: PathBuf,
        /// Shell for the commands of sshd.
        shell: &'static str,
        /// It gets subordinate ids, as rootless containers need them.
        containers: bool,
    },
    /// The service manager of a user runs without a login.
    Linger(String),
    /// A directory, made or put right.
    Folder {
        /// Path.
        path: PathBuf,
        /// Owner.
        owner: Owner,
        /// Its permissions.
        mode: u32,
    },
    /// Owner and permissions of a file that is there.
    Tighten {
        /// Path.
        path: PathBuf,
        /// Owner.
        owner: Owner,
        /// Its permissions.
        mode: u32,
    },
    /// A file.
    File(NewFile),
    /// A file that is a second name of the file at a path in the same folder, which has the same content.
    SecondName(NewFile, PathBuf),
    /// The gate's configuration, with the rclone of the release in the place of the former default.
    Rclone(NewFile),
    /// The folders that a tmpfiles.d(5) file lists are made.
    Tmpfiles(&'static str),
    /// A service manager does something.
    Systemd(Manager, Job),
    /// An image is put into a user's store, under its names.
    Image {
        /// Owner of the store.
        user: String,
        /// The OCI archive.
        archive: PathBuf,
        /// Its id.
        id: String,
        /// Names of the image.
        names: Vec<String>,
    },
    /// Images of former versions go away; each release brings its own.
    Prune {
        /// Owner of the store.
        user: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// A pool of the runner.
    Pool {
        /// Owner of the container.
        user: String,
        /// Its name.
        name: &'static str,
        /// Steps that run at once.
        slots: u32,
    },
    /// A variable of the runner that is no secret.
    Variable {
        /// Owner of the container.
        user: String,
        /// Its name.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A fresh pair of keys: the public half among the account's, the private one in the runner's secret variable.
    Key {
        /// Owner of the container.
        user: String,
        /// The file of the account's keys.
        file: PathBuf,
        /// Its owner.
        owner: Owner,
    },
    /// A file of ours goes away.
    Remove(PathBuf),
    /// A line of ours goes away from the account's keys.
    Forget(PathBuf),
    /// The secret variable with a private key that opens nothing any more goes away.
    Unset {
        /// Owner of the container.
        user: String,
        /// Its name.
        key: &'static str,
    },
    /// A user's images of the runner go away.
    RemoveImages(String),
    /// An account goes away; its home stays.
    RemoveAccount(String),
    /// The service manager of a user ends with his last login.
    NoLinger(String),
}

/// A folder below that of a user's number, who may not exist yet.
pub(super) fn uid_of(user: &str) -> String {
    format!("{UID_OF}{user}}}")
}

/// Fills in the numbers of users.
///
/// # Errors
/// The name of one who is not there.
pub(super) fn resolved(path: &Path, uid: impl Fn(&str) -> Option<u32>) -> Result<PathBuf, String> {
    let text = path.display().to_string();
    let Some((before, rest)) = text.split_once(UID_OF) else {
        return Ok(path.to_owned());
    };
    let (user, behind) = rest.split_once('}').unwrap_or((rest, ""));
    match uid(user) {
        Some(uid) => Ok(PathBuf::from(format!("{before}{uid}{behind}"))),
        None => Err(user.to_owned()),
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("systemd"),
            Self::User(user) => write!(f, "systemd of {user}"),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reread => f.write_str("read its units again"),
            Self::Enable(unit) => write!(f, "start {unit} at each boot"),
            Self::Disable(unit) => write!(f, "start {unit} no more"),
            Self::Start(unit) => write!(f, "start {unit}"),
            Self::Restart(unit) => write!(f, "start {unit}, again if it runs"),
            Self::Reload(unit) => write!(f, "have {unit} read its settings"),
            Self::Stop(unit) => write!(f, "stop {unit}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account {
                name,
                home,
                shell,
                containers,
            } => {
                let more = if *containers { ", for containers" } else { "" };
                write!(
                    f,
                    "account  {name}, without a password, home {}, shell {shell}{more}",
                    home.display()
                )
            }
            Self::Linger(user) => write!(f, "linger   {user}: its services run without a login"),
            Self::Folder { path, owner, mode } => {
                write!(f, "folder   {} ({owner} {mode:04o})", path.display())
            }
            Self::Tighten { path, owner, mode } => {
                write!(f, "owner    {} ({owner} {mode:04o})", path.display())
            }
            Self::File(file) => {
                write!(
                    f,
                    "file     {} ({} {:04o})",
                    file.path.display(),
                    file.owner,
                    file.mode
                )?;
                match file.proof {
                    Proof::None => {}
                    Proof::Sudoers => f.write_str(", if visudo likes it")?,
                    Proof::Sshd => f.write_str(", if sshd likes it")?,
                }
                if file.keep {
                    write!(f, "; what is there is kept in {}", KEPT)?;
                }
                Ok(())
            }
            Self::SecondName(file, of) => write!(
                f,
                "file     {}, a second name of {}",
                file.path.display(),
                of.display()
            ),
            Self::Rclone(file) => write!(
                f,
                "rclone   {FORMER_RCLONE} becomes {BUNDLED_RCLONE} in {}; the former text is kept in {}",
                file.path.display(),
                KEPT
            ),
            Self::Tmpfiles(file) => write!(f, "folders  that {file} lists"),
            Self::Systemd(manager, job) => write!(f, "systemd  {manager}: {job}"),
            Self::Image {
                user, id, names, ..
            } => {
                let short = id.get(..12).unwrap_or(id);
                write!(f, "image    {short} for {user}: {}", names.join(", "))
            }
            Self::Pool { name, slots, .. } => write!(f, "pool     {name}, slots: {slots}"),
            Self::Variable { key, value, .. } => write!(f, "variable {key} = {value}"),
            Self::Key { file, .. } => write!(
                f,
                "key      a fresh one: its public half into {}, the private one into the secret variable BACKUP_SSH_KEY",
                file.display()
            ),
            Self::Remove(path) => write!(f, "remove   {}", path.display()),
            Self::Forget(path) => write!(f, "key      remove the runner's from {}", path.display()),
            Self::Unset { key, .. } => write!(f, "variable {key}: remove"),
            Self::Prune { ids, .. } => {
                let short: Vec<&str> = ids.iter().map(|id| id.get(..12).unwrap_or(id)).collect();
                write!(f, "image    remove former ones: {}", short.join(", "))
            }
            Self::RemoveImages(user) => {
                write!(f, "image    remove those of {user} named lightflow")
            }
            Self::RemoveAccount(name) => write!(f, "account  remove {name}"),
            Self::NoLinger(user) => write!(f, "linger   {user}: no more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_number_is_filled_in_when_it_is_known() {
        let path = PathBuf::from(format!("/etc/x/{}/a.container", uid_of("lightflow")));
        assert_eq!(
            resolved(&path, |_| Some(7)).unwrap(),
            Path::new("/etc/x/7/a.container")
        );
        assert_eq!(resolved(&path, |_| None).unwrap_err(), "lightflow");
        assert_eq!(
            resolved(Path::new("/a"), |_| None).unwrap(),
            Path::new("/a")
        );
    }

    #[test]
    fn no_line_holds_a_secret_or_a_second_line() {
        let key = Change::Key {
            user: "lightflow".into(),
            file: "/home/backup_ops/.ssh/authorized_keys".into(),
            owner: Owner::of("root", "backup_ops"),
        };
        assert!(!key.to_string().contains('\n'));
    }
}
