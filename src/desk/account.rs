//! Facts about the Close account: its organization, clock, groups, numbers and health.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::close::{Error as CloseError, Shown};
use crate::desk::core::Core;
use crate::desk::errors::map_close_error;
use crate::desk::organization::Organization;
use crate::domain::id::{GroupId, PhoneNumberId, UserId};
use crate::domain::odd_record::{OddKind, OddRecord};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::policy::Members;

/// The longest time that a request waits for the members of a group.
const GROUP_WAIT: Duration = Duration::from_secs(3);
/// The most odd records that are logged one by one.
const LOGGED: usize = 20;
/// The fault of a number of another organization.
const FOREIGN: &str = "it belongs to another organization than the inventory";
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
    organization: Organization,
    members: Arc<ArcSwap<Members>>,
    health: Arc<ArcSwap<CloseHealth>>,
}

/// The organization and the user of an API key that belongs to the organization of the inventory.
pub(in crate::desk) struct KeyOwner {
    pub(in crate::desk) organization: String,
    /// `None` if Close does not show it in a readable form.
    pub(in crate::desk) user: Option<UserId>,
    /// The memberships of the user that can't be read.
    pub(in crate::desk) odd: Vec<OddRecord>,
}

/// A complete listing of the numbers in Close.
pub(in crate::desk) struct Listing {
    /// When the listing began. Later changes may be missing.
    pub(in crate::desk) started: Timestamp,
    /// The owner of the API key that requested the listing.
    pub(in crate::desk) owner: KeyOwner,
    /// The ids of the listed numbers that were taken in.
    pub(in crate::desk) ids: HashSet<PhoneNumberId>,
    /// The listed records that were not.
    pub(in crate::desk) odd: Vec<OddRecord>,
}

impl Listing {
    /// The ids of all numbers that Close listed, also of those that can't be read.
    pub(in crate::desk) fn seen(&self) -> HashSet<&PhoneNumberId> {
        let odd = self.odd.iter().filter_map(|record| record.number.as_ref());
        self.ids.iter().chain(odd).collect()
    }
}

/// What fetching one number found.
pub(in crate::desk) enum Refetched {
    /// The inventory has the number as Close shows it.
    Current,
    /// Close has the number, and shows it in a form that can't be read, or not at all.
    Unreadable(OddRecord),
    /// Close has no such number.
    Missing,
    /// Close did not answer, or failed.
    Failed {
        /// What happened instead of a usable answer.
        reason: String,
    },
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
            organization: Organization::new(core.clone()),
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
        // A time that is too far ahead was recorded by a clock that somebody has corrected since.
        let known = known.filter(|known| known.since(as_of) <= CLOCKS_APART);
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

    /// Returns the owner of the API key. Fails if the key belongs to another or an unknown organization.
    ///
    /// The inventory belongs to one organization. A key of another organization sees other numbers, so its answers
    /// prove nothing about the inventory.
    pub(in crate::desk) async fn verify_organization(&self) -> Result<KeyOwner, Error> {
        let key = self.core.close.key();
        let me = self.core.close.me().await.map_err(map_close_error)?;
        Ok(KeyOwner {
            organization: self.organization.verify(&me, key).await?,
            user: me.user_id,
            odd: me.odd,
        })
    }

    /// Fetches one number. One of another organization is odd, whichever key may see it.
    pub(in crate::desk) async fn read_number(&self, id: &PhoneNumberId) -> Result<Shown, CloseError> {
        match self.core.close.number(id).await? {
            Shown::Number(facts) if self.organization.is_foreign(&facts) => {
                Ok(Shown::Odd(OddRecord::number(id, FOREIGN)))
            }
            shown => Ok(shown),
        }
    }

    /// Lists all numbers of the organization, and writes them to the inventory.
    ///
    /// An incomplete listing is an error, because a missing number must mean that Close did not show it. A record that
    /// can't be read does not hide the others: it is noted, and the listing names it.
    pub(in crate::desk) async fn listing(&self) -> Result<Listing, Error> {
        let started = self.core.now();
        let owner = self.verify_organization().await?;
        let listed = self.core.close.numbers().await.map_err(map_close_error)?;
        let mut odd = listed.odd;
        let (mut ids, mut seen) = (HashSet::new(), Vec::new());
        for facts in listed.items {
            match &facts.organization {
                Some(other) if *other != owner.organization => odd.push(OddRecord {
                    rented: false,
                    ..OddRecord::number(&facts.id, FOREIGN)
                }),
                _ => {
                    ids.insert(facts.id.clone());
                    seen.push(self.core.observation(facts, started));
                }
            }
        }
        let changed = self.core.store.observe(&seen).await?;
        self.note_odd(&odd).await?;
        tracing::debug!(
            numbers = seen.len(),
            odd = odd.len(),
            changed,
            "inventory compared with Close"
        );
        Ok(Listing {
            started,
            owner,
            ids,
            odd,
        })
    }

