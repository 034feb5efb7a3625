//! The Python packages for the scripts: the environments in `python-libs/`, and the steps that use them.
//!
//! Each state of the packages is a virtual environment in a folder with a number. The highest number with a list of its
//! packages is the present one. pip builds the next one beside it, and a rename makes it the present one
//! (`web/operations/packages.py`). Packages that lie in the folder itself are from release 0.1, or a person put them there.
//!
//! Invariant: an environment stays until the last step that started with it has ended; Python imports modules late.

use crate::domain::requirement::normalized;
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most bytes read of a package's description; its name and version stand at the top.
const HEAD: u64 = 64 * 1024;
/// The list that makes an environment complete.
const LIST: &str = "packages.txt";
/// The names in the folder itself that an environment has taken over.
const REPLACED: &str = "replaced.txt";
/// The programs of the packages, without the interpreter beside them.
const PROGRAMS: &str = "programs";
/// pip's script holds a lock on this file.
const LOCK: &str = ".lock";

/// The folder of Python packages.
#[derive(Debug, Clone)]
pub struct Libraries {
    folder: PathBuf,
    /// Steps that run, by the number of their environment; 0 before the first one.
    uses: Arc<Mutex<BTreeMap<u64, usize>>>,
}

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Its name, as it writes itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its summary.
    pub summary: String,
}

/// The packages as one step finds them, until this value is dropped.
#[derive(Debug)]
pub struct StepLibraries {
    libraries: Libraries,
    number: u64,
    /// Folders of modules, for PYTHONPATH.
    pub modules: Vec<PathBuf>,
    /// The folder of programs, for PATH.
    pub programs: Option<PathBuf>,
}

impl Libraries {
    /// The packages in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            uses: Arc::default(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The installed packages by name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn list(&self) -> io::Result<Vec<Library>> {
        let present = self.present();
        let mut libraries = Vec::new();
        if let Some(modules) = self.site(present) {
            libraries.extend(described(&modules, names(&modules)?));
        }
        // A package in the folder itself is the newer one: the environment has taken over those from before.
        libraries.extend(described(&self.folder, self.loose(present)?));
        let by_name = libraries
            .into_iter()
            .map(|one| (normalized(&one.name), one));
        Ok(by_name.collect::<BTreeMap<_, _>>().into_values().collect())
    }

    /// The packages for a step that starts now.
    #[must_use]
    pub fn for_step(&self) -> StepLibraries {
        // Under the lock, or the environment could be removed before it counts as used.
        let mut uses = self.uses();
        let number = self.present();
        *uses.entry(number).or_default() += 1;
        drop(uses);
        let programs = match number {
            0 => self.folder.join("bin"),
            number => self.environment(number).join(PROGRAMS),
        };
        let loose = self.loose(number).is_ok_and(|names| !names.is_empty());
        let loose = loose.then(|| self.folder.clone());
        StepLibraries {
            libraries: self.clone(),
            number,
            modules: self.site(number).into_iter().chain(loose).collect(),
            programs: Some(programs).filter(|folder| folder.is_dir()),
        }
    }

    /// Removes environments that no step uses, and the remains of a change that was stopped.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sweep(&self) -> io::Result<()> {
        // The script builds under this lock. It ends with its process, also after a kill.
        let Some(_lock) = self.lock()? else {
            return Ok(());
        };
        let (mut numbers, mut replaced) = (Vec::new(), Vec::new());
        {
            let uses = self.uses();
            let present = self.present();
            for number in self.numbers()? {
                if number != present && !uses.contains_key(&number) {
                    // Without its list it is no environment, even where the rest stays.
                    remove(&self.environment(number).join(LIST))?;
                    numbers.push(number);
                }
            }
            if uses.keys().all(|number| *number == present) {
                replaced = lines(&self.environment(present).join(REPLACED))?;
            }
            if !replaced.is_empty() {
                for name in &replaced {
                    remove(&self.folder.join(name))?;
                }
                remove(&self.environment(present).join(REPLACED))?;
            }
        }
        for number in numbers {
            remove(&self.environment(number))?;
        }
        Ok(())
    }

    /// Reports if [`Self::sweep`] finds anything to remove once no step uses it.
    fn needs_sweep(&self) -> bool {
        let present = self.present();
        let others = self.numbers().unwrap_or_default();
        others.iter().any(|number| *number != present)
            || self.environment(present).join(REPLACED).exists()
    }

    fn lock(&self) -> io::Result<Option<Flock<File>>> {
        let file = match File::open(self.folder.join(LOCK)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        // Each change of the map is one step, so a panic in between leaves no half of one.
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn environment(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// Numbers of all environments, complete or not.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let names = names(&self.folder)?;
        let number = |name: &String| {
            let number = name.parse::<u64>().ok()?;
            (number > 0 && number.to_string() == *name).then_some(number)
        };
        Ok(names.iter().filter_map(number).collect())
    }

    /// The number of the present environment; 0 where there is none.
    fn present(&self) -> u64 {
        let complete = |number: &u64| self.environment(*number).join(LIST).is_file();
        let numbers = self.numbers().unwrap_or_default();
        numbers.into_iter().filter(complete).max().unwrap_or(0)
    }

    /// The folder of modules of an environment.
    fn site(&self, number: u64) -> Option<PathBuf> {
        let lib = self.environment(number).join("lib");
        let pythons = names(&lib).unwrap_or_default();
        let python = pythons.iter().find(|name| name.starts_with("python"))?;
        Some(lib.join(python).join("site-packages"))
    }

    /// Names in the folder itself that no environment has taken over.
    fn loose(&self, present: u64) -> io::Result<Vec<String>> {
        let replaced = lines(&self.environment(present).join(REPLACED))?;
        let mut loose = names(&self.folder)?;
        loose.retain(|name| {
            name != LOCK && name.parse::<u64>().is_err() && !replaced.contains(name)
        });
        Ok(loose)
    }
}

impl Drop for StepLibraries {
    fn drop(&mut self) {
        let mut uses = self.libraries.uses();
        if let Some(count) = uses.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                uses.remove(&self.number);
            }
        }
        drop(uses);
        if !self.libraries.needs_sweep() {
            return;
        }
        let libraries = self.libraries.clone();
        let sweep = std::thread::Builder::new().spawn(move || {
            if let Err(error) = libraries.sweep() {
                tracing::warn!(%error, "former Python packages stay on the disk until the next start");
            }
        });
        if let Err(error) = sweep {
            tracing::warn!(%error, "former Python packages stay on the disk until the next step ends");
        }
    }
}

