//! Names that a remote cannot hold. Their entries travel in the bundle, a small archive beside the mirror.
//!
//! Invariant: the answer depends on the names of a tree and on the kind of the remote alone, so every sync gives the same
//! one. A name that is refused in doubt costs room in the bundle; a name that is accepted in error makes a sync fail.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use archive::ROOT;
use serde::{Deserialize, Serialize};

use crate::order::within;

/// The suffix of the file that stands for a symbolic link.
pub const LINK: &[u8] = b".rclonelink";

/// Names that OneDrive keeps for itself, in lower case. A name that begins with `~$` is another one.
const RESERVED: [&str; 6] = [".lock", "desktop.ini", "con", "prn", "aux", "nul"];

/// Endings of files into which SharePoint writes properties when they arrive.
const OFFICE: [&str; 6] = [".docx", ".docm", ".xlsx", ".xlsm", ".pptx", ".pptm"];

/// The longest name of a component below crypt: its encrypted form is longer.
const LONGEST_ENCRYPTED: usize = 140;

/// The rules of a remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Two names that differ by case alone are one name.
    pub folds_case: bool,
    /// The names that OneDrive keeps for itself are refused.
    pub onedrive: bool,
    /// SharePoint: Office files change on arrival.
    pub business: bool,
    /// The longest component, in bytes.
    pub longest_name: usize,
    /// The longest path below the data, in characters.
    pub longest_path: usize,
    /// True if the remote sees encrypted names, which are longer.
    pub encrypts: bool,
}

impl Rules {
    /// The rules of a remote of this kind, an rclone backend. `folder` is the longest folder that a path is put in.
    /// `drive` is OneDrive's kind of drive.
    #[must_use]
    pub fn of(kind: &str, drive: &str, folder: &str) -> Self {
        let used = folder.chars().count() + 1;
        match kind {
            "onedrive" => Self {
                folds_case: true,
                onedrive: true,
                business: drive != "personal",
                longest_name: 250,
                longest_path: 400_usize.saturating_sub(used),
                encrypts: false,
            },
            "crypt" => Self {
                longest_name: LONGEST_ENCRYPTED,
                ..Self::any(used)
            },
            // crypt on OneDrive: its names are digits and letters, and only their length matters.
            "crypt on onedrive" => Self {
                longest_name: LONGEST_ENCRYPTED,
                longest_path: 400_usize.saturating_sub(encrypted(folder) + 1),
                encrypts: true,
                ..Self::any(used)
            },
            // The file of a link has a longer name than the link.
            _ => Self::any(used),
        }
    }

    fn any(used: usize) -> Self {
        Self {
            folds_case: false,
            onedrive: false,
            business: false,
            longest_name: 255 - LINK.len(),
            longest_path: 4000_usize.saturating_sub(used),
            encrypts: false,
        }
    }
}

/// The reason why an entry is in the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// Not UTF-8.
    Encoding,
    /// A sign by which rclone marks changed names.
    Quoting,
    /// Reserved by the remote.
    Reserved,
    /// Too long.
    Long,
    /// Another name differs by case alone.
    Case,
    /// It is the name of the file that stands for a link.
    LinkFile,
    /// The remote changes such files.
    Office,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "the name is not UTF-8",
            Self::Quoting => "rclone changes names with such a sign",
            Self::Reserved => "the remote reserves the name",
            Self::Long => "the path is too long for the remote",
            Self::Case => "another name differs from it by case alone",
            Self::LinkFile => "it has the name of a link's file",
            Self::Office => "the remote changes Office files on arrival",
        })
    }
}

/// The judge of the names of one tree. It is asked about each entry, in the order of all lists.
#[derive(Debug)]
pub struct Fits {
    rules: Rules,
    /// The open folders: the length of the path, and the folded names seen in it.
    folders: Vec<(usize, HashSet<u64>)>,
    /// A folder whose name does not fit: nothing in it does.
    refused: Option<(Vec<u8>, Reason)>,
}

impl Fits {
    /// A judge that has seen no entry.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            folders: Vec::new(),
            refused: None,
        }
    }

    /// The reason why the remote cannot hold the entry; `None` if it can.
    pub fn reason(&mut self, path: &[u8], letter: char) -> Option<Reason> {
        if let Some((folder, reason)) = &self.refused {
            if within(path, folder) {
                return Some(*reason);
            }
            self.refused = None;
        }
        // Hard links and named pipes have no file on the remote.
        if path == ROOT.as_bytes() || matches!(letter, 'h' | 'p') {
            return None;
        }
        let reason = self.judge(path, letter);
        if let Some(reason) = reason
            && letter == 'd'
        {
            self.refused = Some((path.to_vec(), reason));
        }
        reason
    }

    fn judge(&mut self, path: &[u8], letter: char) -> Option<Reason> {
        let begin = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
        let name = path.get(begin..).unwrap_or_default();
        let Ok(name) = std::str::from_utf8(name) else {
            return Some(Reason::Encoding);
        };
        if is_quoting(name) {
            return Some(Reason::Quoting);
        }
        let lower = name.to_lowercase();
        let is_link_file = name.as_bytes().ends_with(LINK);
        if self.rules.onedrive && is_reserved(&lower) {
            return Some(Reason::Reserved);
        }
        let suffix = if letter == 'l' { LINK.len() } else { 0 };
        let text = String::from_utf8_lossy(path);
        let characters = if self.rules.encrypts {
            let link = if letter == 'l' { ".rclonelink" } else { "" };
            encrypted(&format!("{text}{link}"))
        } else {
            text.chars().count() + suffix
        };
        if name.len() + suffix > self.rules.longest_name || characters > self.rules.longest_path {
            return Some(Reason::Long);
        }
        if is_link_file && letter != 'd' {
            return Some(Reason::LinkFile);
        }
        let is_office = OFFICE.iter().any(|ending| lower.ends_with(ending));
        if self.rules.business && is_office && letter != 'd' {
            return Some(Reason::Office);
        }
        // Only an entry that would be there can be in the way of another one.
        let stored = match letter {
            'l' => format!("{name}{}", String::from_utf8_lossy(LINK)),
            _ => name.to_owned(),
        };
        (self.rules.folds_case && !self.is_new(begin, &fold(&stored))).then_some(Reason::Case)
    }

    /// False if another name of the folder has the same key.
    fn is_new(&mut self, begin: usize, key: &str) -> bool {
        while self
            .folders
            .last()
            .is_some_and(|(length, _)| *length > begin)
        {
            self.folders.pop();
        }
        if self
            .folders
            .last()
            .is_none_or(|(length, _)| *length < begin)
        {
            self.folders.push((begin, HashSet::new()));
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.folders
            .last_mut()
            .is_none_or(|(_, names)| names.insert(hasher.finish()))
    }
}

