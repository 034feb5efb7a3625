//! The proof that the remote is as this board left it, and the reading of its manifests where it is not.
//!
//! Invariant: a sync continues only from a state that the remote was found to be in. A state of another board, or of a
//! lost state folder, is read from the remote and taken over, never overwritten unread.

use super::books::{PENDING, damaged, number};
use super::far::BookList;
use super::state::{Own, Pending, SyncState};
use super::work::Sync;
use crate::action::Context;
use archive::digest::Digest;
use archive::entry::{Attributes, Moment};
use archive::manifest::{NotedAttributes, Record};
use base::error::Failure;
use mirror::books::{Catalog, Night};
use mirror::chain::Chain;
use mirror::changes::{Item, Work};
use mirror::complete::{Complete, Standing};
use mirror::delta::{Change, DeltaReader};
use mirror::diff::Known;
use mirror::entry::{Entry, Stored};
use mirror::heading::Heading;
use mirror::memory::Memory;
use mirror::names::{Book, Number};
use mirror::quickxor::QuickXor;

/// The state that the remote was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// As this board left it.
    Ours,
    /// There is no manifest. The listing tells which files are there: none, those of an old mirror, or those of a first
    /// upload.
    Nothing,
    /// There are files without a manifest, or a manifest of another board: the listing has to be compared.
    Foreign,
}

