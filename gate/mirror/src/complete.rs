//! The small file that says which night `data/` is the copy of.
//!
//! ```text
//! backupctl-mirror 1 SUBJECT.mirror
//! owner OWNER
//! manifest GGGGGG.NNNN SHA256             the manifest or delta, and its digest as it lies on the remote
//! complete AS-OF
//! written WHEN
//! ```
//!
//! While the first upload is not complete, the middle lines are `first upload FILES of FILES files, BYTES of BYTES bytes`
//! and `complete never`.
//!
//! Invariant: the file is written when all contents of that night are at their paths, or says that there is none.

use std::fmt;

use archive::digest::Digest;
use base::error::Failure;

use crate::heading::{AsOf, Owner};
use crate::lines::wrong;
use crate::names::Number;

/// The state of `data/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the copy of one night.
    Complete {
        /// The manifest of that night.
        number: Number,
        /// Its digest, as it lies on the remote.
        manifest: Digest,
        /// The night.
        as_of: AsOf,
    },
    /// No night is complete yet.
    FirstUpload {
        /// Files and bytes that are up.
        done: (u64, u64),
        /// All files and bytes.
        all: (u64, u64),
    },
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// As in the heading of manifests.
    pub subject: String,
    /// The board that wrote it.
    pub owner: Owner,
    /// The state of `data/`.
    pub standing: Standing,
    /// The moment at which it was written.
    pub written: AsOf,
}

impl Complete {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &[u8]) -> Result<Self, Failure> {
        std::str::from_utf8(text)
            .ok()
            .and_then(Self::read)
            .filter(|complete| complete.to_string().as_bytes() == text)
            .ok_or_else(|| {
                wrong("the file `complete` is not one; if a newer gate wrote it, use that")
            })
    }

    fn read(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        let [first, owner, middle, complete, written] = lines.as_slice() else {
            return None;
        };
        let standing = match complete.strip_prefix("complete ")? {
            "never" => {
                let rest = middle
                    .strip_prefix("first upload ")?
                    .strip_suffix(" bytes")?;
                let (files, bytes) = rest.split_once(" files, ")?;
                let pair = |text: &str| {
                    let (done, all) = text.split_once(" of ")?;
                    Some((done.parse().ok()?, all.parse().ok()?))
                };
                let ((files_done, files), (bytes_done, bytes)) = (pair(files)?, pair(bytes)?);
                Standing::FirstUpload {
                    done: (files_done, bytes_done),
                    all: (files, bytes),
                }
            }
            as_of => {
                let (number, digest) = middle.strip_prefix("manifest ")?.split_once(' ')?;
                Standing::Complete {
                    number: Number::parse(number)?,
                    manifest: Digest::parse(digest.as_bytes())?,
                    as_of: AsOf::parse(as_of)?,
                }
            }
        };
        let subject = first.strip_prefix("backupctl-mirror 1 ")?;
        Some(Self {
            subject: subject.strip_suffix(".mirror")?.to_owned(),
            owner: Owner::parse(owner.strip_prefix("owner ")?)?,
            standing,
            written: AsOf::parse(written.strip_prefix("written ")?)?,
        })
    }
}

impl fmt::Display for Complete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "backupctl-mirror 1 {}.mirror", self.subject)?;
        writeln!(f, "owner {}", self.owner)?;
        match &self.standing {
            Standing::Complete {
                number,
                manifest,
                as_of,
            } => {
                writeln!(f, "manifest {number} {manifest}")?;
                writeln!(f, "complete {as_of}")?;
            }
            Standing::FirstUpload { done, all } => {
                writeln!(
                    f,
                    "first upload {} of {} files, {} of {} bytes",
                    done.0, all.0, done.1, all.1
                )?;
                writeln!(f, "complete never")?;
            }
        }
        writeln!(f, "written {}", self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!(
            "backupctl-mirror 1 n8n.mirror\nowner 0123456789abcdef\nmanifest 000003.0001 {digest}\ncomplete 2026-12-01T03:00:00Z\nwritten 2026-12-01T03:10:00Z\n"
        );
        let complete = Complete::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (complete.subject.as_str(), complete.to_string()),
            ("n8n", text.clone())
        );
        let first = text
            .replace(
                &format!("manifest 000003.0001 {digest}"),
                "first upload 3 of 10 files, 5 of 50 bytes",
            )
            .replace("complete 2026-12-01T03:00:00Z", "complete never");
        let read = Complete::parse(first.as_bytes()).unwrap();
        let wanted = Standing::FirstUpload {
            done: (3, 5),
            all: (10, 50),
        };
        assert_eq!((read.standing, read.to_string()), (wanted, first));
        for wrong in [
            text.replace("mirror 1", "mirror 2"),
            text.replace("000003.0001", "000003"),
            text.replace("owner 0", "owner X"),
            text.replace("complete 2026", "complete never 2026"),
            format!("{text}more\n"),
            text.trim_end().to_owned(),
            String::new(),
        ] {
            assert!(Complete::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
