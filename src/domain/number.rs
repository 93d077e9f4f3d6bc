//! A phone number: what Close says of it, and what the desk knows about it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::caller::Team;
use crate::domain::country::Country;
use crate::domain::id::{GroupId, OrderId, PhoneNumberId, UserId};
use crate::domain::money::Money;
use crate::domain::raw_object::RawObject;
use crate::domain::time::Timestamp;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            /// Every word there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    format!("must be one of {}", known.join(", "))
                })
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Whether a number is one person's or a group's.
    Sharing {
        /// One person's.
        Personal = "personal",
        /// A group's.
        Group = "group",
    }
}
words! {
    /// The kind of line that can be ordered.
    CarrierType {
        /// In one town.
        Local = "local",
        /// In a whole country.
        National = "national",
        /// A mobile line.
        Mobile = "mobile",
        /// Free for who calls.
        TollFree = "tollfree",
    }
}

/// What Close says of a number, at one moment. The typed fields are read from `object`, which is kept whole:
/// fields that nobody here knows are passed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Close's id.
    pub id: PhoneNumberId,
    /// The Close organization that has it.
    pub organization: Option<String>,
    /// The number itself, E.164.
    pub number: String,
    /// Its country, when Close names one that exists.
    pub country: Option<Country>,
    /// `internal` (rented), `external`, `virtual`, or a word to come.
    pub kind: String,
    /// What people call it.
    pub label: Option<String>,
    /// `local`, `mobile`, … as Close writes it.
    pub carrier_type: Option<String>,
    /// Users it rings for.
    pub participants: Vec<UserId>,
    /// Groups it rings for.
    pub participant_groups: Vec<GroupId>,
    /// The only user of a personal number.
    pub user: Option<UserId>,
    /// Whether Close calls it a group number, or more than one user or any group has it.
    pub group: bool,
    /// Whether it can send SMS.
    pub sms: Option<bool>,
    /// What the last month cost, once Close has billed one.
    pub billed: Option<Money>,
    /// When Close made it.
    pub created_at: Option<Timestamp>,
    /// When Close last changed it.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// Close's object, field for field.
    pub object: RawObject,
}

impl Facts {
    /// Whether it is rented and so has a monthly price.
    pub fn rented(&self) -> bool {
        self.kind == "internal"
    }
    /// The fields of Close's object that read otherwise in `later`, in the order of their names.
    pub fn changed(&self, later: &Self) -> Vec<String> {
        let (known, later) = (self.object.members(), later.object.members());
        let names: BTreeSet<&String> = known.keys().chain(later.keys()).collect();
        names
            .into_iter()
            .filter(|name| known.get(*name) != later.get(*name))
            .cloned()
            .collect()
    }
    /// Whether the user is a participant, or the one of a personal number.
    pub fn involves(&self, user: &UserId) -> bool {
        self.participants.contains(user) || self.user.as_ref() == Some(user)
    }
}

/// How a number came into the organization, as Close tells: for who decides about one that no order accounts for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// When, by Close's clock; `None` when Close does not say (any more).
    pub at: Option<Timestamp>,
    /// Whose doing it was.
    pub user_id: Option<UserId>,
    /// The API key that did it, by Close's id of it; `None` when it was none, or Close does not say.
    pub api_key_id: Option<String>,
    /// Whether it came by the call that rents; `None` when Close does not say.
    pub by_renting: Option<bool>,
}

/// A number of the inventory.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// What Close says.
    pub facts: Facts,
    /// Who it belongs to; `None` is an orphan.
    pub team: Option<Team>,
    /// The order it was rented for.
    pub order_id: Option<OrderId>,
    /// What it costs a month: billed, or estimated until then.
    pub monthly: Money,
    /// When Close said so.
    pub as_of: Timestamp,
    /// A release was sent to Close and its outcome is not known yet.
    pub releasing: bool,
    /// When it is to be released; `None` when nobody scheduled that.
    pub release_at: Option<Timestamp>,
    /// Where it comes from, if it is an orphan and Close was asked.
    pub provenance: Option<Provenance>,
}

impl Number {
    /// A word that changes whenever what a reader sees of the number changes (but not with `as_of`): the ETag.
    pub fn version(&self) -> String {
        let seen = serde_json::json!([
            self.facts.object,
            self.team,
            self.order_id,
            self.releasing,
            self.release_at,
            self.monthly,
            self.provenance
        ]);
        hex::encode(&Sha256::digest(seen.to_string())[..16])
    }
}
