//! The members of groups at Close, shared by all replicas: the one that reads them from Close writes them here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::event_data::GroupData;
use crate::domain::event_kind::EventKind;
use crate::domain::id::{GroupId, UserId};
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::due_times::latest;
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::sql::db::sql;
use crate::store::sql::row::json;

impl Store {
    /// Writes the members of a group as Close showed them at `as_of`, unless later ones are stored.
    ///
    /// Members that a clock which was wrong has dated into the future are replaced.
    /// If they differ from the stored ones, an event tells the other replicas.
    pub async fn save_group(
        &self,
        group: &GroupId,
        members: &BTreeSet<UserId>,
        as_of: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let known = tx
            .lock(sql!(
                "SELECT members, as_of FROM close_groups WHERE id = $1",
                group.as_str()
            ))
            .await?;
        if let Some(known) = &known
            && known.time("as_of")? > as_of
            && known.time("as_of")? <= latest(as_of, Duration::ZERO)
        {
            return Ok(());
        }
        tx.execute(sql!(
            "INSERT INTO close_groups (id, members, as_of) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE \
                SET members = excluded.members, as_of = excluded.as_of \
                WHERE close_groups.as_of <= excluded.as_of OR close_groups.as_of > $4",
            group.as_str(),
            json(members)?,
            as_of,
            latest(as_of, Duration::ZERO)
        ))
        .await?;
        if let Some(known) = known
            && known.json::<BTreeSet<UserId>>("members")? != *members
        {
            let event = Event::new(as_of, EventKind::GroupChanged, None);
            write::event(&mut tx, &event.with(&GroupData { group_id: group })).await?;
        }
        tx.commit().await
    }

    /// The stored members of all groups.
    pub async fn group_members(&self) -> Result<BTreeMap<GroupId, BTreeSet<UserId>>, Error> {
        let rows = self.db.rows(sql!("SELECT id, members FROM close_groups")).await?;
        rows.iter()
            .map(|row| Ok((row.parsed("id")?, row.json("members")?)))
            .collect()
    }
}
