//! The listing of all files of a mirror, read as a stream.
//!
//! Invariant: memory holds one piece of the listing, for any number of files.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::work::Sync;
use crate::action::Context;
use crate::action::remote::Task;
use crate::action::waiting::Pauses;
use archive::entry::Moment;
use archive::manifest::RemoteHash;
use base::error::Failure;
use base::progress::Phase;
use host::{Next, Piped};
use mirror::sort::{Sorted, Sorter};
use mirror::survey::Listed;
use rclone::Listener;

/// The longest line of a listing: a path with every byte escaped.
const LONGEST: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Anywhere {
    path: String,
    size: i64,
    mod_time: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl Sync<'_> {
    /// All files below the data, sorted. `None` where there is no such folder.
    pub(super) fn all_files(&self, context: &mut Context<'_>) -> Result<Option<Sorted>, Failure> {
        let what = format!("listing {}", self.places.data);
        let argv = rclone::all_files(context.config, &self.places.data, self.rules.onedrive);
        let task = Task {
            phase: Phase::Comparing,
            ..self.task(&what, argv, None)
        };
        let mut pauses = Pauses::new();
        loop {
            let mut listener = Listener::new(Phase::Comparing);
            let (piped, sorter) = self.list_once(context, &task, &mut listener)?;
            if let Some(ended) = &piped.ended {
                if rclone::folder_missing(ended) {
                    return Ok(None);
                }
                if context.waits_after(&task, ended, &listener, &mut pauses, &self.patience())? {
                    continue;
                }
                context.judge(&task, ended, &listener)?;
            }
            piped.read?;
            return sorter.finish().map(Some);
        }
    }

    /// One run of rclone, and the files that it listed.
    fn list_once<'s>(
        &'s self,
        context: &mut Context<'_>,
        task: &Task<'_>,
        listener: &mut Listener,
    ) -> Result<(Piped, Sorter<'s>), Failure> {
        let what = task.what;
        let program = context.transfer(task, &self.patience())?;
        let mut pieces = 0_u32;
        let mut sorter = Sorter::new(move || {
            pieces += 1;
            let name = format!("piece-{pieces}");
            let file = self.own.create(&name)?;
            self.own.remove(&name);
            Ok(file)
        });
        let piped = context.host.run_piped(
            &program,
            &self.patience(),
            listener,
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
                            return Err(Failure::Verification(format!(
                                "{what}: a line has no end"
                            )));
                        }
                        continue;
                    };
                    let rest = text.split_off(last + 1);
                    for line in text.split(|&byte| byte == b'\n') {
                        if let Some(listed) = listed(line, what)? {
                            sorter.push(listed)?;
                        }
                    }
                    text = rest;
                }
            },
            &mut |_, _, _| Ok(Next::Enough),
        )?;
        Ok((piped, sorter))
    }
}

/// Reads one line of a listing: an object with a comma behind it, or a bracket.
fn listed(line: &[u8], what: &str) -> Result<Option<Listed>, Failure> {
    let line = line.trim_ascii();
    let line = line.strip_suffix(b",").unwrap_or(line);
    if matches!(line, b"" | b"[" | b"]" | b"[]") {
        return Ok(None);
    }
    let file: Anywhere = serde_json::from_slice(line)
        .map_err(|error| Failure::Verification(format!("{what}: {error}")))?;
    let Ok(size) = u64::try_from(file.size) else {
        return Ok(None);
    };
    let moment = |text: String| {
        let time = chrono::DateTime::parse_from_rfc3339(&text).ok()?;
        Some(Moment {
            seconds: time.timestamp(),
            nanoseconds: time.timestamp_subsec_nanos(),
        })
    };
    let hash = ["quickxor", "sha1", "sha256", "md5"]
        .iter()
        .find_map(|kind| {
            let value = file.hashes.get(*kind).filter(|value| !value.is_empty())?;
            Some(RemoteHash {
                kind: (*kind).to_owned(),
                value: value.to_ascii_lowercase(),
            })
        });
    Ok(Some(Listed::new(
        rclone::name::raw(&file.path).as_bytes(),
        size,
        file.mod_time.and_then(moment),
        hash,
    )))
}
