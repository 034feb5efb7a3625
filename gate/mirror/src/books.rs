//! The manifests in the folder of books → those of the last night.
//!
//! The newest full manifest that is intact counts, and then its deltas as far as they are intact. A last file that is
//! not whole is an upload that was cut off: it counts as absent. A finding is a damaged file with a newer one behind
//! it, and a whole one that cannot be read: perhaps a newer gate wrote it, and its nights must not vanish in silence.
//!
//! Invariant: a file counts only after it was read to its end and found intact.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use archive::digest::{Digest, Hasher};
use base::error::Failure;

use crate::chain::Chain;
use crate::complete::{Complete, Standing};
use crate::delta::DeltaReader;
use crate::heading::Heading;
use crate::lines::is_whole;
use crate::manifest::ManifestReader;
use crate::names::{Book, BundleName, Number};

/// The books of one mirror on the remote, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The full manifests and deltas.
    pub manifests: BTreeSet<Number>,
    /// The bundles.
    pub bundles: BTreeSet<BundleName>,
    /// True if the file `complete` is there.
    pub complete: bool,
}

impl Catalog {
    /// Reads the file names in the folder of books. Other names are ignored.
    pub fn of<'n>(prefix: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut catalog = Self::default();
        for book in names
            .into_iter()
            .filter_map(|name| Book::parse(prefix, name))
        {
            match book {
                Book::Manifest(number) => {
                    catalog.manifests.insert(number);
                }
                Book::Bundle(bundle) => {
                    catalog.bundles.insert(bundle);
                }
                Book::Complete => catalog.complete = true,
            }
        }
        catalog
    }

    /// True if a gate wrote a book here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.manifests.is_empty() && !self.complete
    }

    /// The full manifests, newest first.
    pub fn fulls(&self) -> impl Iterator<Item = Number> {
        self.manifests
            .iter()
            .rev()
            .copied()
            .filter(|number| number.is_full())
    }

    /// The deltas on a full manifest, without a gap.
    pub fn deltas(&self, full: Number) -> impl Iterator<Item = Number> {
        std::iter::successors(full.next_delta(), |last| last.next_delta())
            .take_while(|number| self.manifests.contains(number))
    }
}

/// The manifests of the last night.
#[derive(Debug)]
pub struct Night<F> {
    /// The full manifest and its deltas, oldest first, each at its beginning.
    files: Vec<F>,
    /// The heading of the last one.
    pub heading: Heading,
    /// The digest of the last one, as it lies on the remote.
    pub digest: Digest,
    /// Faults: damaged files, and newer nights that they hide.
    pub findings: Vec<String>,
}

impl<F: Read + Seek> Night<F> {
    /// Chooses the manifests of the last night. `open` returns a file by its number.
    ///
    /// Returns the faults where no full manifest is intact.
    ///
    /// # Errors
    /// When a file cannot be read, for another reason than its damage.
    pub fn choose(
        catalog: &Catalog,
        subject: &str,
        mut open: impl FnMut(Number) -> Result<F, Failure>,
    ) -> Result<Result<Self, Vec<String>>, Failure> {
        let mut findings = Vec::new();
        // Files that were cut off, which matter only if nothing else is there.
        let mut cut = Vec::new();
        for full in catalog.fulls() {
            let mut file = open(full)?;
            let (heading, digest) = match examine(&mut file, full, subject)? {
                Examined::Intact(heading, digest) => (heading, digest),
                Examined::CutOff(fault) if catalog.deltas(full).next().is_none() => {
                    cut.push(fault);
                    continue;
                }
                Examined::CutOff(fault) | Examined::Unreadable(fault) => {
                    findings.push(fault);
                    continue;
                }
            };
            let mut night = Self {
                files: vec![file],
                heading,
                digest,
                findings,
            };
            night.add_deltas(catalog, full, subject, &mut open)?;
            return Ok(Ok(night));
        }
        findings.append(&mut cut);
        Ok(Err(findings))
    }

