//! Who the key belongs to, and who is in a group.

use std::collections::BTreeSet;

use crate::close::endpoint::Endpoint;
use crate::close::{Close, Me, Trouble, json};
use crate::domain::id::{GroupId, UserId};

impl Close {
    /// Asks whose key it is.
    pub async fn me(&self) -> Result<Me, Trouble> {
        self.0
            .ask(Endpoint::Me, None, |reply| json::me(&reply.body))
            .await
    }

    /// The members of a group; `None` when Close says that it does not exist.
    pub async fn group_members(&self, id: &GroupId) -> Result<Option<BTreeSet<UserId>>, Trouble> {
        let members = self.0.ask(Endpoint::Members(id), None, |reply| {
            json::members(id, &reply.body)
        });
        match members.await {
            Ok(members) => Ok(Some(members)),
            Err(Trouble::NotFound) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }
}