impl Sync<'_> {
    /// Proves that the remote is as this board left it: a listing of the books, in which no newer manifest stands, and the
    /// file `complete`, unchanged. If the listing has the hash of that file, one request is enough.
    pub(super) fn prove(&mut self, context: &mut Context<'_>) -> Result<Proof, Failure> {
        let list = self.book_list(context)?;
        let names = list.files.iter().map(|(name, _)| name.as_str());
        let catalog = Catalog::of(&self.places.prefix, names);
        let mut text = None;
        if catalog.complete && self.is_last_complete(&list) {
            text.clone_from(&self.state.complete);
        } else if catalog.complete {
            let bytes = self.fetch_small(context, &self.complete_name())?;
            text = String::from_utf8(bytes).ok();
        }
        let complete = text
            .as_deref()
            .and_then(|text| Complete::parse(text.as_bytes()).ok());
        if let Some(pending) = self.state.pending.clone() {
            let name = self.manifest_name(&pending.number)?;
            let size = list.files.iter().find(|(known, _)| *known == name);
            let is_there = size.is_some_and(|(_, size)| *size == pending.size);
            let unchanged = text == self.state.complete;
            let settled = is_settled(complete.as_ref(), &pending) && self.is_own(complete.as_ref());
            if is_there && (unchanged || settled) {
                if !pending.committed {
                    self.state.pending = Some(Pending {
                        committed: true,
                        ..pending
                    });
                    self.own.save(&self.state)?;
                }
                if settled {
                    self.settle(context, text)?;
                }
                return Ok(Proof::Ours);
            }
            if !is_there && unchanged && !pending.committed {
                self.state.pending = None;
                self.own.save(&self.state)?;
                return Ok(Proof::Ours);
            }
        }
        let newest = catalog.manifests.last().copied();
        let is_as_left = text == self.state.complete && self.state.number.is_some();
        let ours = number(self.state.number.as_ref());
        let is_newest = newest.is_none_or(|newest| Some(newest) <= ours);
        if is_as_left && self.state.pending.is_none() && is_newest {
            let is_there = |(name, size): (&String, &u64)| {
                list.files
                    .iter()
                    .any(|(known, found)| known == name && found == size)
            };
            if newest != ours || !self.state.books.iter().all(is_there) {
                context.warn(format!(
                    "a manifest in {} was removed or changed; it is written anew",
                    self.places.books
                ));
                self.renews = true;
            }
            return Ok(Proof::Ours);
        }
        if catalog.manifests.is_empty() {
            let is_first = matches!(
                complete.as_ref().map(|complete| complete.standing),
                Some(Standing::FirstUpload { .. }) | None
            );
            let begun = self.state.first || self.state.memory.is_some();
            if begun && is_first && text == self.state.complete {
                return Ok(match self.state.loose {
                    // Only the listing tells which files of the last portion are up.
                    true => Proof::Nothing,
                    false => Proof::Ours,
                });
            }
            self.forget();
            self.state.first = complete.is_some() && is_first;
            self.state.complete = text;
            return Ok(Proof::Nothing);
        }
        self.tell_foreign(context, complete.as_ref());
        self.learn(context, &catalog, complete.as_ref(), text)?;
        Ok(Proof::Foreign)
    }

    /// True if the listing shows the hash of the file `complete` that this board wrote last, so it need not be read.
    fn is_last_complete(&self, list: &BookList) -> bool {
        let Some(text) = &self.state.complete else {
            return false;
        };
        let mut hash = QuickXor::default();
        hash.update(text.as_bytes());
        list.complete == Some(hash.finish())
    }

    fn is_own(&self, complete: Option<&Complete>) -> bool {
        let owner = self.owner().ok();
        complete.is_some_and(|complete| Some(&complete.owner) == owner.as_ref())
    }

    fn tell_foreign(&self, context: &mut Context<'_>, complete: Option<&Complete>) {
        let place = &self.mirror.destination;
        let words = match complete {
            Some(complete) if !self.is_own(Some(complete)) && self.state.number.is_some() => {
                format!(
                    "another board ({}) wrote to the mirror in {place} since the last sync of this one; its state is read and taken over. If both back up the same service, give each a folder of its own",
                    complete.owner
                )
            }
            Some(complete) if !self.is_own(Some(complete)) => format!(
                "the mirror in {place} was written by another board ({}) or before this one lost its state folder; its state is read and taken over",
                complete.owner
            ),
            _ => format!(
                "the mirror in {place} is not as this board left it; its state is read from the remote"
            ),
        };
        context.warn(words);
    }

    /// Forgets all but who this board is.
    pub(super) fn forget(&mut self) {
        self.state = SyncState {
            owner: std::mem::take(&mut self.state.owner),
            incoming: true,
            ..SyncState::default()
        };
    }

    pub(super) fn manifest_name(&self, text: &str) -> Result<String, Failure> {
        let number = Number::parse(text).ok_or_else(|| damaged("a number is none"))?;
        Ok(Book::Manifest(number).name(&self.places.prefix))
    }

    /// Reads the manifests of the remote.
    fn learn(
        &mut self,
        context: &mut Context<'_>,
        catalog: &Catalog,
        complete: Option<&Complete>,
        text: Option<String>,
    ) -> Result<(), Failure> {
        context.say("reading the manifests of the mirror from the remote");
        let chosen = {
            let this = &*self;
            Night::choose(catalog, &this.places.subject, |number| {
                let name = Book::Manifest(number).name(&this.places.prefix);
                let local = format!("fetched-{}", number.short());
                let mut file = this.own.create(&local)?;
                this.fetch(context, &name, &mut file)?;
                this.own.read(&local)
            })?
        };
        let night = chosen.map_err(|findings| {
            Failure::Verification(format!(
                "no manifest of the mirror in {} is intact: {}; move them to another folder, then the next sync makes a new one from the files that are there",
                self.places.books,
                findings.join("; ")
            ))
        })?;
        for finding in &night.findings {
            context.warn(finding);
        }
        let last = night.heading.number;
        let settled = night.is_settled(complete) || last.is_full();
        // A transition that was begun: the entries are those before it, and its list is the last delta.
        let base = if settled {
            last
        } else {
            Number::parse(&format!("{:06}.{:04}", last.generation(), last.delta() - 1))
                .ok_or_else(|| damaged("a number is none"))?
        };
        let full = Number::full(last.generation()).ok_or_else(|| damaged("a number is none"))?;
        let open = |number: Number| self.own.read(&format!("fetched-{}", number.short()));
        let mut deltas = Vec::new();
        let mut next = full;
        while next != base {
            next = next
                .next_delta()
                .ok_or_else(|| damaged("a number is none"))?;
            deltas.push(open(next)?);
        }
        let mut chain = Chain::new(open(full)?, deltas)?;
        let name = Own::next_memory(&self.state);
        let mut memory = Memory::new(self.own.create(name)?);
        let mut bundle = None;
        while let Some(current) = chain.entry()? {
            let Entry { record, stored } = current.entry;
            let bundled = match stored {
                Stored::Bundle(name) => {
                    bundle = Some(name.to_string());
                    true
                }
                _ => false,
            };
            memory.add(Known { record, bundled })?;
        }
        memory.finish()?;
        let pending = if settled {
            None
        } else {
            Some(self.learn_pending(last, &night.heading, night.digest)?)
        };
        self.state = SyncState {
            owner: self.state.owner.clone(),
            number: Some(base.to_string()),
            memory: Some(name.to_owned()),
            complete: text,
            as_of: complete.and_then(|complete| match complete.standing {
                Standing::Complete { as_of, .. } => Some(as_of.to_string()),
                Standing::FirstUpload { .. } => None,
            }),
            bundle,
            pending,
            incoming: true,
            ..SyncState::default()
        };
        self.own.save(&self.state)
    }

    /// Turns the last delta of the remote into the list of a transition that was begun.
    fn learn_pending(
        &self,
        last: Number,
        heading: &Heading,
        digest: Digest,
    ) -> Result<Pending, Failure> {
        let file = self.own.read(&format!("fetched-{}", last.short()))?;
        let size = file.metadata().map_err(Failure::io("a manifest"))?.len();
        let mut reader = DeltaReader::new(file)?;
        let mut list = self.own.create(PENDING)?;
        let mut bundle = None;
        while let Some(change) = reader.change()? {
            let item = match change {
                Change::Gone(path) => Item::new(Work::Gone, true, gone(path)),
                Change::Put(Entry { record, stored }) => match stored {
                    Stored::Data => Item::new(Work::Describe, false, record),
                    Stored::Incoming(name) => Item {
                        incoming: Some(name),
                        ..Item::new(Work::Send, false, record)
                    },
                    Stored::Bundle(name) => {
                        bundle = Some(name.to_string());
                        Item::new(Work::Bundle, false, record)
                    }
                },
            };
            item.write(&mut list)
                .map_err(Failure::io("writing the list of a transition"))?;
        }
        Ok(Pending {
            number: last.to_string(),
            digest: digest.to_string(),
            size,
            versions: heading
                .versions
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            as_of: heading.as_of.to_string(),
            list: PENDING.to_owned(),
            bundle,
            committed: true,
        })
    }
}

fn is_settled(complete: Option<&Complete>, pending: &Pending) -> bool {
    matches!(
        complete.map(|complete| complete.standing),
        Some(Standing::Complete { number, manifest, .. })
            if number.to_string() == pending.number && manifest.to_string() == pending.digest
    )
}

/// A record of an entry that is gone; only its path counts.
fn gone(path: Vec<u8>) -> Record {
    Record {
        letter: 'f',
        mode: 0,
        uid: 0,
        gid: 0,
        modified: Moment::default(),
        size: 0,
        content: None,
        attributes: NotedAttributes::All(Attributes::default()),
        path,
        target: None,
        at: None,
        hash: None,
    }
}
