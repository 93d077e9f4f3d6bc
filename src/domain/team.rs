//! The name of a team.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::schema::string_schema;

/// The name of a team, which owns numbers and has rules, quotas and a budget in the policy.
///
/// It has 1 to 64 letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Team(String);

impl Team {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error for a string that is not a team name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a team name: 1 to 64 letters, digits, `-`, `_` or `.`")]
pub struct NotATeam;

impl FromStr for Team {
    type Err = NotATeam;
    fn from_str(text: &str) -> Result<Self, NotATeam> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotATeam)
        }
    }
}
impl TryFrom<String> for Team {
    type Error = NotATeam;
    fn try_from(text: String) -> Result<Self, NotATeam> {
        text.parse()
    }
}
impl From<Team> for String {
    fn from(team: Team) -> String {
        team.0
    }
}

string_schema! {
    Team: "The name of a team.", pattern: "^[A-Za-z0-9._-]{1,64}$", example: "sales-emea"
}
