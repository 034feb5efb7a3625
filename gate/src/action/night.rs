//! The books of a mirror, fetched from the remote: the last complete night, and the place of each of its contents.
//!
//! Invariant: a night counts only if its manifests were read to their ends and found intact. Nothing is changed on the
//! remote.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, Write};

use super::Context;
use super::databases::Databases;
use super::fetch;
use super::listing::incoming;
use super::remote_folder::RemoteFolder;
use archive::Watch;
use archive::choice::Choice;
use archive::contents::{Part, contents};
use archive::digest::{Digest, Hasher, Hashing};
use base::error::Failure;
use base::measure;
use base::progress::Phase;
use host::Patience;
use mirror::books::{Catalog, Night};
use mirror::chain::Current;
use mirror::complete::{Complete, Standing};
use mirror::compose::Incoming;
use mirror::entry::{Stored, below_root};
use mirror::names::{Book, BundleName};
use mirror::place::Places;

/// The largest `complete` file.
const LARGEST: u64 = 64 << 10;

/// The books of one mirror.
pub(super) struct MirrorBooks {
    /// The folders of the mirror.
    pub(super) places: Places,
    /// The names of the books.
    pub(super) catalog: Catalog,
    /// The sizes of the books.
    sizes: Vec<(String, u64)>,
    /// The file `complete`, if there is one that can be read.
    pub(super) complete: Option<Complete>,
    /// The last night; without one the faults of its manifests.
    pub(super) night: Result<Night<File>, Vec<String>>,
    /// Contents that have not come to their places yet.
    pub(super) incoming: Incoming,
    /// True if `data/` is completely the copy of the last night.
    pub(super) is_settled: bool,
    /// Faults of the file `complete`.
    pub(super) faults: Vec<String>,
    /// The entries of the night that count.
    choice: Choice,
}

/// Facts about a night.
#[derive(Default)]
pub(super) struct Fetched {
    pub(super) entries: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Bytes and files outside of bundles; a link has no file of its own to be read.
    pub(super) plain: (u64, u64),
    /// True if a content may be at its path in `data/`.
    pub(super) any_in_data: bool,
    /// True if a content may be in the incoming folder.
    pub(super) any_incoming: bool,
    pub(super) bundles: BTreeSet<BundleName>,
}

/// Fetches the books of a mirror; `None` if it has none. `waits` lets the gate wait for the remote.
pub(super) fn look(
    context: &mut Context<'_>,
    places: Places,
    databases: &Databases,
    waits: bool,
    patience: &Patience<'_>,
) -> Result<Option<MirrorBooks>, Failure> {
    let what = format!("listing the manifests of {}", places.data);
    let listed = RemoteFolder {
        waits,
        ..folder(&what, &places.books)
    };
    let Some(sizes) = listed.files(context, patience)? else {
        return Ok(None);
    };
    let catalog = Catalog::of(&places.prefix, sizes.iter().map(|(name, _)| name.as_str()));
    if catalog.is_empty() {
        return Ok(None);
    }
    let mut books = MirrorBooks {
        places,
        catalog,
        sizes,
        complete: None,
        night: Err(Vec::new()),
        incoming: Incoming::default(),
        is_settled: false,
        faults: Vec::new(),
        choice: Choice::default(),
    };
    if books.catalog.complete {
        match complete(context, &books, databases, patience) {
            Ok(complete) => books.complete = Some(complete),
            Err(Failure::Verification(fault)) => books.faults.push(fault),
            Err(failure) => return Err(failure),
        }
    }
    let catalog = books.catalog.clone();
    books.night = Night::choose(&catalog, &books.places.subject, |number| {
        let file = databases.create(&format!("manifest-{number}"))?;
        let book = Book::Manifest(number);
        books.fetch(context, &book, &file, databases, patience)?;
        Ok(file)
    })?;
    let complete = books.complete.as_ref();
    if let Ok(night) = &books.night {
        books.is_settled = night.is_settled(complete);
        if night.is_behind(complete) {
            books.faults.push(format!(
                "the file `complete` names a later night than {}, whose manifest is damaged or missing",
                night.heading.as_of
            ));
        }
        if night.is_disputed(complete) {
            books.faults.push(format!(
                "the file `complete` names another manifest {} than the one that is there; two hosts may write to this mirror",
                night.heading.number
            ));
        }
    }
    if books.night.is_ok() && !books.is_settled {
        books.incoming = incoming(context, &books.places.incoming, patience)?;
    }
    Ok(Some(books))
}

