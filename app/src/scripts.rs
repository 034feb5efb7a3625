//! The folder of scripts. A script is one file directly inside that was written through Lightflow; a write replaces it
//! at once, and the replaced text stays among the versions.
//!
//! Invariant: the newest version is the text of the script. A file without versions, or with another text, is no script:
//! a step wrote it, perhaps with secrets, so that only an admin learns about it and decides to adopt it.

mod former;
mod interpreter;
mod versions;

pub use former::run_by;
pub use interpreter::{Interpreter, Language};
pub use versions::{KEPT, Version};

use crate::domain::names::ScriptName;
use chrono::{DateTime, Utc};
use durable::Staged;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use versions::Versions;

/// Largest script, in bytes.
pub const MAX_SCRIPT: usize = 1024 * 1024;

/// A script as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptInfo {
    /// Its file name.
    pub name: ScriptName,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change.
    pub modified_at: DateTime<Utc>,
}

/// A file in the folder that is no script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherFile {
    /// Its name, size and time.
    pub info: ScriptInfo,
    /// It was a script, until its text was changed from outside.
    pub changed: bool,
}

/// The folder of scripts.
#[derive(Debug, Clone)]
pub struct Scripts {
    folder: PathBuf,
    versions: Versions,
}

impl Scripts {
    /// The scripts in `folder`, with their versions in `versions`.
    pub fn new(folder: PathBuf, versions: PathBuf) -> Self {
        Self {
            folder,
            versions: Versions::new(versions),
        }
    }

    /// Scripts by name.
    pub fn list(&self) -> io::Result<Vec<ScriptInfo>> {
        let mut scripts = Vec::new();
        for info in self.files()? {
            if self.read_script(&info.name)?.is_some() {
                scripts.push(info);
            }
        }
        Ok(scripts)
    }

    /// Files by name that are no scripts.
    pub fn others(&self) -> io::Result<Vec<OtherFile>> {
        let mut others = Vec::new();
        for info in self.files()? {
            if self.read_script(&info.name)?.is_none() {
                others.push(OtherFile {
                    changed: self.newest_version(&info.name)? > 0,
                    info,
                });
            }
        }
        Ok(others)
    }

    /// The bytes of a script; none for any other file. A larger file cannot be a script.
    pub fn read_script(&self, name: &ScriptName) -> io::Result<Option<Vec<u8>>> {
        let newest = self.newest_version(name)?;
        if newest == 0 {
            return Ok(None);
        }
        let bytes = match self.read(name) {
            Err(e) if e.kind() == ErrorKind::FileTooLarge => return Ok(None),
            other => other?,
        };
        let version = self.version(name, newest)?;
        Ok(bytes.filter(|bytes| Some(bytes) == version.as_ref()))
    }

    /// Name, size and time of a file; none where there is none.
    pub fn info(&self, name: &ScriptName) -> io::Result<Option<ScriptInfo>> {
        Ok(self.files()?.into_iter().find(|info| info.name == *name))
    }

    /// Files by name, without those that have no valid name.
    fn files(&self) -> io::Result<Vec<ScriptInfo>> {
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

    /// The bytes of a script; none where there is no such file. An entry of a step that
    /// is a link is none: it would show a viewer a file that only the server may read.
    ///
    /// # Errors
    /// [`ErrorKind::FileTooLarge`] for a large file that a step left here, and those
    /// of the file system.
    pub fn read(&self, name: &ScriptName) -> io::Result<Option<Vec<u8>>> {
        let mut file = match self.options().read(true).open(self.path(name)) {
            Err(e) if e.kind() == ErrorKind::NotFound || is_link(&e) => return Ok(None),
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
    pub fn write(&self, name: &ScriptName, bytes: &[u8]) -> io::Result<()> {
        // A text from outside may hold secrets, so it becomes no version that viewers read.
        if let Ok(Some(old)) = self.read(name)
            && self.read_script(name)?.is_none()
        {
            self.versions.keep_outside(name, &old)?;
        }
        self.replace(name, bytes)?;
        self.versions.record(name, bytes)
    }

    fn replace(&self, name: &ScriptName, bytes: &[u8]) -> io::Result<()> {
        let found = fs::symlink_metadata(self.path(name));
        let mode = found.map_or(0o755, |m| m.permissions().mode() & 0o777);
        let folder = File::open(&self.folder)?;
        let staged = Staged::write(folder.as_fd(), format!(".{name}.new"), bytes)?;
        staged
            .file()
            .set_permissions(Permissions::from_mode(mode))?;
        staged.place(name.as_str())
    }

    /// The versions of a script, newest first.
    pub fn versions(&self, name: &ScriptName) -> io::Result<Vec<Version>> {
        self.versions.list(name)
    }

    /// The number of the newest version; 0 before the first.
    pub fn newest_version(&self, name: &ScriptName) -> io::Result<u64> {
        let versions = self.versions.list(name)?;
        Ok(versions.first().map_or(0, |version| version.number))
    }

    /// The bytes of a version; none where it is not kept.
    pub fn version(&self, name: &ScriptName, number: u64) -> io::Result<Option<Vec<u8>>> {
        self.versions.read(name, number)
    }

    /// Removes a script with its versions; `false` where there was none.
    pub fn remove(&self, name: &ScriptName) -> io::Result<bool> {
        match fs::remove_file(self.path(name)) {
            Ok(()) => self.versions.remove(name).map(|()| true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Reports if the files that an older version left here were looked at.
    pub fn has_adopted(&self) -> bool {
        self.versions.has_mark()
    }

    /// Notes that these files were looked at.
    pub fn mark_adopted(&self) -> io::Result<()> {
        self.versions.mark()
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

/// Reports if opening failed because a link lies there, which is not followed.
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scripts(dir: &tempfile::TempDir) -> Scripts {
        let folder = dir.path().join("scripts");
        fs::create_dir(&folder).unwrap();
        Scripts::new(folder, dir.path().join("versions"))
    }

    #[test]
    fn the_last_versions_are_kept_and_a_text_from_outside_is_none_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let scripts = scripts(&dir);
        let name = ScriptName::new("a.sh").unwrap();
        fs::write(dir.path().join("scripts/a.sh"), b"outside").unwrap();
        for n in 0..KEPT {
            scripts.write(&name, format!("{n}").as_bytes()).unwrap();
        }
        // The same text again is no new version.
        scripts
            .write(&name, format!("{}", KEPT - 1).as_bytes())
            .unwrap();
        let versions = scripts.versions(&name).unwrap();
        assert_eq!(versions.len(), KEPT);
        assert_eq!(versions[0].number, KEPT as u64);
        assert_eq!(scripts.version(&name, 1).unwrap().unwrap(), b"0");
        let outside = dir.path().join("versions/a.sh/outside");
        assert_eq!(fs::read(outside).unwrap(), b"outside");
        assert!(scripts.remove(&name).unwrap());
        assert_eq!(scripts.newest_version(&name).unwrap(), 0);
    }

    #[test]
    fn a_script_is_replaced_whole_and_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let scripts = scripts(&dir);
        let name = ScriptName::new("a.sh").unwrap();
        scripts.write(&name, b"one").unwrap();
        let path = dir.path().join("scripts/a.sh");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        scripts.write(&name, b"two").unwrap();
        assert!(scripts.others().unwrap().is_empty());
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
        let scripts = scripts(&dir);
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("scripts/x")).unwrap();
        assert_eq!(scripts.read(&ScriptName::new("x").unwrap()).unwrap(), None);
    }
}
