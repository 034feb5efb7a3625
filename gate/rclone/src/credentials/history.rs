//! Finds the newest of several tokens. Pure.
//!
//! Invariant: a token set by the administrator is never replaced by a token derived from another one. A later token is
//! never replaced by the token it was made from: many servers accept each token only once.

use super::ini::{Ini, Token};

/// The tokens that should replace the configured ones.
///
/// `known` holds the tokens handed out or taken over before, in their order. `found` holds complete texts that rclone
/// left, the file in place first.
#[must_use]
pub fn newest(known: &[Token], configured: &Ini<'_>, found: &[Ini<'_>]) -> Vec<Token> {
    let order = |token: &Token| known.iter().rposition(|other| other == token);
    let mut newer = Vec::new();
    for current in configured.tokens() {
        // The administrator set this token: it is not in the history.
        let Some(position) = order(current) else {
            continue;
        };
        let candidates: Vec<&Token> = found
            .iter()
            .flat_map(Ini::tokens)
            .filter(|token| token.section == current.section && token.key == current.key)
            .filter(|token| token.is_whole())
            .collect();
        let fresh = candidates
            .iter()
            .filter(|token| order(token).is_none())
            // Among equal tokens take the first: `max_by_key` takes the last.
            .rev()
            .max_by_key(|token| token.expiry());
        let later = candidates
            .iter()
            .filter_map(|token| order(token).map(|at| (at, token)))
            .filter(|(at, _)| *at > position)
            .max_by_key(|(at, _)| *at)
            .map(|(_, token)| token);
        newer.extend(fresh.or(later).map(|&token| token.clone()));
    }
    newer
}

/// The number of generations to keep of each token.
const GENERATIONS: usize = 8;

/// Forgets the oldest tokens, so that `known` stays small even if rclone, or a program in its place, writes many new
/// ones. A few generations of each token stay. Apart from the newest and the configured tokens, they take at most
/// `most` bytes.
pub fn forget(known: &mut Vec<Token>, configured: &Ini<'_>, most: usize) {
    let mut kept: Vec<Token> = Vec::new();
    let mut bytes = 0;
    for token in known.drain(..).rev() {
        let generation = kept.iter().filter(|other| other.is_for(&token)).count();
        let needed = generation == 0 || configured.tokens().any(|other| *other == token);
        let fits = generation < GENERATIONS && bytes + token.value.len() <= most;
        if needed || fits {
            bytes += token.value.len();
            kept.push(token);
        }
    }
    kept.reverse();
    *known = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u32) -> String {
        format!(
            "[r]\ntype = onedrive\ntoken = {{\"access_token\":\"{number}\",\"expiry\":\"2026-01-01T{number:02}:00:00Z\"}}\n"
        )
    }

    fn tokens(numbers: &[u32]) -> Vec<Token> {
        numbers
            .iter()
            .flat_map(|&number| {
                Ini::parse(&text(number))
                    .tokens()
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn choose(known: &[u32], configured: u32, found: &[u32]) -> Vec<Token> {
        let texts: Vec<String> = found.iter().map(|&number| text(number)).collect();
        let found: Vec<Ini<'_>> = texts.iter().map(|text| Ini::parse(text)).collect();
        newest(&tokens(known), &Ini::parse(&text(configured)), &found)
    }

    #[test]
    fn a_rotated_token_is_taken_over() {
        assert_eq!(choose(&[1], 1, &[2]), tokens(&[2]));
        assert_eq!(choose(&[1], 1, &[1]), []);
        assert_eq!(choose(&[1, 2], 2, &[3]), tokens(&[3]));
    }

    #[test]
    fn what_the_administrator_put_there_stays() {
        assert_eq!(choose(&[1], 9, &[2]), []);
        assert_eq!(choose(&[5], 1, &[6]), []);
    }

    #[test]
    fn a_takeover_that_was_cut_short_is_done_again() {
        // Known already, and not yet in place.
        assert_eq!(choose(&[1, 2], 1, &[2]), tokens(&[2]));
        // In place; rclone left an older one.
        assert_eq!(choose(&[1, 2], 2, &[1]), []);
    }

    #[test]
    fn a_history_is_bounded_and_keeps_the_configured_token() {
        let mut known = tokens(&(1..=100).collect::<Vec<u32>>());
        forget(&mut known, &Ini::parse(&text(3)), 1 << 20);
        assert_eq!(known, tokens(&[3, 93, 94, 95, 96, 97, 98, 99, 100]));
        forget(&mut known, &Ini::parse(&text(3)), 0);
        assert_eq!(known, tokens(&[3, 100]));
    }

    #[test]
    fn of_several_files_the_newest_token_wins() {
        // rclone died between writing its new file and putting it in place.
        assert_eq!(choose(&[1], 1, &[1, 2]), tokens(&[2]));
        assert_eq!(choose(&[1], 1, &[2, 3, 1]), tokens(&[3]));
    }
}
