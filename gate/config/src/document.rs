//! The parsed text of a configuration, as serde reads it.
//!
//! The crate `toml` parses the text. Its own deserialiser makes code for each kind of value a second time for each type of the
//! configuration: it was a tenth of each program. This one takes a value only as the kind that the type asks for.
//!
//! Invariant: an error has the place of the value or key that caused it.

use std::fmt;
use std::ops::Range;

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use toml::Spanned;
use toml::de::{DeString, DeValue};

/// The fault of a configuration.
#[derive(Debug)]
pub(crate) struct Fault {
    message: String,
    place: Option<Range<usize>>,
}

impl Fault {
    /// The fault and its line: every message of the gate is one line.
    pub(crate) fn one_line(&self, text: &str) -> String {
        let message = self.message.trim().replace('\n', ", ");
        let before = self
            .place
            .as_ref()
            .and_then(|place| text.get(..place.start));
        let Some(before) = before else {
            return message;
        };
        let number = before.matches('\n').count();
        let line = text.lines().nth(number).unwrap_or_default().trim();
        let line: String = line.chars().take(60).collect();
        format!("line {} ({line}): {message}", number + 1)
    }

    fn at(self, place: Range<usize>) -> Self {
        Self {
            place: self.place.or(Some(place)),
            ..self
        }
    }
}

impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Self {
        Self {
            message: error.message().to_owned(),
            place: error.span(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            place: None,
        }
    }
}

/// A value of the text.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a>(&'a DeValue<'a>);

impl<'a> Node<'a> {
    /// The value of a whole document, or of a part.
    pub(crate) fn of(value: &'a DeValue<'a>) -> Self {
        Self(value)
    }

    fn unexpected(self) -> Unexpected<'a> {
        match self.0 {
            DeValue::String(text) => Unexpected::Str(text),
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(digits.as_str(), digits.radix());
                number.map_or(Unexpected::Other("large integer"), Unexpected::Signed)
            }
            DeValue::Float(_) => Unexpected::Other("floating point number"),
            DeValue::Boolean(value) => Unexpected::Bool(*value),
            DeValue::Datetime(_) => Unexpected::Other("date or time"),
            DeValue::Array(_) => Unexpected::Seq,
            DeValue::Table(_) => Unexpected::Map,
        }
    }

    /// A refusal. Its code does not depend on the type that is read.
    #[cold]
    fn mismatch(self, expected: &dyn serde::de::Expected) -> Fault {
        Fault::invalid_type(self.unexpected(), expected)
    }

    /// An integer. TOML has those of 64 bits with a sign.
    fn number(self, expected: &dyn serde::de::Expected) -> Result<i64, Fault> {
        let DeValue::Integer(digits) = self.0 else {
            return Err(self.mismatch(expected));
        };
        i64::from_str_radix(digits.as_str(), digits.radix())
            .map_err(|_| out_of_range(digits, expected))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty,)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = self.number(&visitor)?;
            match <$type>::try_from(number) {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(out_of_range(&number, &visitor)),
            }
        }
    )* };
}

/// A refusal of a number that is too small or too large.
#[cold]
fn out_of_range(number: &dyn fmt::Display, expected: &dyn serde::de::Expected) -> Fault {
    Fault::custom(format_args!(
        "invalid value: integer `{number}`, expected {expected}"
    ))
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            DeValue::Boolean(_) => self.deserialize_bool(visitor),
            DeValue::Integer(_) => self.deserialize_i64(visitor),
            DeValue::Array(_) => self.deserialize_seq(visitor),
            DeValue::Table(_) => self.deserialize_map(visitor),
            DeValue::String(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
                self.deserialize_str(visitor)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            DeValue::String(text) => visitor.visit_str(text),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            DeValue::Array(items) => visitor.visit_seq(Items(items.iter())),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            DeValue::Table(table) => visitor.visit_map(Entries {
                rest: table.iter().collect::<Vec<_>>().into_iter(),
                value: None,
            }),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            DeValue::String(text) => visitor.visit_enum(Word(text)),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

type Value<'a> = Spanned<DeValue<'a>>;

/// The keys and values of a table.
struct Entries<'a> {
    rest: std::vec::IntoIter<(&'a Spanned<DeString<'a>>, &'a Value<'a>)>,
    value: Option<&'a Value<'a>>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        let name: StrDeserializer<'_, Fault> = key.get_ref().as_ref().into_deserializer();
        seed.deserialize(name)
            .map(Some)
            .map_err(|fault| fault.at(key.span()))
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let value = self
            .value
            .take()
            .ok_or_else(|| Fault::custom("a value before its key"))?;
        seed.deserialize(Node(value.get_ref()))
            .map_err(|fault| fault.at(value.span()))
    }
}

