//! Lists in an input: of different items, or of at least one item.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{RefOr, Schema};

use crate::domain::schema::ComposeSchema;

/// An item of a [`Distinct`] or [`NonEmpty`] list.
pub trait Item: Clone + Eq + Hash {
    /// The plural noun for such items, in faults.
    const PLURAL: &'static str;
    /// The fault of an empty list, if it says more than the numbers of items.
    const NONE: Option<&'static str> = None;
}

/// A list of `MIN` to `MAX` different items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distinct<T, const MIN: usize, const MAX: usize>(pub Vec<T>);

impl<'de, T: Item + Deserialize<'de>, const MIN: usize, const MAX: usize> Deserialize<'de>
    for Distinct<T, MIN, MAX>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (items, length) = deserializer.deserialize_seq(Items::new(Duplicates::Refused))?;
        if (MIN..=MAX).contains(&length) {
            return Ok(Self(items));
        }
        if let (0, Some(fault)) = (length, T::NONE) {
            return Err(D::Error::custom(fault));
        }
        let bounds = match (MIN, MAX) {
            (0, _) => format!("at most {MAX}"),
            (_, usize::MAX) => format!("at least {MIN}"),
            _ => format!("{MIN} to {MAX}"),
        };
        Err(D::Error::custom(format!("must have {bounds} {}", T::PLURAL)))
    }
}
impl<T, const MIN: usize, const MAX: usize> Deref for Distinct<T, MIN, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}
impl<T: ToSchema, const MIN: usize, const MAX: usize> ComposeSchema for Distinct<T, MIN, MAX> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let list = ArrayBuilder::new()
            .items(T::schema())
            .unique_items(true)
            .max_items(Some(MAX).filter(|max| *max < usize::MAX));
        if MIN > 0 {
            list.min_items(Some(MIN)).into()
        } else {
            list.into()
        }
    }
}
impl<T: ToSchema, const MIN: usize, const MAX: usize> ToSchema for Distinct<T, MIN, MAX> {
    /// The name contains the bounds, because lists with other bounds have other schemas.
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("{}ListOf{MIN}To{MAX}", T::name()))
    }
}

/// A list of at least one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NonEmpty<T>(pub Vec<T>);

impl<'de, T: Item + Deserialize<'de>> Deserialize<'de> for NonEmpty<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (items, length) = deserializer.deserialize_seq(Items::new(Duplicates::Allowed))?;
        if length == 0 {
            let fault = format!("must have at least one of the {}", T::PLURAL);
            return Err(D::Error::custom(T::NONE.unwrap_or(&fault)));
        }
        Ok(Self(items))
    }
}
impl<T> Deref for NonEmpty<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}
impl<T: ToSchema> ComposeSchema for NonEmpty<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema()).min_items(Some(1)).into()
    }
}
impl<T: ToSchema> ToSchema for NonEmpty<T> {
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("NonEmpty{}List", T::name()))
    }
}

/// Whether an item may be in the list twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    Allowed,
    Refused,
}

struct Items<T> {
    duplicates: Duplicates,
    item: PhantomData<T>,
}

impl<T> Items<T> {
    const fn new(duplicates: Duplicates) -> Self {
        Self {
            duplicates,
            item: PhantomData,
        }
    }
}

impl<'de, T: Item + Deserialize<'de>> Visitor<'de> for Items<T> {
    /// The items without faults, and the length of the list with all its items.
    type Value = (Vec<T>, usize);
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let length = list.size_hint();
        let mut items = Vec::new();
        // A comparison of each item with all others would be too slow: a body can have thousands of items.
        let mut seen: HashSet<T> = HashSet::new();
        while let Some(item) = list.next_element_seed(Next(&seen))? {
            if self.duplicates == Duplicates::Refused {
                seen.insert(item.clone());
            }
            items.push(item);
        }
        let length = length.unwrap_or(items.len());
        Ok((items, length))
    }
}

/// Deserializes an item that differs from the `seen` items, so that the fault of a duplicate is at the duplicate.
struct Next<'a, T>(&'a HashSet<T>);

impl<'de, T: Item + Deserialize<'de>> DeserializeSeed<'de> for Next<'_, T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let item = T::deserialize(deserializer)?;
        if self.0.contains(&item) {
            return Err(D::Error::custom("is a duplicate in the list"));
        }
        Ok(item)
    }
}
