//! The keys of the configuration: one entry a key makes the field with its default, its range, and its lines in the example
//! and in backupctl.toml(5). A test of `backupctl` writes those files anew, see `tests/it/generated`.
//!
//! Invariant: the documented default of a key is the value of its field.

use base::names::{PlainPath, Remote, UserName};
use host::program::Pin;

/// A key, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its default as TOML; `None` if it has none.
    pub default: Option<String>,
    /// A value as TOML for the example, where there is no default.
    pub sample: Option<&'static str>,
    /// The smallest and the largest value.
    pub range: Option<(u64, u64)>,
    /// Its meaning. Words in backticks are options, keys and values.
    pub meaning: &'static str,
}

/// A table of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name; empty for the keys above all tables.
    pub table: &'static str,
    /// Its purpose, if its keys do not say it.
    pub meaning: &'static str,
    /// Its keys, in the order of the example.
    pub keys: Vec<Key>,
}

/// The tables, except those of services and extra targets.
#[must_use]
pub fn sections() -> Vec<Section> {
    vec![
        crate::Config::section(),
        crate::Account::section(),
        crate::Rclone::section(),
        crate::Capture::section(),
        crate::LeaseTerms::section(),
        crate::Limits::section(),
        crate::Retention::section(),
        crate::Versions::section(),
        crate::MirrorTerms::section(),
    ]
}

/// Defines a section: `name: type = default, in LOW..=HIGH, like SAMPLE, "meaning";` for each key.
macro_rules! section {
    (
        $(#[$meta:meta])* $name:ident is $table:literal, $purpose:literal;
        $( $key:ident : $type:ty = $default:expr
            $(, in $low:literal ..= $high:literal)? $(, like $sample:literal)?, $meaning:literal; )*
        $( + { $( $(#[$other_meta:meta])* $other:ident : $other_type:ty = $other_default:expr; )* } )?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $( #[doc = $meaning] pub $key: $type, )*
            $( $( $(#[$other_meta])* pub $other: $other_type, )* )?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $key: $default, )*
                    $( $( $other: $other_default, )* )?
                }
            }
        }

        impl $name {
            /// The keys of this table.
            pub(crate) fn section() -> $crate::key::Section {
                let default = Self::default();
                $crate::key::Section {
                    table: $table,
                    meaning: $purpose,
                    keys: vec![ $( $crate::key::Key {
                        name: stringify!($key),
                        default: $crate::key::Shown::shown(&default.$key),
                        sample: [$($sample)?].first().copied(),
                        range: [$(($low, $high))?].first().copied(),
                        meaning: $meaning,
                    } ),* ],
                }
            }

            /// Refuses a value outside of the range of its key.
            pub(crate) fn check_ranges(&self) -> Result<(), String> {
                $( $( $crate::key::within($table, stringify!($key), self.$key.into(), $low, $high)?; )? )*
                Ok(())
            }
        }
    };
}
pub(crate) use section;

/// Refuses a number outside of a range.
pub(crate) fn within(
    table: &str,
    key: &str,
    value: u64,
    low: u64,
    high: u64,
) -> Result<(), String> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let dot = if table.is_empty() { "" } else { "." };
    Err(format!("{table}{dot}{key}: {}", range(low, high)))
}

/// A range in words.
fn range(low: u64, high: u64) -> String {
    match high {
        u64::MAX => format!("give at least {low}"),
        high => format!("give {low} to {high}"),
    }
}

/// A value as TOML.
pub(crate) trait Shown {
    /// `None` for no value.
    fn shown(&self) -> Option<String>;
}

macro_rules! shown_as_they_are {
    ($($type:ty)*) => { $(
        impl Shown for $type {
            fn shown(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )* };
}
shown_as_they_are!(bool u8 u16 u32 u64);

macro_rules! shown_in_quotes {
    ($($type:ty)*) => { $(
        impl Shown for $type {
            fn shown(&self) -> Option<String> {
                Some(format!("\"{self}\""))
            }
        }
    )* };
}
shown_in_quotes!(PlainPath Remote UserName crate::Bandwidth);

macro_rules! shown_by_their_word {
    ($($type:ty { $($variant:ident = $word:literal),* })*) => { $(
        impl Shown for $type {
            fn shown(&self) -> Option<String> {
                Some(match self { $( Self::$variant => concat!("\"", $word, "\"") ),* }.to_owned())
            }
        }
    )* };
}
shown_by_their_word! {
    Pin { Mount = "mount", Descriptor = "descriptor" }
    crate::Landlock { Required = "required", Preferred = "preferred", Off = "off" }
    crate::Keeper { Auto = "auto", Systemd = "systemd", Process = "process" }
}

impl Shown for crate::Timeout {
    fn shown(&self) -> Option<String> {
        Some(format!(
            "{{ default = {}, max = {} }}",
            self.default, self.max
        ))
    }
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Option<String> {
        self.as_ref()?.shown()
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self) -> Option<String> {
        let values: Vec<String> = self.iter().filter_map(T::shown).collect();
        Some(format!("[{}]", values.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    /// The text of one key in its table.
    fn line(section: &Section, name: &str, value: &str) -> String {
        match section.table {
            "" => format!("{name} = {value}\n"),
            table => format!("[{table}]\n{name} = {value}\n"),
        }
    }

    #[test]
    fn every_default_and_sample_is_read_as_it_is_shown() {
        let mut keys = 0;
        for section in sections() {
            for key in &section.keys {
                keys += 1;
                let shown = key.default.as_deref().or(key.sample).unwrap();
                Config::parse(&line(&section, key.name, shown))
                    .unwrap_or_else(|reason| panic!("{} {}: {reason}", section.table, key.name));
                assert_eq!(key.default.is_none(), key.sample.is_some(), "{}", key.name);
            }
        }
        assert!(keys > 45, "{keys}");
    }

    #[test]
    fn a_number_outside_of_its_range_is_refused_by_the_name_of_its_key() {
        let mut ranges = 0;
        for section in sections() {
            for key in &section.keys {
                let Some((low, high)) = key.range else {
                    continue;
                };
                ranges += 1;
                let outside = [low.checked_sub(1), (high < u64::MAX).then(|| high + 1)];
                for number in outside.into_iter().flatten() {
                    let text = line(&section, key.name, &number.to_string());
                    let reason = Config::parse(&text).unwrap_err();
                    assert!(reason.contains(key.name), "{text}: {reason}");
                }
            }
        }
        assert!(ranges > 15, "{ranges}");
    }
}