fn folder<'f>(what: &'f str, path: &'f str) -> RemoteFolder<'f> {
    RemoteFolder {
        what,
        path,
        phase: Phase::Downloading,
        waits: true,
    }
}

fn complete(
    context: &mut Context<'_>,
    books: &MirrorBooks,
    databases: &Databases,
    patience: &Patience<'_>,
) -> Result<Complete, Failure> {
    if books.size(&Book::Complete) > LARGEST {
        return Err(Failure::Verification(
            "the file `complete` is too large".into(),
        ));
    }
    let mut file = databases.create("complete")?;
    books.fetch(context, &Book::Complete, &file, databases, patience)?;
    let mut text = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut text))
        .map_err(Failure::io("reading the file `complete`"))?;
    let complete = Complete::parse(&text)?;
    if complete.subject != books.places.subject {
        return Err(Failure::Verification(format!(
            "the file `complete` is that of {}",
            complete.subject
        )));
    }
    Ok(complete)
}

impl MirrorBooks {
    fn size(&self, book: &Book) -> u64 {
        let name = book.name(&self.places.prefix);
        let found = self.sizes.iter().find(|(known, _)| *known == name);
        found.map_or(0, |(_, size)| *size)
    }

    fn fetch(
        &self,
        context: &mut Context<'_>,
        book: &Book,
        into: &File,
        databases: &Databases,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let name = format!("{}/{}", self.places.books, book.name(&self.places.prefix));
        let room = |bytes| databases.has_room(bytes);
        fetch::file(context, (&name, self.size(book)), into, patience, &room)
    }

    /// The size of a bundle; `None` if it is not there.
    pub(super) fn bundle(&self, name: &BundleName) -> Option<u64> {
        let is_there = self.catalog.bundles.contains(name);
        is_there.then(|| self.size(&Book::Bundle(name.clone())))
    }