/// The packages that entries of a folder of modules describe.
fn described(folder: &Path, names: Vec<String>) -> Vec<Library> {
    let infos = names.iter().filter(|name| name.ends_with(".dist-info"));
    infos
        .filter_map(|name| describe(&folder.join(name)))
        .collect()
}

/// Reads name and version from a description; none where there is no readable one.
fn describe(folder: &Path) -> Option<Library> {
    let text = read_head(&folder.join("METADATA")).ok()?;
    let field = |key: &str| {
        // The head ends at the first empty line; the long description follows.
        let mut head = text.lines().take_while(|line| !line.is_empty());
        head.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    Some(Library {
        name: field("Name")?,
        version: field("Version")?,
        summary: field("Summary").unwrap_or_default(),
    })
}

/// The names in a list that pip's script wrote; a name that leads elsewhere is left out.
fn lines(path: &Path) -> io::Result<Vec<String>> {
    let plain = |name: &&str| {
        let mut parts = Path::new(name).components();
        matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none()
    };
    let text = read_head(path)?;
    Ok(text.lines().filter(plain).map(str::to_owned).collect())
}

fn read_head(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(String::new()),
        other => other?.take(HEAD).read_to_end(&mut bytes)?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Names in a folder, without those that are no text; none where there is no folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// Removes a file, a link or a folder, if it exists.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    };
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn environment(root: &Path, number: u64, complete: bool) {
        let info =
            format!("{number}/lib/python3.11/site-packages/demo-{number}.dist-info/METADATA");
        put(
            root,
            &info,
            &format!("Name: Demo\nVersion: {number}\n\nName: Other\n"),
        );
        if complete {
            put(root, &format!("{number}/{LIST}"), "Demo==1\n");
        }
    }

    #[test]
    fn an_environment_stays_while_a_step_uses_it_and_the_rest_of_a_killed_change_goes() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, LOCK, "");
        environment(root, 1, true);
        environment(root, 3, false);
        let libraries = Libraries::new(root.to_owned());
        let step = libraries.for_step();
        assert_eq!(libraries.list().unwrap()[0].version, "1");
        environment(root, 4, true);
        assert_eq!(libraries.list().unwrap()[0].version, "4");
        libraries.sweep().unwrap();
        let left = || {
            let mut numbers = libraries.numbers().unwrap();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(left(), [1, 4]);
        assert!(step.modules[0].starts_with(root.join("1")));
        drop(step);
        libraries.sweep().unwrap();
        assert_eq!(left(), [4]);
    }

    #[test]
    fn nothing_is_removed_while_an_environment_is_built() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        environment(root, 1, true);
        environment(root, 2, false);
        let lock = File::create(root.join(LOCK)).unwrap();
        let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
        let libraries = Libraries::new(root.to_owned());
        libraries.sweep().unwrap();
        assert!(root.join("2").exists());
        drop(lock);
        libraries.sweep().unwrap();
        assert!(!root.join("2").exists());
    }

    #[test]
    fn packages_that_were_taken_over_go_and_no_list_names_a_place_outside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("python-libs");
        let outside = dir.path().join("secret.key");
        put(&root, LOCK, "");
        put(&root, "old/__init__.py", "");
        put(&root, "new.py", "");
        fs::write(&outside, "x").unwrap();
        environment(&root, 1, true);
        put(
            &root,
            "1/replaced.txt",
            "old\n../secret.key\n/etc/passwd\n..\n",
        );
        let libraries = Libraries::new(root.clone());
        libraries.sweep().unwrap();
        assert!(outside.exists() && root.join("new.py").exists());
        assert!(!root.join("old").exists());
        assert_eq!(libraries.for_step().modules.last(), Some(&root));
    }
}
