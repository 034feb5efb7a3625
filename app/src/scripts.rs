//! The folder of scripts. A script is one file directly inside; a write replaces it at once.

use crate::domain::names::ScriptName;
use chrono::{DateTime, Utc};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

/// Largest script, in bytes.
pub const MAX_SCRIPT: usize = 1024 * 1024;

/// A script as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptInfo {
    /// Its file name.
    pub name: ScriptName,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified_at: DateTime<Utc>,
}

/// The folder of scripts.
#[derive(Debug, Clone)]
pub struct Scripts {
    folder: PathBuf,
}

impl Scripts {
    /// The scripts in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// All scripts by name; files whose name no script may have are left out.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn list(&self) -> io::Result<Vec<ScriptInfo>> {
        let mut scripts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_str().map(ScriptName::new);
            let (Some(Ok(name)), Ok(metadata)) = (name, entry.metadata()) else {
                continue;
            };
            if metadata.is_file() {
                scripts.push(ScriptInfo {
                    name,
                    size: metadata.len(),
                    modified_at: metadata.modified()?.into(),
                });
            }
        }
        scripts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scripts)
    }

    /// The bytes of a script; none where there is no such file.
    ///
    /// # Errors
    /// [`ErrorKind::FileTooLarge`] for what a step left here that is no script, and those
    /// of the file system.
    pub fn read(&self, name: &ScriptName) -> io::Result<Option<Vec<u8>>> {
        let mut file = match self.options().read(true).open(self.path(name)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(MAX_SCRIPT as u64 + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() > MAX_SCRIPT {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                format!("{name} is larger than the {MAX_SCRIPT} bytes a script may have"),
            ));
        }
        Ok(Some(bytes))
    }

    /// Writes a script beside its place and moves it there, so that a step that starts
    /// meanwhile reads the old text or the new one, never a half. A mode it had stays.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, name: &ScriptName, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let mode = fs::symlink_metadata(&path).map_or(0o755, |m| m.permissions().mode() & 0o777);
        let beside = self.folder.join(format!(".{name}.new"));
        // Left over from a crash.
        let _ = fs::remove_file(&beside);
        let mut file = self
            .options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes a script; `false` where there was none.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self, name: &ScriptName) -> io::Result<bool> {
        match fs::remove_file(self.path(name)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn path(&self, name: &ScriptName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    /// A step may have put a link or a pipe here; neither is a script.
    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
        options.custom_flags(flags.bits());
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_replaced_whole_and_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let scripts = Scripts::new(dir.path().into());
        let name = ScriptName::new("a.sh").unwrap();
        scripts.write(&name, b"one").unwrap();
        let path = dir.path().join("a.sh");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        scripts.write(&name, b"two").unwrap();
        assert_eq!(scripts.read(&name).unwrap().unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(scripts.list().unwrap().len(), 1);
        assert!(scripts.remove(&name).unwrap());
        assert!(!scripts.remove(&name).unwrap());
        assert_eq!(scripts.read(&name).unwrap(), None);
    }

    #[test]
    fn a_link_out_of_the_folder_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("x")).unwrap();
        let scripts = Scripts::new(dir.path().into());
        assert!(scripts.read(&ScriptName::new("x").unwrap()).is_err());
    }
}
