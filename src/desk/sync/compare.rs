//! Making the inventory equal to Close: a complete listing, and a second look at whatever it does not show.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::close::Trouble;
use crate::desk::health::CloseHealth;
use crate::desk::{Desk, troubled, unavailable};
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::Team;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{GroupId, PhoneNumberId, UserId};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::policy::Members;

/// The longest that a request waits for Close to tell who is in a group.
const GROUP_WAIT: Duration = Duration::from_secs(3);

/// Whose key the desk holds, once it is known to be of the organization of the inventory.
pub(in crate::desk) struct Ours {
    pub(in crate::desk) organization: String,
    pub(in crate::desk) user: UserId,
}

/// A complete listing.
pub(in crate::desk) struct Listing {
    /// When it was begun: what came later may be missing.
    pub(in crate::desk) started: Timestamp,
    pub(in crate::desk) by: Ours,
    pub(in crate::desk) ids: HashSet<PhoneNumberId>,
}

impl Desk {
    /// One complete comparison with Close. What the listing lacks is asked for by itself before it is believed
    /// gone: listings lag, and a number may have been rented since.
    pub async fn sync(&self) -> Result<(), Error> {
        let started = self.now();
        let outcome = self.compare().await;
        match &outcome {
            Ok(()) => {
                self.compared(started);
                // The other replicas hear of it by the feed.
                let event = Event::new(started, EventKind::InventoryCompared, None);
                self.0.store.write_event(&event).await?;
            }
            Err(Error::StoreUnavailable(_) | Error::Internal(_)) => {}
            Err(error) => self.close_is(&error.to_string()),
        }
        outcome
    }

    /// The same, once at the start of this process and from then on when it is its turn: of all replicas, one compares.
    pub async fn sync_in_turn(&self) -> Result<(), Error> {
        let every = self.0.settings.full_sync;
        let turn = self.0.store.claim_step("sync", self.now(), every).await?;
        if turn {
            // Should it fail, it is still this replica's to do.
            self.0.synced.store(false, Ordering::Relaxed);
        }
        if turn || !self.0.synced.load(Ordering::Relaxed) {
            self.sync().await?;
            self.0.synced.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The inventory is as Close was at `as_of`.
    pub(in crate::desk) fn compared(&self, as_of: Timestamp) {
        let known = self.0.close_health.load().inventory_as_of;
        self.0.close_health.store(Arc::new(CloseHealth {
            said: "ok".to_owned(),
            inventory_as_of: known.max(Some(as_of)),
        }));
    }

    async fn compare(&self) -> Result<(), Error> {
        for group in self.0.policy.load_full().groups() {
            self.load_group(&group).await;
        }
        let listing = self.listing().await?;
        let mut absent = Vec::new();
        for id in self
            .0
            .store
            .known_number_ids(listing.started.minus(self.0.settings.settle_after))
            .await?
        {
            if !listing.ids.contains(&id) && !self.look_again(&id).await? {
                absent.push(id);
            }
        }
        // The key may have been replaced meanwhile; only one of this organization can say that a number is gone.
        if !absent.is_empty() && self.ours().await?.organization == listing.by.organization {
            for id in absent {
                let row =
                    AuditRow::new(listing.started, Actor::desk(), Action::NumberGone, "gone").number(&id);
                if self.0.store.mark_gone(&id, listing.started, &row).await? {
                    tracing::warn!(number = %id, "a number is gone from Close");
                }
            }
        }
        // The inventory is compared, whatever the event log says.
        if let Err(error) = self.name_late_arrivals(None).await {
            tracing::warn!(%error, "numbers that came too late are named later");
        }
        Ok(())
    }

    /// A complete, clean listing of Close, taken into the inventory.
    pub(in crate::desk) async fn listing(&self) -> Result<Listing, Error> {
        let started = self.now();
        let by = self.ours().await?;
        let mut listing = self.0.close.numbers().await.map_err(troubled)?;
        listing.retain(|facts| {
            facts
                .organization
                .as_ref()
                .is_none_or(|organization| *organization == by.organization)
        });
        let ids = listing.iter().map(|facts| facts.id.clone()).collect();
        let seen: Vec<_> = listing
            .into_iter()
            .map(|facts| self.observation(facts, started))
            .collect();
        let changed = self.0.store.observe(&seen).await?;
        tracing::debug!(numbers = seen.len(), changed, "inventory compared with Close");
        Ok(Listing { started, by, ids })
    }

    /// The organization of the inventory and the user of the key, unless the key is of another organization: that
    /// one's numbers say nothing of ours.
    pub(in crate::desk) async fn ours(&self) -> Result<Ours, Error> {
        let me = self.0.close.me().await.map_err(troubled)?;
        let Some(first) = me.organization_ids.first() else {
            return Err(unavailable("the API key belongs to no Close organization"));
        };
        let organization = self.0.store.claim_organization(first).await?;
        if me.organization_ids.contains(&organization) {
            return Ok(Ours {
                organization,
                user: me.user_id,
            });
        }
        Err(unavailable(
            "the API key is of another Close organization than the inventory",
        ))
    }

    /// Asks for one number by itself; `false` when Close says that it does not exist.
    pub(in crate::desk) async fn look_again(&self, id: &PhoneNumberId) -> Result<bool, Error> {
        let asked = self.now();
        match self.0.close.number(id).await {
            Ok(Some(facts)) => {
                self.0.store.observe(&[self.observation(facts, asked)]).await?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            // One number that Close will not show must not keep all others from being looked at.
            Err(trouble @ Trouble::Refused { .. }) => {
                tracing::warn!(number = %id, %trouble, "Close does not say how a number stands");
                Ok(true)
            }
            Err(trouble) => Err(troubled(trouble)),
        }
    }

    /// Refreshes the members of one group.
    pub(in crate::desk) async fn load_group(&self, group: &GroupId) {
        match self.0.close.group_members(group).await {
            Ok(users) => {
                let users = users.unwrap_or_default();
                // Others may be loaded at the same moment.
                self.0.members.rcu(|known| {
                    let mut members = Members::clone(known);
                    members.insert(group.clone(), users.clone());
                    members
                });
            }
            Err(trouble) => tracing::warn!(%group, %trouble, "the group's members stay as they were known"),
        }
    }

    /// The known members; asked of Close now if the team's rule names a group that was never seen.
    pub(in crate::desk) async fn members_for(&self, team: &Team) -> Arc<Members> {
        let policy = self.0.policy.load_full();
        if let Some(group) = policy.rules(team).and_then(|(_, rules)| rules.group())
            && !self.0.members.load().contains_key(group)
        {
            let _ = tokio::time::timeout(GROUP_WAIT, self.load_group(group)).await;
        }
        self.0.members.load_full()
    }
}
