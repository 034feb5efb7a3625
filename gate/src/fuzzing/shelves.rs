//! The folder of archives as a remote lists it, and the archives that stay.
//!
//! Invariant: for any names, no archive loses its last form, and the newest one stays.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};

use super::held::{must, text};
use crate::retention::{ArchiveName, Candidate, PARTIAL, PREVIOUS, give_up, horizon};
use crate::shelf::{self, Step};
use base::names::ServiceName;

fn carry_out(files: &mut BTreeSet<String>, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Move { from, to } => {
                assert!(files.remove(from), "{step} that is not there");
                assert!(files.insert(to.clone()), "{step} that is there already");
            }
            Step::Remove(name) => assert!(files.remove(name), "{step} that is not there"),
        }
    }
}

/// The archives of which one form or another is there.
fn held(service: &ServiceName, files: &BTreeSet<String>) -> BTreeSet<ArchiveName> {
    files
        .iter()
        .filter_map(|file| ArchiveName::parse(service, file.strip_suffix(PREVIOUS).unwrap_or(file)))
        .collect()
}

/// Names in a folder, one on each line; the first line is the service.
pub fn archive_names(bytes: &[u8]) {
    let mut lines = text(bytes).lines();
    let Ok(service) = ServiceName::parse(lines.next().unwrap_or_default()) else {
        return;
    };
    let mut files: BTreeSet<String> = lines.map(str::to_owned).collect();
    for file in &files {
        if let Some(name) = ArchiveName::parse(&service, file) {
            assert_eq!(name.to_string(), *file);
            let manifest = name.manifest();
            assert_eq!(ArchiveName::of_manifest(&service, &manifest), Some(name));
        }
        if let Some(name) = ArchiveName::of_manifest(&service, file) {
            assert_eq!(name.manifest(), *file);
        }
        assert!(!shelf::is_partial(&service, file) || file.ends_with(PARTIAL));
    }
    let before = held(&service, &files);
    let strangers: Vec<String> = files
        .iter()
        .filter(|file| !file.starts_with(&format!("{service}-")))
        .cloned()
        .collect();
    let mending = shelf::mend(&service, &files);
    for done in 0..mending.len() {
        let mut halfway = files.clone();
        carry_out(&mut halfway, &mending[..done]);
        assert_eq!(
            held(&service, &halfway),
            before,
            "after {done} of {mending:?}"
        );
    }
    carry_out(&mut files, &mending);
    assert_eq!(shelf::mend(&service, &files), []);
    let in_place: BTreeSet<ArchiveName> = shelf::archives(&service, &files).into_iter().collect();
    assert_eq!(in_place, before);
    assert!(strangers.iter().all(|file| files.contains(file)));
    replace_one(&service, files);
}

/// An archive of a date that may be there already takes its place.
fn replace_one(service: &ServiceName, mut files: BTreeSet<String>) {
    let found = shelf::archives(service, &files);
    let name = found.first().cloned().unwrap_or_else(|| {
        let date = NaiveDate::from_num_days_from_ce_opt(739_000).unwrap_or_default();
        ArchiveName::new(service.clone(), date)
    });
    for file in [name.to_string(), name.manifest()] {
        files.insert(format!("{file}{PARTIAL}"));
    }
    let steps = shelf::replace(&name, &files);
    carry_out(&mut files, &steps);
    let mending = shelf::mend(service, &files);
    carry_out(&mut files, &mending);
    for file in [name.to_string(), name.manifest()] {
        assert!(files.contains(&file), "{file} is not in place");
    }
    let left = shelf::archives(service, &files).len();
    assert_eq!(left, found.len().max(1));
}

/// Two bytes for today, one each for weeks and months, then two for the date of each archive.
pub fn retention(bytes: &[u8]) {
    let Some((head, dates)) = bytes.split_at_checked(4) else {
        return;
    };
    let [today, rest] = [&head[..2], &head[2..]];
    let (weekly, monthly) = (u32::from(rest[0]), u32::from(rest[1]));
    let date = |pair: &[u8]| {
        let days = pair.iter().fold(0, |all, &byte| all << 8 | i32::from(byte));
        NaiveDate::from_num_days_from_ce_opt(730_000 + days).unwrap_or_default()
    };
    let today = date(today);
    let service = must(ServiceName::parse("n8n"));
    let all: BTreeSet<ArchiveName> = dates
        .chunks_exact(2)
        .map(|pair| ArchiveName::new(service.clone(), date(pair)))
        .collect();
    let all: Vec<ArchiveName> = all.into_iter().collect();
    let verified = |names: &[ArchiveName]| -> Vec<Candidate> {
        let of = |name: &ArchiveName| Candidate {
            name: name.clone(),
            verified: true,
        };
        names.iter().map(of).collect()
    };
    let gone = give_up(&verified(&all), today, weekly, monthly);
    let left: Vec<ArchiveName> = all.iter().filter(|a| !gone.contains(a)).cloned().collect();

    assert_eq!(gone.len() + left.len(), all.len());
    assert_eq!(left.last(), all.last(), "the newest is gone");
    let past = |of: &[ArchiveName]| -> Vec<NaiveDate> {
        let dates = of.iter().map(ArchiveName::date);
        dates.filter(|&date| date <= horizon(today)).collect()
    };
    let (had, has) = (past(&all), past(&left));
    assert_eq!(has.last(), had.last(), "the newest of the past is gone");
    assert!(gone.iter().all(|a| a.date() < today));
    let weeks = |of: &[NaiveDate]| -> BTreeSet<(i32, u32)> {
        of.iter()
            .map(|d| (d.iso_week().year(), d.iso_week().week()))
            .collect()
    };
    let months = |of: &[NaiveDate]| -> BTreeSet<(i32, u32)> {
        of.iter().map(|d| (d.year(), d.month())).collect()
    };
    for (asked, had, has) in [
        (weekly, weeks(&had), weeks(&has)),
        (monthly, months(&had), months(&has)),
    ] {
        // The newest of them, and none left out between them.
        let newest = had.iter().rev().take(asked as usize);
        assert!(newest.clone().all(|period| has.contains(period)));
    }
    assert_eq!(
        give_up(&verified(&left), today, weekly, monthly),
        [],
        "it does not settle"
    );
    let steps = shelf::remove(&gone, &BTreeSet::new());
    assert_eq!(steps.len(), gone.len());
}
