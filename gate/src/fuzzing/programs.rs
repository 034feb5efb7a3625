//! Output of rclone, systemd and Podman, and rclone's configuration.
//!
//! Invariant: names of other users' files and containers do no harm in this output.

use std::collections::BTreeSet;

use super::held::text;
use base::progress::{Phase, Progress};
use base::reply::Stream;
use config::Config;
use host::http::Answer;
use host::{Ear, Ended, Exit};
use rclone::credentials::history::newest;
use rclone::credentials::ini::{Ini, Token};
use rclone::listener::Listener;
use rclone::outcome::judge;
use stack::naming::{is_container, is_unit};
use stack::{container, order, unit};

/// Output of `rclone lsjson` for a remote.
pub fn rclone_listing(bytes: &[u8]) {
    crate::action::read_listing(bytes);
}

/// An answer of an rclone that stays, in one piece and in two.
pub fn rclone_answer(bytes: &[u8]) {
    let read = |pieces: [&[u8]; 2]| {
        let (mut answer, mut body) = (Answer::default(), Vec::new());
        let taken = pieces
            .iter()
            .try_for_each(|piece| answer.take(piece, &mut body))
            .and_then(|()| answer.close());
        (taken, answer.status(), answer.is_done(), body)
    };
    let whole = read([bytes, &[]]);
    assert!(whole.3.len() <= bytes.len());
    let (one, other) = bytes.split_at(bytes.len() / 2);
    assert_eq!(read([one, other]), whole);
}

/// The lines of one run of rclone; the first byte says which.
pub fn rclone_log(bytes: &[u8]) {
    let Some((&first, lines)) = bytes.split_first() else {
        return;
    };
    let phase = Phase::ALL[usize::from(first) % Phase::ALL.len()];
    let mut heard = Listener::new(phase);
    for line in String::from_utf8_lossy(lines).lines() {
        if let Some((Stream::Out, said)) = heard.hear(line) {
            let progress = Progress::parse(&said).map(|progress| progress.to_string());
            assert_eq!(progress.as_deref(), Some(said.as_str()));
        }
    }
    assert!(heard.errors().len() <= 20);
    let config = Config::default();
    for code in 0..=10 {
        let ended = Ended {
            exit: Exit::Code(code),
            stdout: Vec::new(),
            last_words: heard.errors().to_vec(),
        };
        let judged = judge("mirroring", "onedrive:/Folder", &ended, &heard, &config);
        // An end that is not a good one never passes for one.
        assert!(code == 0 || judged.is_err());
        if let Err(failure) = judged {
            assert!(!failure.to_string().contains('\n'), "{failure}");
        }
    }
}

/// A line of progress, as the runner reads it.
pub fn progress(bytes: &[u8]) {
    let line = text(bytes);
    for line in [line.to_owned(), format!("progress: {line}")] {
        if let Some(progress) = Progress::parse(&line) {
            assert_eq!(progress.to_string(), line);
        }
    }
}

/// rclone's configuration, the version that rclone left, and the version known before, with NUL between them.
pub fn rclone_conf(bytes: &[u8]) {
    let mut texts = text(bytes).split('\0');
    let mut next = || texts.next().unwrap_or_default();
    let (configured, left, former) = (next(), next(), next());
    let ini = Ini::parse(configured);
    assert_eq!(ini.with(&[]), configured);
    assert!(ini.agrees_with(&ini));
    assert_eq!(
        ini.is_complete_beside(&ini),
        ini.tokens().all(Token::is_whole)
    );
    let found = Ini::parse(left);
    let known: Vec<Token> = Ini::parse(former).tokens().cloned().collect();
    let newer = newest(&known, &ini, std::slice::from_ref(&found));
    for token in &newer {
        assert!(token.is_whole());
        assert!(found.tokens().any(|other| other == token));
        let same = |other: &&Token| (&other.section, &other.key) == (&token.section, &token.key);
        let current = ini.tokens().find(same);
        // The administrator's part stays.
        assert!(current.is_some_and(|current| known.contains(current)));
    }
    let text = ini.with(&newer);
    let mended = Ini::parse(&text);
    assert!(mended.agrees_with(&ini), "{text}");
    assert_eq!(text.lines().count(), configured.lines().count());
    for token in &newer {
        assert!(mended.tokens().any(|other| other == token), "{text}");
    }
}

/// Output of systemctl, `podman ps` and `podman inspect` of a user, with NUL between them.
pub fn stack(bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    let (shown, listed, inspected) = (next(), next(), next());
    let units = unit::parse(text(shown));
    assert!(units.iter().all(|unit| is_unit(&unit.id)));
    let names: BTreeSet<&String> = units.iter().map(|unit| &unit.id).collect();
    assert_eq!(names.len(), units.len());
    let ordered = order::of_units(&units);
    assert_eq!(ordered.len(), units.len());
    let _ = unit::candidates(text(shown), &[]);
    let _ = unit::parse_dependants(text(shown));
    let Ok(mut containers) = container::parse(listed) else {
        return;
    };
    let _ = container::add_details(&mut containers, inspected, chrono::DateTime::UNIX_EPOCH);
    let _ = container::writers(inspected, "/d");
    for container in &containers {
        assert!(is_container(&container.name));
        assert!(container.unit.as_deref().is_none_or(is_unit));
        assert!(container.id.len() == 64 && !container.id.starts_with('-'));
        assert!(!container.describe().is_empty());
    }
    let ordered = order::of_containers(containers.iter());
    assert_eq!(ordered.len(), containers.len());
}