    /// Notes records of Close that can't be read, with Close's time, and logs those that are new.
    pub(in crate::desk) async fn note_odd(&self, odd: &[OddRecord]) -> Result<(), Error> {
        let new = self.core.store.note_odd_records(odd, self.close_now().0).await?;
        for record in new.iter().take(LOGGED) {
            tracing::warn!(
                kind = %record.kind,
                record = record.name,
                fault = record.fault,
                "record of Close can't be read; all others are taken in"
            );
        }
        if new.len() > LOGGED {
            tracing::warn!(
                records = new.len(),
                "records of Close can't be read; the first are logged above"
            );
        }
        Ok(())
    }

    /// Forgets the odd records of this kind that a complete reading did not show any more.
    pub(in crate::desk) async fn forget_odd(&self, kind: OddKind, odd: &[OddRecord]) -> Result<(), Error> {
        let of_kind = odd.iter().filter(|record| record.kind == kind);
        let present: BTreeSet<String> = of_kind.map(|record| record.name.clone()).collect();
        for name in self.core.store.forget_odd_records(kind, &present).await? {
            tracing::info!(kind = %kind, record = name, "record of Close is no longer odd");
        }
        Ok(())
    }

    /// Fetches one number from Close into the inventory.
    pub(in crate::desk) async fn refetch_number(&self, id: &PhoneNumberId) -> Result<Refetched, Error> {
        let asked_at = self.observation_time(id).await?;
        match self.read_number(id).await {
            Ok(Shown::Number(facts)) => {
                self.core
                    .store
                    .observe(&[self.core.observation(*facts, asked_at)])
                    .await?;
                Ok(Refetched::Current)
            }
            Ok(Shown::Odd(record)) => Ok(Refetched::Unreadable(record)),
            Ok(Shown::Missing) => Ok(Refetched::Missing),
            // One refused request must not stop the check of the other numbers.
            Err(failure @ CloseError::Refused { .. }) => {
                tracing::warn!(number_id = %id, error = %failure, "number not fetched: Close refused the request");
                Ok(Refetched::Unreadable(OddRecord::number(
                    id,
                    "Close refuses to show it by itself",
                )))
            }
            Err(CloseError::Unavailable { reason }) => Ok(Refetched::Failed { reason }),
            Err(failure) => Err(map_close_error(failure)),
        }
    }

    /// Takes over the members of all groups as a replica last read them from Close.
    pub(in crate::desk) async fn reload_groups(&self) -> Result<(), Error> {
        let mut stored = self.core.store.group_members().await?;
        // The members of a group that no rule names any more are not read again.
        let named = self.core.policy.load_full().groups();
        stored.retain(|group, _| named.contains(group));
        self.members.rcu(|known| {
            let mut members = Members::clone(known);
            members.extend(stored.clone());
            members
        });
        Ok(())
    }

    /// Fetches the members of one group, and stores them for the other replicas. On failure the known members stay.
    ///
    /// Returns the members that can't be read, or the group itself if none can.
    pub(in crate::desk) async fn refresh_group(&self, group: &GroupId) -> Vec<OddRecord> {
        let asked_at = self.core.now();
        match self.core.close.group_members(group).await {
            Ok(listed) => {
                let listed = listed.unwrap_or_default();
                let users: BTreeSet<UserId> = listed.items.into_iter().collect();
                // Other groups may be loaded at the same time.
                self.members.rcu(|known| {
                    let mut members = Members::clone(known);
                    members.insert(group.clone(), users.clone());
                    members
                });
                if let Err(error) = self.core.store.save_group(group, &users, asked_at).await {
                    tracing::warn!(group_id = %group, %error, "group members not stored for the other replicas");
                }
                listed.odd
            }
            Err(failure) => {
                tracing::warn!(
                    group_id = %group,
                    error = %failure,
                    "group members not refreshed; the known members stay in use"
                );
                match failure {
                    CloseError::Unavailable { reason } => {
                        vec![OddRecord::new(OddKind::Group, group.as_str(), reason)]
                    }
                    _ => Vec::new(),
                }
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
    /// Fetches that group from Close if its members are not known yet, and waits at most `GROUP_WAIT`. If Close does not
    /// answer, the members that a replica read last are used.
    pub(in crate::desk) async fn members_for(&self, team: &Team) -> Arc<Members> {
        let policy = self.core.policy.load_full();
        if let Some(group) = policy.rules(team).and_then(|(_, rules)| rules.group())
            && !self.knows_group(group)
        {
            let _ = tokio::time::timeout(GROUP_WAIT, self.refresh_group(group)).await;
            if !self.knows_group(group)
                && let Err(error) = self.reload_groups().await
            {
                tracing::warn!(%error, "group members not read from the database");
            }
        }
        self.members.load_full()
    }
}
