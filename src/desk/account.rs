//! Facts about the Close account: its organization, clock, groups, numbers and health.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::close::Error as CloseError;
use crate::desk::core::Core;
use crate::desk::errors::{map_close_error, unavailable};
use crate::domain::id::{GroupId, PhoneNumberId, UserId};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::policy::Members;

/// The longest time that a request waits for the members of a group.
const GROUP_WAIT: Duration = Duration::from_secs(3);
/// The tolerance for times by Close's clock. Close has many servers, and reports the time in whole seconds.
pub(in crate::desk) const MEASURED_SKEW: Duration = Duration::from_secs(10);
/// The tolerance while no answer has shown Close's clock, so that ours stands in for it.
pub(in crate::desk) const UNMEASURED_SKEW: Duration = Duration::from_mins(15);

/// How far the clocks of replicas may differ.
const CLOCKS_APART: Duration = Duration::from_mins(5);

/// The facts that this process has about the Close account. Clones share them.
#[derive(Clone)]
pub(in crate::desk) struct Account {
    core: Core,
    members: Arc<ArcSwap<Members>>,
    health: Arc<ArcSwap<CloseHealth>>,
}

/// The organization and the user of an API key that belongs to the organization of the inventory.
pub(in crate::desk) struct KeyOwner {
    pub(in crate::desk) organization: String,
    pub(in crate::desk) user: UserId,
}

/// A complete listing of the numbers in Close.
pub(in crate::desk) struct Listing {
    /// When the listing began. Later changes may be missing.
    pub(in crate::desk) started: Timestamp,
    /// The owner of the API key that requested the listing.
    pub(in crate::desk) owner: KeyOwner,
    /// The ids of the listed numbers.
    pub(in crate::desk) ids: HashSet<PhoneNumberId>,
}

/// The result of the last comparison with Close.
#[derive(Debug, Clone)]
pub(in crate::desk) struct CloseHealth {
    /// `ok`, or the failure.
    pub(in crate::desk) status: String,
    /// When the inventory was last equal to Close.
    pub(in crate::desk) inventory_as_of: Option<Timestamp>,
}

impl Default for CloseHealth {
    fn default() -> Self {
        Self {
            status: "not checked yet".to_owned(),
            inventory_as_of: None,
        }
    }
}

