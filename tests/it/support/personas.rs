//! The users and apps of the tests, by the claims in their tokens.

use numberdesk::auth::DevIssuer;
use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://idp.example.com/";
pub(crate) const AUDIENCE: &str = "numberdesk";

/// A user or an app, by the claims in its token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Persona {
    pub(crate) name: &'static str,
    pub(crate) teams: &'static [&'static str],
    pub(crate) permissions: &'static str,
    /// The index of its user in Close. User 0 owns the API key.
    pub(crate) close_user: Option<usize>,
}

/// An app of sales. Most tests use it.
pub(crate) const ALICE: Persona = Persona {
    name: "alice@example.com",
    teams: &["sales"],
    permissions: "numbers:read numbers:rent numbers:update numbers:release",
    close_user: Some(0),
};
/// The lead of sales: may also manage group numbers and read the audit trail.
pub(crate) const LENA: Persona = Persona {
    name: "lena@example.com",
    teams: &["sales"],
    permissions: "numbers:read numbers:rent numbers:update numbers:release numbers:group audit:read",
    close_user: Some(0),
};
/// The lead of support, the other team.
pub(crate) const BOB: Persona = Persona {
    name: "bob@example.com",
    teams: &["support"],
    permissions: "numbers:read numbers:rent numbers:update numbers:release numbers:group audit:read",
    close_user: Some(0),
};
/// A member of both teams.
pub(crate) const DORA: Persona = Persona {
    name: "dora@example.com",
    teams: &["sales", "support"],
    ..LENA
};
/// The administrator: sees the numbers of all teams. Her own team may rent nothing.
pub(crate) const OLGA: Persona = Persona {
    name: "olga@example.com",
    teams: &["platform"],
    permissions: "numbers:read numbers:rent numbers:update numbers:release numbers:group numbers:admin audit:read",
    close_user: Some(0),
};
/// Has a valid token without any permission.
pub(crate) const NEMO: Persona = Persona {
    name: "nemo@example.com",
    teams: &["sales"],
    permissions: "",
    close_user: None,
};

impl Persona {
    pub(crate) const fn with(self, permissions: &'static str) -> Self {
        Self { permissions, ..self }
    }

    pub(crate) const fn of(self, teams: &'static [&'static str]) -> Self {
        Self { teams, ..self }
    }

    pub(crate) const fn as_user(self, close_user: Option<usize>) -> Self {
        Self { close_user, ..self }
    }

    /// Returns the claims of a token that is valid for one hour.
    pub(crate) fn claims(&self, users: &[String]) -> Value {
        let now = Clock::system().now().as_seconds();
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": self.name, "iat": now, "exp": now + 3600,
            "teams": self.teams, "scope": self.permissions,
        });
        if let Some(user) = self.close_user {
            claims["close_user_id"] = json!(users[user]);
        }
        claims
    }

    pub(crate) fn token(&self, issuer: &DevIssuer, users: &[String]) -> String {
        issuer.sign(&self.claims(users)).expect("the local issuer signs")
    }
}
