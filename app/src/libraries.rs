//! The folder of Python packages for the scripts: a list of them, and removing one.
//!
//! pip puts packages there (`pip install --target`) and cannot take them out again, so this
//! works as its uninstall: it removes the files that a package's `RECORD` lists (the
//! Python packaging specification "Recording installed projects").
//!
//! Invariant: no `RECORD` makes it remove a file outside of the folder.

use crate::domain::requirement::normalized;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

/// Most bytes read of a package's description; its name and version stand at the top.
const HEAD: u64 = 64 * 1024;
/// Most bytes of a list of files.
const MOST_RECORD: u64 = 16 * 1024 * 1024;

/// The folder of Python packages.
#[derive(Debug, Clone)]
pub struct Libraries {
    folder: PathBuf,
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

impl Libraries {
    /// The packages in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The installed packages by name.
    pub fn list(&self) -> io::Result<Vec<Library>> {
        let mut found = BTreeMap::new();
        for (library, path) in self.described()? {
            // Where an older version left its description behind, the newer one counts.
            let changed = fs::metadata(&path).and_then(|m| m.modified()).ok();
            let name = normalized(&library.name);
            match found.get(&name) {
                Some((known, _)) if *known > changed => {}
                _ => {
                    found.insert(name, (changed, library));
                }
            }
        }
        Ok(found.into_values().map(|(_, library)| library).collect())
    }

    /// Removes a package with its files; false where there is none of that name.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        let mut removed = false;
        for (library, description) in self.described()? {
            if normalized(&library.name) != normalized(name) {
                continue;
            }
            self.remove_recorded(&description)?;
            match fs::remove_dir_all(&description) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => removed = true,
            }
        }
        Ok(removed)
    }

    /// Descriptions of packages, with their folders.
    fn described(&self) -> io::Result<Vec<(Library, PathBuf)>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "dist-info")
                && let Some(library) = describe(&path)
            {
                found.push((library, path));
            }
        }
        Ok(found)
    }

    fn remove_recorded(&self, description: &Path) -> io::Result<()> {
        let record = read_bounded(&description.join("RECORD"), MOST_RECORD)?;
        let mut folders = Vec::new();
        for line in record.lines() {
            let Some(path) = recorded(line).and_then(|path| self.inside(&path)) else {
                continue;
            };
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {}
                Err(e) => return Err(e),
            }
            // The compiled files lie beside the source and are not always listed.
            if let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) {
                remove_compiled(&folder.join("__pycache__"), &stem.to_string_lossy());
                folders.push(folder.to_owned());
            }
        }
        // The deepest first; one that is not empty stays.
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
        for folder in folders {
            let mut empty = folder.as_path();
            let _ = fs::remove_dir(empty.join("__pycache__"));
            while empty.starts_with(&self.folder) && empty != self.folder {
                if fs::remove_dir(empty).is_err() {
                    break;
                }
                let Some(parent) = empty.parent() else { break };
                empty = parent;
            }
        }
        Ok(())
    }

    /// The place of a recorded path, if it is inside of the folder and no link leads out.
    fn inside(&self, path: &str) -> Option<PathBuf> {
        // Programs stand in `bin` here, and pip writes them down as if this were `lib/python3`.
        let path = match path.strip_prefix("../../") {
            Some(program) if program.starts_with("bin/") => program,
            _ => path,
        };
        let path = Path::new(path);
        let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
        if !plain {
            return None;
        }
        let place = self.folder.join(path);
        let real = fs::canonicalize(place.parent()?).ok()?;
        let home = fs::canonicalize(&self.folder).ok()?;
        real.starts_with(home).then_some(place)
    }
}

/// The path in a line of `RECORD`, a CSV file of path, hash and size.
fn recorded(line: &str) -> Option<String> {
    match line.strip_prefix('"') {
        None => line.split(',').next().map(str::to_owned),
        Some(quoted) => {
            let (path, _) = quoted.rsplit_once("\",")?;
            Some(path.replace("\"\"", "\""))
        }
    }
    .filter(|path| !path.is_empty())
}

fn remove_compiled(folder: &Path, stem: &str) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix(stem));
        if of.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".pyc")) {
            // One that stays costs a few bytes.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Reads name and version from a description; none where there is no readable one.
fn describe(folder: &Path) -> Option<Library> {
    let text = read_bounded(&folder.join("METADATA"), HEAD).ok()?;
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

fn read_bounded(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    match fs::File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(String::new()),
        other => other?.take(most).read_to_end(&mut bytes)?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_package_goes_with_all_its_files_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("python-libs");
        let outside = dir.path().join("secret.key");
        fs::write(&outside, "x").unwrap();
        put(
            &root,
            "Demo_Pkg-1.0.dist-info/METADATA",
            "Name: Demo.Pkg\nVersion: 1.0\nSummary: A demo\n\nName: Other\n",
        );
        put(
            &root,
            "Demo_Pkg-1.0.dist-info/RECORD",
            "demo/__init__.py,sha256=x,3\n\"demo/a,b.py\",,\n../secret.key,,\n/etc/passwd,,\ndemo/link/secret.key,,\nshared/one.py,,\n../../bin/demo,,\nDemo_Pkg-1.0.dist-info/RECORD,,\n",
        );
        put(&root, "demo/__init__.py", "");
        put(&root, "demo/a,b.py", "");
        put(&root, "bin/demo", "");
        put(&root, "demo/__pycache__/__init__.cpython-311.pyc", "");
        put(&root, "shared/one.py", "");
        put(&root, "shared/two.py", "");
        std::os::unix::fs::symlink(dir.path(), root.join("demo/link")).unwrap();
        let libraries = Libraries::new(root.clone());
        let listed = libraries.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(
            (listed[0].name.as_str(), listed[0].version.as_str()),
            ("Demo.Pkg", "1.0")
        );
        assert!(!libraries.remove("other").unwrap());
        assert!(libraries.remove("demo-pkg").unwrap());
        assert!(outside.exists());
        assert!(!root.join("demo/__init__.py").exists());
        assert!(!root.join("demo/__pycache__").exists());
        assert!(!root.join("bin").exists());
        assert!(!root.join("shared/one.py").exists() && root.join("shared/two.py").exists());
        assert_eq!(libraries.list().unwrap(), []);
    }
}
