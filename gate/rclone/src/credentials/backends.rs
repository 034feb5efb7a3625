//! Finds the backends behind a remote: an alias, a crypt or a union names other remotes. Pure.
//!
//! Invariant: each section is visited once, so a remote that leads to itself ends the search and does not hang the
//! gate.

use super::ini::Ini;
use base::sort;

/// Backends that only pass on to other remotes.
const WRAPPERS: [&str; 9] = [
    "alias", "archive", "cache", "chunker", "combine", "compress", "crypt", "hasher", "union",
];

/// One section on the way from a remote to its storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The section; empty for a backend that is named without one, as in `:sftp,host=h:`.
    pub section: String,
    /// The value of `type`; `None` where the section is missing.
    pub kind: Option<String>,
}

/// The section of a remote and every section it leads to, in this order.
#[must_use]
pub fn behind(ini: &Ini<'_>, name: &str) -> Vec<Backend> {
    let mut found: Vec<Backend> = Vec::new();
    let mut waiting = vec![Target::Section(name.to_owned())];
    while let Some(target) = waiting.pop() {
        let (section, kind) = match target {
            Target::Backend(kind) => (String::new(), Some(kind)),
            Target::Section(name) => {
                if found.iter().any(|backend| backend.section == name) {
                    continue;
                }
                let kind = ini
                    .has_section(&name)
                    .then(|| ini.get(&name, "type").unwrap_or_default().to_owned());
                (name, kind)
            }
        };
        if kind.as_deref().is_some_and(|kind| WRAPPERS.contains(&kind)) {
            let mut next = targets(ini, &section);
            next.reverse();
            waiting.extend(next);
        }
        found.push(Backend { section, kind });
    }
    found
}

/// The kinds of storage behind a remote, without the backends that only pass on.
#[must_use]
pub fn kinds(ini: &Ini<'_>, name: &str) -> Vec<String> {
    let mut kinds: Vec<String> = behind(ini, name)
        .into_iter()
        .filter_map(|backend| backend.kind)
        .filter(|kind| !WRAPPERS.contains(&kind.as_str()))
        .collect();
    sort::sort(&mut kinds);
    kinds.dedup();
    kinds
}

/// True where files are encrypted before they reach the storage, so that only `rclone cryptcheck` can compare hashes.
#[must_use]
pub fn is_encrypted(ini: &Ini<'_>, name: &str) -> bool {
    let outermost = behind(ini, name)
        .into_iter()
        .find(|backend| backend.kind.as_deref() != Some("alias"));
    outermost.is_some_and(|backend| backend.kind.as_deref() == Some("crypt"))
}

/// The settings of a remote and of each section behind it, without tokens. Two equal texts mean the same storage.
#[must_use]
pub fn describe(ini: &Ini<'_>, name: &str) -> String {
    let mut text = String::new();
    for backend in behind(ini, name) {
        text.push_str(&format!("[{}]\n", backend.section));
        for (key, value) in ini.settings(&backend.section) {
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
    text
}

/// A remote that another one names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Section(String),
    Backend(String),
}

impl Target {
    /// `name:path`, `name,option=value:path` or `:type,option=value:path`; `None` for a folder of this host.
    fn parse(text: &str) -> Option<Self> {
        let named = |text: &str| {
            let end = text.find([':', ',', '/'])?;
            let name = text.get(..end)?;
            (!name.is_empty() && !text.get(end..)?.starts_with('/')).then(|| name.to_owned())
        };
        match text.strip_prefix(':') {
            Some(rest) => named(rest).map(Self::Backend),
            None => named(text).map(Self::Section),
        }
    }
}

/// The remotes that a section names.
fn targets(ini: &Ini<'_>, section: &str) -> Vec<Target> {
    let value = |key: &str| ini.get(section, key).unwrap_or_default();
    let combines = value("type") == "combine";
    let mut texts = vec![value("remote").to_owned()];
    for key in ["upstreams", "remotes"] {
        texts.extend(words(value(key)).into_iter().map(|word| {
            // `folder=remote:path`
            let remote = word.split_once('=').filter(|_| combines);
            remote.map_or(word.clone(), |(_, remote)| remote.to_owned())
        }));
    }
    texts
        .iter()
        .filter_map(|text| Target::parse(text))
        .collect()
}

/// Words between spaces; in double quotes a word may hold spaces, and two quotes stand for one.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                word.push('"');
            }
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str, name: &str) -> Vec<String> {
        let found = behind(&Ini::parse(text), name);
        found.into_iter().map(|backend| backend.section).collect()
    }

    #[test]
    fn a_remote_is_followed_to_its_storage() {
        let text = "[drive]\ntype: onedrive\n[disk]\ntype = local\n\
            [crypt]\ntype = crypt\nremote = alias:x\n[alias]\ntype = alias\nremote = drive,chunk_size=10M:folder\n\
            [union]\ntype = union\nupstreams = disk:a \"crypt:b c:ro\" /srv/x:y\n\
            [combine]\ntype = combine\nupstreams = \"a b=disk:x\" c=:sftp,host=h:y d=gone:z\n";
        let ini = Ini::parse(text);
        assert_eq!(sections(text, "crypt"), ["crypt", "alias", "drive"]);
        assert_eq!(
            sections(text, "union"),
            ["union", "disk", "crypt", "alias", "drive"]
        );
        assert_eq!(sections(text, "combine"), ["combine", "disk", "", "gone"]);
        assert_eq!(behind(&ini, "combine")[3].kind, None);
        assert_eq!(kinds(&ini, "union"), ["local", "onedrive"]);
        assert_eq!(kinds(&ini, "combine"), ["local", "sftp"]);
        assert_eq!(kinds(&ini, "nowhere"), [""; 0]);
        assert!(is_encrypted(&ini, "crypt") && !is_encrypted(&ini, "union"));
        let chained = Ini::parse("[a]\ntype = alias\nremote = c:\n[c]\ntype = crypt\n");
        assert!(is_encrypted(&chained, "a"));
        assert!(!describe(&chained, "a").contains("onedrive"));
        assert!(describe(&ini, "alias").contains("[drive]\ntype = onedrive\n"));
    }

    #[test]
    fn a_folder_of_this_host_is_no_remote() {
        let text = "[a]\ntype = alias\nremote = /srv/a:b\n[b]\ntype = alias\nremote = c/d:e\n";
        assert_eq!(sections(text, "a"), ["a"]);
        assert_eq!(sections(text, "b"), ["b"]);
    }

    #[test]
    fn a_remote_that_leads_to_itself_ends() {
        let text = "[a]\ntype = alias\nremote = b:\n[b]\ntype = crypt\nremote = a:x\n";
        assert_eq!(sections(text, "a"), ["a", "b"]);
    }
}
