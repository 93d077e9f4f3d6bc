//! Enums whose variants are fixed strings: one list gives the type, its parser and its spelling.

/// Declares an enum that is written as a fixed string, in JSON, in the database and in the API.
///
/// It derives serde's traits, [`Display`](std::fmt::Display) and [`FromStr`](std::str::FromStr), and adds `ALL` and
/// `as_str`. The error of `from_str` lists the allowed strings.
macro_rules! string_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize,
        )]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// Returns the string that stands for this variant.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
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
