//! Enums whose variants are fixed strings: one list gives the type, its parser and its spelling.

/// Declares an enum that is written as a fixed string, in JSON, in the database and in the API.
///
/// It derives serde's traits, [`Display`](std::fmt::Display) and [`FromStr`](std::str::FromStr), adds `ALL` and
/// `as_str`, and declares the schema. The error of `from_str` lists the allowed strings.
///
/// `Name: open { … }` declares that later versions may add strings, so that the schema does not forbid them.
/// `Name: stored { … }` is an open enum of a column of the database: a [`LaterWord`](super::later_word::LaterWord) is
/// its variant `Later`, which only [`StoredWord`](super::later_word::StoredWord) makes. `Name: kept { … }` is the same for
/// an enum of input: its schema lists the strings that this version takes.
macro_rules! string_enum {
    ($(#[doc = $doc:literal])* $name:ident { $($variants:tt)* }) => {
        $crate::domain::string_enum::string_enum! { @ closed_enum [$($doc)*] $name [] { $($variants)* } }
    };
    ($(#[doc = $doc:literal])* $name:ident: open { $($variants:tt)* }) => {
        $crate::domain::string_enum::string_enum! { @ open_enum [$($doc)*] $name [] { $($variants)* } }
    };
    ($(#[doc = $doc:literal])* $name:ident: stored { $($variants:tt)* }) => {
        $crate::domain::string_enum::string_enum! { @ open_enum [$($doc)*] $name [Later] { $($variants)* } }
        $crate::domain::string_enum::string_enum! { @ later $name }
    };
    ($(#[doc = $doc:literal])* $name:ident: kept { $($variants:tt)* }) => {
        $crate::domain::string_enum::string_enum! { @ closed_enum [$($doc)*] $name [Later] { $($variants)* } }
        $crate::domain::string_enum::string_enum! { @ later $name }
    };
    (@ later $name:ident) => {
        impl $crate::domain::later_word::StoredWord for $name {
            fn stored(text: &str) -> Self {
                text.parse()
                    .unwrap_or_else(|_| Self::Later($crate::domain::later_word::LaterWord::keep(text)))
            }
            fn is_later(&self) -> bool {
                matches!(self, Self::Later(_))
            }
        }
    };
    (@ $schema:ident [$($doc:literal)*] $name:ident [$($later:ident)?] {
        $($(#[doc = $vdoc:literal])* $variant:ident = $text:literal),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Deserialize)]
        #[serde(try_from = "String")]
        pub enum $name {
            $($(#[doc = $vdoc])* $variant,)*
            $(
                /// A word of a later version of the service.
                $later($crate::domain::later_word::LaterWord),
            )?
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl $crate::domain::schema::ComposeSchema for $name {
            fn compose(
                _: Vec<::utoipa::openapi::RefOr<::utoipa::openapi::Schema>>,
            ) -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                $crate::domain::schema::$schema(&[$($doc),*], Self::MEANINGS)
            }
        }
        impl ::utoipa::ToSchema for $name {}
        impl $name {
            /// Every string with its meaning.
            pub const MEANINGS: &'static [(&'static str, &'static str)] = &[$(($text, concat!($($vdoc),*))),*];
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// Returns the string of this variant.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    $(Self::$later(word) => word.as_str(),)?
                }
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl ::std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|variant| variant.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|variant| variant.as_str()).collect();
                    format!("must be one of {}", known.join(", "))
                })
            }
        }
    };
}
pub(crate) use string_enum;
