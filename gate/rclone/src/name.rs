//! Names as rclone's requests, lists and output have them.
//!
//! rclone writes characters that some remotes cannot hold as pictures: a line feed is `␊`. A name that holds such a
//! picture itself gets `‛` before it. Each remote has its own table; requests, lists and output use one for all.
//!
//! Invariant: two names have the same form only if they are the same.

/// The sign before a picture that is meant as one.
const QUOTE: char = '\u{201b}';

/// The picture of character 0; the others follow in order.
const PICTURES: u32 = 0x2400;

/// The picture of the delete character.
const DELETE: char = '\u{2421}';

/// rclone's form of a path. `None` for a path that rclone cannot name: one outside of Unicode, or with the quotation
/// sign, which rclone reads from a local folder and then does not find.
#[must_use]
pub fn standard(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let mut form = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            QUOTE | '\0' => return None,
            '\u{1}'..='\u{1f}' => form.push(char::from_u32(PICTURES + u32::from(letter))?),
            '\u{7f}' => form.push(DELETE),
            '\u{2401}'..='\u{241f}' | DELETE => form.extend([QUOTE, letter]),
            other => form.push(other),
        }
    }
    Some(form)
}

/// The path that rclone shows in this form.
#[must_use]
pub fn raw(form: &str) -> String {
    let mut path = String::with_capacity(form.len());
    let mut quoted = false;
    for letter in form.chars() {
        let picture = u32::from(letter).wrapping_sub(PICTURES);
        match letter {
            QUOTE if !quoted => {
                quoted = true;
                continue;
            }
            DELETE if !quoted => path.push('\u{7f}'),
            '\u{2401}'..='\u{241f}' if !quoted => path.extend(char::from_u32(picture)),
            other => path.push(other),
        }
        quoted = false;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with `rclone lsf` of a folder with these names, versions 1.60 and 1.75.
    #[test]
    fn names_have_the_form_of_rclone() {
        for (name, form) in [
            ("a b/\u{fc}", "a b/\u{fc}"),
            ("a\nb", "a\u{240a}b"),
            ("\u{7f}", "\u{2421}"),
            ("\u{240a} x", "\u{201b}\u{240a} x"),
            ("a\u{ff0f}b", "a\u{ff0f}b"),
            ("\u{2400}", "\u{2400}"),
        ] {
            assert_eq!(standard(name.as_bytes()).as_deref(), Some(form), "{name:?}");
            assert_eq!(raw(form), name, "{form:?}");
        }
        assert_eq!(standard("\u{201b}x".as_bytes()), None);
        assert_eq!(standard(b"\xff"), None);
    }
}
