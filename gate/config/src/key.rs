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
                $( $( $crate::key::within($table, stringify!($key), Some(self.$key.into()), $low, $high)?; )? )*
                Ok(())
            }
        }
    };
}
pub(crate) use section;

/// Defines the table of a service or an extra target: `name: type, in LOW..=HIGH, like SAMPLE, "meaning";` for each key.
/// A key that is no `Option` is required, unless `= default` stands behind its type.
macro_rules! own_section {
    (
        $(#[$meta:meta])* $name:ident is $table:literal, $purpose:literal;
        $( $key:ident : $type:ty $(= $default:ident)? $(, in $low:literal ..= $high:literal)?,
            like $sample:literal, $meaning:literal; )*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $( #[doc = $meaning] $(#[serde($default)])? pub $key: $type, )*
        }

        impl $name {
            /// The keys of this table.
            pub(crate) fn section() -> $crate::key::Section {
                $crate::key::Section {
                    table: $table,
                    meaning: $purpose,
                    keys: vec![ $( $crate::key::Key {
                        name: stringify!($key),
                        default: None,
                        sample: Some($sample),
                        range: [$(($low, $high))?].first().copied(),
                        meaning: $meaning,
                    } ),* ],
                }
            }

            /// Refuses a value outside of the range of its key.
            pub(crate) fn check_ranges(&self, table: &str) -> Result<(), String> {
                let numbers: &[(&str, Option<u64>, u64, u64)] = &[
                    $( $( (stringify!($key), $crate::key::Number::number(&self.$key), $low, $high), )? )*
                ];
                for (key, number, low, high) in numbers {
                    $crate::key::within(table, key, *number, *low, *high)?;
                }
                Ok(())
            }
        }
    };
}
pub(crate) use own_section;

/// A number of the configuration, if it is there.
pub(crate) trait Number {
    fn number(&self) -> Option<u64>;
}

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Number for $type {
            fn number(&self) -> Option<u64> {
                Some((*self).into())
            }
        }
    )* };
}
numbers!(u8 u16 u32 u64);

impl<T: Number> Number for Option<T> {
    fn number(&self) -> Option<u64> {
        self.as_ref()?.number()
    }
}

/// Refuses a number outside of a range.
pub(crate) fn within(
    table: &str,
    key: &str,
    value: Option<u64>,
    low: u64,
    high: u64,
) -> Result<(), String> {
    if value.is_none_or(|number| (low..=high).contains(&number)) {
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

/// A path that is a default, each covered by `defaults_are_well_formed`.
pub(crate) fn plain(path: &str) -> PlainPath {
    PlainPath::parse(path).unwrap_or_else(|_| unreachable!("{path}"))
}

/// A value as TOML.
pub(crate) trait Shown {
    /// `None` for no value.
    fn shown(&self) -> Option<String>;
}

macro_rules! shown_as_they_are {
    ($($type:ty)*) => { $(
        impl $crate::key::Shown for $type {
            fn shown(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )* };
}
shown_as_they_are!(bool u8 u16 u32 u64);

macro_rules! shown_in_quotes {
    ($($type:ty)*) => { $(
        impl $crate::key::Shown for $type {
            fn shown(&self) -> Option<String> {
                Some(format!("\"{self}\""))
            }
        }
    )* };
}
shown_in_quotes!(PlainPath Remote UserName);

macro_rules! shown_by_their_word {
    ($($type:ty { $($variant:ident = $word:literal),* })*) => { $(
        impl $crate::key::Shown for $type {
            fn shown(&self) -> Option<String> {
                Some(match self { $( Self::$variant => concat!("\"", $word, "\"") ),* }.to_owned())
            }
        }
    )* };
}
pub(crate) use {shown_by_their_word, shown_in_quotes};
shown_by_their_word! { Pin { Mount = "mount", Descriptor = "descriptor" } }

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
