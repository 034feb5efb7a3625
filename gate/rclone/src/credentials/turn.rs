//! One gate at a time renews a token: a server may accept each refresh token only once.
//!
//! rclone renews a token at its first request, when the token has expired or is about to. The gate that finds such a token takes
//! the turn before it starts rclone, and gives the turn back as soon as the new token is there. Other gates wait for that token.
//!
//! Invariant: no gate waits longer than [`PATIENCE`]. A server that does not answer then meets several requests, as it would
//! without a turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};

use super::backends::behind;
use super::ini::{Ini, Token};
use base::clock::utc;

/// rclone renews a token some seconds before it expires, and some seconds pass until the gate has started rclone.
const BEFORE: TimeDelta = TimeDelta::seconds(30);

/// The longest time to wait for the gate that renews.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two checks of the token.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// True if the gate has waited long enough and should continue without the turn: it waits once, not before each rclone.
pub(super) fn was_in_vain(waited: Duration) -> bool {
    static IN_VAIN: AtomicBool = AtomicBool::new(false);
    if waited >= PATIENCE {
        IN_VAIN.store(true, Ordering::Relaxed);
    }
    IN_VAIN.load(Ordering::Relaxed)
}

/// The tokens of a remote, and of the remotes that it leads to.
pub(super) fn tokens_of(text: &str, remote: &str) -> Vec<Token> {
    let ini = Ini::parse(text);
    let sections = behind(&ini, remote);
    ini.tokens()
        .filter(|token| {
            let names = |section: &str| section == token.section;
            sections.iter().any(|backend| names(&backend.section))
        })
        .cloned()
        .collect()
}

/// True if rclone would renew one of these tokens at its first request.
pub(super) fn renewal_is_due(tokens: &[Token]) -> bool {
    let now = utc();
    let due = |expiry: DateTime<FixedOffset>| expiry.signed_duration_since(now) < BEFORE;
    tokens.iter().filter_map(Token::expiry).any(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(expiry: &str) -> String {
        format!(
            "[other]\ntype = onedrive\ntoken = {{\"access_token\":\"a\",\"expiry\":\"2001-01-01T00:00:00Z\"}}\n[drive]\ntype = onedrive\ntoken = {{\"access_token\":\"b\"{expiry}}}\n[secret]\ntype = crypt\nremote = drive:x\n"
        )
    }

    #[test]
    fn only_the_tokens_behind_the_remote_count() {
        let soon = utc() + TimeDelta::seconds(20);
        let later = utc() + TimeDelta::seconds(60);
        for (expiry, due) in [
            (String::new(), false),
            (format!(",\"expiry\":\"{}\"", soon.to_rfc3339()), true),
            (format!(",\"expiry\":\"{}\"", later.to_rfc3339()), false),
            (",\"expiry\":\"soon\"".to_owned(), false),
        ] {
            let text = text(&expiry);
            for remote in ["drive", "secret"] {
                let tokens = tokens_of(&text, remote);
                assert_eq!(tokens.len(), 1);
                assert_eq!(renewal_is_due(&tokens), due, "{expiry}");
            }
        }
        assert!(tokens_of(&text(""), "none").is_empty());
    }
}
