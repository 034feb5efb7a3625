//! The layout of an archive → that of the gate's own, in which everything lies in `data/`.
//!
//! Archives of other tools begin at `./`, `./data/`, `SERVICE/data/`, an absolute path, or one folder of another name.
//! The root is found from the directories that come first: each lies in the one before. Of these it is the highest with
//! the name `data`, and where there is none, the first.
//!
//! Invariant: an archive of the gate passes unchanged; an entry outside of the root that was found is refused, never left
//! out.

use super::entry::{Entry, Kind};
use super::{ROOT, other_layout};
use base::error::Failure;

/// The characters before the paths of all entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    /// `./a`
    Dot,
    /// `/a`
    Absolute,
}

impl Style {
    fn of(path: &[u8]) -> Self {
        match path {
            [b'.'] | [b'.', b'/', ..] => Self::Dot,
            [b'/', ..] => Self::Absolute,
            _ => Self::Plain,
        }
    }

    /// The path without them; `None` for one of another style.
    fn strip(self, path: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Plain => Some(path),
            Self::Dot if path == b"." => Some(b""),
            Self::Dot => path.strip_prefix(b"./"),
            Self::Absolute => path.strip_prefix(b"/"),
        }
    }
}

/// The rest of a path below a folder; `None` for one outside. The empty folder holds everything.
fn below<'p>(path: &'p [u8], folder: &[u8]) -> Option<&'p [u8]> {
    if folder.is_empty() || path == folder {
        return path.get(folder.len()..);
    }
    path.strip_prefix(folder)?.strip_prefix(b"/")
}

fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// A layout, once it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    style: Style,
    /// The path of the root, without the characters of the style.
    root: Vec<u8>,
}

impl Layout {
    /// Rewrites an entry; one above the root gives `None`.
    pub(super) fn apply(&self, mut entry: Entry) -> Result<Option<Entry>, Failure> {
        let plain = self.style.strip(&entry.path);
        if entry.kind == Kind::Directory
            && plain.is_some_and(|plain| plain != self.root && below(&self.root, plain).is_some())
        {
            return Ok(None);
        }
        entry.path = self.rewrite(&entry.path, &entry)?;
        if let Kind::HardLink { target } = &entry.kind {
            let target = self.rewrite(target, &entry)?;
            entry.kind = Kind::HardLink { target };
        }
        Ok(Some(entry))
    }

    fn rewrite(&self, path: &[u8], entry: &Entry) -> Result<Vec<u8>, Failure> {
        let rest = self
            .style
            .strip(path)
            .and_then(|path| below(path, &self.root));
        let Some(rest) = rest else {
            let root = String::from_utf8_lossy(&self.root).into_owned();
            return Err(other_layout(&format!(
                "{} does not lie in {}, where the archive begins",
                entry.display(),
                if root.is_empty() { "./" } else { root.as_str() }
            )));
        };
        let mut path = ROOT.as_bytes().to_vec();
        if !rest.is_empty() {
            path.push(b'/');
            path.extend(rest);
        }
        Ok(path)
    }
}

/// The look at the first entries.
#[derive(Debug, Default)]
pub(super) struct Finder {
    style: Option<Style>,
    /// Directories, each in the one before, without the characters of the style.
    chain: Vec<Vec<u8>>,
}

/// The effect of an entry on the knowledge of the layout.
pub(super) enum Shown {
    /// Nothing yet: it is a directory in the one before.
    Unclear,
    /// The layout is known.
    Clear(Layout),
}

