//! The names of locks, and of the records that belong to the same thing.
//!
//! A service has a lock for the service itself, one for its archives, one for its restores and one for its mirrors; an
//! extra target has one for its mirror and one for its restores. Their names are `NAME`, `archive.NAME`, `restore.NAME`,
//! `mirror.NAME`, `extra.NAME` and `restore-extra.NAME`, where each dot of NAME is a comma: no name
//! holds a comma, so the kind is before the only dot. Names without a dot give the file names of the gate's first versions,
//! so that a gate that is being replaced and the new one see each other's locks.
//!
//! Invariant: different locks have different names.

use crate::names::{ServiceName, TargetName};

/// The kinds of locks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Service(ServiceName),
    Archives(ServiceName),
    Restores(ServiceName),
    RestoresExtra(TargetName),
    Mirror(ServiceName),
    Upload(String),
    Extra(TargetName),
    Probe,
    Rehearsal,
}

/// The name of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockName(Kind);

impl LockName {
    /// The lock of a service, for everything that stops, starts or reads it.
    #[must_use]
    pub fn service(service: &ServiceName) -> Self {
        Self(Kind::Service(service.clone()))
    }

    /// The lock of a service's archives. They are made one after the other; the service itself is needed for a part of
    /// that time only.
    #[must_use]
    pub fn archives(service: &ServiceName) -> Self {
        Self(Kind::Archives(service.clone()))
    }

    /// The lock of a service's restores, which is held while data comes back; the service itself is needed for the moment
    /// in which that takes its place.
    #[must_use]
    pub fn restores(service: &ServiceName) -> Self {
        Self(Kind::Restores(service.clone()))
    }

    /// The lock of an extra target's restores. A sync of the target need not wait for it.
    #[must_use]
    pub fn restores_extra(target: &TargetName) -> Self {
        Self(Kind::RestoresExtra(target.clone()))
    }

    /// The lock of a service's mirrors. A sync holds it until the upload ends, and the lock of the service only while it
    /// captures the data.
    #[must_use]
    pub fn mirror(service: &ServiceName) -> Self {
        Self(Kind::Mirror(service.clone()))
    }

    /// The turn to upload to a remote, by its name in rclone's configuration.
    #[must_use]
    pub fn upload(remote: &str) -> Self {
        Self(Kind::Upload(remote.to_owned()))
    }

    /// The lock of an extra target.
    #[must_use]
    pub fn extra(target: &TargetName) -> Self {
        Self(Kind::Extra(target.clone()))
    }

    /// The lock of the write probes.
    #[must_use]
    pub fn probe() -> Self {
        Self(Kind::Probe)
    }

    /// The turn to rehearse: one rehearsal runs on a host at a time, of all services together.
    #[must_use]
    pub fn rehearsal() -> Self {
        Self(Kind::Rehearsal)
    }

    /// The name of its files, without an extension.
    #[must_use]
    pub fn stem(&self) -> String {
        let encoded = |name: &str| name.replace('.', ",");
        match &self.0 {
            Kind::Service(name) => encoded(name.as_str()),
            Kind::Archives(name) => format!("archive.{}", encoded(name.as_str())),
            Kind::Restores(name) => format!("restore.{}", encoded(name.as_str())),
            Kind::RestoresExtra(name) => format!("restore-extra.{}", encoded(name.as_str())),
            Kind::Mirror(name) => format!("mirror.{}", encoded(name.as_str())),
            Kind::Upload(remote) => format!(".upload.{}", encoded(remote)),
            Kind::Extra(name) => format!("extra.{}", encoded(name.as_str())),
            Kind::Probe => ".probe".to_owned(),
            Kind::Rehearsal => ".rehearsal".to_owned(),
        }
    }

    /// The name of a folder of its own, of characters that a plain path may hold. No service begins with `_`.
    #[must_use]
    pub fn folder(&self) -> String {
        match &self.0 {
            Kind::Service(name) => name.to_string(),
            _ => format!("_{}", self.stem().replace(',', ".")),
        }
    }

    /// The service or extra target, for messages.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.0 {
            Kind::Service(name)
            | Kind::Archives(name)
            | Kind::Restores(name)
            | Kind::Mirror(name) => name.as_str(),
            Kind::Upload(remote) => remote,
            Kind::Extra(name) | Kind::RestoresExtra(name) => name.as_str(),
            Kind::Probe => "a write probe",
            Kind::Rehearsal => "a rehearsal",
        }
    }

    /// The service, where this is the lock of one itself.
    #[must_use]
    pub fn as_service(&self) -> Option<&ServiceName> {
        match &self.0 {
            Kind::Service(name) => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn all(word: &str) -> Vec<LockName> {
        let service = ServiceName::parse(word).into_iter();
        let of_service = service.flat_map(|name| {
            [
                LockName::service(&name),
                LockName::archives(&name),
                LockName::restores(&name),
                LockName::mirror(&name),
                LockName::upload(name.as_str()),
            ]
        });
        let target = TargetName::parse(word).into_iter();
        of_service
            .chain(
                target.flat_map(|name| [LockName::extra(&name), LockName::restores_extra(&name)]),
            )
            .collect()
    }

    proptest! {
        #[test]
        fn different_locks_have_different_files(
            word in "(archive|restore|restore-extra|mirror|extra)?[.]?[A-Za-z0-9][A-Za-z0-9._-]{0,5}([.](lock|start|new|json))?",
            prefix in "(archive|restore|restore-extra|mirror|extra)[.,]",
        ) {
            let mut locks = all(&word);
            locks.extend(all(&format!("{prefix}{word}")));
            locks.extend(all(&word.replace('.', "-")));
            locks.extend([LockName::probe(), LockName::rehearsal()]);
            let mut distinct: Vec<&LockName> = Vec::new();
            for lock in &locks {
                if !distinct.contains(&lock) {
                    distinct.push(lock);
                }
            }
            let files: BTreeSet<String> = distinct
                .iter()
                .flat_map(|lock| ["lock", "start", "next"].map(|end| format!("{}.{end}", lock.stem())))
                .collect();
            prop_assert_eq!(files.len(), 3 * distinct.len());
        }
    }

    #[test]
    fn names_without_a_dot_have_the_files_of_the_first_versions() {
        let service = ServiceName::parse("n8n").unwrap();
        let target = TargetName::parse("docs").unwrap();
        assert_eq!(LockName::service(&service).stem(), "n8n");
        assert_eq!(LockName::archives(&service).stem(), "archive.n8n");
        assert_eq!(LockName::restores(&service).stem(), "restore.n8n");
        assert_eq!(LockName::extra(&target).stem(), "extra.docs");
        let dotted = ServiceName::parse("archive.n8n").unwrap();
        assert_eq!(LockName::service(&dotted).stem(), "archive,n8n");
    }
}
