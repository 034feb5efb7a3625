//! `--sync` and `--sync-extra`: make the copy on the remote like the directory.
//!
//! Prove, compare, decide, upload beside, commit, put in place. The contents that changed go to the incoming folder while
//! the mirror stays as it is. The upload of the delta is the moment from which the new night counts. Only then each old
//! file goes to the versions, and its successor into its place.
//!
//! Invariant: at every moment the remote holds one complete night, the former or the new one, except during the first
//! upload. A sync changes files only after it has counted and accepted the changes, and it never deletes a file of the
//! data.

mod books;
mod bundle;
mod compare;
mod decision;
mod draft;
mod far;
mod first;
mod leftovers;
mod listing;
mod lookups;
mod night;
mod prove;
mod state;
mod step;
mod tell;
mod upload;
mod work;

pub(super) use self::leftovers::sweep_copies;

use std::cell::RefCell;
use std::time::Instant;

use self::draft::Draft;
use self::prove::Proof;
use self::state::Own;
use self::work::Sync;
use super::Context;
use super::capture::{Capture, Need, Wish};
use super::circumstances::{Circumstances, tell_bind_mount};
use super::one_process::Reach;
use super::pruning;
use super::versions;
use super::waiting::Pauses;
use crate::mirror::books::Books;
use crate::policy::{Mirror, powers};
use base::clock;
use base::error::Failure;
use base::lock_name::LockName;
use host::{Patience, Waits};
use mirror::fits::Rules;
use rclone::credentials::backends::behind;
use rclone::credentials::configured;
use rclone::credentials::ini::Ini;

/// The longest folder below the versions that a path is put in.
const IN_VERSIONS: &str = "/2026-12-01/000000-000";

pub(super) fn sync(
    context: &mut Context<'_>,
    mirror: &Mirror,
    circumstances: &Circumstances,
    until: Instant,
) -> Result<String, Failure> {
    let waiting = Patience::attended(until);
    // An extra target is not a service, so no service is down for its sync.
    let service = mirror.lock.as_service();
    let mirrors = service.map(LockName::mirror);
    let _mirrors = match &mirrors {
        Some(name) => Some(context.lock(name, "--sync", &waiting)?),
        None => None,
    };
    let lock = context.lock(&mirror.lock, "--sync", &waiting)?;
    context.rclone_fits(&mirror.destination, &waiting.yielding(&lock))?;
    tell_bind_mount(context, mirror.lock.subject(), &mirror.source);
    let need = service.map(|service| Need {
        wish: Wish::Sync,
        service,
        hot: mirror.hot,
        data: &mirror.source,
        circumstances,
    });
    let mut capture = match &need {
        Some(need) => Capture::begin(context, need, lock, &waiting)?,
        None => Capture::live(context, &mirror.source, lock, &waiting)?,
    };
    if capture.is_plain() {
        context.host.give_up(powers::once_read())?;
    }
    let outcome = make_equal(context, mirror, &mut capture, need.as_ref(), until);
    capture.release(context, Wish::Sync, until);
    outcome
}

/// Makes the copy like the captured data.
fn make_equal<'a>(
    context: &mut Context<'_>,
    mirror: &'a Mirror,
    capture: &'a mut Capture,
    need: Option<&'a Need<'a>>,
    until: Instant,
) -> Result<String, Failure> {
    let service = mirror.lock.as_service();
    let waits = service.map(Waits::of);
    let keeping = Failure::io(format!("the books of {}", mirror.lock.subject()));
    let books = Books::open(&context.config.state_dir, &mirror.lock).map_err(keeping)?;
    let own = Own::open(context, mirror)?;
    let state = own.load(context)?;
    let mut sync = Sync {
        mirror,
        places: &mirror.places,
        capture,
        turn: None,
        rules: rules(context, mirror)?,
        own,
        books,
        until,
        waits: waits.as_ref(),
        last_words: None,
        pauses: RefCell::new(Pauses::new()),
        state,
        began: clock::utc(),
        left_over: false,
        renews: false,
        need,
        started: false,
        live: false,
    };
    sync.take_turn(context)?;
    context.begin_one_process(Reach::Reads(sync.own.copies.clone()), &sync.patience())?;
    let told = sync.run(context)?;
    if told.is_news() && pruning::is_allowed(context, &mirror.lock)? {
        versions::prune(context, mirror, &sync.patience());
    }
    told.finish(context, mirror)
}

/// The rules of a remote's names.
fn rules(context: &Context<'_>, mirror: &Mirror) -> Result<Rules, Failure> {
    let text = configured(context.config)?;
    let ini = Ini::parse(&text);
    let (name, folder) = mirror
        .places
        .versions
        .split_once(':')
        .unwrap_or((&mirror.places.versions, ""));
    let backends = behind(&ini, name);
    let is = |kind: &str| {
        backends
            .iter()
            .find(|backend| backend.kind.as_deref() == Some(kind))
    };
    let folder = format!("{}{IN_VERSIONS}", folder.trim_start_matches('/'));
    let is_off = is("crypt")
        .is_some_and(|backend| ini.get(&backend.section, "filename_encryption") == Some("off"));
    Ok(
        if is("crypt").is_some() && is("onedrive").is_some() && !is_off {
            // The folder in which crypt begins is not encrypted, and counts.
            let below = is("crypt").and_then(|crypt| ini.get(&crypt.section, "remote"));
            let mut rules = Rules::of("crypt on onedrive", "", &folder);
            let used = below.map_or(0, |below| below.chars().count());
            rules.longest_path = rules.longest_path.saturating_sub(used);
            rules
        } else if is("crypt").is_some() && !is_off {
            Rules::of("crypt", "", &folder)
        } else if let Some(backend) = is("onedrive") {
            let drive = ini.get(&backend.section, "drive_type").unwrap_or_default();
            let mut rules = Rules::of("onedrive", drive, &folder);
            if is_off {
                // crypt adds an ending to each name.
                rules.longest_path = rules.longest_path.saturating_sub(100);
            }
            rules
        } else {
            Rules::of("", "", &folder)
        },
    )
}

impl Sync<'_> {
    /// Compares and copies first, and asks the remote afterwards: by then the service is up. If the remote is not as this
    /// board left it, the comparison begins anew with the manifest that is there.
    fn run(&mut self, context: &mut Context<'_>) -> Result<tell::NightEnd, Failure> {
        let mut draft = self.draft_early(context)?;
        let found = self.prove(context)?;
        if self.state.pending.is_some() {
            context.say("finishing the transition that an earlier sync began");
            self.roll(context, true)?;
        }
        let is_ours = matches!(found, Proof::Ours);
        let counts = |draft: &Draft| is_ours && draft.number == self.state.number;
        let dropped = draft.is_some();
        draft = draft.filter(counts);
        let dropped = dropped && draft.is_none();
        if self.renews {
            self.renew_full(context)?;
        }
        if found == Proof::Nothing {
            self.adopt(context)?;
        }
        if dropped {
            self.come_back(context)?;
        }
        let mut told = self.night(context, draft)?;
        if found == Proof::Foreign || self.is_due() {
            let right = self.survey(context)?;
            if !right {
                // At once, and not in the next night.
                self.come_back(context)?;
                told = self.night(context, None)?;
            }
        }
        self.compact(context)?;
        Ok(told)
    }
}
