//! The installer's view of the host before it decides.
//!
//! Invariant: nothing in here changes the host, so a plan can be made any number of times; and a plan made with a fake
//! host is the plan for such a host.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::scratch::in_memory;
use super::tool::{Input, Said, run};
use base::names::usable::table;
use base::sort;
use stack::Whole;

/// The most that is read of a file; the largest is rclone.
const MOST: u64 = 256 << 20;

/// An entry at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file with its content.
    File(Vec<u8>),
    /// A directory.
    Folder,
    /// Anything else, a symbolic link included.
    Other,
}

/// Something in the file system. Links are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Kind of entry.
    pub(super) kind: Kind,
    /// The name of its owner, or the number where there is none.
    pub(super) user: String,
    /// Likewise of its group.
    pub(super) group: String,
    /// Its permissions.
    pub(super) mode: u32,
}

impl Seen {
    /// The bytes of a regular file.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A regular file as text.
    pub(super) fn text(&self) -> Option<String> {
        self.bytes()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// A user of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// The number.
    pub(super) uid: u32,
    /// The name of the primary group.
    pub(super) group: String,
    /// The home.
    pub(super) home: PathBuf,
}

/// The host, as plans see it.
pub(super) trait Eyes {
    /// The entry at a path.
    fn look(&self, path: &Path) -> Option<Seen>;

    /// The names in a folder, sorted.
    fn names(&self, folder: &Path) -> Vec<String>;

    /// A user.
    fn person(&self, name: &str) -> Option<Person>;

    /// Asks a program that only tells something.
    fn ask(&self, argv: &[String]) -> Result<Said, String>;

    /// Those of the names that podmanctl, which is in the folder `programs`, finds a unit or a container of.
    fn stacks(&self, programs: &Path, data_root: &str, names: &[String]) -> BTreeSet<String>;

    /// The text of a file of the kernel's or the system's, empty where there is none.
    fn text(&self, path: &str) -> String {
        self.look(Path::new(path))
            .and_then(|seen| seen.text())
            .unwrap_or_default()
    }

    /// True if there is an entry at a path.
    fn is_there(&self, path: &str) -> bool {
        self.look(Path::new(path)).is_some()
    }

    /// As [`Eyes::ask`], by words.
    fn ask_for(&self, argv: &[&str]) -> Result<Said, String> {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        self.ask(&argv)
    }
}

/// The real host.
#[derive(Debug)]
pub(super) struct Own;

impl Eyes for Own {
    fn look(&self, path: &Path) -> Option<Seen> {
        let seen = fs::symlink_metadata(path).ok()?;
        let kind = if seen.is_dir() {
            Kind::Folder
        } else if seen.is_file() {
            Kind::File(read(path)?)
        } else {
            Kind::Other
        };
        let user = User::from_uid(Uid::from_raw(seen.uid())).ok().flatten();
        let group = Group::from_gid(Gid::from_raw(seen.gid())).ok().flatten();
        Some(Seen {
            kind,
            user: user.map_or_else(|| seen.uid().to_string(), |user| user.name),
            group: group.map_or_else(|| seen.gid().to_string(), |group| group.name),
            mode: seen.mode() & 0o7777,
        })
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        sort::sort(&mut names);
        names
    }

    fn person(&self, name: &str) -> Option<Person> {
        let user = User::from_name(name).ok()??;
        let group = Group::from_gid(user.gid).ok().flatten();
        Some(Person {
            uid: user.uid.as_raw(),
            group: group.map_or_else(|| user.gid.to_string(), |group| group.name),
            home: user.dir,
        })
    }

    fn ask(&self, argv: &[String]) -> Result<Said, String> {
        run(argv, &Input::Nothing)
    }

    fn stacks(&self, programs: &Path, data_root: &str, names: &[String]) -> BTreeSet<String> {
        podmanctl_finds(programs, data_root, names).unwrap_or_default()
    }
}

/// podmanctl reads a configuration, so it gets one for this question alone.
fn podmanctl_finds(
    programs: &Path,
    data_root: &str,
    names: &[String],
) -> Result<BTreeSet<String>, String> {
    let scratch = in_memory()?;
    let folder = scratch.path().to_path_buf();
    let state = folder.join("state");
    fs::create_dir(&state).map_err(|error| error.to_string())?;
    let tables: String = names
        .iter()
        .map(|name| format!("{}\n", table("services", name)))
        .collect();
    let config = folder.join("backupctl.toml");
    let text = format!(
        "data_root = \"{data_root}\"\nstate_dir = \"{}\"\n{tables}",
        state.display()
    );
    fs::write(&config, text).map_err(|error| error.to_string())?;
    let program = programs.join("podmanctl").display().to_string();
    let argv = [
        program,
        "--config".into(),
        config.display().to_string(),
        "--list".into(),
    ];
    let said = run(&argv, &Input::Nothing)?;
    let lines = said.out.lines().filter_map(|line| line.split_once('\t'));
    Ok(lines
        .filter(|(_, how)| *how != Whole::Nothing.word())
        .map(|(name, _)| name.to_owned())
        .collect())
}

fn read(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read;
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(path)
        .ok()?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
