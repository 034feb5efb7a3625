//! Landlock: which files, folders and ports a transfer can open.
//!
//! A rule belongs to an opened file or folder, not to a name, and the rule of a folder covers everything below. A file
//! without a rule cannot be opened, listed, made, changed or removed. Looking a name up and asking for a file's size
//! or owner stay possible, because Landlock does not cover them.
//!
//! Invariant: paths that come from the configuration are opened without following links. Places of the system
//! are opened as the system has them, links included, and are left out where they do not exist.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus,
    Scope, make_bitflags,
};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use serde::{Deserialize, Serialize};

/// The newest version of the interface that this was tried with. On older kernels less is confined.
const TRIED: ABI = ABI::V7;

/// DNS by TCP, for answers that do not fit into a datagram.
const DNS: u16 = 53;

/// Files of the system for every user of the network: certificates of authorities, but no private keys; name
/// resolution; time zones; types of files.
const SYSTEM: [&str; 27] = [
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/share/pki/ca-trust-source",
    "/usr/local/share/ca-certificates",
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/run/NetworkManager/resolv.conf",
    "/run/resolvconf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/etc/mime.types",
    "/usr/share/mime",
    "/usr/local/share/mime",
    "/dev/urandom",
    "/dev/random",
];

/// Folders in which the loader of a dynamic program looks for libraries.
const LIBRARIES: [&str; 6] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
];

/// Files to open, besides those of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Files, and folders with all that is below them, that are read.
    pub reads: Vec<String>,
    /// Folders in which files are made, changed and removed.
    pub writes: Vec<String>,
    /// Files, and folders with all that is below them, that are read and run.
    pub runs: Vec<String>,
    /// Ports that can be connected to by TCP; all, where none is listed.
    pub ports: Vec<u16>,
    /// The folder that is mirrored, as the program finds it: below a descriptor.
    pub source: Option<String>,
}

/// A set of rules, ready to be entered.
#[derive(Debug)]
pub struct Domain(RulesetCreated);

/// The version of the kernel's Landlock; none where it is missing or switched off.
#[must_use]
pub fn version() -> Option<u32> {
    // The crate tells it to those who have entered a domain, so a thread enters one.
    let asked = std::thread::Builder::new().spawn(|| {
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::Execute)
            .and_then(Ruleset::create)
            .and_then(RulesetCreated::restrict_self);
        match ruleset.map(|status| status.landlock) {
            Ok(LandlockStatus::Available {
                effective_abi,
                kernel_abi,
            }) => Some(kernel_abi.unwrap_or(effective_abi as i32)),
            _ => None,
        }
    });
    let version = asked.ok()?.join().ok().flatten()?;
    u32::try_from(version).ok()
}

fn read_access() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{ReadFile | ReadDir})
}

fn run_access() -> BitFlags<AccessFs> {
    read_access() | AccessFs::Execute
}

/// Regular files, folders and links; no devices, pipes or sockets.
fn write_access() -> BitFlags<AccessFs> {
    read_access()
        | make_bitflags!(AccessFs::{
            WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
        })
}

fn refused(error: impl std::fmt::Display) -> String {
    format!("Landlock: {error}")
}

impl Rules {
    /// Opens everything that the rules name.
    ///
    /// # Errors
    /// A sentence with the path that cannot be opened.
    pub fn open(&self) -> Result<Domain, String> {
        let mut net: BitFlags<AccessNet> = AccessNet::BindTcp.into();
        if !self.ports.is_empty() {
            net |= AccessNet::ConnectTcp;
        }
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(TRIED))
            .and_then(|ruleset| ruleset.handle_access(net))
            .and_then(|ruleset| ruleset.scope(Scope::from_all(TRIED)))
            .and_then(Ruleset::create)
            .map_err(refused)?;
        for path in SYSTEM {
            ruleset = system(ruleset, path, read_access())?;
        }
        ruleset = system(
            ruleset,
            "/dev/null",
            read_access() | AccessFs::WriteFile | AccessFs::Truncate,
        )?;
        for (paths, access) in [(&self.reads, read_access()), (&self.writes, write_access())] {
            for path in paths {
                let fd = open_path(path).map_err(|errno| format!("{path}: {}", errno.desc()))?;
                ruleset = add(ruleset, fd, access)?;
            }
        }
        for path in &self.runs {
            // A program may be a link, as /usr/bin/python3 is; its owners were looked at before.
            let fd = PathFd::new(path).map_err(|error| error.to_string())?;
            ruleset = ruleset
                .add_rule(PathBeneath::new(fd, run_access() & possible(path)))
                .map_err(refused)?;
            if let Some(loader) = loader(Path::new(path)) {
                ruleset = system(ruleset, &loader, run_access())?;
                for library in LIBRARIES {
                    ruleset = system(ruleset, library, read_access())?;
                }
            }
        }
        if let Some(source) = &self.source {
            let fd = PathFd::new(source).map_err(|error| error.to_string())?;
            ruleset = ruleset
                .add_rule(PathBeneath::new(fd, read_access()))
                .map_err(refused)?;
        }
        if !self.ports.is_empty() {
            for port in self.ports.iter().copied().chain([DNS]) {
                ruleset = ruleset
                    .add_rule(NetPort::new(port, AccessNet::ConnectTcp))
                    .map_err(refused)?;
            }
        }
        Ok(Domain(ruleset))
    }
}

/// One folder in which files are read, made, changed and removed, and no other file: not even those of the system.
///
/// # Errors
/// A sentence, when it cannot be opened.
pub fn only(folder: &str) -> Result<Domain, String> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(TRIED))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(TRIED)))
        .and_then(Ruleset::create)
        .map_err(refused)?;
    let fd = open_path(folder).map_err(|errno| format!("{folder}: {}", errno.desc()))?;
    add(ruleset, fd, write_access()).map(Domain)
}

