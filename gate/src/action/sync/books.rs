//! The books of a mirror: deltas, full manifests and the file `complete`, written and read on this host.
//!
//! Invariant: the state on this host names a manifest only once it is on the remote.

use std::collections::BTreeMap;
use std::io::BufReader;

use super::state::{Own, Pending};
use super::work::Sync;
use crate::action::Context;
use archive::digest::{Digest, Hasher};
use base::clock;
use base::error::Failure;
use mirror::books::Catalog;
use mirror::changes::{Item, ItemReader, Work};
use mirror::complete::{Complete, Standing};
use mirror::delta::{Change, DeltaWriter};
use mirror::diff::has_content;
use mirror::entry::{Entry, Stored};
use mirror::heading::{AsOf, Heading, Owner, VersionsFolder};
use mirror::manifest::ManifestWriter;
use mirror::memory::{Memory, Remembered, apply};
use mirror::names::{Book, BundleName, Number};

/// The name of the list of a transition that was begun.
pub(super) const PENDING: &str = "pending";

pub(super) fn damaged(what: &str) -> Failure {
    Failure::Verification(format!("the state of the mirror: {what}"))
}

/// The number and the digest that the state names.
pub(super) fn number(text: Option<&String>) -> Option<Number> {
    Number::parse(text?)
}

