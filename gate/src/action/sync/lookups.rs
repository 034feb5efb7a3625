//! Listings that save rclone its look-ups of single folders before a transition.
//!
//! rclone asks for each folder that it moves a file to, once. One listing of the folder above tells all of them.
//!
//! Invariant: nothing depends on these listings. A failure costs requests, and the steps go on without them.

use std::collections::{HashMap, HashSet};

use super::work::Sync;
use crate::action::Context;
use base::error::Failure;
use mirror::memory::Remembered;
use mirror::plan::{Pass, Step, stored_at};
use rclone::call;
use rclone::place::Place;

/// Folders with moves below them, from which on the folder above is listed.
const MANY: usize = 4;

/// Folders that are kept in memory; a transition with more of them goes without listings.
const MOST: usize = 10_000;

/// Entries of one page of a listing.
const PAGE: u64 = 1000;

impl Sync<'_> {
    /// Lists the folders above those that get files in the transition with this list, if that saves requests.
    pub(super) fn look_up_folders(
        &self,
        context: &mut Context<'_>,
        list: &str,
    ) -> Result<(), Failure> {
        if !self.rules.onedrive || !context.is_one_process(crate::action::remote::Access::Remote) {
            return Ok(());
        }
        for above in self.worth_listing(list)? {
            let folder = match rclone::name::standard(&above) {
                Some(name) if !name.is_empty() => format!("{}/{name}", self.places.data),
                Some(_) => self.places.data.clone(),
                None => continue,
            };
            let place = Place::of(context.config, &folder);
            let what = format!("listing {folder}");
            let argv = rclone::days(context.config, &folder);
            let task = self.task(&what, argv, Some(call::days(&place).once()));
            let ran = context.rclone_patient(&task, &self.patience())?;
            if let Err(failure) = context.judge(&task, &ran.ended, &ran.heard) {
                context.warn(format!("{failure}; going on"));
                break;
            }
        }
        Ok(())
    }

    /// Folders of one page with many folders in them that get files.
    fn worth_listing(&self, list: &str) -> Result<Vec<Vec<u8>>, Failure> {
        let mut folders: HashSet<Vec<u8>> = HashSet::new();
        for pass in [Pass::Replaced, Pass::New] {
            self.steps(list, pass, None, &mut |step| {
                if let Step::Place { to, .. } = step
                    && let Some(folder) = above(&to)
                    && folders.len() <= MOST
                {
                    folders.insert(folder.to_vec());
                }
                Ok(())
            })?;
        }
        let mut parents: HashMap<Vec<u8>, (usize, u64)> = HashMap::new();
        for folder in folders.iter().filter(|folder| !folder.is_empty()) {
            parents
                .entry(above(folder).unwrap_or_default().to_vec())
                .or_default()
                .0 += 1;
        }
        parents.retain(|_, (folders, _)| *folders >= MANY);
        if parents.is_empty() || folders.len() > MOST {
            return Ok(Vec::new());
        }
        let mut before = self.remembered()?;
        while let Some(known) = before.as_mut().map_or(Ok(None), Remembered::entry)? {
            let path = stored_at(&known.record.path, known.record.letter);
            if let Some((_, entries)) = above(&path).and_then(|above| parents.get_mut(above)) {
                *entries += 1;
            }
        }
        parents.retain(|_, (_, entries)| *entries < PAGE);
        let mut worth: Vec<Vec<u8>> = parents.into_keys().collect();
        worth.sort_unstable();
        Ok(worth)
    }
}

/// The folder that a path lies in; the folder of the data is empty, and has none above it.
fn above(path: &[u8]) -> Option<&[u8]> {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => path.get(..at),
        None => (!path.is_empty()).then_some(&[]),
    }
}
