//! Names that people choose. Each has one grammar, and a value exists only if it fits.

use super::field::FieldError;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Longest name accepted, in characters.
pub const NAME_MAX: usize = 64;

/// Checks the grammar shared by tasks and pools: it must survive a URL, a file
/// name and a shell word without quoting.
fn check_identifier(field: &str, text: &str) -> Result<(), FieldError> {
    check_length(field, text)?;
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(FieldError::new(
            field,
            format!("{text:?} must start with a letter or a digit"),
        ));
    }
    match text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.'))
    {
        None => Ok(()),
        Some(bad) => Err(FieldError::new(
            field,
            format!("{text:?} holds {bad:?}; use letters, digits, '_', '-' and '.'"),
        )),
    }
}

/// Checks a label that is only ever shown: anything printable, spaces inside.
fn check_label(field: &str, text: &str) -> Result<(), FieldError> {
    check_length(field, text)?;
    if text.trim() != text {
        return Err(FieldError::new(
            field,
            format!("{text:?} must not begin or end with a space"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(field, "must not hold control characters"));
    }
    Ok(())
}

/// Checks that no other name looks like a new label: no invisible or bidirectional character (Unicode TR 36), no space
/// but the usual one, and the normal form C. A label that is stored already keeps working.
///
/// # Errors
/// Names the first character that another name could have a twin of.
pub fn check_new_label(field: &str, text: &str) -> Result<(), FieldError> {
    let hidden = |c: &char| is_invisible(*c) || (c.is_whitespace() && *c != ' ');
    if let Some(bad) = text.chars().find(hidden) {
        return Err(FieldError::new(
            field,
            format!(
                "holds the character U+{:04X}, which is invisible, changes the direction of the text, or looks like a space; leave it out",
                u32::from(bad)
            ),
        ));
    }
    if !unicode_normalization::is_nfc(text) {
        let composed = text.nfc().collect::<String>();
        return Err(FieldError::new(
            field,
            format!(
                "is not in the Unicode normal form C, so another name can look like it; write it as {composed:?}"
            ),
        ));
    }
    Ok(())
}

/// Reports if a character leaves no mark of its own, or changes the direction of the text.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0x00ad | 0x034f | 0x061c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
        | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
        | 0xfff0..=0xfffb | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

fn check_length(field: &str, text: &str) -> Result<(), FieldError> {
    if text.is_empty() {
        return Err(FieldError::new(field, "is empty; give it a name"));
    }
    if text.chars().count() > NAME_MAX {
        return Err(FieldError::new(
            field,
            format!("is longer than {NAME_MAX} characters; choose a shorter one"),
        ));
    }
    Ok(())
}

/// Checks the name of an environment variable (POSIX, XBD 8.1), and keeps the
/// runner's own prefix free.
fn check_variable_key(field: &str, text: &str) -> Result<(), FieldError> {
    check_length(field, text)?;
    let valid = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(FieldError::new(
            field,
            format!(
                "{text:?} is not the name of an environment variable; use letters, digits and '_', not starting with a digit"
            ),
        ));
    }
    if text.starts_with("LIGHTFLOW_") {
        return Err(FieldError::new(
            field,
            format!(
                "{text:?} starts with LIGHTFLOW_, which the runner sets itself; choose another name"
            ),
        ));
    }
    Ok(())
}

/// Checks a file name inside `scripts/`: one component, visible, no path.
fn check_script(field: &str, text: &str) -> Result<(), FieldError> {
    if text.contains(['/', '\\']) || text == "." || text == ".." {
        return Err(FieldError::new(
            field,
            format!("{text:?} is a path; a script is one file name directly inside scripts/"),
        ));
    }
    check_identifier(field, text)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Accepts `text` if it fits the grammar.
            ///
            /// # Errors
            /// Names the problem and the allowed characters.
            pub fn new(text: impl Into<String>) -> Result<Self, FieldError> {
                let text = text.into();
                $check($field, &text)?;
                Ok(Self(text))
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// The name of a task, unique among tasks.
    TaskName, "name", check_identifier);
name_type!(
    /// The name of a pool, unique among pools.
    PoolName, "pool", check_identifier);
name_type!(
    /// The name of a step, unique within its task; shown beside the grid's row.
    StepName, "name", check_label);
name_type!(
    /// The key of a variable: the name of an environment variable.
    VariableKey, "key", check_variable_key);
name_type!(
    /// The file name of a script in `scripts/`.
    ScriptName, "script", check_script);
name_type!(
    /// The name of a user who logs in.
    UserName, "name", check_identifier);
name_type!(
    /// The name of an API token in lists.
    TokenName, "name", check_label);
name_type!(
    /// The name of a channel of notifications, unique among channels.
    ChannelName, "name", check_identifier);

impl PoolName {
    /// The pool that always exists and that a task uses when it names none.
    pub fn default_pool() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_not_a_script_name() {
        for bad in [
            "", "..", ".", "a/b", "../x", "/x", "a\\b", ".hidden", "a b", "x\0",
        ] {
            assert!(ScriptName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["backup.py", "self_backup.py", "a", "A-1.sh"] {
            assert!(ScriptName::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn the_prefix_of_the_runner_is_reserved() {
        let error = VariableKey::new("LIGHTFLOW_DATA_DIR").unwrap_err();
        assert!(error.problem.contains("LIGHTFLOW_"), "{error}");
        assert!(VariableKey::new("1A").is_err());
        assert!(VariableKey::new("A=B").is_err());
        assert!(VariableKey::new("BACKUP_HOST").is_ok());
    }

    #[test]
    fn a_step_may_have_spaces_inside_but_not_around() {
        assert!(StepName::new("copy the photos").is_ok());
        assert!(StepName::new(" stop").is_err());
        assert!(StepName::new("a\nb").is_err());
    }

    #[test]
    fn new_labels_that_look_alike_are_refused() {
        for bad in [
            "a\u{200b}b",
            "\u{202e}abc",
            "cafe\u{301}",
            "\u{212b}",
            "a\u{feff}",
            "ab\u{e0041}",
            "a\u{fe0f}",
            "a\u{a0}b",
            "a\u{3000}b",
            // Twins outside of the Latin letters: Greek oxia, Devanagari, Tamil, Kana, Hebrew, Hangul, CJK.
            "\u{1f71}",
            "\u{95c}",
            "\u{b95}\u{bc6}\u{bbe}",
            "\u{30ab}\u{3099}",
            "\u{fb2a}",
            "\u{1112}\u{1161}\u{11ab}",
            "\u{2f800}",
            // Marks in another order.
            "a\u{323}\u{302}",
            "\u{e1b}\u{e48}\u{e38}",
        ] {
            assert!(check_new_label("name", bad).is_err(), "{bad:?}");
            // A step that has such a name since before runs on.
            assert!(StepName::new(bad).is_ok(), "{bad:?}");
        }
        for good in [
            "café",
            "Ünïcode 🙂",
            "日本語",
            "한국어",
            "Ω",
            "x\u{302}",
            "ប្រាសាទ",
            "\u{b95}\u{bca}",
            "ปุ่ม",
        ] {
            assert!(check_new_label("name", good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn the_error_names_the_field_and_the_fix() {
        let error = TaskName::new("backup vaultwarden").unwrap_err();
        assert_eq!(error.field, "name");
        assert!(error.problem.contains("use letters, digits"), "{error}");
    }
}
