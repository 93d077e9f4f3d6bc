//! The client for Close against a vendor that breaks every rule of its API and of HTTP.

pub(crate) mod hostile;
mod log;
mod paging;
mod radar;
mod rent;
mod retry;
mod secret;
mod vendor;

use std::time::Duration;

use numberdesk::close::{CloseClient, RentOutcome, Settings};
use numberdesk::domain::id::PhoneNumberId;
use numberdesk::domain::later_word::LaterMembers;
use numberdesk::domain::money::Money;
use numberdesk::domain::number::Sharing;
use numberdesk::domain::order::{Request, Terms};
use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use self::vendor::Vendor;

pub(crate) const KEY: &str = "api_canary1234567890abcdef.ghijklmnop";
/// `KEY` as the header `authorization` carries it.
pub(crate) const BASIC: &str = "YXBpX2NhbmFyeTEyMzQ1Njc4OTBhYmNkZWYuZ2hpamtsbW5vcDo=";

/// A client of the vendor with a deadline of 5 s, which a busy machine does not exceed by itself.
pub(crate) fn close(vendor: &Vendor) -> CloseClient {
    close_with(vendor, Duration::from_secs(5))
}

pub(crate) fn close_with(vendor: &Vendor, timeout: Duration) -> CloseClient {
    close_at(&format!("http://{}/api/v1", vendor.address), timeout)
}

pub(crate) fn close_at(base_url: &str, timeout: Duration) -> CloseClient {
    let settings = Settings::new(base_url.parse().unwrap(), timeout);
    CloseClient::new(settings, KEY.into(), Clock::system()).unwrap()
}

/// Rents a number in Germany.
pub(crate) async fn rent(close: &CloseClient) -> RentOutcome {
    let request = Request {
        country: "DE".parse().unwrap(),
        sharing: Sharing::Personal,
        prefix: Some("30".into()),
        carrier_type: None,
        bundle_id: None,
        with_sms: None,
        with_mms: None,
        assign_to: None,
        label: None,
        later: LaterMembers::new(),
    };
    let terms = Terms {
        carrier_type: None,
        assign_to: None,
        monthly: Money::ZERO,
        later: LaterMembers::new(),
    };
    close.rent(&request, &terms).await
}

pub(crate) fn id(text: &str) -> PhoneNumberId {
    text.parse().unwrap()
}

/// A phone number as Close shows it.
pub(crate) fn number(id: &str) -> Value {
    json!({"id": id, "organization_id": "orga_A", "number": "+493012345", "country": "DE", "type": "internal"})
}