impl Sync<'_> {
    pub(super) fn owner(&self) -> Result<Owner, Failure> {
        Owner::parse(&self.state.owner).ok_or_else(|| damaged("it has no owner"))
    }

    pub(super) fn complete_name(&self) -> String {
        Book::Complete.name(&self.places.prefix)
    }

    /// The entries of the last manifest.
    pub(super) fn remembered(&self) -> Result<Option<Remembered>, Failure> {
        match &self.state.memory {
            Some(name) => Ok(Some(Remembered::new(self.own.read(name)?))),
            None => Ok(None),
        }
    }

    /// The items of a list.
    pub(super) fn list(&self, name: &str) -> Result<ItemReader<BufReader<std::fs::File>>, Failure> {
        Ok(ItemReader::new(BufReader::new(self.own.read(name)?), 0))
    }

    /// Writes the entries after a list of changes, the first `bytes` of it, to a new memory.
    pub(super) fn applied(&self, list: &str, bytes: Option<u64>) -> Result<&'static str, Failure> {
        self.applied_where(list, bytes, &|_| true)
    }

    /// Does the same with those changes of the list that `wants` takes.
    pub(super) fn applied_where(
        &self,
        list: &str,
        bytes: Option<u64>,
        wants: &dyn Fn(&Item) -> bool,
    ) -> Result<&'static str, Failure> {
        let mut before = self.remembered()?;
        let mut changes = self.list(list)?;
        let name = Own::next_memory(&self.state);
        let mut memory = Memory::new(self.own.create(name)?);
        apply(
            &mut || before.as_mut().map_or(Ok(None), Remembered::entry),
            &mut || {
                loop {
                    if bytes.is_some_and(|bytes| changes.at >= bytes) {
                        return Ok(None);
                    }
                    match changes.item()? {
                        Some(item) if !wants(&item) => {}
                        item => return Ok(item),
                    }
                }
            },
            &mut |known| memory.add(known),
        )?;
        memory.finish()?;
        Ok(name)
    }

    /// Makes the transition's list the delta that is uploaded next.
    pub(super) fn write_delta(
        &self,
        context: &mut Context<'_>,
        list: &str,
        as_of: AsOf,
        bundle: Option<&str>,
    ) -> Result<(String, Pending), Failure> {
        let last = number(self.state.number.as_ref()).ok_or_else(|| damaged("it has no number"))?;
        let number = last
            .next_delta()
            .ok_or_else(|| damaged("there are too many deltas"))?;
        let versions = VersionsFolder::of(context.host.local());
        let heading = Heading {
            subject: self.places.subject.clone(),
            number,
            owner: self.owner()?,
            as_of,
            versions: Some(versions.clone()),
        };
        let name = Book::Manifest(number).name(&self.places.prefix);
        let folder = self.own.folder(context, "delta")?;
        let path = format!("{folder}/{name}");
        let writing = || Failure::io(format!("writing {name}"));
        let file = std::fs::File::create_new(&path).map_err(writing())?;
        let mut writer = DeltaWriter::new(file, &heading).map_err(writing())?;
        let mut items = self.list(list)?;
        let bundle_name = bundle.and_then(BundleName::parse);
        while let Some(item) = items.item()? {
            let change = match item.work {
                Work::Gone => Change::Gone(item.record.path),
                _ => Change::Put(entry(item, bundle_name.as_ref())?),
            };
            writer.change(&change).map_err(writing())?;
        }
        writer.finish().map_err(writing())?;
        let (size, digest) = measure(&path)?;
        self.own.rename(list, PENDING)?;
        Ok((
            name,
            Pending {
                number: number.to_string(),
                digest: digest.to_string(),
                size,
                versions: versions.to_string(),
                as_of: as_of.to_string(),
                list: PENDING.to_owned(),
                bundle: bundle.map(str::to_owned),
                committed: false,
            },
        ))
    }

    /// Uploads the entries as a new full manifest, and returns its number and digest. Older manifests go once
    /// `complete` names the new one.
    pub(super) fn write_full(
        &mut self,
        context: &mut Context<'_>,
        as_of: AsOf,
    ) -> Result<(Number, Digest), Failure> {
        let last = number(self.state.number.as_ref());
        let next = match last {
            Some(last) => last.next_full(),
            None => Number::full(1),
        };
        let number = next.ok_or_else(|| damaged("there are too many manifests"))?;
        let heading = Heading {
            subject: self.places.subject.clone(),
            number,
            owner: self.owner()?,
            as_of,
            versions: None,
        };
        let name = Book::Manifest(number).name(&self.places.prefix);
        let folder = self.own.folder(context, "full")?;
        let path = format!("{folder}/{name}");
        let writing = || Failure::io(format!("writing {name}"));
        let file = std::fs::File::create_new(&path).map_err(writing())?;
        let mut writer = ManifestWriter::new(file, &heading).map_err(writing())?;
        let mut before = self.remembered()?;
        let bundle = self.state.bundle.as_deref().and_then(BundleName::parse);
        while let Some(known) = before.as_mut().map_or(Ok(None), Remembered::entry)? {
            let stored = match (&bundle, known.bundled) {
                (Some(bundle), true) => Stored::Bundle(bundle.clone()),
                _ => Stored::Data,
            };
            let entry = Entry {
                record: known.record,
                stored,
            };
            writer.entry(&entry).map_err(writing())?;
        }
        writer.finish().map_err(writing())?;
        let (size, digest) = measure(&path)?;
        self.put_book(context, &folder, &name, true)?;
        self.state.number = Some(number.to_string());
        self.state.books = BTreeMap::from([(name, size)]);
        self.own.save(&self.state)?;
        Ok((number, digest))
    }

    /// Writes the file `complete`.
    pub(super) fn write_complete(
        &self,
        context: &mut Context<'_>,
        standing: Standing,
    ) -> Result<String, Failure> {
        let complete = Complete {
            subject: self.places.subject.clone(),
            owner: self.owner()?,
            standing,
            written: AsOf::of(clock::utc()),
        };
        let text = complete.to_string();
        let name = self.complete_name();
        let folder = self.own.folder(context, "complete")?;
        let path = format!("{folder}/{name}");
        std::fs::write(&path, &text).map_err(Failure::io(format!("writing {name}")))?;
        // OneDrive puts a file in the place of another one without a look at it.
        self.put_book(context, &folder, &name, self.rules.onedrive)?;
        Ok(text)
    }

    /// Says on the remote that the transition is done.
    pub(super) fn complete_pending(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        let Some(pending) = &self.state.pending else {
            return Ok(());
        };
        let parsed = || {
            Some(Standing::Complete {
                number: Number::parse(&pending.number)?,
                manifest: Digest::parse(pending.digest.as_bytes())?,
                as_of: AsOf::parse(&pending.as_of)?,
            })
        };
        let standing = parsed().ok_or_else(|| damaged("a transition is none"))?;
        let text = self.write_complete(context, standing)?;
        self.settle(context, Some(text))
    }

    /// Takes a transition that is done for the last state.
    pub(super) fn settle(
        &mut self,
        context: &mut Context<'_>,
        text: Option<String>,
    ) -> Result<(), Failure> {
        let Some(pending) = self.state.pending.clone() else {
            return Ok(());
        };
        let memory = self.applied(&pending.list, None)?;
        let old = std::mem::replace(&mut self.state.bundle, pending.bundle.clone());
        if let Ok(name) = self.manifest_name(&pending.number) {
            self.state.books.insert(name, pending.size);
        }
        self.state.number = Some(pending.number);
        self.state.memory = Some(memory.to_owned());
        self.state.complete = text;
        self.state.as_of = Some(pending.as_of);
        self.state.pending = None;
        self.own.save(&self.state)?;
        self.drop_bundle(context, old)
    }

    /// Removes a bundle that no manifest needs any more.
    pub(super) fn drop_bundle(
        &self,
        context: &mut Context<'_>,
        old: Option<String>,
    ) -> Result<(), Failure> {
        let Some(old) = old.filter(|old| Some(old) != self.state.bundle.as_ref()) else {
            return Ok(());
        };
        match BundleName::parse(&old) {
            Some(name) => self.remove_book(context, &Book::Bundle(name).name(&self.places.prefix)),
            None => Ok(()),
        }
    }

    /// Uploads a full manifest of the last state, names it as complete, and removes the older ones.
    pub(super) fn renew_full(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        let as_of = self.state.as_of.as_deref().and_then(AsOf::parse);
        let as_of = as_of.unwrap_or_else(|| AsOf::of(self.began));
        let (number, digest) = self.write_full(context, as_of)?;
        let text = self.write_complete(
            context,
            Standing::Complete {
                number,
                manifest: digest,
                as_of,
            },
        )?;
        self.state.complete = Some(text);
        self.state.as_of = Some(as_of.to_string());
        self.own.save(&self.state)?;
        self.remove_older(context, number)
    }

    /// Removes the manifests before a full one, and bundles that nothing names.
    pub(super) fn remove_older(
        &self,
        context: &mut Context<'_>,
        full: Number,
    ) -> Result<(), Failure> {
        let files = self.files(context, &self.places.books)?;
        let names = files.iter().map(|(name, _)| name.as_str());
        let catalog = Catalog::of(&self.places.prefix, names);
        let older = catalog
            .manifests
            .iter()
            .filter(|number| number.generation() < full.generation());
        for number in older {
            self.remove_book(context, &Book::Manifest(*number).name(&self.places.prefix))?;
        }
        for bundle in &catalog.bundles {
            if self.state.bundle.as_deref() != Some(bundle.to_string().as_str()) {
                self.remove_book(
                    context,
                    &Book::Bundle(bundle.clone()).name(&self.places.prefix),
                )?;
            }
        }
        Ok(())
    }
}

/// The line of a delta for an entry.
fn entry(item: Item, bundle: Option<&BundleName>) -> Result<Entry, Failure> {
    let stored = match (item.work, item.incoming, bundle) {
        (Work::Bundle, _, Some(bundle)) => Stored::Bundle(bundle.clone()),
        (Work::Bundle, ..) => return Err(damaged("an entry of the bundle has none")),
        (_, Some(name), _) if has_content(item.record.letter) => Stored::Incoming(name),
        _ => Stored::Data,
    };
    Ok(Entry {
        record: item.record,
        stored,
    })
}

/// The size and the digest of a file of the gate's own.
pub(super) fn measure(path: &str) -> Result<(u64, Digest), Failure> {
    let reading = || Failure::io(format!("reading {path}"));
    let mut file = std::fs::File::open(path).map_err(reading())?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer).map_err(reading())?;
        if read == 0 {
            return Ok((size, hasher.finish()));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
}
