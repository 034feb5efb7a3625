//! One folder on a remote: its files, its folders that are named by days, and its size.
//!
//! Invariant: a folder that does not exist is not an error.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Context;
use super::remote::{Access, Task};
use crate::mirror::versions::day;
use base::error::Failure;
use base::progress::Phase;
use base::sort;
use host::Patience;
use host::program::Output;
use rclone::place::Place;
use rclone::{Call, call};

/// A folder to look at.
pub(super) struct RemoteFolder<'a> {
    /// The task in words: "listing the archives".
    pub(super) what: &'a str,
    pub(super) path: &'a str,
    pub(super) phase: Phase,
    /// The gate waits for a remote that does not answer.
    pub(super) waits: bool,
}

/// An entry as rclone lists it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    name: String,
    size: i64,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// The name of a file, its size, and its hash if the remote tells it.
pub(super) type HashedFile = (String, u64, Option<String>);

/// The number and size of all files below a folder.
#[derive(Deserialize)]
pub(super) struct FolderSize {
    /// The number of files.
    pub(super) count: u64,
    bytes: i64,
}

impl FolderSize {
    /// The bytes of all files whose size is known.
    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.bytes).unwrap_or(0)
    }
}

impl RemoteFolder<'_> {
    /// rclone's answer; `None` if there is no such folder.
    fn ask<T: DeserializeOwned>(
        &self,
        context: &mut Context<'_>,
        argv: Vec<String>,
        call: Call,
        patience: &Patience<'_>,
    ) -> Result<Option<T>, Failure> {
        let task = Task {
            what: self.what,
            argv,
            call: Some(call),
            remote: self.path,
            access: Access::Remote,
            output: Output::Silent,
            phase: self.phase,
        };
        let ran = if self.waits {
            context.rclone_patient(&task, patience)?
        } else {
            context.rclone(&task, patience)?
        };
        if rclone::folder_missing(&ran.ended) {
            return Ok(None);
        }
        context.judge(&task, &ran.ended, &ran.heard)?;
        serde_json::from_slice(&ran.ended.stdout)
            .map(Some)
            .map_err(|error| {
                Failure::Verification(format!("{}: rclone's answer: {error}", self.what))
            })
    }

    /// Its files with their sizes; `None` if there is no such folder.
    pub(super) fn files(
        &self,
        context: &mut Context<'_>,
        patience: &Patience<'_>,
    ) -> Result<Option<Vec<(String, u64)>>, Failure> {
        let argv = rclone::list(context.config, self.path);
        let call = call::list(&Place::of(context.config, self.path));
        let items: Option<Vec<Item>> = self.ask(context, argv, call, patience)?;
        let sized = |item: Item| (item.name, u64::try_from(item.size).unwrap_or(0));
        Ok(items.map(|items| items.into_iter().map(sized).collect()))
    }

    /// Its files with their sizes and one hash; `None` if there is no such folder.
    pub(super) fn files_with_hash(
        &self,
        context: &mut Context<'_>,
        hash: &str,
        patience: &Patience<'_>,
    ) -> Result<Option<Vec<HashedFile>>, Failure> {
        let argv = rclone::list_with_hash(context.config, self.path, hash);
        let call = call::list_with_hash(&Place::of(context.config, self.path), hash);
        let items: Option<Vec<Item>> = self.ask(context, argv, call, patience)?;
        let hashed = |mut item: Item| {
            let size = u64::try_from(item.size).unwrap_or(0);
            (item.name, size, item.hashes.remove(hash))
        };
        Ok(items.map(|items| items.into_iter().map(hashed).collect()))
    }

    /// The days that its folders are named by.
    pub(super) fn days(
        &self,
        context: &mut Context<'_>,
        patience: &Patience<'_>,
    ) -> Result<BTreeSet<NaiveDate>, Failure> {
        let argv = rclone::days(context.config, self.path);
        let call = call::days(&Place::of(context.config, self.path));
        let items: Option<Vec<Item>> = self.ask(context, argv, call, patience)?;
        let items = items.unwrap_or_default();
        Ok(sort::set(items.iter().filter_map(|item| day(&item.name))))
    }

    /// The size of everything below it; `None` if there is no such folder.
    pub(super) fn size(
        &self,
        context: &mut Context<'_>,
        patience: &Patience<'_>,
    ) -> Result<Option<FolderSize>, Failure> {
        let argv = rclone::size(context.config, self.path);
        self.ask(context, argv, call::size(self.path), patience)
    }
}