impl Account {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self {
            core,
            members: Arc::new(ArcSwap::from_pointee(Members::new())),
            health: Arc::default(),
        }
    }

    /// The result of the last comparison with Close.
    pub(in crate::desk) fn health(&self) -> Arc<CloseHealth> {
        self.health.load_full()
    }

    /// Records the state of Close for the readiness report.
    pub(in crate::desk) fn set_status(&self, status: &str) {
        let known = self.health.load();
        if known.status != status {
            let inventory_as_of = known.inventory_as_of;
            self.health.store(Arc::new(CloseHealth {
                status: status.to_owned(),
                inventory_as_of,
            }));
        }
    }

    /// Records that the inventory was equal to Close at `as_of`.
    pub(in crate::desk) fn mark_compared(&self, as_of: Timestamp) {
        let known = self.health.load().inventory_as_of;
        self.health.store(Arc::new(CloseHealth {
            status: "ok".to_owned(),
            inventory_as_of: known.max(Some(as_of)),
        }));
    }

    /// Close's time now, and its tolerance. While no answer has shown it, the time of this machine stands in.
    pub(in crate::desk) fn close_now(&self) -> (Timestamp, Duration) {
        match self.core.close.server_time() {
            Some(theirs) => (theirs.at, MEASURED_SKEW),
            None => (self.core.now(), UNMEASURED_SKEW),
        }
    }

    /// The earliest time by Close's clock at which something that begins now can have an effect there.
    pub(in crate::desk) fn close_not_before(&self) -> Timestamp {
        let (now, skew) = self.close_now();
        now.minus(skew)
    }

    /// The time, or Close's time if that is earlier: what can't be taken back happens by neither clock too early.
    pub(in crate::desk) fn no_earlier_than_now(&self) -> Timestamp {
        let now = self.core.now();
        match self.core.close.server_time() {
            Some(theirs) => now.min(theirs.at.plus(MEASURED_SKEW)),
            None => now,
        }
    }

    /// The time for an observation of the number that begins now: later than the last one, on any replica.
    pub(in crate::desk) async fn observation_time(&self, id: &PhoneNumberId) -> Result<Timestamp, Error> {
        let now = self.core.now();
        let known = self.core.store.number_as_of(id).await?;
        // Further ahead than replicas' clocks differ, it is absurd, and the store ignores it.
        let ahead = known.filter(|known| *known >= now && known.since(now) <= CLOCKS_APART);
        Ok(ahead.map_or(now, |known| known.plus(Duration::from_micros(1))))
    }

    /// Returns the owner of the API key. Fails if the key belongs to another organization.
    ///
    /// The inventory belongs to one organization. A key of another organization sees other numbers, so its answers
    /// prove nothing about the inventory.
    pub(in crate::desk) async fn verify_organization(&self) -> Result<KeyOwner, Error> {
        let me = self.core.close.me().await.map_err(map_close_error)?;
        let Some(first) = me.organization_ids.first() else {
            return Err(unavailable("the API key belongs to no Close organization"));
        };
        let organization = self.core.store.claim_organization(first).await?;
        if me.organization_ids.contains(&organization) {
            return Ok(KeyOwner {
                organization,
                user: me.user_id,
            });
        }
        Err(unavailable(
            "the API key belongs to another Close organization than the inventory",
        ))
    }

    /// Lists all numbers of the organization, and writes them to the inventory.
    ///
    /// An incomplete listing is an error, because a missing number must mean that Close did not show it.
    pub(in crate::desk) async fn listing(&self) -> Result<Listing, Error> {
        let started = self.core.now();
        let owner = self.verify_organization().await?;
        let mut listing = self.core.close.numbers().await.map_err(map_close_error)?;
        listing.retain(|facts| {
            facts
                .organization
                .as_ref()
                .is_none_or(|organization| *organization == owner.organization)
        });
        let ids = listing.iter().map(|facts| facts.id.clone()).collect();
        let seen: Vec<_> = listing
            .into_iter()
            .map(|facts| self.core.observation(facts, started))
            .collect();
        let changed = self.core.store.observe(&seen).await?;
        tracing::debug!(numbers = seen.len(), changed, "inventory compared with Close");
        Ok(Listing { started, owner, ids })
    }

    /// Fetches one number from Close into the inventory. Returns `false` if Close has no such number.
    pub(in crate::desk) async fn refetch_number(&self, id: &PhoneNumberId) -> Result<bool, Error> {
        let asked_at = self.observation_time(id).await?;
        match self.core.close.number(id).await {
            Ok(Some(facts)) => {
                self.core
                    .store
                    .observe(&[self.core.observation(facts, asked_at)])
                    .await?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            // One refused request must not stop the check of the other numbers.
            Err(failure @ CloseError::Refused { .. }) => {
                tracing::warn!(number_id = %id, error = %failure, "number not fetched: Close refused the request");
                Ok(true)
            }
            Err(failure) => Err(map_close_error(failure)),
        }
    }

    /// Fetches the members of one group. On failure the known members stay.
    pub(in crate::desk) async fn refresh_group(&self, group: &GroupId) {
        match self.core.close.group_members(group).await {
            Ok(users) => {
                let users = users.unwrap_or_default();
                // Other groups may be loaded at the same time.
                self.members.rcu(|known| {
                    let mut members = Members::clone(known);
                    members.insert(group.clone(), users.clone());
                    members
                });
            }
            Err(failure) => {
                tracing::warn!(
                    group_id = %group,
                    error = %failure,
                    "group members not refreshed; the known members stay in use"
                );
            }
        }
    }

    /// Whether the members of the group are known.
    pub(in crate::desk) fn knows_group(&self, group: &GroupId) -> bool {
        self.members.load().contains_key(group)
    }

    /// The known members of all groups. Close is not called.
    pub(in crate::desk) fn known_members(&self) -> Arc<Members> {
        self.members.load_full()
    }

    /// The known members of all groups, including those of the group that the team's rule names.
    ///
    /// Fetches that group from Close if its members are not known yet, and waits at most `GROUP_WAIT`.
    pub(in crate::desk) async fn members_for(&self, team: &Team) -> Arc<Members> {
        let policy = self.core.policy.load_full();
        if let Some(group) = policy.rules(team).and_then(|(_, rules)| rules.group())
            && !self.knows_group(group)
        {
            let _ = tokio::time::timeout(GROUP_WAIT, self.refresh_group(group)).await;
        }
        self.members.load_full()
    }
}