impl Finder {
    /// Looks at the next entry.
    pub(super) fn look(&mut self, entry: &Entry) -> Result<Shown, Failure> {
        let style = *self.style.get_or_insert(Style::of(&entry.path));
        let Some(path) = style.strip(&entry.path) else {
            return Err(other_layout(&format!(
                "{} is written in another way than the entries before it",
                entry.display()
            )));
        };
        let nested = entry.kind == Kind::Directory
            && self.chain.len() < super::MAX_DEPTH
            && self
                .chain
                .last()
                .is_none_or(|last| path != last.as_slice() && below(path, last).is_some());
        if nested {
            self.chain.push(path.to_vec());
            // The gate's own archives, and all others with the data as their first entry.
            let clear = name(path) == ROOT.as_bytes();
            return Ok(if clear { self.end()? } else { Shown::Unclear });
        }
        // Only directories that hold this entry say where the archive begins.
        self.chain.retain(|folder| below(path, folder).is_some());
        self.end()
    }

    /// No entry comes any more, or none that would show more.
    pub(super) fn end(&self) -> Result<Shown, Failure> {
        let data = self.chain.iter().find(|path| name(path) == ROOT.as_bytes());
        let Some(root) = data.or(self.chain.first()) else {
            return Err(other_layout(
                "no directory stands before the first file, so that nothing says where the archive begins",
            ));
        };
        Ok(Shown::Clear(Layout {
            style: self.style.unwrap_or(Style::Plain),
            root: root.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Attributes, Moment};
    use super::*;

    fn entry(path: &str) -> Entry {
        let (path, kind) = match path.strip_suffix('/') {
            Some(path) if !path.is_empty() => (path, Kind::Directory),
            _ => (path, Kind::File { size: 0 }),
        };
        Entry {
            path: path.as_bytes().to_vec(),
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: Moment::default(),
            attributes: Attributes::default(),
        }
    }

    /// The paths as they are rewritten.
    fn rewritten(paths: &[&str]) -> Result<Vec<String>, Failure> {
        let mut finder = Finder::default();
        let mut layout = None;
        for path in paths {
            if let Shown::Clear(found) = finder.look(&entry(path))? {
                layout = Some(found);
                break;
            }
        }
        if layout.is_none()
            && let Shown::Clear(found) = finder.end()?
        {
            layout = Some(found);
        }
        let layout = layout.unwrap();
        let mut all = Vec::new();
        for path in paths {
            if let Some(entry) = layout.apply(entry(path))? {
                all.push(String::from_utf8(entry.path).unwrap());
            }
        }
        Ok(all)
    }

    #[test]
    fn the_layouts_of_other_tools_become_that_of_the_gate() {
        let expected = ["data", "data/a", "data/b", "data/b/c"];
        for prefix in [
            "data/",
            "./data/",
            "n8n/data/",
            "/srv/n8n/data/",
            "./",
            "backup/",
            "/srv/n8n/",
        ] {
            let paths = ["", "a", "b/", "b/c"].map(|rest| format!("{prefix}{rest}"));
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            assert_eq!(rewritten(&paths).unwrap(), expected, "{prefix}");
        }
        // Folders above the data.
        let paths = [
            "./",
            "./n8n/",
            "./n8n/data/",
            "./n8n/data/a",
            "./n8n/data/b/",
            "./n8n/data/b/c",
        ];
        assert_eq!(rewritten(&paths).unwrap(), expected);
        // A folder that comes first is not the root when the next entry lies beside it.
        let paths = ["./", "./a/", "./b"];
        assert_eq!(rewritten(&paths).unwrap(), ["data", "data/a", "data/b"]);
        assert_eq!(rewritten(&["x/"]).unwrap(), ["data"]);
    }

    #[test]
    fn nothing_is_left_out_in_silence() {
        for paths in [
            &["data/", "data/a", "other/b"][..],
            &["n8n/", "n8n/data/", "n8n/data/a", "n8n/compose.yml"],
            &["data/", "/data/a"],
            &["./data/", "data/a"],
            &["a", "b"],
            &["data/a"],
            &["a/", "b/", "b/c"],
        ] {
            let failure = rewritten(paths).unwrap_err();
            assert!(
                failure.to_string().contains("layout"),
                "{paths:?}: {failure}"
            );
        }
    }
}
