//! The gate's own folders: present or ready to be made, on the intended disk, with room for an archive.
//!
//! Invariant: this check makes none of these folders; it judges a missing one by the nearest directory above it.

use std::path::{Path, PathBuf};

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::statvfs;

use super::examination::Examination;
use super::finding::Finding;
use super::ownership::{Level, levels, loose};
use base::error::Failure;
use base::measure;
use base::repair::quoted;

/// FolderFacts about one folder.
#[derive(Debug)]
pub(super) struct FolderFacts {
    /// The key in the configuration.
    key: &'static str,
    path: PathBuf,
    /// The levels of the nearest existing directory; true if that directory is the folder itself.
    there: Result<(Vec<Level>, bool), String>,
    /// A configured mount point above the folder on which no file system is mounted.
    unmounted: Option<String>,
    /// The folder is lost at a reboot.
    in_memory: bool,
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.config;
    let fstab = std::fs::read_to_string("/etc/fstab").unwrap_or_default();
    let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut findings = Vec::new();
    for (key, path) in [
        ("data_root", &config.data_root),
        ("state_dir", &config.state_dir),
        ("lock_dir", &config.lock_dir),
        ("spool_dir", &config.spool_dir),
    ] {
        let path = path.to_path_buf();
        let facts = FolderFacts {
            key,
            there: nearest(&path),
            unmounted: unmounted(&fstab, &mounted, &path),
            in_memory: in_memory(&path),
            path,
        };
        findings.extend(judge(&facts, doctor.trusted));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            "data_root, state_dir, lock_dir and spool_dir are the gate's alone",
        ));
    }
    doctor.tell("folders", findings)
}

/// Bytes free for the gate at the nearest existing directory.
pub(super) fn free(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|ancestor| ancestor.is_dir())?;
    let room = statvfs(there).ok()?;
    #[allow(
        clippy::unnecessary_cast,
        clippy::allow_attributes,
        reason = "both are narrower on 32-bit systems"
    )]
    let free = room.blocks_available() as u64 * room.fragment_size() as u64;
    Some(free)
}

/// Compares the spool with the largest service; `asks` is true if that service is only stopped when there is room.
pub(super) fn room(spool: &Path, free: u64, largest: Option<(&str, u64)>, asks: bool) -> Finding {
    let place = format!("{} has {} free", spool.display(), measure::size(free));
    match largest {
        Some((service, bytes)) if bytes > free => {
            let refused = if asks {
                "it is not even stopped for a backup"
            } else {
                "it would be refused"
            };
            let mut fix = vec![format!(
                "df -h {}   # make room, or set spool_dir to a larger disk",
                spool.display()
            )];
            if !asks {
                fix.push(
                    "# room_before_stop = true in the configuration: until then the service stays up"
                        .into(),
                );
            }
            let bytes = measure::size(bytes);
            Finding::fail(
                format!(
                    "{place}, and an archive of {service} may need {bytes} with limits.spool_reserve; {refused}"
                ),
                fix,
            )
        }
        Some((service, bytes)) => Finding::ok(format!(
            "{place}; an archive of the largest service, {service}, may need {} with limits.spool_reserve",
            measure::size(bytes)
        )),
        None => Finding::ok(place),
    }
}

fn nearest(path: &Path) -> Result<(Vec<Level>, bool), String> {
    let there = path
        .ancestors()
        .find(|ancestor| ancestor.symlink_metadata().is_ok());
    let there = there.unwrap_or(Path::new("/"));
    let real = std::fs::canonicalize(there).map_err(|e| format!("{}: {e}", there.display()))?;
    if real != there {
        return Err(format!(
            "{} leads through a symbolic link, which the gate does not follow; the real place is {}",
            there.display(),
            real.display()
        ));
    }
    Ok((levels(there)?, there == path))
}

fn in_memory(path: &Path) -> bool {
    let there = path.ancestors().find(|ancestor| ancestor.is_dir());
    there
        .and_then(|there| statfs(there).ok())
        .is_some_and(|stat| stat.filesystem_type() == TMPFS_MAGIC)
}

/// The mount point of `/etc/fstab` above a path, if no file system is mounted there: files written to the path then
/// land on the disk under the mount point, and the next mount hides them.
fn unmounted(fstab: &str, mountinfo: &str, path: &Path) -> Option<String> {
    // Both files write a space as \040.
    let plain = |field: &str| field.replace("\\040", " ");
    let mounted: Vec<String> = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4).map(plain))
        .collect();
    fstab
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1).map(plain))
        .filter(|point| point.starts_with('/') && point != "/" && path.starts_with(point))
        .find(|point| !mounted.contains(point))
}