impl Domain {
    /// Confines this thread, and the programs that it starts, for good; sets no_new_privs. On a kernel without
    /// Landlock this has no effect; an earlier stage decided if that is enough.
    ///
    /// # Errors
    /// When the kernel has it and refuses.
    pub fn enter(self) -> Result<(), String> {
        let status = self.0.restrict_self().map_err(refused)?;
        let there = matches!(status.landlock, LandlockStatus::Available { .. });
        if there && status.ruleset == RulesetStatus::NotEnforced {
            return Err("Landlock: the kernel did not take the rules".into());
        }
        Ok(())
    }
}

/// A place of the system, left out where it does not exist.
fn system(
    ruleset: RulesetCreated,
    path: &str,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, String> {
    let Ok(fd) = PathFd::new(path) else {
        return Ok(ruleset);
    };
    ruleset
        .add_rule(PathBeneath::new(fd, access & possible(path)))
        .map_err(refused)
}

/// The rights that a file, or a folder, can have.
fn possible(path: &str) -> BitFlags<AccessFs> {
    if Path::new(path).is_dir() {
        AccessFs::from_all(TRIED)
    } else {
        AccessFs::from_file(TRIED)
    }
}

fn add(
    ruleset: RulesetCreated,
    fd: OwnedFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, String> {
    let stat = fstat(&fd).map_err(|errno| errno.desc().to_owned())?;
    let folder = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    let possible = if folder {
        AccessFs::from_all(TRIED)
    } else {
        AccessFs::from_file(TRIED)
    };
    ruleset
        .add_rule(PathBeneath::new(fd, access & possible))
        .map_err(refused)
}

/// Opens a path of the gate's own for a rule: every folder on the way is real.
fn open_path(path: &str) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut fd = open("/", flags, Mode::empty())?;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        fd = nix::fcntl::openat(&fd, part, flags, Mode::empty())?;
        let stat = fstat(&fd)?;
        if stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFLNK.bits() {
            return Err(Errno::ELOOP);
        }
    }
    Ok(fd)
}

/// The loader that a program names: the interpreter of ELF(5) or that of a script.
fn loader(program: &Path) -> Option<String> {
    let mut file = File::open(program).ok()?;
    let mut head = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut head).ok()?;
    if let Some(script) = head.strip_prefix(b"#!") {
        let line = script.split(|&byte| byte == b'\n').next()?;
        let words = std::str::from_utf8(line).ok()?;
        return words.split_whitespace().next().map(str::to_owned);
    }
    let number = |bytes: &[u8], at: usize, length: usize| -> Option<u64> {
        let field = bytes.get(at..at + length)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |value, &byte| value << 8 | u64::from(byte)),
        )
    };
    // 64 bits, little endian, as on all machines of Lightflow.
    if head.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (
        number(&head, 32, 8)?,
        number(&head, 54, 2)?,
        number(&head, 56, 2)?,
    );
    file.seek(SeekFrom::Start(table)).ok()?;
    let mut headers = Vec::new();
    file.by_ref()
        .take((size * count).min(64 << 10))
        .read_to_end(&mut headers)
        .ok()?;
    const INTERPRETER: u64 = 3;
    let header = headers
        .chunks(usize::try_from(size).ok().filter(|&size| size > 0)?)
        .find(|header| number(header, 0, 4) == Some(INTERPRETER))?;
    file.seek(SeekFrom::Start(number(header, 8, 8)?)).ok()?;
    let mut name = Vec::new();
    file.take(number(header, 32, 8)?.min(4096))
        .read_to_end(&mut name)
        .ok()?;
    name.pop_if(|last| *last == 0);
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_tells_its_loader() {
        let own = std::env::current_exe().unwrap();
        if let Some(loader) = loader(&own) {
            assert!(Path::new(&loader).exists(), "{loader}");
        }
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#! /bin/sh -e\ntrue\n").unwrap();
        assert_eq!(loader(&script).as_deref(), Some("/bin/sh"));
        for text in [&b""[..], b"#!", b"\x7fELF\x02\x01", b"plain text"] {
            std::fs::write(&script, text).unwrap();
            assert_eq!(loader(&script), None);
        }
    }

    #[test]
    fn who_has_one_folder_has_nothing_else() {
        // Where the kernel has no Landlock there is nothing to be seen.
        if version().is_none() {
            return;
        }
        let base = std::fs::canonicalize(std::env::temp_dir()).unwrap();
        let folder = tempfile::tempdir_in(&base).unwrap();
        let other = tempfile::NamedTempFile::new_in(&base).unwrap();
        let path = folder.path().to_owned();
        let outcomes = std::thread::spawn(move || {
            only(path.to_str().unwrap()).unwrap().enter().unwrap();
            let file = path.join("file");
            [
                std::fs::write(&file, "x").is_ok(),
                std::fs::remove_file(&file).is_ok(),
                std::fs::read(other.path()).is_ok(),
                std::fs::write(other.path(), "x").is_ok(),
                std::fs::read("/etc/hosts").is_ok(),
                std::fs::read("/etc/localtime").is_ok(),
                std::fs::read_dir("/").is_ok(),
            ]
        });
        let [wrote, removed, rest @ ..] = outcomes.join().unwrap();
        assert!(wrote && removed);
        assert_eq!(rest, [false; 5]);
    }

    #[test]
    fn a_rule_for_a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        let rules = Rules {
            reads: vec![link.display().to_string()],
            ..Rules::default()
        };
        assert!(rules.open().is_err());
    }
}
