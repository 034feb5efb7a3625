//! Each service's data directory and each extra target: real directories that are not empty.
//!
//! Invariant: the doctor opens them exactly as a sync does, so that a directory that is fine here is fine there.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{Uid, User};

use super::examination::Examination;
use super::finding::Finding;
use super::folders;
use archive::estimate::estimate;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::measure;
use base::mounts::{self, Mount};
use base::names::{PlainPath, ServiceName, UserName};
use base::repair::{self, Closed, Seen, quoted};
use config::Config;
use config::unusable;
use host::Patience;

/// Time limit for measuring all directories.
const MEASURING: Duration = Duration::from_secs(20);

/// The result of opening a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Fine,
    Empty,
    Refused(nix::errno::Errno),
}

fn look(path: &PlainPath) -> (Source, Option<PinnedDir>) {
    match PinnedDir::open(path) {
        Err(errno) => (Source::Refused(errno), None),
        Ok(directory) => match directory.is_empty() {
            Err(errno) => (Source::Refused(errno), None),
            Ok(true) => (Source::Empty, None),
            Ok(false) => (Source::Fine, Some(directory)),
        },
    }
}

fn judge(what: &str, path: &PlainPath, source: Source) -> Option<Finding> {
    match source {
        Source::Fine => None,
        Source::Empty => Some(Finding::warn(
            format!("{what}: {path} is empty, and a sync of nothing is refused"),
            vec![format!(
                "ls -la {path}   # is the service's volume somewhere else?"
            )],
        )),
        Source::Refused(nix::errno::Errno::ENOENT) => Some(Finding::fail(
            format!("{what}: {path} does not exist"),
            vec![format!("ls {}", quoted(&parent(path)))],
        )),
        Source::Refused(nix::errno::Errno::ELOOP | nix::errno::Errno::ENOTDIR) => {
            Some(Finding::fail(
                format!("{what}: {path} is not a directory, or leads through a symbolic link"),
                vec![format!("namei -l {path}")],
            ))
        }
        Source::Refused(errno) => Some(Finding::fail(
            format!("{what}: {path} cannot be read: {}", errno.desc()),
            vec![format!("namei -l {path}")],
        )),
    }
}

/// Findings about mounts on and in a directory.
fn surroundings(what: &str, path: &PlainPath, mounts: &[Mount]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let directory = path.to_path_buf();
    if let Some(bind) = mounts::bind_on(mounts, &directory) {
        findings.push(Finding::warn(
            format!(
                "{what}: {path} is a bind mount of {} on {}; were it another folder, that would be copied",
                bind.root.display(),
                bind.source
            ),
            vec![format!("findmnt {path}   # is this the data of {what}?")],
        ));
    }
    for mount in mounts::below(mounts, &directory) {
        findings.push(Finding::warn(
            format!(
                "{what}: {} is mounted in the data, and archives leave it out",
                mount.at.display()
            ),
            vec![format!(
                "findmnt -R {path}   # unmount it, or make it an extra target"
            )],
        ));
    }
    findings
}

/// Findings about unsafe folders above the sources. A user other than root and the gate's user owns such a folder or
/// may write to it, and can replace the data with another directory. Each folder is named once, with all sources
/// below it.
fn open_parents(sources: &[(String, PlainPath)], config: &Config) -> Vec<Finding> {
    let mut below: BTreeMap<PathBuf, Vec<&str>> = BTreeMap::new();
    for (what, path) in sources {
        for above in path.to_path_buf().ancestors().skip(1) {
            below.entry(above.to_owned()).or_default().push(what);
        }
    }
    let own = nix::unistd::geteuid().as_raw();
    below
        .into_iter()
        .filter_map(|(folder, sources)| {
            let seen = std::fs::symlink_metadata(&folder).ok()?;
            let seen = Seen {
                uid: seen.uid(),
                mode: seen.mode() & 0o7777,
                directory: seen.is_dir(),
            };
            let fix = repair::commands(&folder, seen, own, Closed::Writing);
            if fix.is_empty() {
                return None;
            }
            let writer = if seen.uid != 0 && seen.uid != own {
                owner(seen.uid, &sources, config)
            } else {
                "its group or others".to_owned()
            };
            let what = format!(
                "{}: {} can be written to by {writer}, who can put another directory in the place of the data",
                sources.join(", "),
                folder.display()
            );
            let fix = fix.iter().map(|command| format!("sudo {command}"));
            Some(Finding::warn(what, fix.collect()))
        })
        .collect()
}

