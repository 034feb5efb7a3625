//! An archive → a tree below one directory, with owners, modes, times, attributes, links and holes.
//!
//! Invariant: everything is made by descriptor below the target and nothing there is replaced; a link is made and
//! never followed. Until a file or directory is complete, only its maker can open it. See `place`.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{LinkatFlags, linkat, mkfifoat, symlinkat, syncfs};

use super::check::{Comparison, Report};
use super::choice::Choice;
use super::entry::{Entry, Kind};
use super::input::Input;
use super::maker::{Maker, create, making};
pub use super::maker::{Options, free};
use super::place::{Places, components};
use super::{Named, Watch, damaged};
use base::error::Failure;

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The archive as it was read, and where it differs from its manifest.
    pub report: Report,
    /// Devices and unknown things, which are not made.
    pub skipped: Named,
    /// Programs that lost their powers.
    pub powerless: Named,
    /// Entries, each with the attributes that could not be set.
    pub attributes: Named,
}

/// Makes the tree of a `.tar.gz` below an empty directory, which becomes the root of the archive. The archive is
/// compared with its manifest, if there is one, while it is read.
///
/// # Errors
/// The archive is damaged, or would make something outside of the target or twice; something cannot be made; the disk
/// fills up to the reserve; or `watch` ends it. The part made until then stays.
pub fn extract<A: Read>(
    archive: A,
    comparison: Option<Comparison<'_>>,
    target: OwnedFd,
    options: Options,
    watch: Watch<'_>,
) -> Result<Extracted, Failure> {
    let all = Choice::default();
    extract_chosen(archive, comparison, target, &all, options, watch)
}

/// Does the same, and makes the chosen entries alone. The whole archive is read and compared.
///
/// # Errors
/// Those of [`extract`].
pub fn extract_chosen<A: Read>(
    mut archive: A,
    mut comparison: Option<Comparison<'_>>,
    target: OwnedFd,
    choice: &Choice,
    options: Options,
    watch: Watch<'_>,
) -> Result<Extracted, Failure> {
    let mut input = Input::new(&mut archive);
    let mut maker = Maker::new(&target, options)?;
    let mut places: Places<Entry> = Places::new(target);
    let mut root = None;
    while let Some(entry) = input.next(watch)? {
        let parts = components(&entry.path)?;
        let Some((&name, _)) = parts.split_last() else {
            if entry.kind != Kind::Directory || root.is_some() {
                return Err(damaged("its root is no directory, or comes twice"));
            }
            input.saw(
                &entry,
                super::digest::Hasher::default().finish(),
                comparison.as_mut(),
            )?;
            root = Some(entry);
            continue;
        };
        if !choice.wants(&entry.path, entry.kind == Kind::Directory) {
            let content = input.content(watch, &mut |_| Ok(()))?;
            input.saw(&entry, content, comparison.as_mut())?;
            continue;
        }
        maker.has_room(0)?;
        let parent = places.parent(&parts, |fd, entry| maker.complete(&fd, &entry))?;
        let content = match &entry.kind {
            Kind::File { size } | Kind::Sparse { size, .. } => {
                let file = create(parent, name).map_err(making(&entry))?;
                let content = input.content(watch, &mut |piece| {
                    maker.has_room(piece.bytes.len() as u64)?;
                    file.write_all_at(piece.bytes, piece.offset)
                        .map_err(writing(&entry, *size))
                })?;
                // No write covers a hole at its end.
                file.set_len(*size).map_err(writing(&entry, *size))?;
                maker.complete(&file, &entry)?;
                content
            }
            _ => input.content(watch, &mut |_| Ok(()))?,
        };
        match &entry.kind {
            Kind::Directory => {
                mkdirat(parent, name, Mode::S_IRWXU).map_err(making(&entry))?;
                places
                    .descend(name, entry.clone())
                    .map_err(making(&entry))?;
            }
            Kind::Symlink { target } => {
                symlinkat(OsStr::from_bytes(target), parent, name).map_err(making(&entry))?;
                maker.complete_link(parent, name, &entry)?;
            }
            Kind::HardLink { target } => {
                let from = components(target)?;
                let Some(&last) = from.last() else {
                    return Err(damaged("a link leads to the root"));
                };
                let above = places.aside(&from).map_err(making(&entry))?;
                let stat = fstatat(&above, last, AtFlags::AT_SYMLINK_NOFOLLOW);
                let stat = stat.map_err(making(&entry))?;
                if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
                    return Err(damaged(&format!(
                        "{} is another name of what is no file",
                        entry.display()
                    )));
                }
                let to = places.parent(&parts, |_, _| Ok(()))?;
                linkat(&above, last, to, name, LinkatFlags::empty()).map_err(making(&entry))?;
            }
            Kind::Fifo => {
                mkfifoat(parent, name, Mode::S_IRUSR | Mode::S_IWUSR).map_err(making(&entry))?;
                let fifo = openat(
                    parent,
                    name,
                    OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
                    Mode::empty(),
                )
                .map_err(making(&entry))?;
                maker.complete(&fifo, &entry)?;
            }
            Kind::Other { .. } => maker.skipped.push(entry.display()),
            Kind::File { .. } | Kind::Sparse { .. } => {}
        }
        input.saw(&entry, content, comparison.as_mut())?;
    }
    // One that lies in none leaves all of them.
    places.parent(&[], |fd, entry| maker.complete(&fd, &entry))?;
    let root = root.ok_or_else(|| damaged("it has no root"))?;
    let target = maker.target()?;
    maker.complete(&target, &root)?;
    syncfs(&target).map_err(Failure::errno("writing the tree to its disk"))?;
    Ok(Extracted {
        report: input.finish(comparison)?,
        skipped: maker.skipped,
        powerless: maker.powerless,
        attributes: maker.attributes,
    })
}

/// A file that cannot be written. A file system may hold no file as large as the one that another held (ext4: 16 TiB).
fn writing(entry: &Entry, size: u64) -> impl FnOnce(std::io::Error) -> Failure {
    let mut what = format!("writing {}", entry.display());
    move |error| {
        if error.kind() == std::io::ErrorKind::FileTooLarge {
            what.push_str(&format!(
                ", which has {size} bytes with its holes and needs another file system: restore with --to a folder on XFS or Btrfs"
            ));
        }
        Failure::io(what)(error)
    }
}
