//! The folders of a mirror on the remote.
//!
//! | | service SVC | extra target NAME |
//! |---|---|---|
//! | data | `SVC/data` | `extra/NAME` |
//! | versions | `SVC/.versions` | `extra/.versions/NAME` |
//! | incoming | `SVC/.incoming` | `extra/.incoming/NAME` |
//! | books | `SVC`, names begin with `mirror.` | `extra/.manifests`, names begin with `NAME.` |
//!
//! Invariant: no two mirrors share a folder or a name of a book.

use base::names::{Remote, ServiceName, TargetName};

/// The folders of one mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The files of the mirror.
    pub data: String,
    /// The folder for replaced and deleted files, without the date.
    pub versions: String,
    /// The flat folder for contents that have no place in `data` yet.
    pub incoming: String,
    /// The folder of manifests, deltas, the bundle and the `complete` file.
    pub books: String,
    /// The beginning of the names of these.
    pub prefix: String,
    /// The subject in the first line of each of them, without `.mirror`.
    pub subject: String,
}

impl Places {
    /// The mirror of a service on this remote.
    #[must_use]
    pub fn of_service(remote: &Remote, service: &ServiceName) -> Self {
        let below = |folder: &str| remote.join(&format!("{service}/{folder}"));
        Self {
            data: below("data"),
            versions: below(".versions"),
            incoming: below(".incoming"),
            books: remote.join(service.as_str()),
            prefix: "mirror.".to_owned(),
            subject: service.to_string(),
        }
    }

    /// The mirror of an extra target on this remote.
    #[must_use]
    pub fn of_extra(remote: &Remote, target: &TargetName) -> Self {
        let below = |folder: &str| remote.join(&format!("extra/{folder}"));
        Self {
            data: below(target.as_str()),
            versions: below(&format!(".versions/{target}")),
            incoming: below(&format!(".incoming/{target}")),
            books: below(".manifests"),
            prefix: format!("{target}."),
            subject: format!("extra-{target}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_are_those_of_the_grammar() {
        let remote = Remote::parse("onedrive:/B").unwrap();
        let service = Places::of_service(&remote, &ServiceName::parse("n8n").unwrap());
        assert_eq!(service.data, "onedrive:/B/n8n/data");
        assert_eq!(service.versions, "onedrive:/B/n8n/.versions");
        assert_eq!(service.incoming, "onedrive:/B/n8n/.incoming");
        assert_eq!(
            (service.books.as_str(), service.prefix.as_str()),
            ("onedrive:/B/n8n", "mirror.")
        );
        let extra = Places::of_extra(&remote, &TargetName::parse("etc").unwrap());
        assert_eq!(extra.data, "onedrive:/B/extra/etc");
        assert_eq!(extra.versions, "onedrive:/B/extra/.versions/etc");
        assert_eq!(extra.incoming, "onedrive:/B/extra/.incoming/etc");
        assert_eq!(
            (extra.books.as_str(), extra.prefix.as_str()),
            ("onedrive:/B/extra/.manifests", "etc.")
        );
    }
}
