//! A value of an input as a serde deserializer, whose errors carry the JSON pointer of the faulty value.
//!
//! [`read`](crate::domain::input::read) runs it until it finds no more faults.

use std::collections::BTreeSet;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, EnumAccess, Expected, IntoDeserializer as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde_json::Value;

use crate::domain::input::failure::{Cause, Failure};
use crate::domain::input::json_type::{BY_TYPE, type_name};
use crate::domain::input::pointer::child;
use crate::domain::input::variant::Variant;

/// How the input writes numbers and booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalars {
    /// As JSON numbers and booleans.
    Typed,
    /// As strings.
    Text,
}

/// A value of the input, as a serde deserializer.
pub(super) struct Reader<'a> {
    value: &'a Value,
    pointer: String,
    /// The values that are known to be faulty. They count as absent.
    skipped: &'a BTreeSet<String>,
    scalars: Scalars,
}

impl<'a> Reader<'a> {
    /// Creates the reader of a whole input.
    pub(super) const fn new(value: &'a Value, skipped: &'a BTreeSet<String>, scalars: Scalars) -> Self {
        Self {
            value,
            pointer: String::new(),
            skipped,
            scalars,
        }
    }

    fn mismatch<T>(&self, expected: &str) -> Result<T, Failure> {
        let message = format!("must be {expected}, not {}", type_name(self.value));
        Err(Failure {
            pointer: Some(self.pointer.clone()),
            cause: Cause::Message(message),
        })
    }

    fn child(&self, name: &str, value: &'a Value) -> Self {
        Self {
            value,
            pointer: child(&self.pointer, name),
            ..*self
        }
    }

    /// Visits a value that is neither an array nor an object.
    fn scalar<'de, V: Visitor<'de>>(&self, visitor: V, expected: &str) -> Result<V::Value, Failure> {
        let visited: Result<_, Failure> = match self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), ..) => visitor.visit_i64(value),
                (None, Some(value), _) => visitor.visit_u64(value),
                (None, None, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
            _ => return self.mismatch(expected),
        };
        visited.map_err(|failure| failure.at(&self.pointer))
    }

    /// Visits a number, which a query writes as a string.
    fn number<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Failure> {
        let failure: Failure = match (self.scalars, self.value) {
            (_, Value::Number(_)) => return self.scalar(visitor, ""),
            (Scalars::Text, Value::String(text)) => match digits(text) {
                Some(number) => {
                    return visitor
                        .visit_i64(number)
                        .map_err(|failure: Failure| failure.at(&self.pointer));
                }
                None => de::Error::invalid_value(Unexpected::Str(text), &visitor),
            },
            (_, other) => de::Error::custom(format_args!(
                "must be {}, not {}",
                &visitor as &dyn Expected,
                type_name(other)
            )),
        };
        Err(failure.at(&self.pointer))
    }

    fn members<'de, V: Visitor<'de>>(
        &self,
        visitor: V,
        object: &'static str,
        fields: Option<&'static [&'static str]>,
    ) -> Result<V::Value, Failure> {
        let Value::Object(members) = self.value else {
            return self.mismatch("an object");
        };
        let members = Members {
            of: self,
            rest: members.iter(),
            fields,
            current: None,
        };
        visitor.visit_map(members).map_err(|mut failure| {
            if let (None, Cause::Missing { object: name, .. }) = (&failure.pointer, &mut failure.cause) {
                *name = object;
            }
            failure.at(&self.pointer)
        })
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Value::Null => visitor
                .visit_unit()
                .map_err(|failure: Failure| failure.at(&self.pointer)),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.members(visitor, "", None),
            _ => self.scalar(visitor, ""),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match (self.scalars, self.value) {
            (_, Value::Bool(value)) => visitor.visit_bool(*value),
            (Scalars::Text, Value::String(text)) if text == "true" => visitor.visit_bool(true),
            (Scalars::Text, Value::String(text)) if text == "false" => visitor.visit_bool(false),
            (Scalars::Text, Value::String(_)) => Err(de::Error::custom("must be true or false")),
            _ => self.mismatch("true or false"),
        }
        .map_err(|failure| failure.at(&self.pointer))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Value::String(_) => self.scalar(visitor, "a string"),
            _ => self.mismatch("a string"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let pointer = self.pointer.clone();
        visitor
            .visit_newtype_struct(self)
            .map_err(|failure: Failure| failure.at(&pointer))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let Value::Array(items) = self.value else {
            return self.mismatch("an array");
        };
        let items = Items {
            of: &self,
            items: items.iter().enumerate(),
        };
        visitor
            .visit_seq(items)
            .map_err(|failure: Failure| failure.at(&self.pointer))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.members(visitor, "", None)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.members(visitor, name, Some(fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == BY_TYPE {
            let pointer = self.pointer.clone();
            return visitor
                .visit_enum(Typed(self))
                .map_err(|failure: Failure| failure.at(&pointer));
        }
        let Value::String(name) = self.value else {
            return self.mismatch("a string");
        };
        visitor
            .visit_enum(Variant(name))
            .map_err(|failure: Failure| failure.at(&self.pointer))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.number(visitor)
    }

    serde::forward_to_deserialize_any! { char bytes byte_buf unit unit_struct tuple_struct identifier }
}

/// Parses a whole number that is written with digits only, without a sign or spaces.
fn digits(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// The members of an object that are not skipped.
struct Members<'r, 'a> {
    of: &'r Reader<'a>,
    rest: serde_json::map::Iter<'a>,
    /// The fields of the struct; `None` for a map with arbitrary keys.
    fields: Option<&'static [&'static str]>,
    current: Option<Reader<'a>>,
}

impl<'de> MapAccess<'de> for Members<'_, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        for (name, value) in self.rest.by_ref() {
            let member = self.of.child(name, value);
            if member.skipped.contains(&member.pointer) {
                continue;
            }
            if let Some(fields) = self.fields
                && !fields.contains(&name.as_str())
            {
                let failure: Failure = de::Error::unknown_field(name, fields);
                return Err(failure.at(&member.pointer));
            }
            let key: StrDeserializer<'_, Failure> = name.as_str().into_deserializer();
            let key = seed
                .deserialize(key)
                .map_err(|failure| failure.at(&member.pointer))?;
            self.current = Some(member);
            return Ok(Some(key));
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let member = self
            .current
            .take()
            .expect("serde asks for the key before the value");
        let pointer = member.pointer.clone();
        seed.deserialize(member).map_err(|failure| failure.at(&pointer))
    }
}

/// The items of an array that are not skipped.
struct Items<'r, 'a> {
    of: &'r Reader<'a>,
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        for (index, value) in self.items.by_ref() {
            let item = self.of.child(&index.to_string(), value);
            if item.skipped.contains(&item.pointer) {
                continue;
            }
            let pointer = item.pointer.clone();
            return seed
                .deserialize(item)
                .map(Some)
                .map_err(|failure| failure.at(&pointer));
        }
        Ok(None)
    }

    /// Returns the number of items, and counts those that are skipped. So a list checks its length correctly.
    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A value whose JSON type is the name of a variant; see [`json_type`](crate::domain::input::json_type).
struct Typed<'a>(Reader<'a>);

impl<'de> EnumAccess<'de> for Typed<'_> {
    type Error = Failure;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        let name: StrDeserializer<'_, Failure> = type_name(self.0.value).into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Typed<'_> {
    type Error = Failure;
    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        seed.deserialize(self.0)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        de::Deserializer::deserialize_seq(self.0, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        de::Deserializer::deserialize_map(self.0, visitor)
    }
}
