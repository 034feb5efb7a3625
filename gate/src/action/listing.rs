//! The files of a remote folder, read as a stream: rclone prints one of them on each line.
//!
//! Invariant: memory holds one piece of the listing, for any number of files.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Context;
use super::remote::{Access, Task};
use super::waiting::Pauses;
use base::error::Failure;
use base::progress::Phase;
use host::program::Output;
use host::{Next, Patience, Piped};
use mirror::compose::Incoming;
use mirror::names::IncomingName;
use rclone::Listener;

/// The longest line of a listing: a path with every byte escaped.
const LONGEST: usize = 1 << 20;

/// A file as rclone prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PrintedFile {
    pub(super) path: String,
    size: i64,
    pub(super) mod_time: Option<String>,
    #[serde(default)]
    pub(super) hashes: BTreeMap<String, String>,
}

impl PrintedFile {
    /// The size; `None` if the remote does not tell it.
    pub(super) fn size(&self) -> Option<u64> {
        u64::try_from(self.size).ok()
    }
}

/// Takes a file into the list of one try.
pub(super) type TakeFile<'t, T> = &'t mut dyn FnMut(&mut T, PrintedFile) -> Result<(), Failure>;

/// Lists files. Each try of rclone begins a new list. `None` where there is no such folder.
pub(super) fn list<T>(
    context: &mut Context<'_>,
    task: &Task<'_>,
    patience: &Patience<'_>,
    begin: &mut dyn FnMut() -> Result<T, Failure>,
    take: TakeFile<'_, T>,
) -> Result<Option<T>, Failure> {
    let mut pauses = Pauses::new();
    loop {
        let mut heard = Listener::new(task.phase);
        let mut list = begin()?;
        let piped = list_once(context, task, patience, &mut heard, &mut |file| {
            take(&mut list, file)
        })?;
        if let Some(ended) = &piped.ended {
            if rclone::folder_missing(ended) {
                return Ok(None);
            }
            if context.waits_after(task, ended, &heard, &mut pauses, patience)? {
                continue;
            }
            context.judge(task, ended, &heard)?;
        }
        piped.read?;
        return Ok(Some(list));
    }
}

/// Takes a content of the incoming folder, and its size, into the list of one try.
pub(super) type TakeContent<'t, T> =
    &'t mut dyn FnMut(&mut T, &IncomingName, u64) -> Result<(), Failure>;

/// Lists the contents in an incoming folder: an interrupted night may leave very many. Other files are ignored.
pub(super) fn contents<T>(
    context: &mut Context<'_>,
    folder: &str,
    patience: &Patience<'_>,
    begin: &mut dyn FnMut() -> Result<T, Failure>,
    take: TakeContent<'_, T>,
) -> Result<T, Failure> {
    let what = format!("listing {folder}");
    let task = Task {
        what: &what,
        argv: rclone::list(context.config, folder),
        call: None,
        remote: folder,
        access: Access::Remote,
        output: Output::Silent,
        phase: Phase::Comparing,
    };
    let take: TakeFile<'_, T> =
        &mut |list, file| match (IncomingName::parse(&file.path), file.size()) {
            (Some(name), Some(size)) => take(list, &name, size),
            _ => Ok(()),
        };
    match list(context, &task, patience, begin, take)? {
        Some(found) => Ok(found),
        None => begin(),
    }
}

/// The contents in an incoming folder.
pub(super) fn incoming(
    context: &mut Context<'_>,
    folder: &str,
    patience: &Patience<'_>,
) -> Result<Incoming, Failure> {
    let mut found = contents(
        context,
        folder,
        patience,
        &mut || Ok(Incoming::default()),
        &mut |found, name, size| {
            found.add(name, size);
            Ok(())
        },
    )?;
    found.sort();
    Ok(found)
}

/// One run of rclone.
fn list_once(
    context: &mut Context<'_>,
    task: &Task<'_>,
    patience: &Patience<'_>,
    heard: &mut Listener,
    take: &mut dyn FnMut(PrintedFile) -> Result<(), Failure>,
) -> Result<Piped, Failure> {
    let what = task.what;
    let program = context.transfer(task, patience)?;
    context.host.run_piped(
        &program,
        patience,
        heard,
        &mut |feed| {
            let mut text: Vec<u8> = Vec::new();
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = feed.read(&mut buffer).map_err(Failure::io(what))?;
                if read == 0 {
                    return Ok(());
                }
                text.extend_from_slice(buffer.get(..read).unwrap_or_default());
                let Some(last) = text.iter().rposition(|&byte| byte == b'\n') else {
                    if text.len() > LONGEST {
                        return Err(Failure::Verification(format!("{what}: a line has no end")));
                    }
                    continue;
                };
                let rest = text.split_off(last + 1);
                for line in text.split(|&byte| byte == b'\n') {
                    if let Some(file) = printed(line, what)? {
                        take(file)?;
                    }
                }
                text = rest;
            }
        },
        &mut |_, _, _| Ok(Next::Enough),
    )
}

/// Reads one line of a listing: an object with a comma behind it, or a bracket.
fn printed(line: &[u8], what: &str) -> Result<Option<PrintedFile>, Failure> {
    let line = line.trim_ascii();
    let line = line.strip_suffix(b",").unwrap_or(line);
    if matches!(line, b"" | b"[" | b"]" | b"[]") {
        return Ok(None);
    }
    serde_json::from_slice(line)
        .map(Some)
        .map_err(|error| Failure::Verification(format!("{what}: {error}")))
}
