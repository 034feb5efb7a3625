//! The remote side of a mirror: its books, and contents on their way to it.
//!
//! Invariant: every request names places of this mirror alone.

use serde::Deserialize;

use super::work::Sync;
use crate::action::Context;
use crate::action::listing::list;
use crate::action::remote::{Access, Ran, Task};
use crate::action::remote_folder::RemoteFolder;
use base::error::Failure;
use base::names::PlainPath;
use base::progress::Phase;
use base::sort;
use host::Exit;
use host::program::Output;
use mirror::quickxor::HASH;
use rclone::Listener;
use rclone::place::Place;
use rclone::{Call, call};

/// The largest file that is read into memory: `complete` has some 200 bytes.
const SMALL: u64 = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    size: i64,
}

/// The files in a folder, with their sizes.
pub(super) type Files = Vec<(String, u64)>;

/// The files of the books, and the hash of the file `complete` if the remote tells it.
pub(super) struct BookList {
    pub(super) files: Files,
    pub(super) complete: Option<String>,
}

fn listing<'f>(what: &'f str, path: &'f str) -> RemoteFolder<'f> {
    RemoteFolder {
        what,
        path,
        phase: Phase::Mirroring,
        waits: true,
    }
}

pub(super) fn is_missing(ran: &Ran) -> bool {
    matches!(ran.ended.exit, Exit::Code(3 | 4))
}

