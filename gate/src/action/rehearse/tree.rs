//! The restored tree: its databases, its data folders of PostgreSQL, and the files that it must hold.
//!
//! Invariant: each file is opened by descriptor below the tree, without following links; one that is no plain file is not read.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::evidence::Evidence;
use super::postgres;
use crate::action::Context;
use crate::action::databases::Databases;
use crate::policy::Rehearse;
use archive::assemble::Tree;
use base::error::Failure;
use database::{BESIDE, Integrity, MAGIC};
use host::Patience;

/// The limit for remembered paths, in bytes. No real service has that many databases, but a copy may claim it.
const MAX_PATHS: usize = 4 << 20;

/// The file with the major version in a data folder of PostgreSQL.
const PG_VERSION: &[u8] = b"/PG_VERSION";

/// The state of such a folder, beside it.
const PG_CONTROL: &[u8] = b"/global/pg_control";

/// The files of a tree that need a look of their own.
pub(super) struct Finder {
    tree: Tree,
    databases: Vec<Vec<u8>>,
    clusters: Vec<Vec<u8>>,
    paths: usize,
    left_out: u64,
}

impl Finder {
    /// Below this directory, which is the root of the copy.
    pub(super) fn new(tree: &OwnedFd) -> Result<Self, Failure> {
        let root = tree.try_clone().map_err(Failure::io("the restored tree"))?;
        Ok(Self {
            tree: Tree::new(root),
            databases: Vec::new(),
            clusters: Vec::new(),
            paths: 0,
            left_out: 0,
        })
    }

    /// Looks at the beginning of a file.
    pub(super) fn see(&mut self, path: &[u8]) -> Result<(), Failure> {
        let cluster = path.strip_suffix(PG_VERSION);
        let is_database = cluster.is_none()
            && match self.open(path)? {
                Some(mut file) => starts_with(&mut file, MAGIC)?,
                None => false,
            };
        if !is_database && cluster.is_none() {
            return Ok(());
        }
        self.paths += path.len() + size_of::<Vec<u8>>();
        if self.paths > MAX_PATHS {
            self.left_out += 1;
        } else if let Some(cluster) = cluster {
            self.clusters.push(cluster.to_vec());
        } else {
            self.databases.push(path.to_vec());
        }
        Ok(())
    }

    /// Checks everything that was found, and the files that the copy must hold.
    pub(super) fn examine(
        mut self,
        context: &mut Context<'_>,
        order: &Rehearse,
        databases: &mut Databases,
        evidence: &mut Evidence,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        self.check(context, order, databases, evidence, patience)?;
        for needed in &order.must_hold {
            let path = format!("data/{}", needed.as_str());
            let file = self.open(path.as_bytes())?;
            let size = file.and_then(|file| Some(file.metadata().ok()?.len()));
            let fault = match size {
                None => "missing",
                Some(0) => "empty",
                Some(_) => continue,
            };
            evidence.findings.add(format!(
                "{path}: {fault}, and the service cannot do without it (must_hold)"
            ));
        }
        Ok(())
    }

    /// Checks everything that was found.
    pub(super) fn check(
        &mut self,
        context: &mut Context<'_>,
        order: &Rehearse,
        databases: &mut Databases,
        evidence: &mut Evidence,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        for path in std::mem::take(&mut self.databases) {
            let Some(mut file) = self.open(&path)? else {
                continue;
            };
            databases.copy(&path, &mut file)?;
            for (ending, magic) in BESIDE {
                let beside = [path.as_slice(), ending.as_bytes()].concat();
                if let Some(mut file) = self.open(&beside)?
                    && starts_with(&mut file, magic)?
                {
                    databases.copy_beside(&beside, &mut file)?;
                }
            }
            let looked = databases.look(context, patience)?;
            let sound = looked.iter().filter(|one| one.answer == Integrity::Sound);
            evidence.databases += sound.count() as u64;
            evidence.findings.databases(context, &order.wanted, &looked);
        }
        for cluster in std::mem::take(&mut self.clusters) {
            let control = [cluster.as_slice(), PG_CONTROL].concat();
            // Other programs have a file of this name, too.
            let Some(mut control) = self.open(&control)? else {
                continue;
            };
            let version = [cluster.as_slice(), PG_VERSION].concat();
            let Some(mut version) = self.open(&version)? else {
                continue;
            };
            let name = shown(&cluster);
            match postgres::check(&mut version, &mut control)? {
                Ok(words) => {
                    evidence.clusters += 1;
                    context.say(format!("{name}: {words}"));
                }
                Err(fault) => evidence.findings.add(format!("{name}: {fault}")),
            }
        }
        if self.left_out > 0 {
            let words = format!(
                "{} more databases are in it than are checked",
                self.left_out
            );
            evidence.findings.add(words);
        }
        Ok(())
    }

    /// Opens a plain file; `None` if there is none.
    fn open(&mut self, path: &[u8]) -> Result<Option<File>, Failure> {
        let Some(source) = self.tree.source(path)? else {
            return Ok(None);
        };
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(source.folder, source.name, flags, Mode::empty()).map(File::from) {
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => Ok(None),
            Err(errno) => Err(Failure::errno(format!("opening {}", shown(path)))(errno)),
            Ok(file) => {
                let is_file = file.metadata().is_ok_and(|seen| seen.is_file());
                Ok(is_file.then_some(file))
            }
        }
    }
}

/// Reads the beginning of a file, and goes back to it.
fn starts_with(file: &mut File, magic: &[u8]) -> Result<bool, Failure> {
    let reading = || Failure::io("reading a restored file");
    let mut head = Vec::new();
    let most = magic.len() as u64;
    file.take(most).read_to_end(&mut head).map_err(reading())?;
    file.rewind().map_err(reading())?;
    Ok(head == magic)
}

fn shown(path: &[u8]) -> String {
    Path::new(OsStr::from_bytes(path)).display().to_string()
}