    fn add_deltas(
        &mut self,
        catalog: &Catalog,
        full: Number,
        subject: &str,
        open: &mut impl FnMut(Number) -> Result<F, Failure>,
    ) -> Result<(), Failure> {
        let mut deltas = catalog.deltas(full).peekable();
        while let Some(number) = deltas.next() {
            let mut file = open(number)?;
            match examine(&mut file, number, subject)? {
                Examined::Intact(heading, digest) => {
                    self.files.push(file);
                    self.heading = heading;
                    self.digest = digest;
                }
                // That night did not happen.
                Examined::CutOff(_) if deltas.peek().is_none() => {}
                Examined::CutOff(fault) | Examined::Unreadable(fault) => {
                    self.findings.push(format!(
                        "{fault}; the nights after {} cannot be read",
                        self.heading.as_of
                    ));
                    break;
                }
            }
        }
        Ok(())
    }

    /// True if `data/` is completely the copy of this night, as the file `complete` says.
    #[must_use]
    pub fn is_settled(&self, complete: Option<&Complete>) -> bool {
        matches!(
            complete.map(|complete| complete.standing),
            Some(Standing::Complete { number, manifest, .. })
                if number == self.heading.number && manifest == self.digest
        )
    }

    /// True if the file `complete` names a later night than this one: its manifest is damaged.
    #[must_use]
    pub fn is_behind(&self, complete: Option<&Complete>) -> bool {
        matches!(
            complete.map(|complete| complete.standing),
            Some(Standing::Complete { number, .. }) if number > self.heading.number
        )
    }

    /// True if the file `complete` names another manifest of this number than the one that is there: a second board
    /// wrote one of both.
    #[must_use]
    pub fn is_disputed(&self, complete: Option<&Complete>) -> bool {
        matches!(
            complete.map(|complete| complete.standing),
            Some(Standing::Complete { number, manifest, .. })
                if number == self.heading.number && manifest != self.digest
        )
    }

    /// Reads all entries of the night.
    ///
    /// # Errors
    /// When a file cannot be read again, or the files do not belong together.
    pub fn entries(&mut self) -> Result<Chain<'_>, Failure> {
        for file in &mut self.files {
            rewind(file)?;
        }
        let mut files = self.files.iter_mut();
        match files.next() {
            Some(full) => Chain::new(full, files),
            None => Err(crate::lines::wrong("there is no full manifest")),
        }
    }
}

fn rewind(file: &mut impl Seek) -> Result<(), Failure> {
    file.rewind()
        .map_err(Failure::io("reading the manifest of the mirror"))
}

/// The state of a file.
enum Examined {
    Intact(Heading, Digest),
    /// It is not whole.
    CutOff(String),
    /// It is whole, and not a manifest that this gate knows.
    Unreadable(String),
}

/// Reads a file to its end.
fn examine<F: Read + Seek>(
    file: &mut F,
    number: Number,
    subject: &str,
) -> Result<Examined, Failure> {
    rewind(file)?;
    let digest = digest_of(file)?;
    rewind(file)?;
    if !is_whole(&mut *file)? {
        return Ok(Examined::CutOff(format!(
            "manifest {number} is damaged, or its upload was cut off"
        )));
    }
    rewind(file)?;
    let heading = match to_its_end(&mut *file, number) {
        Ok(heading) => heading,
        Err(Failure::Verification(fault)) => {
            return Ok(Examined::Unreadable(format!("manifest {number}: {fault}")));
        }
        Err(failure) => return Err(failure),
    };
    Ok(if heading.number != number {
        Examined::Unreadable(format!(
            "manifest {number} says that it is {}",
            heading.number
        ))
    } else if heading.subject != subject {
        Examined::Unreadable(format!("manifest {number} is that of {}", heading.subject))
    } else {
        Examined::Intact(heading, digest)
    })
}

fn to_its_end<R: Read>(file: R, number: Number) -> Result<Heading, Failure> {
    if number.is_full() {
        let mut reader = ManifestReader::new(file)?;
        while reader.entry()?.is_some() {}
        return Ok(reader.heading().clone());
    }
    let mut reader = DeltaReader::new(file)?;
    while reader.change()?.is_some() {}
    Ok(reader.heading().clone())
}

fn digest_of(file: &mut impl Read) -> Result<Digest, Failure> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io("reading the manifest of the mirror")(error)),
        }
    }
}