/// The values of an array.
struct Items<'a>(std::slice::Iter<'a, Value<'a>>);

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(value) = self.0.next() else {
            return Ok(None);
        };
        let read = seed.deserialize(Node(value.get_ref()));
        read.map(Some).map_err(|fault| fault.at(value.span()))
    }
}

/// A word of a closed list.
struct Word<'a>(&'a str);

impl<'a> EnumAccess<'a> for Word<'a> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'a> VariantAccess<'a> for Word<'a> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, _: T) -> Result<T::Value, Fault> {
        Err(self.only_a_word())
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(self.only_a_word())
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(self.only_a_word())
    }
}

impl Word<'_> {
    fn only_a_word(&self) -> Fault {
        Fault::custom(format_args!("the word '{}' takes no value", self.0))
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn each_wrong_kind_of_value_is_named_with_its_line() {
        for (text, fault) in [
            (
                "data_root = 5",
                "line 1 (data_root = 5): invalid type: integer `5`, expected a string",
            ),
            (
                "\nremotes = \"a\"",
                "line 2 (remotes = \"a\"): invalid type: string \"a\", expected a sequence",
            ),
            (
                "remotes = [true]",
                "line 1 (remotes = [true]): invalid type: boolean `true`, expected a string",
            ),
            (
                "[limits]\nmax_delete = -1",
                "line 2 (max_delete = -1): invalid value: integer `-1`, expected u32",
            ),
            (
                "[limits]\nmax_delete = 0x1_0000_0000",
                "line 2 (max_delete = 0x1_0000_0000): invalid value: integer `4294967296`, expected u32",
            ),
            (
                "[limits]\nspool_reserve = 18446744073709551615",
                "line 2 (spool_reserve = 18446744073709551615): invalid value: integer `18446744073709551615`, expected u64",
            ),
            (
                "[limits]\nmax_delete = 1.5",
                "line 2 (max_delete = 1.5): invalid type: floating point number, expected u32",
            ),
            (
                "[limits]\nmax_delete = 1979-05-27",
                "line 2 (max_delete = 1979-05-27): invalid type: date or time, expected u32",
            ),
            (
                "[limits]\nstop = 5",
                "line 2 (stop = 5): invalid type: integer `5`, expected struct Timeout",
            ),
            (
                "[limits.stop]\ndefault = 1",
                "line 1 ([limits.stop]): missing field `max`",
            ),
            (
                "[rclone]\nlandlock = { off = 1 }",
                "line 2 (landlock = { off = 1 }): invalid type: map, expected enum Landlock",
            ),
            (
                "services = 5",
                "line 1 (services = 5): invalid type: integer `5`, expected a map",
            ),
            (
                "[services.\"a b\"]\n[services.n8n]\nhot = 1",
                "line 3 (hot = 1): invalid type: integer `1`, expected a boolean",
            ),
            ("a = 1\na = 2", "line 2 (a = 2): duplicate key"),
        ] {
            assert_eq!(Config::parse(text).unwrap_err(), fault);
        }
        let config =
            Config::parse("[limits]\nspool_reserve = 0x7fff_ffff_ffff_ffff\nmax_delete = 0o17")
                .unwrap();
        assert_eq!(
            (config.limits.spool_reserve, config.limits.max_delete),
            (i64::MAX as u64, 15)
        );
    }
}