/// The length of a path whose components are encrypted: blocks of 16 bytes in base 32.
fn encrypted(path: &str) -> usize {
    let component = |name: &str| ((name.len() / 16 + 1) * 16 * 8).div_ceil(5) + 1;
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(component).sum()
}

/// The key under which OneDrive takes two names for one.
#[must_use]
pub fn fold(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}

/// True for a name that rclone does not find again on this host: it reads U+201B as its own quoting sign, and U+FF0F and
/// U+FF0E as the slash and the dots that it replaced.
fn is_quoting(name: &str) -> bool {
    name.contains(['\u{201b}', '\u{ff0f}']) || matches!(name, "\u{ff0e}" | "\u{ff0e}\u{ff0e}")
}

fn is_reserved(lower: &str) -> bool {
    let port = lower.strip_prefix("com").or(lower.strip_prefix("lpt"));
    let is_port = port.is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
    RESERVED.contains(&lower) || is_port || lower.starts_with("~$") || lower.contains("_vti_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(rules: &Rules, entries: &[(&[u8], char)]) -> Vec<Option<Reason>> {
        let mut fits = Fits::new(rules.clone());
        let mut reasons = Vec::new();
        for (path, letter) in entries {
            reasons.push(fits.reason(path, *letter));
        }
        reasons
    }

    fn onedrive(drive: &str) -> Rules {
        Rules::of(
            "onedrive",
            drive,
            "/Backup/app/.versions/2026-01-01/000000-000",
        )
    }

    #[test]
    fn onedrive_refuses_its_own_names_and_no_others() {
        for (name, reason) in [
            ("data/CON", Some(Reason::Reserved)),
            ("data/com1", Some(Reason::Reserved)),
            ("data/com10", None),
            ("data/.lock", Some(Reason::Reserved)),
            ("data/a.lock", None),
            ("data/Desktop.ini", Some(Reason::Reserved)),
            ("data/~$doc", Some(Reason::Reserved)),
            ("data/a_vti_b", Some(Reason::Reserved)),
            ("data/a:b?", None),
            ("data/\u{201b}quoted", Some(Reason::Quoting)),
            ("data/a\u{ff0f}b", Some(Reason::Quoting)),
            ("data/\u{ff0e}\u{ff0e}", Some(Reason::Quoting)),
            ("data/\u{ff0e}a\u{ff0a}", None),
            ("data/x.rclonelink", Some(Reason::LinkFile)),
            ("data/x.docx", None),
        ] {
            let found = judge(&onedrive("personal"), &[(name.as_bytes(), 'f')]);
            assert_eq!(found, [reason], "{name}");
        }
        let found = judge(
            &onedrive("business"),
            &[(b"data/x.docx", 'f'), (b"data/y.docx", 'd')],
        );
        assert_eq!(found, [Some(Reason::Office), None]);
        let long = format!("data/{}", "ä/".repeat(200));
        let found = judge(
            &onedrive("personal"),
            &[(long.as_bytes(), 'f'), (b"data/\xff", 'f')],
        );
        assert_eq!(found, [Some(Reason::Long), Some(Reason::Encoding)]);
    }

    #[test]
    fn names_that_clash_are_found_in_their_folder_alone() {
        let entries: [(&[u8], char); 9] = [
            (b"data", 'd'),
            (b"data/A", 'd'),
            (b"data/A/x", 'f'),
            (b"data/B", 'd'),
            (b"data/B/X", 'f'),
            (b"data/B/x", 'f'),
            (b"data/a", 'd'),
            (b"data/a/y", 'f'),
            (b"data/b2", 'f'),
        ];
        let case = Some(Reason::Case);
        let expected = [None, None, None, None, None, case, case, case, None];
        assert_eq!(judge(&onedrive("personal"), &entries), expected);
        let local = Rules::of("local", "", "/mnt");
        assert!(judge(&local, &entries).iter().all(Option::is_none));
    }

    #[test]
    fn nothing_in_a_folder_that_does_not_fit_does() {
        let entries: [(&[u8], char); 4] = [
            (b"data/aux", 'd'),
            (b"data/aux/x", 'f'),
            (b"data/aux/y/z", 'f'),
            (b"data/auxx", 'f'),
        ];
        let reserved = Some(Reason::Reserved);
        assert_eq!(
            judge(&onedrive("personal"), &entries),
            [reserved, reserved, reserved, None]
        );
    }
}
