//! Cancels the scheduled release of a number, which is possible until Close is called.

use serde_json::json;

use crate::desk::numbers::Numbers;
use crate::domain::audit::Action;
use crate::domain::authority::CallContext;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::permission::needs;
use crate::error::Error;

impl Numbers {
    /// Cancels the scheduled release. A number without one stays as it is.
    pub async fn cancel_release(
        &self,
        ctx: CallContext<'_, needs::NumbersRelease>,
        id: &PhoneNumberId,
    ) -> Result<Number, Error> {
        loop {
            let (number, authority) = self.find_authorized(ctx, id).await?;
            if number.releasing {
                return Err(Error::ReleaseUnderWay);
            }
            let Some(release_at) = number.release_at else {
                return Ok(number);
            };
            let row = authority
                .row(self.core.now(), Action::NumberKeep, "kept", number.team.as_ref())
                .number(id)
                .detail(json!({ "release_at": release_at }));
            // If a concurrent change came first, the number is read again.
            if self.core.store.cancel_release(&number, &row).await? {
                return Ok(Number {
                    release_at: None,
                    ..number
                });
            }
        }
    }
}