/// The owner in words; the user of a service is described as such.
fn owner(uid: u32, sources: &[&str], config: &Config) -> String {
    let name = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let Some(name) = name.map(|user| user.name) else {
        return format!("uid {uid}");
    };
    let of = config.services.iter().find(|(service, settings)| {
        sources.contains(&service.as_str())
            && settings.user.as_ref().map(UserName::as_str) == Some(&name)
    });
    match of {
        Some((service, _)) => format!("{name}, the user of {service}"),
        None => format!("uid {uid} ({name})"),
    }
}

fn parent(path: &PlainPath) -> String {
    let parent = path.to_path_buf();
    let parent = parent.parent().map(|parent| parent.display().to_string());
    parent.unwrap_or_else(|| "/".into())
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let config = doctor.config;
    let mounts = mounts::all();
    let mut findings = Vec::new();
    let mut opened: Vec<(String, PinnedDir)> = Vec::new();
    let services = config
        .services
        .keys()
        .map(|name| (name.to_string(), config.data_of(name)));
    let extra = config
        .extra
        .iter()
        .map(|(name, extra)| (format!("extra {name}"), extra.path.clone()));
    let sources: Vec<(String, PlainPath)> = services.chain(extra).collect();
    findings.extend(open_parents(&sources, config));
    for (number, (what, path)) in sources.into_iter().enumerate() {
        let (source, directory) = look(&path);
        findings.extend(judge(&what, &path, source));
        findings.extend(surroundings(&what, &path, &mounts));
        // Extra targets are never archived, so the spool needs no room for them.
        if number < config.services.len() {
            opened.extend(directory.map(|directory| (what, directory)));
        }
    }
    for one in unusable::folders(config) {
        findings.push(Finding::warn(
            format!("{} cannot be a service: {}", one.place, one.reason),
            vec![format!(
                "ls -ld {}   # rename the folder, and the volume in its unit",
                quoted(&one.place)
            )],
        ));
    }
    if findings.is_empty() {
        let count = (config.services.len() + config.extra.len()) as u64;
        findings.push(Finding::ok(format!(
            "{} opened without following a link, none empty",
            measure::count(count, "source")
        )));
    }
    doctor.tell("data", findings)?;

    let patience = Patience::attended(doctor.host.now() + MEASURING);
    let mut sizes: Vec<(String, u64)> = Vec::new();
    let mut unfinished = false;
    let reserve = config.limits.spool_reserve;
    for (what, directory) in opened {
        let host = &mut *doctor.host;
        let mut watch = |_: u64| {
            host.check(&patience).map_err(|cause| Failure::Interrupted {
                what: "measuring".into(),
                cause,
            })
        };
        match estimate(&directory, &mut watch) {
            Ok(found) => sizes.push((what, found.bound.saturating_add(reserve))),
            Err(_) => unfinished = true,
        }
    }
    doctor
        .host
        .check(&doctor.patience())
        .map_err(|cause| Failure::Interrupted {
            what: "measuring".into(),
            cause,
        })?;
    let largest = sizes.iter().max_by_key(|(_, bytes)| *bytes);
    let spool = config.spool_dir.to_path_buf();
    let mut findings = Vec::new();
    match folders::free(&spool) {
        Some(free) => {
            let largest = largest.map(|(service, bytes)| (service.as_str(), *bytes));
            let asks = largest.is_some_and(|(service, _)| {
                ServiceName::parse(service).is_ok_and(|name| config.asks_for_room(&name))
            });
            findings.push(folders::room(&spool, free, largest, asks));
        }
        None => findings.push(Finding::skip(format!(
            "the free space of {} cannot be read",
            spool.display()
        ))),
    }
    if unfinished {
        findings.push(Finding::skip(
            "not every service could be measured in 20 seconds",
        ));
    }
    doctor.largest = sizes.iter().map(|(_, bytes)| *bytes).max();
    doctor.tell("folders", findings)
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_source_that_a_sync_would_refuse_is_named() {
        let path = PlainPath::parse("/srv/n8n/data").unwrap();
        let verdict = |source| judge("n8n", &path, source).map(|finding| finding.verdict);
        assert_eq!(verdict(Source::Fine), None);
        assert_eq!(verdict(Source::Empty), Some(Verdict::Warn));
        for errno in [Errno::ENOENT, Errno::ELOOP, Errno::ENOTDIR, Errno::EACCES] {
            assert_eq!(verdict(Source::Refused(errno)), Some(Verdict::Fail));
        }
        let missing = judge("n8n", &path, Source::Refused(Errno::ENOENT)).unwrap();
        assert_eq!(missing.fix, ["ls /srv/n8n"]);
    }
}
