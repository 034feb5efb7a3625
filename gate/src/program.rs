//! A program to run: absolute path, argument vector, fresh environment. There is no shell.
//!
//! Every program is started through a second instance of this binary ([`enter`]), which prepares itself from
//! safe code, the way a forked child could not, and then becomes the program. Capabilities, Landlock and
//! no_new_privs belong there too.
//!
//! Invariant: the program inherits /dev/null as its input, two pipes, and at most one more descriptor, number
//! [`SOURCE_FD`]: the source directory.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, getegid, geteuid, getppid};

use crate::config::Pin;
use crate::host::dirfd::PinnedDir;
use crate::names::PlainPath;

/// The number under which a program finds the source directory.
pub const SOURCE_FD: i32 = 9;

/// The hidden first argument of the second instance.
pub const ENTRY: &str = "__exec";

/// The second instance could not prepare itself.
pub const EXIT_PREPARE: i32 = 125;

/// The source is no longer the directory that was opened.
pub const EXIT_REPLACED: i32 = 126;

/// The name of the mount point inside the directory behind [`SOURCE_FD`].
const MOUNT_NAME: &str = "data";

/// `MS_NOSYMFOLLOW` (Linux 5.10), which nix does not name yet.
const NO_SYMFOLLOW: MsFlags = MsFlags::from_bits_retain(256);

/// Whether the program may outlive the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tether {
    /// It dies with the gate; what it started in turn is stopped by the gate as long as that lives.
    Tied,
    /// What it starts is meant to stay: it brings a service up.
    Free,
}

/// What kind of program it is, and so what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A command of the administrator, or podmanctl: it stops, starts or asks a service, and needs what root has.
    Service,
    /// rclone: it needs its source, its configuration, the network, and nothing else.
    Transfer(Folders),
}

/// Folders of the gate's own that a transfer works with, beside its source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// It reads below these.
    pub reads: Vec<PlainPath>,
    /// It writes below these.
    pub writes: Vec<PlainPath>,
}

/// What happens to its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Shown to the caller, line by line, as it comes.
    Relayed,
    /// Kept for the gate to read.
    Captured,
    /// As captured, and its standard error is not shown either: what matters in it the gate says itself.
    Silent,
}

/// A source directory for a program.
#[derive(Debug)]
pub struct Source<'a> {
    /// The directory.
    pub directory: &'a PinnedDir,
    /// How it is handed over.
    pub pin: Pin,
    /// Where the mount point is, for [`Pin::Mount`].
    pub mount_parent: PlainPath,
}

/// The name under which a program sees its source.
#[must_use]
pub fn source_argument(pin: Pin) -> String {
    match pin {
        Pin::Mount => format!("/proc/self/fd/{SOURCE_FD}/{MOUNT_NAME}"),
        Pin::Descriptor => format!("/proc/self/fd/{SOURCE_FD}"),
    }
}

/// A program, ready to be started by a host.
#[derive(Debug)]
pub struct Program<'a> {
    /// What it does, for messages: "the sync", "the stop command".
    pub what: String,
    /// Absolute path and arguments.
    pub argv: Vec<String>,
    /// The directory it works on.
    pub source: Option<Source<'a>>,
    /// Whether it may outlive the gate.
    pub tether: Tether,
    /// What happens to its output.
    pub output: Output,
    /// What it may do.
    pub profile: Profile,
    /// `HOME`, and the place for its temporary files.
    pub home: PlainPath,
}

impl Program<'_> {
    /// The command that starts the second instance, which becomes the program.
    ///
    /// # Errors
    /// When the source's descriptor cannot be duplicated.
    pub fn command(&self, gate: Pid) -> io::Result<Command> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("backupctl").arg(ENTRY).arg(gate.to_string());
        command.arg(match self.tether {
            Tether::Tied => "tied",
            Tether::Free => "free",
        });
        match &self.source {
            None => {
                command.args(["none", "/", "/"]).stdin(Stdio::null());
            }
            Some(source) => {
                command
                    .arg(match source.pin {
                        Pin::Mount => "mount",
                        Pin::Descriptor => "descriptor",
                    })
                    .args([
                        source.directory.path().to_string(),
                        source.mount_parent.to_string(),
                    ])
                    .stdin(Stdio::from(source.directory.fd().try_clone()?));
            }
        }
        let home = self.home.to_string();
        command
            .args(&self.argv)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LANG", "C.UTF-8")
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .env("XDG_CACHE_HOME", &home)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Ok(command)
    }
}

