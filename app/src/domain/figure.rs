//! What a step says of its own work in its log, in the words of the gate: how long a service
//! was down and how much a copy holds.
//!
//! Invariant: only a whole line in exactly these words counts, so that text which merely looks
//! like it changes nothing; the last such line wins.

/// What a step said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// For how long its service was down, in milliseconds, as the host measured it: from the
    /// moment before the stop until it answered again.
    pub down_ms: Option<u64>,
    /// Bytes of the archive it stored.
    pub bytes: Option<u64>,
    /// Files that the mirror holds after it.
    pub files: Option<u64>,
}

impl Figures {
    /// Takes note of what a line says, if it says anything.
    pub fn hear(&mut self, line: &str) {
        // The end of a line is looked at first: it rules out nearly every one at once.
        if line.ends_with(" s") {
            self.down_ms = downtime(line).or(self.down_ms);
        } else if line.ends_with(')') {
            self.bytes = stored(line).or(self.bytes);
        } else if line.ends_with(" to add") {
            self.files = mirrored(line).or(self.files);
        }
    }
}

/// `n8n is up; it was down for 12.3 s`, or `n8n is up since its archive was packed; it was …`.
fn downtime(line: &str) -> Option<u64> {
    let (what, time) = line.strip_suffix(" s")?.split_once("; it was down for ")?;
    let service = what
        .strip_suffix(" is up")
        .or_else(|| what.strip_suffix(" is up since its archive was packed"))?;
    let (seconds, tenth) = time.split_once('.')?;
    let tenth = number(tenth).filter(|tenth| *tenth < 10)?;
    let millis = number(seconds)?.checked_mul(1000)?.checked_add(tenth * 100);
    millis.filter(|_| is_word(service))
}

/// `n8n-2026-03-01.tar.gz is stored in onedrive:/f/n8n/archives (123 bytes, SHA-256 …, …)`.
fn stored(line: &str) -> Option<u64> {
    let (name, rest) = line.split_once(" is stored in ")?;
    let (_, rest) = rest.rsplit_once(" (")?;
    let (bytes, _) = rest.split_once(" bytes, SHA-256 ")?;
    number(bytes).filter(|_| is_word(name))
}

/// `/media/ssd/podman/n8n/data: 10 files in the mirror, 1 to delete, 2 to replace, 3 to add`.
fn mirrored(line: &str) -> Option<u64> {
    let (before, rest) = line.split_once(" files in the mirror, ")?;
    let (_, before) = before.rsplit_once(": ")?;
    let (deleted, rest) = rest.split_once(" to delete, ")?;
    let (replaced, rest) = rest.split_once(" to replace, ")?;
    let added = rest.strip_suffix(" to add")?;
    number(replaced)?;
    let left = number(before)?.saturating_sub(number(deleted)?);
    left.checked_add(number(added)?)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Figures {
        let mut figures = Figures::default();
        for line in lines {
            figures.hear(line);
        }
        figures
    }

    #[test]
    fn what_the_gate_says_is_understood() {
        let figures = heard(&[
            "/media/ssd/podman/n8n/data: 10 files in the mirror, 1 to delete, 2 to replace, 3 to add",
            "n8n-2026-03-01.tar.gz is stored in onedrive:/OdroidBackup/n8n/archives (123456 bytes, SHA-256 ab12, 1 old archives removed)",
            "n8n is up since its archive was packed; it was down for 12.3 s",
        ]);
        assert_eq!(figures.files, Some(12));
        assert_eq!(figures.bytes, Some(123_456));
        assert_eq!(figures.down_ms, Some(12_300));
        assert_eq!(
            heard(&["n8n is up; it was down for 0.4 s"]).down_ms,
            Some(400)
        );
    }

    #[test]
    fn the_last_word_counts_and_other_words_do_not() {
        let figures = heard(&[
            "n8n is up; it was down for 1.0 s",
            "n8n is up; it was down for 2.0 s",
            "n8n is up; it was down for 3 s",
            "n8n is up; it was down for +3.0 s",
            "it said: n8n is up; it was down for 4.0 s",
            "n8n is up; it was down for 99999999999999999999.0 s",
            "photos is stored in (5 bytes)",
            "1 files in the mirror, 0 to delete, 0 to replace, 0 to add",
            "n8n was down already",
        ]);
        assert_eq!(figures.down_ms, Some(2000));
        assert_eq!((figures.bytes, figures.files), (None, None));
    }
}
