//! Authority as a type: what a caller may do, and in which teams.
//!
//! A use case declares the permission that it needs in the type of its [`CallContext`]. To read or to write anything it
//! needs an [`Authority`] of that permission or its [`Scope`]. Only the methods of [`CallContext`] make an `Authority`,
//! after they checked the permission in the team concerned. So a use case without the check does not compile:
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
use crate::domain::identity::IgnoredTeam;
use crate::domain::permission::{Permission, needs};
use crate::domain::rights::{Rights, Source};
use crate::domain::scope::{Owned, Scope};
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
        /// The names at the teams claims that give no team.
        ignored: Vec<IgnoredTeam>,
        /// Whether the provider left groups out of the token.
        overage: bool,
    },
    /// The caller lacks this permission.
    #[error("the token lacks the permission {need}")]
    PermissionMissing {
        /// The permission.
        need: Permission,
        /// The team in which it is missing, if the caller has it in another team.
        team: Option<Team>,
    },
    /// The caller has this permission only in some teams.
    #[error("the permission {need} does not hold in all teams")]
    NotEverywhere {
        /// The permission.
        need: Permission,
    },
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

/// Each method treats a team that the caller does not see as missing, before it checks the permission in that team.
impl<'a, P: needs::Needs> CallContext<'a, P> {
    /// Authority over the named team or, without a name, over all teams in which the caller has the permission.
    pub fn authorize(&self, team: Option<&Team>) -> Result<Authority<'a, P>, NotAuthorized> {
        match team {
            Some(team) => self.authorize_in(team),
            None => self.authorize_all(),
        }
    }

    /// Authority over the one team that a request is for: the named one, or the only one that the caller has.
    pub fn authorize_team(&self, named: Option<&Team>) -> Result<(Team, Authority<'a, P>), NotAuthorized> {
        let team = named
            .or_else(|| self.caller.sole_team())
            .ok_or_else(|| NotAuthorized::TeamRequired {
                teams: self.rights().teams().cloned().collect(),
                ignored: self.caller.ignored_teams().to_vec(),
                overage: self.caller.has_group_overage(),
            })?;
        Ok((team.clone(), self.authorize_in(team)?))
    }

    /// Begins the lookup of one object among everything that the caller sees.
    pub fn lookup(&self) -> Lookup<'a, P> {
        let scope = if self.sees_everything() {
            Scope::everything()
        } else {
            Scope::of_teams(self.rights().teams().cloned().collect())
        };
        Lookup {
            call: self.same(),
            scope,
        }
    }

    /// Authority over one team.
    fn authorize_in(&self, team: &Team) -> Result<Authority<'a, P>, NotAuthorized> {
        if !self.sees_everything() && !self.rights().include(team) {
            return Err(NotAuthorized::NotFound);
        }
        self.check(Some(team))?;
        Ok(self.over(Scope::of_teams(vec![team.clone()])))
    }

    /// Authority over everything for which the caller has the permission.
    fn authorize_all(&self) -> Result<Authority<'a, P>, NotAuthorized> {
        let (rights, need) = (self.rights(), P::PERMISSION.as_str());
        if rights.hold_everywhere(need) {
            return Ok(self.over(Scope::everything()));
        }
        let teams: Vec<Team> = rights
            .teams()
            .filter(|team| rights.hold(need, Some(team)))
            .cloned()
            .collect();
        if teams.is_empty() && !rights.hold_without_team(need) {
            return Err(self.missing(None));
        }
        Ok(self.over(Scope::of_teams(teams)))
    }

    /// Whether all teams exist for the caller.
    fn sees_everything(&self) -> bool {
        self.rights().is_administrator() || self.rights().hold_everywhere(P::PERMISSION.as_str())
    }

    /// Checks the permission for the objects of a team that the caller sees, or for orphans.
    fn check(&self, team: Option<&Team>) -> Result<(), NotAuthorized> {
        if self.rights().hold(P::PERMISSION.as_str(), team) {
            Ok(())
        } else {
            Err(self.missing(team))
        }
    }

    fn missing(&self, team: Option<&Team>) -> NotAuthorized {
        let elsewhere = self.rights().all().contains(P::PERMISSION.as_str());
        NotAuthorized::PermissionMissing {
            need: P::PERMISSION,
            team: team.filter(|_| elsewhere).cloned(),
        }
    }

    fn rights(&self) -> &'a Rights {
        self.caller.rights()
    }

    fn same(&self) -> Self {
        CallContext::new(self.caller, self.request_id)
    }

    fn over(&self, scope: Scope) -> Authority<'a, P> {
        Authority {
            call: self.same(),
            scope,
        }
    }
}

/// The lookup of one object. The permission is checked in the team of the object when it was found.
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

    /// The object that was found in the scope, and authority over all objects for which the permission holds.
    pub fn found<T: Owned>(self, object: Option<T>) -> Result<(T, Authority<'a, P>), NotAuthorized> {
        let object = object.ok_or(NotAuthorized::NotFound)?;
        self.call.check(object.owner())?;
        Ok((object, self.call.authorize_all()?))
    }
}

/// Proof that the caller has the permission `P`, and the scope in which it holds.
#[derive(Debug, Clone)]
pub struct Authority<'a, P> {
    call: CallContext<'a, P>,
    scope: Scope,
}

