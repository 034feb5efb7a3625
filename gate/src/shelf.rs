//! The folder of a service's archives on the remote: the meaning of its names, and the way to put it in order.
//!
//! An archive and its manifest come under `.partial` names. Where one of the same day is there already, that is
//! moved aside to `.previous`, the manifest first; then the new manifest is put in place, and the archive last. So
//! each state that a failure can leave behind says which of the two archives is the good one.
//!
//! Pure: names in, steps out. Invariant: whenever the steps of [`replace`] end early, [`mend`] leads back to the
//! archive that was there before, with its own manifest, and when they do not, to the new one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::retention::{ArchiveName, PARTIAL, PREVIOUS};
use base::names::ServiceName;

/// One thing to do in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Give a file another name.
    Move {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// Remove a file.
    Remove(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move { from, to } => write!(f, "moving {from} to {to}"),
            Self::Remove(name) => write!(f, "removing {name}"),
        }
    }
}

fn partial(name: &str) -> String {
    format!("{name}{PARTIAL}")
}

fn previous(name: &str) -> String {
    format!("{name}{PREVIOUS}")
}

fn aside(name: &str) -> Step {
    Step::Move {
        from: name.to_owned(),
        to: previous(name),
    }
}

fn back(name: &str) -> Step {
    Step::Move {
        from: previous(name),
        to: name.to_owned(),
    }
}

fn into_place(name: &str) -> Step {
    Step::Move {
        from: partial(name),
        to: name.to_owned(),
    }
}

/// The files of one archive that exist.
#[derive(Default)]
struct Present {
    archive: bool,
    manifest: bool,
    old_archive: bool,
    old_manifest: bool,
    partials: Vec<String>,
}

/// The archive of a file: the archive itself, its manifest, or either under another name for a while.
fn owner(service: &ServiceName, file: &str) -> Option<ArchiveName> {
    let stem = file
        .strip_suffix(PARTIAL)
        .or_else(|| file.strip_suffix(PREVIOUS))
        .unwrap_or(file);
    ArchiveName::parse(service, stem).or_else(|| ArchiveName::of_manifest(service, stem))
}

/// True for a file of an archive of this service that is not known to be good yet.
#[must_use]
pub fn is_partial(service: &ServiceName, file: &str) -> bool {
    file.ends_with(PARTIAL) && owner(service, file).is_some()
}

/// The archives that stand in their place.
#[must_use]
pub fn archives(service: &ServiceName, files: &BTreeSet<String>) -> Vec<ArchiveName> {
    files
        .iter()
        .filter_map(|file| ArchiveName::parse(service, file))
        .collect()
}

/// The steps by which an uploaded archive and its manifest take their place.
#[must_use]
pub fn replace(name: &ArchiveName, files: &BTreeSet<String>) -> Vec<Step> {
    let (archive, manifest) = (name.to_string(), name.manifest());
    let mut steps = Vec::new();
    if files.contains(&archive) {
        if files.contains(&manifest) {
            steps.push(aside(&manifest));
        }
        steps.push(aside(&archive));
    }
    steps.push(into_place(&manifest));
    steps.push(into_place(&archive));
    steps
}

/// The steps that put the folder in order after an archive that ended early, or well. Nothing is removed that is
/// not the gate's own, nor the last form of an archive.
#[must_use]
pub fn mend(service: &ServiceName, files: &BTreeSet<String>) -> Vec<Step> {
    let mut found: BTreeMap<ArchiveName, Present> = BTreeMap::new();
    for file in files {
        let Some(name) = owner(service, file) else {
            continue;
        };
        let archive = name.to_string();
        let manifest = name.manifest();
        let present = found.entry(name).or_default();
        match file {
            file if *file == archive => present.archive = true,
            file if *file == manifest => present.manifest = true,
            file if *file == previous(&archive) => present.old_archive = true,
            file if *file == previous(&manifest) => present.old_manifest = true,
            file => present.partials.push(file.clone()),
        }
    }
    let mut steps = Vec::new();
    for (name, present) in found {
        let (archive, manifest) = (name.to_string(), name.manifest());
        steps.extend(present.partials.into_iter().map(Step::Remove));
        match (present.archive, present.old_archive) {
            // It had only lost its manifest so far.
            (true, false) if present.old_manifest && !present.manifest => {
                steps.push(back(&manifest));
            }
            // The new one is in place.
            (true, old_archive) => {
                if old_archive {
                    steps.push(Step::Remove(previous(&archive)));
                }
                if present.old_manifest {
                    steps.push(Step::Remove(previous(&manifest)));
                }
            }
            // The new one never came; a manifest is in place only if it was the new one's.
            (false, true) => {
                if present.manifest {
                    steps.push(Step::Remove(manifest.clone()));
                }
                steps.push(back(&archive));
                if present.old_manifest {
                    steps.push(back(&manifest));
                }
            }
            // Manifests of nothing.
            (false, false) => {
                if present.manifest {
                    steps.push(Step::Remove(manifest.clone()));
                }
                if present.old_manifest {
                    steps.push(Step::Remove(previous(&manifest)));
                }
            }
        }
    }
    steps
}

