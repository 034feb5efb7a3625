//! The names of services and extra targets, as people name folders: `Nextcloud`, `my.app`, `home-assistant_2`.
//!
//! Invariant: such a name is one component of a path here, on a Linux disk and on OneDrive; it is never an option, hidden,
//! or one of the folders that the gate keeps for itself. Two names that differ only by case are two spellings of one
//! folder on OneDrive: see [`folded`].

use super::error::{NameError, refuse};

const LABEL: &str = "a name: 1 to 64 of letters, digits, '.', '-' and '_', the first one a letter or a digit, the last one no '.'";

const RESERVED: &str = "a name that OneDrive takes: it keeps CON, PRN, AUX, NUL, COM0 to COM9, LPT0 to LPT9, desktop.ini and all names with _vti_ for itself";

const OURS: &str = "free for a service: extra and RESTORE are folders of the gate on the remote";

const USER: &str =
    "the name of an account: 1 to 64 of a-z, 0-9, '-' and '_', the first one a letter or a digit";

/// The longest name.
const LONGEST: usize = 64;

/// Names that only differ in case have the same folded form.
#[must_use]
pub fn folded(word: &str) -> String {
    word.to_ascii_lowercase()
}

/// Device names of Windows, also with an extension, and the names that OneDrive refuses.
fn reserved(word: &str) -> bool {
    let folded = folded(word);
    let device = folded.split('.').next().unwrap_or_default();
    let numbered = |prefix: &str| {
        device
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(device, "con" | "prn" | "aux" | "nul")
        || numbered("com")
        || numbered("lpt")
        || folded == "desktop.ini"
        || folded.contains("_vti_")
}

/// Reads the name of an extra target.
pub(super) fn target(word: &str) -> Result<String, NameError> {
    let first = word
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !first || word.len() > LONGEST || word.ends_with('.') || !word.bytes().all(plain) {
        return Err(refuse(word, LABEL));
    }
    if reserved(word) {
        return Err(refuse(word, RESERVED));
    }
    Ok(word.to_owned())
}

/// Reads the name of a service.
pub(super) fn service(word: &str) -> Result<String, NameError> {
    if matches!(folded(word).as_str(), "extra" | "restore") {
        return Err(refuse(word, OURS));
    }
    target(word)
}

/// Reads the name of an account of this host.
pub(super) fn user(word: &str) -> Result<String, NameError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let first = word.bytes().next().is_some_and(plain);
    let rest = word.bytes().all(|b| plain(b) || matches!(b, b'-' | b'_'));
    if first && rest && word.len() <= LONGEST {
        Ok(word.to_owned())
    } else {
        Err(refuse(word, USER))
    }
}

/// A name for a service that is like this one, for a folder whose name cannot be one.
#[must_use]
pub fn suggestion(word: &str) -> Option<String> {
    let replaced: String = word
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') => c,
            _ => '-',
        })
        .take(LONGEST)
        .collect();
    let trimmed = replaced
        .trim_start_matches(['.', '-', '_'])
        .trim_end_matches(['.', '-', '_'])
        .replace("_vti_", "-");
    [trimmed.clone(), format!("{trimmed}-app")]
        .into_iter()
        .find(|name| name != word && service(name).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The grammar of GRAMMAR.md a second time, by other means: words taken apart by hand, and lists in full.
    fn by_the_book(word: &str) -> bool {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let chars: Vec<char> = word.chars().collect();
        let (Some(first), Some(last)) = (chars.first(), chars.last()) else {
            return false;
        };
        let upper = word.to_uppercase();
        let stem: String = upper.chars().take_while(|c| *c != '.').collect();
        let devices = [
            "CON", "PRN", "AUX", "NUL", "COM0", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6",
            "COM7", "COM8", "COM9", "LPT0", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7",
            "LPT8", "LPT9",
        ];
        chars.len() <= 64
            && letters.contains(*first)
            && *last != '.'
            && chars
                .iter()
                .all(|c| letters.contains(*c) || "._-".contains(*c))
            && !devices.contains(&stem.as_str())
            && upper != "DESKTOP.INI"
            && !upper.contains("_VTI_")
            && upper != "EXTRA"
            && upper != "RESTORE"
    }

    proptest! {
        #[test]
        fn the_parser_takes_exactly_the_grammar(word in prop_oneof![
            "[ -~]{0,6}",
            "[A-Za-z0-9._-]{0,70}",
            "(?i)(con|prn|aux|nul|com|lpt)[0-9]{0,2}(\\.[a-z]{0,2})?",
            "(?i)(extra|restore|desktop\\.ini|a_vti_b|\\.lock)[.x]{0,1}",
            "\\PC{0,4}",
        ]) {
            prop_assert_eq!(service(&word).is_ok(), by_the_book(&word));
            if let Ok(name) = service(&word) {
                prop_assert_eq!(name, word);
            }
        }

        #[test]
        fn a_suggestion_is_a_name(word in "\\PC{0,70}") {
            if let Some(name) = suggestion(&word) {
                prop_assert!(service(&name).is_ok() && name != word);
            }
        }
    }

    #[test]
    fn names_that_people_have_are_accepted() {
        for word in [
            "Nextcloud",
            "my.app",
            "home-assistant_2",
            "n8n",
            "a",
            "A",
            "a..b",
            "x.lock",
            "console",
        ] {
            assert!(service(word).is_ok(), "{word}");
        }
        for word in [
            "CON",
            "con",
            "Con.fig",
            "aux",
            "NUL.x",
            "COM1",
            "lpt9.txt",
            "desktop.ini",
            "Desktop.INI",
            ".lock",
            "a_vti_b",
            "~$a",
            "a.",
            ".a",
            "..",
            "_a",
            "-a",
            "a b",
            "ä",
            "a/b",
            "a,b",
            "",
            "extra",
            "Extra",
            "RESTORE",
            "restore",
        ] {
            assert!(service(word).is_err(), "{word}");
        }
        // These folders of the gate are no neighbours of extra targets.
        assert!(target("extra").is_ok() && target("CON").is_err());
        assert!(user("backup_ops").is_ok() && user("Backup").is_err() && user("a.b").is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_a_service_gets_a_suggestion() {
        for (word, name) in [
            ("my app", "my-app"),
            (".hidden", "hidden"),
            ("_data", "data"),
            ("caf\u{e9}", "caf"),
            ("CON", "CON-app"),
            ("extra", "extra-app"),
        ] {
            assert_eq!(suggestion(word).as_deref(), Some(name), "{word}");
        }
        assert_eq!(suggestion("\u{e9}"), None);
    }
}
