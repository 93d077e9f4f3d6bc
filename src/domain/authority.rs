//! Authority as a type: what a caller may do, and in which teams.
//!
//! A use case declares the permission that it needs in the type of its [`CallContext`]. To read or to write anything it
//! needs an [`Authority`] of that permission or its [`Scope`]. Only the methods of [`CallContext`] make an `Authority`,
//! after they checked the permission. So a use case without the check does not compile:
//!
//! ```compile_fail,E0308
//! use numberdesk::domain::authority::{Authority, CallContext};
//! use numberdesk::domain::permission::needs;
//!
//! fn rent(_: &Authority<'_, needs::NumbersRent>) {}
//!
//! fn handler(ctx: CallContext<'_, needs::NumbersRead>) {
//!     // The caller may read, which is no permission to rent.
//!     rent(&ctx.authorize(None).unwrap());
//! }
//! ```
//!
//! Work that no caller asked for names itself: [`Scope::system`].

use std::marker::PhantomData;

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::Caller;
use crate::domain::id::RequestId;
use crate::domain::permission::{Permission, needs};
use crate::domain::scope::Scope;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// A call of a use case that needs the permission `P`, which is not checked yet.
#[derive(Debug, Clone, Copy)]
pub struct CallContext<'a, P = needs::Nothing> {
    /// The authenticated caller.
    pub caller: &'a Caller,
    /// The id of the request.
    pub request_id: &'a RequestId,
    permission: PhantomData<P>,
}

/// Why a call is not authorized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthorized {
    /// The object does not exist, or belongs to a team that the caller does not see. The caller cannot tell which.
    #[error("not found")]
    NotFound,
    /// The request names no team, and the caller has several teams or none.
    #[error("a team must be named")]
    TeamRequired {
        /// The caller's teams.
        teams: Vec<Team>,
    },
    /// The token lacks this permission.
    #[error("the token lacks the permission {0}")]
    PermissionMissing(Permission),
}

impl<'a, P> CallContext<'a, P> {
    /// The context of a request that an authenticated caller sent.
    pub fn new(caller: &'a Caller, request_id: &'a RequestId) -> Self {
        Self {
            caller,
            request_id,
            permission: PhantomData,
        }
    }
}

/// Each method answers what another team owns as if it did not exist, before it checks the permission.
impl<'a, P: needs::Needs> CallContext<'a, P> {
    /// Authority over the named team or, without a name, over everything that the caller sees.
    pub fn authorize(&self, team: Option<&Team>) -> Result<Authority<'a, P>, NotAuthorized> {
        let scope = match team {
            Some(team) if self.caller.sees(team) => Scope::of_teams(vec![team.clone()]),
            Some(_) => return Err(NotAuthorized::NotFound),
            None => self.visible(),
        };
        self.check(scope)
    }

    /// Authority over the one team that a request is for: the named one, or the only one that the caller has.
    pub fn authorize_team(&self, named: Option<&Team>) -> Result<(Team, Authority<'a, P>), NotAuthorized> {
        let team = match (named, self.caller.sole_team()) {
            (Some(team), _) if self.caller.sees(team) => team,
            (Some(_), _) => return Err(NotAuthorized::NotFound),
            (None, Some(team)) => team,
            (None, None) => {
                return Err(NotAuthorized::TeamRequired {
                    teams: self.caller.teams.clone(),
                });
            }
        };
        let authority = self.check(Scope::of_teams(vec![team.clone()]))?;
        Ok((team.clone(), authority))
    }

    /// Begins the lookup of one object among everything that the caller sees.
    pub fn lookup(&self) -> Lookup<'a, P> {
        Lookup {
            call: CallContext::new(self.caller, self.request_id),
            scope: self.visible(),
        }
    }

    /// Everything that the caller sees: its teams or, for an administrator, all.
    fn visible(&self) -> Scope {
        if self.caller.may(Permission::NumbersAdmin) {
            Scope::everything()
        } else {
            Scope::of_teams(self.caller.teams.clone())
        }
    }

    fn check(&self, scope: Scope) -> Result<Authority<'a, P>, NotAuthorized> {
        if !self.caller.may(P::PERMISSION) {
            return Err(NotAuthorized::PermissionMissing(P::PERMISSION));
        }
        Ok(Authority {
            call: CallContext::new(self.caller, self.request_id),
            scope,
        })
    }
}

/// The lookup of one object. The permission is checked when the object was found.
#[derive(Debug)]
pub struct Lookup<'a, P> {
    call: CallContext<'a, P>,
    scope: Scope,
}

