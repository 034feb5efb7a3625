//! The process that walks over a service's data: give up, open, read, say.
//!
//! Invariant: it can read any file and its attributes, and nothing else of root's power is left; it dies with its gate.

use std::ffi::OsString;
use std::fs::File;
use std::io::stdin;
use std::os::fd::{AsFd, OwnedFd};

use caps::Capability;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use super::answer::{Answer, Line, Told};
use super::copies;
use super::mirroring::{compared, staged};
use super::orders::{Pack, WalkOrders, Work};
use super::report::{say, watcher};
use crate::action::has_room;
use archive::estimate::estimate;
use archive::pack::pack;
use base::dirfd::{PinnedDir, private_dir};
use base::error::Failure;
use base::names::PlainPath;
use host::program::EXIT_PREPARE;
use privilege::capabilities;
use privilege::hardening::begin_for;

/// To read foreign files.
const READ: &[Capability] = &[Capability::CAP_DAC_READ_SEARCH];

/// The same, and attributes that the kernel shows to an administrator alone (`trusted.*`).
const READ_ATTRIBUTES: &[Capability] =
    &[Capability::CAP_DAC_READ_SEARCH, Capability::CAP_SYS_ADMIN];

/// The same, and what it takes to give copies the owners, modes and attributes of their originals, and to remove copies
/// again.
const COPY: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_SETFCAP,
    Capability::CAP_SYS_ADMIN,
];

/// The life of the process: its exit code. All else it says on standard output.
#[must_use]
pub fn walk(arguments: &[OsString]) -> u8 {
    let prepared = match arguments {
        [orders] => prepare(orders),
        _ => Err("this is for the gate itself".to_owned()),
    };
    let orders = match prepared {
        Ok(orders) => orders,
        Err(words) => {
            say(&Line::Failed(Told::Tool("reading the data".into(), words)));
            return u8::try_from(EXIT_PREPARE).unwrap_or(u8::MAX);
        }
    };
    match carry_out(&orders) {
        Ok(answer) => {
            say(&Line::Done(answer));
            0
        }
        Err(told) => {
            say(&Line::Failed(told));
            1
        }
    }
}

fn prepare(orders: &OsString) -> Result<WalkOrders, String> {
    let orders: WalkOrders = orders
        .to_str()
        .and_then(|text| serde_json::from_slice(text.as_bytes()).ok())
        .ok_or("this is for the gate itself")?;
    begin_for(orders.gate)?;
    let kept = match orders.work {
        Work::Open | Work::Measure => READ,
        Work::Pack(_) | Work::Compare(_) | Work::Stage(_) => READ_ATTRIBUTES,
        Work::Duplicate(_) | Work::Empty => COPY,
    };
    capabilities::keep(kept, capabilities::Children::Same)?;
    Ok(orders)
}

fn carry_out(orders: &WalkOrders) -> Result<Answer, Told> {
    let path = PlainPath::parse(&orders.path)
        .map_err(|error| Told::Tool("reading the data".into(), error.to_string()))?;
    let opening = |errno: nix::Error| Told::Opening(errno as i32);
    if matches!(orders.work, Work::Open) {
        let directory = PinnedDir::open(&path).map_err(opening)?;
        return Ok(Answer::Opened(directory.is_empty().map_err(opening)?));
    }
    if matches!(orders.work, Work::Empty) {
        return Ok(copies::emptied(&path)?);
    }
    let fd: OwnedFd = stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| Told::Io("the source".into(), error.raw_os_error().unwrap_or(0)))?;
    let source = PinnedDir::of(fd, path).map_err(opening)?;
    match &orders.work {
        Work::Open | Work::Measure | Work::Empty => {
            let mut watch = watcher(|| Ok(()));
            Ok(Answer::Measured(estimate(&source, &mut watch)?))
        }
        Work::Pack(order) => Ok(Answer::Packed(Box::new(packed(&source, order)?))),
        Work::Duplicate(order) => Ok(copies::duplicated(&source, order, &mut watcher(|| Ok(())))?),
        Work::Compare(order) => Ok(Answer::Compared(Box::new(compared(&source, order)?))),
        Work::Stage(order) => Ok(Answer::Staged(Box::new(staged(&source, order)?))),
    }
}

fn packed(source: &PinnedDir, order: &Pack) -> Result<archive::pack::Packed, Failure> {
    let spool = PlainPath::parse(&order.spool).map_err(|error| Failure::Tool {
        what: "the spool".into(),
        detail: error.to_string(),
    })?;
    let folder = private_dir(&spool, geteuid().as_raw())
        .map_err(Failure::io(format!("the directory {spool}")))?;
    let file = |name: &str| {
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&folder, name, flags, Mode::empty())
            .map(File::from)
            .map_err(Failure::errno(format!("opening {spool}/{name}")))
    };
    let (archive, manifest) = (file(&order.archive)?, file(&order.manifest)?);
    // Files may grow while they are read, and others write to that disk as well.
    let mut watch = watcher(|| has_room(&folder, &spool, 0, order.reserve));
    pack(source, &order.name, &archive, &manifest, &mut watch)
}