/// As [`mend`], but leaves the upload of this archive where it is: the next attempt continues it.
#[must_use]
pub fn mend_around(
    name: &ArchiveName,
    service: &ServiceName,
    files: &BTreeSet<String>,
) -> Vec<Step> {
    let kept = [name.to_string(), name.manifest()].map(|name| Step::Remove(partial(&name)));
    let mut steps = mend(service, files);
    steps.retain(|step| !kept.contains(step));
    steps
}

/// The steps that remove archives, each before its manifest: one without could not be checked any more.
#[must_use]
pub fn remove(archives: &[ArchiveName], files: &BTreeSet<String>) -> Vec<Step> {
    let mut steps = Vec::new();
    for name in archives {
        steps.push(Step::Remove(name.to_string()));
        if files.contains(&name.manifest()) {
            steps.push(Step::Remove(name.manifest()));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service() -> ServiceName {
        ServiceName::parse("n8n").unwrap()
    }

    fn name() -> ArchiveName {
        ArchiveName::new(service(), "2026-11-22".parse().unwrap())
    }

    /// Names of files, and which archive their content came from.
    type Folder = BTreeMap<String, &'static str>;

    fn names(folder: &Folder) -> BTreeSet<String> {
        folder.keys().cloned().collect()
    }

    fn carry_out(folder: &mut Folder, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Move { from, to } => {
                    let content = folder.remove(from).unwrap();
                    folder.insert(to.clone(), content);
                }
                Step::Remove(name) => {
                    folder.remove(name).unwrap();
                }
            }
        }
    }

    fn folder(files: &[(String, &'static str)]) -> Folder {
        files.iter().cloned().collect()
    }

    fn befores() -> Vec<Folder> {
        let (archive, manifest) = (name().to_string(), name().manifest());
        vec![
            folder(&[]),
            folder(&[(archive.clone(), "old")]),
            folder(&[(archive, "old"), (manifest, "old")]),
        ]
    }

    #[test]
    fn whenever_it_ends_early_the_former_archive_is_there_again() {
        let (archive, manifest) = (name().to_string(), name().manifest());
        for before in befores() {
            let mut uploaded = before.clone();
            uploaded.insert(partial(&archive), "new");
            uploaded.insert(partial(&manifest), "new");
            let steps = replace(&name(), &names(&uploaded));
            for done in 0..=steps.len() {
                let mut after = uploaded.clone();
                carry_out(&mut after, &steps[..done]);
                let expected = if done == steps.len() {
                    folder(&[(archive.clone(), "new"), (manifest.clone(), "new")])
                } else {
                    before.clone()
                };
                // The mending may end early as well, twice.
                let first = mend(&service(), &names(&after));
                for mended in 0..=first.len() {
                    let mut again = after.clone();
                    carry_out(&mut again, &first[..mended]);
                    let second = mend(&service(), &names(&again));
                    for mended in 0..=second.len() {
                        let mut again = again.clone();
                        carry_out(&mut again, &second[..mended]);
                        let last = mend(&service(), &names(&again));
                        carry_out(&mut again, &last);
                        assert_eq!(again, expected, "{steps:?}, {done} done");
                    }
                }
            }
        }
    }

    #[test]
    fn an_upload_is_left_for_its_own_next_try() {
        let other = "n8n-2026-11-21.tar.gz.partial".to_owned();
        let files = [partial(&name().to_string()), other.clone()].into();
        assert_eq!(
            mend_around(&name(), &service(), &files),
            [Step::Remove(other)]
        );
    }

    #[test]
    fn strangers_stay() {
        let files: BTreeSet<String> = [
            "notes.txt",
            "n8n-x.tar.gz",
            "other-2026-11-22.tar.gz.partial",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(mend(&service(), &files), []);
    }

    #[test]
    fn an_archive_goes_before_its_manifest() {
        let files = [name().to_string(), name().manifest()].into();
        assert_eq!(
            remove(&[name()], &files),
            [
                Step::Remove(name().to_string()),
                Step::Remove(name().manifest())
            ]
        );
    }

    proptest! {
        #[test]
        fn mending_keeps_one_form_of_each_archive_and_comes_to_an_end(present in proptest::collection::btree_set(0_usize..6, 0..6)) {
            let (archive, manifest) = (name().to_string(), name().manifest());
            let all = [archive.clone(), manifest.clone(), partial(&archive), partial(&manifest), previous(&archive), previous(&manifest)];
            let mut state: Folder = present.iter().map(|&at| (all[at].clone(), "some")).collect();
            let had = present.contains(&0) || present.contains(&4);
            let steps = mend(&service(), &names(&state));
            carry_out(&mut state, &steps);
            prop_assert_eq!(state.contains_key(&archive), had);
            prop_assert!(state.len() <= 2);
            prop_assert_eq!(mend(&service(), &names(&state)), []);
        }
    }
}
