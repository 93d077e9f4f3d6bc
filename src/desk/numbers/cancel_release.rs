//! Keeping a number whose release is scheduled: possible until Close is asked.

use serde_json::json;

use crate::desk::{By, Desk};
use crate::domain::audit::Action;
use crate::domain::caller::Permission;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::error::Error;

impl Desk {
    /// Calls off what is scheduled; a number of which nothing is scheduled stays as it is.
    pub async fn keep(&self, by: By<'_>, id: &PhoneNumberId) -> Result<Number, Error> {
        loop {
            let number = self.reach(by, id).await?;
            by.caller.need(Permission::NumbersRelease)?;
            if number.releasing {
                return Err(Error::ReleaseUnderWay);
            }
            let Some(release_at) = number.release_at else {
                return Ok(number);
            };
            let row = by
                .row(self.now(), Action::NumberKeep, "kept")
                .team(number.team.as_ref())
                .number(id)
                .detail(json!({ "release_at": release_at }));
            // Otherwise somebody was quicker: as it is now, another answer may be right.
            if self.0.store.cancel_release(&number, &row).await? {
                return Ok(Number {
                    release_at: None,
                    ..number
                });
            }
        }
    }
}
