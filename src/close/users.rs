//! The user of the API key, and the members of groups.

use crate::close::client::CloseClient;
use crate::close::endpoint::Endpoint;
use crate::close::error::Error;
use crate::close::json::{self, Me};
use crate::close::odd::Listed;
use crate::domain::id::{GroupId, UserId};

impl CloseClient {
    /// Reads the user that the key belongs to.
    pub async fn me(&self) -> Result<Me, Error> {
        self.0
            .ask(Endpoint::Me, None, |reply| json::me(&reply.body))
            .await
    }

    /// Reads the members of a group; `None` if it does not exist.
    pub async fn group_members(&self, id: &GroupId) -> Result<Option<Listed<UserId>>, Error> {
        let members = self.0.ask(Endpoint::Members(id), None, |reply| {
            json::members(id, &reply.body)
        });
        match members.await {
            Ok(members) => Ok(Some(members)),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