    /// Reads a bundle while it is downloaded, and hands out the contents in it.
    pub(super) fn read_bundle(
        &self,
        context: &mut Context<'_>,
        bundle: &BundleName,
        patience: &Patience<'_>,
        each: &mut dyn FnMut(&archive::entry::Entry, Part<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let book = Book::Bundle(bundle.clone());
        let name = format!("{}/{}", self.places.books, book.name(&self.places.prefix));
        let what = format!("reading {name}");
        let mut watch = |_| Ok(());
        let mut digest = None;
        let choice = &self.choice;
        let each: &mut dyn FnMut(&archive::entry::Entry, Part<'_>) -> Result<(), Failure> =
            &mut |entry, part| match choice.wants(&entry.path, false) {
                true => each(entry, part),
                false => Ok(()),
            };
        fetch::read(
            context,
            (&what, &name, self.size(&book)),
            patience,
            &mut |coming| {
                let mut coming = Hashing::new(coming);
                let watch: Watch<'_> = &mut watch;
                contents(&mut coming, watch, each)?;
                digest = Some(coming.finish().2);
                Ok(())
            },
        )?;
        match digest {
            Some(digest) if BundleName::of(digest) == *bundle => Ok(()),
            _ => Err(Failure::Verification(format!(
                "{name} does not have the digest in its name"
            ))),
        }
    }

    /// Limits the last night to chosen entries.
    pub(super) fn choose(&mut self, mut choice: Choice) -> Result<(), Failure> {
        self.each(&mut |current, _| {
            choice.note(&current.entry.record);
            Ok(())
        })?;
        let missing = choice.missing();
        if !missing.is_empty() {
            return Err(Failure::NoArchive(format!(
                "the mirror {} does not hold {missing}, {}",
                self.places.data,
                self.standing()
            )));
        }
        self.choice = choice;
        Ok(())
    }

    /// True if all entries of the last night count.
    pub(super) fn is_whole(&self) -> bool {
        self.choice.is_all()
    }

    /// Calls with each chosen entry of the last night, and the place of its content at this moment.
    pub(super) fn each(
        &mut self,
        see: &mut dyn FnMut(&Current, Stored) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Ok(night) = &mut self.night else {
            return Ok(());
        };
        let mut chain = night.entries()?;
        while let Some(current) = chain.entry()? {
            let record = &current.entry.record;
            if !self.choice.wants(&record.path, record.letter == 'd') {
                continue;
            }
            let place = self.incoming.place(&current);
            see(&current, place)?;
        }
        Ok(())
    }

    /// Does the same for entries with a content.
    pub(super) fn each_content(
        &mut self,
        see: &mut dyn FnMut(&Current, Stored) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.each(&mut |current, place| match current.entry.has_content() {
            true => see(current, place),
            false => Ok(()),
        })
    }

    /// Reads the last night once, for facts about the whole.
    pub(super) fn needs(&mut self) -> Result<Fetched, Failure> {
        let mut needs = Fetched::default();
        self.each(&mut |current, _| {
            let entry = &current.entry;
            needs.entries += 1;
            needs.bytes = needs.bytes.saturating_add(entry.bytes());
            if !entry.has_content() {
                return Ok(());
            }
            needs.files += 1;
            let is_plain = !matches!(entry.stored, Stored::Bundle(_)) && entry.record.letter != 'l';
            if is_plain {
                needs.plain.0 = needs.plain.0.saturating_add(entry.bytes());
                needs.plain.1 += 1;
            }
            match &entry.stored {
                Stored::Data => needs.any_in_data = true,
                // It is in one of two places.
                Stored::Incoming(_) => {
                    needs.any_in_data = true;
                    needs.any_incoming = true;
                }
                Stored::Bundle(bundle) => {
                    needs.bundles.insert(bundle.clone());
                }
            }
            Ok(())
        })?;
        Ok(needs)
    }

    /// Writes the names of the contents that may be in `data/`, one in a line; false if there are none.
    pub(super) fn write_data_names(&mut self, out: &mut impl Write) -> Result<bool, Failure> {
        let mut any = false;
        self.each_content(&mut |current, _| {
            let entry = &current.entry;
            let name = match entry.stored {
                Stored::Bundle(_) => None,
                Stored::Data | Stored::Incoming(_) => below_root(&entry.record.path),
            };
            if let Some(name) = name.and_then(rclone::name::standard) {
                any = true;
                writeln!(out, "{name}").map_err(Failure::io("writing a list of names"))?;
            }
            Ok(())
        })?;
        Ok(any)
    }

    /// Writes the names of the contents in the incoming folder, one in a line; false if there are none.
    pub(super) fn write_incoming_names(&mut self, out: &mut impl Write) -> Result<bool, Failure> {
        let mut any = false;
        self.each_content(&mut |_, place| {
            if let Stored::Incoming(name) = place {
                any = true;
                writeln!(out, "{name}").map_err(Failure::io("writing a list of names"))?;
            }
            Ok(())
        })?;
        Ok(any)
    }

    /// True if another night was written meanwhile.
    pub(super) fn was_replaced(
        &self,
        context: &mut Context<'_>,
        patience: &Patience<'_>,
    ) -> Result<bool, Failure> {
        let what = format!("listing the manifests of {}", self.places.data);
        let now = folder(&what, &self.places.books).files(context, patience)?;
        let now = now.unwrap_or_default();
        let names = now.iter().map(|(name, _)| name.as_str());
        Ok(Catalog::of(&self.places.prefix, names) != self.catalog)
    }

    /// Says which night the mirror is the copy of.
    pub(super) fn standing(&self) -> String {
        match (&self.night, self.complete.as_ref().map(|one| one.standing)) {
            (Ok(night), _) if self.is_settled => {
                format!("complete as of {}", night.heading.as_of)
            }
            (Ok(night), _) => format!(
                "complete as of {}; a --sync was interrupted before all files of that night were at their places, and the next --sync puts them there",
                night.heading.as_of
            ),
            (Err(_), Some(Standing::FirstUpload { done, all })) => {
                format!("complete as of: never; first upload: {}", share(done, all))
            }
            (Err(_), _) => "no manifest of it can be read".to_owned(),
        }
    }
}

/// The progress of a first upload.
pub(super) fn share(done: (u64, u64), all: (u64, u64)) -> String {
    let (part, whole) = if all.1 > 0 {
        (done.1, all.1)
    } else {
        (done.0, all.0)
    };
    let percent = (u128::from(part) * 100)
        .checked_div(u128::from(whole))
        .unwrap_or(0);
    format!("{percent} % of {}", measure::size(all.1))
}

/// The name of a content of the bundle in a flat folder: the digest of its path, because paths may be too long for a
/// name, or clash.
pub(super) fn flat_name(path: &[u8]) -> String {
    digest_of(path).to_string()
}

/// The digest of some bytes.
pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}