impl<'a, P: needs::Needs> Lookup<'a, P> {
    /// Where to look for the object.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The object that was found in the scope, and authority over it.
    pub fn found<T>(self, object: Option<T>) -> Result<(T, Authority<'a, P>), NotAuthorized> {
        let object = object.ok_or(NotAuthorized::NotFound)?;
        Ok((object, self.call.check(self.scope)?))
    }
}

/// Proof that the caller has the permission `P`, and the scope in which it holds.
#[derive(Debug, Clone)]
pub struct Authority<'a, P> {
    call: CallContext<'a, P>,
    scope: Scope,
}

impl<'a, P> Authority<'a, P> {
    /// The caller.
    pub fn caller(&self) -> &'a Caller {
        self.call.caller
    }

    /// The id of the request.
    pub fn request_id(&self) -> &'a RequestId {
        self.call.request_id
    }

    /// Where the permission holds.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// An audit row of this caller and request.
    pub fn row(&self, now: Timestamp, action: Action, outcome: &str) -> AuditRow {
        AuditRow::new(now, Actor::from(self.caller()), action, outcome).request(Some(self.request_id()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn caller(teams: &[&str], permissions: &[&str]) -> Caller {
        Caller {
            issuer: "https://idp.example.com/".into(),
            subject: "alice".into(),
            teams: teams.iter().map(|name| team(name)).collect(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            close_user: None,
            claims: Value::Null,
        }
    }

    fn team(name: &str) -> Team {
        name.parse().expect("a team name")
    }

    /// The teams that a call for reading reaches, or why it is not authorized.
    fn teams_of(caller: &Caller, named: Option<&str>) -> Result<Option<Vec<Team>>, NotAuthorized> {
        let request_id = RequestId::generate(Timestamp::from_micros(0));
        let ctx = CallContext::<needs::NumbersRead>::new(caller, &request_id);
        let authority = ctx.authorize(named.map(team).as_ref())?;
        Ok(authority.scope().teams().map(<[Team]>::to_vec))
    }

    fn team_of(caller: &Caller, named: Option<&str>) -> Result<Team, NotAuthorized> {
        let request_id = RequestId::generate(Timestamp::from_micros(0));
        let ctx = CallContext::<needs::NumbersRent>::new(caller, &request_id);
        ctx.authorize_team(named.map(team).as_ref()).map(|(team, _)| team)
    }

    #[test]
    fn a_team_is_implied_only_when_the_caller_has_exactly_one() {
        let rent = ["numbers:rent"];
        assert_eq!(team_of(&caller(&["a"], &rent), None), Ok(team("a")));
        for teams in [&["a", "b"][..], &[]] {
            let error = team_of(&caller(teams, &rent), None).unwrap_err();
            let teams = teams.iter().map(|name| team(name)).collect();
            assert_eq!(error, NotAuthorized::TeamRequired { teams });
        }
    }

    #[test]
    fn a_foreign_team_does_not_exist_whatever_the_permissions_unless_the_caller_is_an_administrator() {
        assert_eq!(
            teams_of(&caller(&["a"], &[]), Some("b")),
            Err(NotAuthorized::NotFound)
        );
        assert_eq!(
            team_of(&caller(&["a"], &[]), Some("b")),
            Err(NotAuthorized::NotFound)
        );
        let reader = caller(&["a"], &["numbers:read"]);
        assert_eq!(teams_of(&reader, Some("b")), Err(NotAuthorized::NotFound));
        assert_eq!(teams_of(&reader, None), Ok(Some(vec![team("a")])));
        let administrator = caller(&["a"], &["numbers:read", "numbers:admin"]);
        assert_eq!(teams_of(&administrator, Some("b")), Ok(Some(vec![team("b")])));
        assert_eq!(teams_of(&administrator, None), Ok(None));
    }

    #[test]
    fn a_missing_permission_is_named_and_administration_does_not_replace_it() {
        let error = teams_of(&caller(&["a"], &["numbers:admin"]), None).unwrap_err();
        assert_eq!(error, NotAuthorized::PermissionMissing(Permission::NumbersRead));
        let error = team_of(&caller(&["a"], &["numbers:read"]), Some("a")).unwrap_err();
        assert_eq!(error, NotAuthorized::PermissionMissing(Permission::NumbersRent));
    }

    #[test]
    fn an_object_that_is_not_found_is_reported_before_a_missing_permission() {
        let (nobody, request_id) = (
            caller(&["a"], &[]),
            RequestId::generate(Timestamp::from_micros(0)),
        );
        let ctx = CallContext::<needs::NumbersRead>::new(&nobody, &request_id);
        assert_eq!(
            ctx.lookup().found(None::<u8>).unwrap_err(),
            NotAuthorized::NotFound
        );
        let error = ctx.lookup().found(Some(1)).unwrap_err();
        assert_eq!(error, NotAuthorized::PermissionMissing(Permission::NumbersRead));
    }
}
