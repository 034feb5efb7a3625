//! A program to run: absolute path, argument vector, fresh environment. There is no shell.
//!
//! Every program is started through a second instance of this binary ([`enter`]). It prepares itself from safe code,
//! which a forked child could not do, gives up the powers that the program must not have, and becomes the program.
//!
//! Invariant: the program inherits /dev/null as its input, two pipes, and at most two more descriptors: the source
//! directory under [`SOURCE_FD`] or a listening socket under [`SOCKET_FD`] and, for a transfer, the folder of its
//! configuration under [`FOLDER_FD`].

mod enter;
mod orders;
mod pin;
mod refusal;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::unistd::Pid;

use crate::handover::path_of;
use crate::leftovers;
use base::dirfd::PinnedDir;
use base::names::PlainPath;
use base::scratch::{Scratch, exceeds};
use privilege::Confinement;

pub use enter::enter;
pub use orders::{ENTRY, FOLDER_FD, Pin, SOCKET_FD, SOURCE_FD, Tether};
use orders::{MOUNT_NAME, Orders, SourceOrders};
pub use refusal::{EXIT_PREPARE, NotStarted, Token};

/// The bytes that a transfer may have in its temporary folder, and in the folder of its configuration. rclone needs some
/// kilobytes.
const MOST_BYTES: u64 = 64 << 20;

/// The files and folders that it may have in each.
const MOST_FILES: usize = 4096;

/// The word of a keeper to the gate once the gate may rely on it.
pub const KEPT: &str = "kept";

/// Kind of a program, which decides its powers.
#[derive(Debug)]
pub enum Profile {
    /// A command of the administrator, or podmanctl: it stops, starts or asks a service, and needs all powers of root.
    Service,
    /// A program of the gate, at a hidden entry: it does one thing and gives up all powers that it does not need.
    Entry(Box<dyn Entry>),
    /// rclone: it needs its source, its configuration, the network, and nothing else.
    Transfer(Box<Transfer>),
}

/// Work that a program of the gate does in a process of its own.
pub trait Entry: Debug {
    /// The program with this entry; `None` for this program.
    fn program(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The hidden first argument.
    fn name(&self) -> &'static str;

    /// The orders as JSON, the second argument. `gate` is the process id of the gate, without which the process ends.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    fn orders(&self, gate: i32) -> serde_json::Result<String>;
}

/// The configuration of a transfer, in a folder that the transfer may write to.
pub trait WorkingFolder: Debug {
    /// The folder.
    fn folder(&self) -> &PlainPath;

    /// Takes over changes that outlive the transfer. Called often.
    ///
    /// # Errors
    /// A sentence, when a new token cannot be put where the next transfer finds it.
    fn look(&self) -> Result<(), String>;
}

/// The private parts of a transfer while it runs.
#[derive(Debug)]
pub struct Transfer {
    /// Its configuration.
    pub copy: Box<dyn WorkingFolder>,
    /// Its home, which is also the place for its temporary files.
    pub scratch: Scratch,
    /// The limits of its powers.
    pub confinement: Confinement,
    /// The listening socket of a program that answers requests; until it is started.
    pub socket: Option<OwnedFd>,
}

/// Destination of its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Shown to the caller, line by line, as it comes.
    Relayed,
    /// Kept for the gate to read.
    Captured,
    /// The same as captured, and standard error is not shown either: the gate itself reports the important lines.
    Silent,
}

/// A source directory for a program.
#[derive(Debug)]
pub struct Source<'a> {
    /// The directory.
    pub directory: &'a PinnedDir,
    /// The way of handing it over.
    pub pin: Pin,
    /// Folder of the mount point, for [`Pin::Mount`].
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
    /// Its work, for messages: "the sync", "the stop command".
    pub what: String,
    /// Absolute path and arguments.
    pub argv: Vec<String>,
    /// The directory it works on.
    pub source: Option<Source<'a>>,
    /// Lifetime against that of the gate.
    pub tether: Tether,
    /// Destination of its output.
    pub output: Output,
    /// Kind, and so powers.
    pub profile: Profile,
    /// `HOME`, and the place for its temporary files.
    pub home: PlainPath,
}

impl Program<'_> {
    /// The command that starts the second instance, which becomes the program; it says by this token when it cannot.
    ///
    /// # Errors
    /// When the source's descriptor cannot be duplicated.
    pub fn command(&self, gate: Pid, token: &Token) -> io::Result<Command> {
        let transfer = match &self.profile {
            Profile::Service | Profile::Entry(_) => None,
            Profile::Transfer(transfer) => Some(transfer),
        };
        let socket = transfer.and_then(|transfer| transfer.socket.as_ref());
        let orders = Orders {
            gate: gate.as_raw(),
            token: token.clone(),
            tether: self.tether,
            answers: socket.is_some(),
            source: self.source.as_ref().map(|source| SourceOrders {
                pin: source.pin,
                path: source.directory.path().to_string(),
                mount_parent: source.mount_parent.to_string(),
            }),
            configuration: transfer.map(|transfer| transfer.copy.folder().to_string()),
            confinement: transfer.map(|transfer| transfer.confinement.clone()),
        };
        let input = match (&self.source, socket) {
            (None, None) => Stdio::null(),
            (None, Some(socket)) => Stdio::from(socket.try_clone()?),
            (Some(source), _) => Stdio::from(source.directory.fd().try_clone()?),
        };
        let home = self.home.to_string();
        let other = match &self.profile {
            Profile::Entry(entry) => entry.program(),
            Profile::Service | Profile::Transfer(_) => None,
        };
        let mut command = Command::new(other.map_or_else(|| "/proc/self/exe".to_owned(), path_of));
        command.arg0("backupctl");
        match &self.profile {
            Profile::Entry(entry) => command.arg(entry.name()).arg(entry.orders(gate.as_raw())?),
            Profile::Service | Profile::Transfer(_) => command
                .arg(ENTRY)
                .arg(serde_json::to_string(&orders)?)
                .args(&self.argv),
        };
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LANG", "C.UTF-8")
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .env("XDG_CACHE_HOME", &home)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if self.tether == Tether::Tied {
            command.env(leftovers::MARK, leftovers::mark());
        }
        Ok(command)
    }

    /// The folder that a transfer has filled: its temporary files, or the working copy of its configuration. A program in rclone's
    /// place could fill the disk there.
    #[must_use]
    pub fn overfull(&self) -> Option<&PlainPath> {
        let Profile::Transfer(transfer) = &self.profile else {
            return None;
        };
        if exceeds(transfer.scratch.fd(), MOST_BYTES, MOST_FILES) {
            return Some(transfer.scratch.path());
        }
        let folder = transfer.copy.folder();
        let opened = PinnedDir::open(folder).ok()?;
        exceeds(opened.fd(), MOST_BYTES, MOST_FILES).then_some(folder)
    }

    /// Called now and then while the program runs, and when it has ended.
    ///
    /// # Errors
    /// A sentence, when a new token of rclone's cannot be put where the next transfer finds it.
    pub fn attend(&self) -> Result<(), String> {
        match &self.profile {
            Profile::Service | Profile::Entry(_) => Ok(()),
            Profile::Transfer(transfer) => transfer.copy.look(),
        }
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