impl<'a, P: needs::Needs> Authority<'a, P> {
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

    /// Fails unless the permission holds in this team too: a team that the caller does not see does not exist.
    pub fn also_in(&self, team: &Team) -> Result<(), NotAuthorized> {
        self.call.authorize_in(team).map(drop)
    }

    /// Fails unless the permission also holds for objects that belong to no team.
    pub fn also_without_team(&self) -> Result<(), NotAuthorized> {
        let need = P::PERMISSION;
        let holds = self.caller().rights().hold(need.as_str(), None);
        holds.then_some(()).ok_or(NotAuthorized::NotEverywhere { need })
    }

    /// An audit row of this caller and request about the team, with the grant behind the permission.
    pub fn row(&self, now: Timestamp, action: Action, outcome: &str, team: Option<&Team>) -> AuditRow {
        AuditRow::new(now, Actor::from(self.caller()), action, outcome)
            .request(Some(self.request_id()))
            .team(team)
            .grant(self.grant(team))
    }

    /// The entry of the policy that gave the permission in the team; `None` if the token states it.
    pub fn grant(&self, team: Option<&Team>) -> Option<String> {
        let source = self.caller().rights().source(P::PERMISSION.as_str(), team);
        source.and_then(Source::entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::TokenIdentity;

    fn caller(teams: &[&str], permissions: &[&str]) -> Caller {
        Caller::of_token(TokenIdentity {
            teams: teams.iter().map(|name| team(name)).collect(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            ..TokenIdentity::named("https://idp.example.com/", "alice")
        })
    }

    /// A caller who leads the team a and is a member of the team b.
    fn lead_of_a() -> Caller {
        let token = caller(&["a", "b"], &["numbers:read"]);
        let mut rights = token.rights().clone();
        let lead = ["numbers:rent", "numbers:admin"].map(str::to_owned).into();
        rights.give(&[team("a")], &lead, Source::Grant(3));
        Caller::new(token.identity().clone(), None, rights)
    }

    struct Thing(Option<Team>);

    impl Owned for Thing {
        fn owner(&self) -> Option<&Team> {
            self.0.as_ref()
        }
    }

    fn missing(need: Permission, team: Option<Team>) -> NotAuthorized {
        NotAuthorized::PermissionMissing { need, team }
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
            let ignored = Vec::new();
            assert_eq!(
                error,
                NotAuthorized::TeamRequired {
                    teams,
                    ignored,
                    overage: false,
                }
            );
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
        assert_eq!(error, missing(Permission::NumbersRead, None));
        let error = team_of(&caller(&["a"], &["numbers:read"]), Some("a")).unwrap_err();
        assert_eq!(error, missing(Permission::NumbersRent, None));
    }

    #[test]
    fn an_object_that_is_not_found_is_reported_before_a_missing_permission() {
        let (nobody, request_id) = (
            caller(&["a"], &[]),
            RequestId::generate(Timestamp::from_micros(0)),
        );
        let ctx = CallContext::<needs::NumbersRead>::new(&nobody, &request_id);
        assert_eq!(
            ctx.lookup().found(None::<Thing>).err(),
            Some(NotAuthorized::NotFound)
        );
        let error = ctx.lookup().found(Some(Thing(Some(team("a"))))).err();
        assert_eq!(error, Some(missing(Permission::NumbersRead, None)));
    }

    #[test]
    fn the_permission_must_hold_in_the_team_concerned() {
        let lead = lead_of_a();
        assert_eq!(team_of(&lead, Some("a")), Ok(team("a")));
        let in_b = missing(Permission::NumbersRent, Some(team("b")));
        assert_eq!(team_of(&lead, Some("b")), Err(in_b));
        assert_eq!(team_of(&lead, Some("c")), Err(NotAuthorized::NotFound));
        assert_eq!(teams_of(&lead, None), Ok(Some(vec![team("a"), team("b")])));

        let request_id = RequestId::generate(Timestamp::from_micros(0));
        let rent = CallContext::<needs::NumbersRent>::new(&lead, &request_id);
        let all = rent.authorize(None).unwrap();
        assert_eq!(all.scope().teams(), Some(&[team("a")][..]));
        let object = |name: &str| rent.lookup().found(Some(Thing(Some(team(name))))).map(drop);
        assert_eq!(object("a"), Ok(()));
        assert_eq!(
            object("b"),
            Err(missing(Permission::NumbersRent, Some(team("b"))))
        );
        // Administration of one team includes no orphan.
        let admin = CallContext::<needs::NumbersAdmin>::new(&lead, &request_id);
        assert!(admin.lookup().scope().teams().is_some());
        assert!(admin.lookup().found(Some(Thing(None))).is_err());
        let (_, authority) = admin.lookup().found(Some(Thing(Some(team("a"))))).unwrap();
        assert!(authority.also_in(&team("b")).is_err());
        let need = Permission::NumbersAdmin;
        assert_eq!(
            authority.also_without_team(),
            Err(NotAuthorized::NotEverywhere { need })
        );
        assert_eq!(authority.grant(Some(&team("a"))).as_deref(), Some("grants[3]"));
    }
}