fn judge(facts: &FolderFacts, trusted: u32) -> Vec<Finding> {
    let FolderFacts { key, path, .. } = facts;
    let shown = path.display();
    let mut findings = Vec::new();
    if let Some(point) = &facts.unmounted {
        findings.push(Finding::fail(
            format!("{key}: {shown} lies below {point}, which is in /etc/fstab and not mounted"),
            vec![format!("mount {}", quoted(point))],
        ));
    }
    match &facts.there {
        Err(reason) => findings.push(Finding::fail(
            format!("{key}: {reason}"),
            vec!["# set this key to the real place in the configuration".into()],
        )),
        Ok((_, false)) if *key == "data_root" => findings.push(Finding::fail(
            format!("{key}: {shown} does not exist"),
            vec!["# set data_root in the configuration to where the services' data are".into()],
        )),
        Ok((levels, _)) => {
            if levels.last().is_some_and(|level| !level.directory) {
                findings.push(Finding::fail(
                    format!("{key}: {shown} is in the way of a directory"),
                    vec![format!("ls -ld {shown}")],
                ));
            }
            // The services' data may belong to any user: the gate opens it without trusting any owner.
            if *key != "data_root" {
                findings.extend(
                    loose(levels, trusted)
                        .into_iter()
                        .map(|level| Finding::fail(format!("{key}: {}", level.what), level.fix)),
                );
            }
        }
    }
    if facts.in_memory && *key == "state_dir" {
        findings.push(Finding::fail(
            format!("{key}: {shown} is in memory; what was stopped is forgotten at a reboot"),
            vec!["# set state_dir to a place on a disk, such as /var/lib/backupctl".into()],
        ));
    }
    if facts.in_memory && *key == "spool_dir" {
        findings.push(Finding::warn(
            format!("{key}: {shown} is in memory, and archives are packed there"),
            vec!["# set spool_dir to a place on a disk, such as /var/cache/backupctl".into()],
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const FSTAB: &str = "# <file system> <mount point>\nUUID=1 / ext4 defaults 0 1\nUUID=2 /media/ssd ext4 nofail 0 2\nUUID=3 /media/my\\040disk ext4 nofail 0 2\n/swap none swap sw 0 0\n";
    const ROOT_ONLY: &str = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n";

    #[test]
    fn a_disk_that_is_not_mounted_is_noticed() {
        let at = |mounts: &str, path: &str| unmounted(FSTAB, mounts, Path::new(path));
        assert_eq!(
            at(ROOT_ONLY, "/media/ssd/podman").as_deref(),
            Some("/media/ssd")
        );
        assert_eq!(at(ROOT_ONLY, "/media/ssd2/podman"), None);
        assert_eq!(
            at(ROOT_ONLY, "/media/my disk/x").as_deref(),
            Some("/media/my disk")
        );
        assert_eq!(at(ROOT_ONLY, "/var/lib/backupctl"), None);
        let both = format!("{ROOT_ONLY}30 21 8:2 / /media/ssd rw - ext4 /dev/sdb1 rw\n");
        assert_eq!(at(&both, "/media/ssd/podman"), None);
    }

    fn facts(key: &'static str, levels: Vec<Level>, itself: bool) -> FolderFacts {
        FolderFacts {
            key,
            path: "/srv/x".into(),
            there: Ok((levels, itself)),
            unmounted: None,
            in_memory: false,
        }
    }

    fn level(uid: u32, mode: u32) -> Level {
        Level {
            path: "/srv".into(),
            uid,
            mode,
            directory: true,
        }
    }

    #[test]
    fn a_folder_that_can_be_made_is_fine_and_one_below_a_strangers_is_not() {
        assert_eq!(
            judge(&facts("state_dir", vec![level(0, 0o755)], false), 0),
            []
        );
        let found = judge(&facts("state_dir", vec![level(1000, 0o755)], false), 0);
        assert_eq!(found[0].verdict, Verdict::Fail);
        assert_eq!(found[0].fix, ["chown root:root /srv"]);
        assert_eq!(
            judge(&facts("data_root", vec![level(1000, 0o777)], true), 0),
            []
        );
        let found = judge(&facts("data_root", vec![level(0, 0o755)], false), 0);
        assert!(found[0].what.contains("does not exist"), "{found:?}");
    }

    #[test]
    fn memory_is_no_place_for_what_must_last() {
        let mut state = facts("state_dir", vec![level(0, 0o755)], true);
        state.in_memory = true;
        assert_eq!(judge(&state, 0)[0].verdict, Verdict::Fail);
        state.key = "spool_dir";
        assert_eq!(judge(&state, 0)[0].verdict, Verdict::Warn);
        state.key = "lock_dir";
        assert_eq!(judge(&state, 0), []);
    }

    #[test]
    fn the_spool_must_hold_the_largest_service() {
        let spool = Path::new("/var/cache/backupctl");
        let room = |free, asks| room(spool, free, Some(("n8n", 11)), asks);
        assert_eq!(room(11, false).verdict, Verdict::Ok);
        let found = room(10, false);
        assert_eq!(found.verdict, Verdict::Fail);
        assert!(found.fix.concat().contains("room_before_stop"), "{found:?}");
        let found = room(10, true);
        assert_eq!(found.verdict, Verdict::Fail);
        assert!(
            !found.fix.concat().contains("room_before_stop"),
            "{found:?}"
        );
    }
}