impl Sync<'_> {
    pub(super) fn task<'t>(
        &'t self,
        what: &'t str,
        argv: Vec<String>,
        call: Option<Call>,
    ) -> Task<'t> {
        Task {
            what,
            argv,
            call,
            remote: &self.mirror.destination,
            access: Access::Remote,
            output: Output::Silent,
            phase: Phase::Mirroring,
        }
    }

    /// The files in a folder; none where there is no such folder.
    pub(super) fn files(&self, context: &mut Context<'_>, folder: &str) -> Result<Files, Failure> {
        let what = format!("listing {folder}");
        let listed = listing(&what, folder).files(context, &self.patience())?;
        Ok(listed.unwrap_or_default())
    }

    /// The files of the books. OneDrive tells hashes with each listing.
    pub(super) fn book_list(&self, context: &mut Context<'_>) -> Result<BookList, Failure> {
        let folder = &self.places.books;
        if !self.rules.onedrive {
            return Ok(BookList {
                files: self.files(context, folder)?,
                complete: None,
            });
        }
        let what = format!("listing {folder}");
        let listing = listing(&what, folder);
        let listed = listing.files_with_hash(context, HASH, &self.patience())?;
        let mut list = BookList {
            files: Files::new(),
            complete: None,
        };
        let complete = self.complete_name();
        for (name, size, hash) in listed.unwrap_or_default() {
            if name == complete {
                list.complete = hash;
            }
            list.files.push((name, size));
        }
        Ok(list)
    }

    /// Reads a file of the books into `out`.
    pub(super) fn fetch(
        &self,
        context: &mut Context<'_>,
        name: &str,
        out: &mut dyn std::io::Write,
    ) -> Result<(), Failure> {
        let file = format!("{}/{name}", self.places.books);
        let what = format!("reading {name}");
        let config = context.config;
        let argv = |from: u64| rclone::cat(config, &file, from);
        let task = Task {
            remote: &file,
            ..self.task(&what, argv(0), None)
        };
        context.rclone_read(&task, &argv, &self.patience(), &mut |feed| {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = feed.read(&mut buffer).map_err(Failure::io(what.as_str()))?;
                if read == 0 {
                    return Ok(());
                }
                out.write_all(buffer.get(..read).unwrap_or_default())
                    .map_err(Failure::io(what.as_str()))?;
            }
        })
    }

    /// Reads a small file of the books.
    pub(super) fn fetch_small(
        &self,
        context: &mut Context<'_>,
        name: &str,
    ) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.fetch(context, name, &mut bytes)?;
        bytes.truncate(usize::try_from(SMALL).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    /// Uploads a file of the books from the folder of copies. `is_new` is true if no file has its name there.
    pub(super) fn put_book(
        &self,
        context: &mut Context<'_>,
        folder: &PlainPath,
        name: &str,
        is_new: bool,
    ) -> Result<(), Failure> {
        let what = format!("uploading {name}");
        let to = format!("{}/{name}", self.places.books);
        let place = Place::of(context.config, &self.places.books);
        let local = format!("{folder}/{name}");
        let from = folder.to_string();
        let (argv, call) = if is_new {
            (
                rclone::put(context.config, &local, &to),
                call::put(&from, name, &place),
            )
        } else {
            (
                rclone::upload(context.config, &local, &to),
                call::upload(&from, name, &place),
            )
        };
        let task = Task {
            access: Access::Reads(&self.own.copies),
            ..self.task(&what, argv, Some(call))
        };
        context.rclone_patient_must(&task, &self.patience())?;
        Ok(())
    }

    /// Removes a file of the books.
    pub(super) fn remove_book(&self, context: &mut Context<'_>, name: &str) -> Result<(), Failure> {
        let what = format!("removing {name}");
        let file = format!("{}/{name}", self.places.books);
        let place = Place::of(context.config, &self.places.books);
        let argv = rclone::delete(context.config, &file);
        let call = call::delete(context.config, &place, name);
        let task = self.task(&what, argv, Some(call));
        let ran = context.rclone_patient(&task, &self.patience())?;
        if is_missing(&ran) {
            return Ok(());
        }
        context.judge(&task, &ran.ended, &ran.heard)
    }

    /// Uploads a few files of a folder one by one: the one process knows the folders already.
    pub(super) fn send_few(
        &self,
        context: &mut Context<'_>,
        folder: &PlainPath,
        heard: &mut Listener,
    ) -> Result<(), Failure> {
        let from = folder.to_string();
        let to = Place::of(context.config, &self.places.incoming);
        let listing = || Failure::io(format!("listing {folder}"));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&from).map_err(listing())? {
            let name = entry.map_err(listing())?.file_name();
            names.extend(name.into_string().ok());
        }
        sort::sort(&mut names);
        for name in names {
            let what = format!("uploading {}", self.mirror.source);
            let target = format!("{}/{name}", self.places.incoming);
            let argv = rclone::put(context.config, &format!("{from}/{name}"), &target);
            let task = Task {
                access: Access::Reads(&self.own.copies),
                output: Output::Relayed,
                ..self.task(&what, argv, Some(call::put(&from, &name, &to)))
            };
            let ended = context.rclone_attempt(&task, heard, &self.patience())?;
            context.judge(&task, &ended, heard)?;
            // The next try sends the others.
            let path = format!("{from}/{name}");
            std::fs::remove_file(&path).map_err(Failure::io(format!("removing {path}")))?;
        }
        Ok(())
    }

    /// Uploads all files of a folder. Returns the bytes that went through, also after a failure.
    pub(super) fn send(
        &self,
        context: &mut Context<'_>,
        folder: &PlainPath,
        to: &str,
        heard: &mut Listener,
    ) -> Result<(), Failure> {
        let what = format!("uploading {}", self.mirror.source);
        let from = folder.to_string();
        let argv = rclone::send(context.config, &from, to);
        let task = Task {
            access: Access::Reads(&self.own.copies),
            output: Output::Relayed,
            ..self.task(&what, argv, Some(call::send(&from, to)))
        };
        let ended = context.rclone_attempt(&task, heard, &self.patience())?;
        if context.waits_after(
            &task,
            &ended,
            heard,
            &mut self.pauses.borrow_mut(),
            &self.patience(),
        )? {
            return Err(Failure::Tool {
                what,
                detail: "trying again".into(),
            });
        }
        context.judge(&task, &ended, heard)
    }

    /// Uploads one file of the opened source directory.
    pub(super) fn send_direct(
        &self,
        context: &mut Context<'_>,
        path: &str,
        to: &str,
        heard: &mut Listener,
    ) -> Result<(), Failure> {
        let what = format!("uploading {path}");
        let argv = rclone::send_direct(context.config, path, to);
        let task = Task {
            access: Access::Source(self.capture.tree()),
            output: Output::Relayed,
            ..self.task(&what, argv, None)
        };
        let ended = context.rclone_attempt(&task, heard, &self.patience())?;
        context.judge(&task, &ended, heard)
    }

    /// The size of a file, if it is there.
    pub(super) fn look(
        &self,
        context: &mut Context<'_>,
        folder: &str,
        file: &str,
    ) -> Result<Option<u64>, Failure> {
        let what = format!("looking at {folder}/{file}");
        let place = Place::of(context.config, folder);
        let (parent, name) = match file.rsplit_once('/') {
            Some((parent, name)) => (format!("{folder}/{parent}"), name),
            None => (folder.to_owned(), file),
        };
        if context.is_one_process(Access::Remote) {
            let call = call::look(&place, file);
            let task = self.task(&what, Vec::new(), Some(call));
            let ran = context.rclone_patient_must(&task, &self.patience())?;
            let item: Option<File> = serde_json::from_slice(&ran.ended.stdout)
                .map_err(|error| Failure::Verification(format!("{what}: {error}")))?;
            return Ok(item.and_then(|item| u64::try_from(item.size).ok()));
        }
        let argv = rclone::list(context.config, &parent);
        let task = self.task(&what, argv, None);
        let found = list(
            context,
            &task,
            &self.patience(),
            &mut || Ok(None),
            &mut |found, listed| {
                if listed.path == name {
                    *found = listed.size();
                }
                Ok(())
            },
        )?;
        Ok(found.flatten())
    }
}