/// Another instance of this program, one that is to outlive this one: nothing of ours is left to it but, unless
/// the caller says otherwise, standard output.
#[must_use]
pub fn second(words: &[OsString]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("backupctl")
        .args(words)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The life of the second instance. Returns only when it could not become the program.
pub fn enter(arguments: &[OsString]) -> (i32, String) {
    match prepare(arguments) {
        Ok(mut command) => {
            let error = command.exec();
            (
                EXIT_PREPARE,
                format!("{}: {error}", command.get_program().display()),
            )
        }
        Err(refusal) => refusal,
    }
}

fn broken(what: &'static str) -> impl Fn(nix::Error) -> (i32, String) {
    move |errno| (EXIT_PREPARE, format!("{what}: {}", errno.desc()))
}

fn prepare(arguments: &[OsString]) -> Result<Command, (i32, String)> {
    let stranger = || (EXIT_PREPARE, format!("{ENTRY} is for the gate itself"));
    let [gate, tether, source, path, mount_parent, program, rest @ ..] = arguments else {
        return Err(stranger());
    };
    // Nothing here gives more than the caller has; the check keeps the entry from becoming an interface.
    let own = std::fs::read_link("/proc/self/exe").ok();
    let parents = std::fs::read_link(format!("/proc/{}/exe", getppid())).ok();
    if own.is_none() || own != parents {
        return Err(stranger());
    }
    if tether == "free" {
        // A service that is brought up writes its files as it would after a boot, not as the gate does.
        umask(Mode::from_bits_truncate(0o022));
    }
    if tether == "tied" {
        set_pdeathsig(Signal::SIGKILL).map_err(broken("PR_SET_PDEATHSIG"))?;
    }
    // The signal is sent for deaths after the call; this is for one before it.
    if getppid().to_string().as_str() != gate.as_os_str() {
        return Err((EXIT_PREPARE, "the gate is gone".into()));
    }
    // The gate blocks signals to read them from a descriptor, and a mask survives execve: with it the
    // program would never hear a SIGTERM.
    SigSet::empty()
        .thread_set_mask()
        .map_err(broken("the signal mask"))?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null());
    let text = |value: &OsString| value.to_str().and_then(|text| PlainPath::parse(text).ok());
    if source == "descriptor" {
        place(io::stdin())?;
    } else if source == "mount" {
        let (Some(path), Some(mount_parent)) = (text(path), text(mount_parent)) else {
            return Err(stranger());
        };
        place(mounted(&path, &mount_parent)?)?;
    }
    Ok(command)
}

/// Puts a descriptor where the program expects it, and lets it through execve.
fn place(fd: impl AsFd) -> Result<(), (i32, String)> {
    let number = fcntl(fd, FcntlArg::F_DUPFD(SOURCE_FD)).map_err(broken("fcntl"))?;
    if number == SOURCE_FD {
        Ok(())
    } else {
        Err((EXIT_PREPARE, format!("descriptor {SOURCE_FD} is taken")))
    }
}

/// Mounts the directory that standard input holds, read-only and with links that lead nowhere, and returns
/// the directory above the mount point.
fn mounted(path: &PlainPath, mount_parent: &PlainPath) -> Result<OwnedFd, (i32, String)> {
    let refused = |errno: nix::Error| {
        (
            EXIT_PREPARE,
            format!(
                "the source cannot be mounted in a namespace of its own ({}); set rclone.pin = \"descriptor\" if this system does not allow it",
                errno.desc()
            ),
        )
    };
    let (uid, gid) = (geteuid(), getegid());
    let flags = if uid.is_root() {
        CloneFlags::CLONE_NEWNS
    } else {
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUSER
    };
    unshare(flags).map_err(refused)?;
    if !uid.is_root() {
        let write = |name: &str, text: String| {
            std::fs::write(format!("/proc/self/{name}"), text)
                .map_err(|e| (EXIT_PREPARE, format!("{name}: {e}")))
        };
        write("setgroups", "deny".into())?;
        write("uid_map", format!("{uid} {uid} 1"))?;
        write("gid_map", format!("{gid} {gid} 1"))?;
    }
    let none: Option<&str> = None;
    // Mounts of the host may still come and go in here; nothing of ours goes out.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none).map_err(refused)?;
    // A mount belongs to one namespace, and the descriptor that came in to the old one. So the directory
    // is opened again, and it must be the same one: its inode is still held open, so its number cannot
    // have gone to another.
    let again =
        PinnedDir::open(path).map_err(|_| (EXIT_REPLACED, format!("{path} was replaced")))?;
    let held = nix::sys::stat::fstat(io::stdin()).map_err(broken("fstat"))?;
    if again.identity() != (&held).into() {
        return Err((EXIT_REPLACED, format!("{path} was replaced")));
    }
    let parent = PinnedDir::open(mount_parent).map_err(broken("the mount point's directory"))?;
    let target = mount_parent.below(&[MOUNT_NAME]).to_path_buf();
    let from = format!("/proc/self/fd/{}", again.fd().as_raw_fd());
    mount(
        Some(from.as_str()),
        &target,
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )
    .map_err(refused)?;
    let strict = MsFlags::MS_REMOUNT
        | MsFlags::MS_BIND
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC
        | NO_SYMFOLLOW;
    mount(none, &target, none, strict, none).map_err(refused)?;
    parent
        .fd()
        .try_clone()
        .map_err(|e| (EXIT_PREPARE, e.to_string()))
}
