//! Use cases as tasks of a replica, and the callers and requests that they need.

use std::sync::Arc;
use std::time::Duration;

use numberdesk::desk::{Desk, Finding, NumberFilter, OrderWithNumber, Precondition, Released};
use numberdesk::domain::authority::CallContext;
use numberdesk::domain::caller::Caller;
use numberdesk::domain::id::{OrderId, PhoneNumberId, RequestId};
use numberdesk::domain::identity::TokenIdentity;
use numberdesk::domain::number::Number;
use numberdesk::domain::order::request::OrderRequest;
use numberdesk::domain::order::{Order, Request};
use numberdesk::domain::page::{Limit, Page};
use numberdesk::domain::scope::Scope;
use numberdesk::domain::team::Team;
use numberdesk::error::Error;
use numberdesk::store::{OrderFilter, Store};
use serde_json::Value;

/// The future of a use case.
type Work<T> = futures::future::BoxFuture<'static, Result<T, Error>>;

/// Returns a closure that runs a use case for a caller, for `TestDesk::spawn` and `TestDesk::run`.
macro_rules! use_case {
    ($caller:expr, |$desk:ident, $context:ident| $work:expr) => {{
        let caller = $caller.clone();
        move |$desk: Desk| -> Work<_> {
            Box::pin(async move {
                let request_id = RequestId::generate($desk.now());
                let $context = CallContext::new(&caller, &request_id);
                $work.await
            })
        }
    }};
}

/// Orders a number without waiting for the final state.
pub(crate) fn order(
    caller: &Caller,
    key: &str,
    request: &Request,
) -> impl FnOnce(Desk) -> Work<OrderWithNumber> + use<> {
    let (request, key) = (request.clone(), key.parse().expect("a key"));
    use_case!(caller, |desk, context| async {
        let wait = Some(Duration::ZERO);
        let accepted = desk
            .orders
            .create(context, None, request, Some(key), wait)
            .await?;
        Ok(accepted.order)
    })
}

/// Releases a number.
pub(crate) fn release(
    caller: &Caller,
    number: &PhoneNumberId,
) -> impl FnOnce(Desk) -> Work<Released> + use<> {
    let number = number.clone();
    use_case!(caller, |desk, context| desk
        .numbers
        .release(context, &number, None))
}

/// Changes a number, if it has the version, or in any case if there is none. Returns the number after the change.
pub(crate) fn update(
    caller: &Caller,
    number: &PhoneNumberId,
    patch: Value,
    version: Option<&str>,
) -> impl FnOnce(Desk) -> Work<Number> + use<> {
    let number = number.clone();
    let expected = version.map(|version| Precondition::OneOf(vec![version.to_owned()]));
    use_case!(caller, |desk, context| desk.numbers.update(
        context,
        &number,
        &patch,
        expected.as_ref()
    ))
}

/// Reads a number.
pub(crate) fn find(
    caller: &Caller,
    number: &PhoneNumberId,
) -> impl FnOnce(Desk) -> Work<Arc<Number>> + use<> {
    let number = number.clone();
    use_case!(caller, |desk, context| desk.numbers.find(context, &number))
}

/// Reads an order.
pub(crate) fn find_order(
    caller: &Caller,
    id: &OrderId,
) -> impl FnOnce(Desk) -> Work<OrderWithNumber> + use<> {
    let id = id.clone();
    use_case!(caller, |desk, context| desk.orders.find(context, &id))
}

/// Cancels an order.
pub(crate) fn cancel(caller: &Caller, id: &OrderId) -> impl FnOnce(Desk) -> Work<OrderWithNumber> + use<> {
    let id = id.clone();
    use_case!(caller, |desk, context| desk.orders.cancel(context, &id))
}

/// Adopts a number for a team.
pub(crate) fn adopt(
    caller: &Caller,
    number: &PhoneNumberId,
    team: &str,
) -> impl FnOnce(Desk) -> Work<Number> + use<> {
    let (number, team) = (number.clone(), team.parse().expect("a team"));
    use_case!(caller, |desk, context| desk
        .numbers
        .transfer(context, &number, &team, None))
}

/// Lists the first 200 numbers.
pub(crate) fn list(caller: &Caller) -> impl FnOnce(Desk) -> Work<Page<Arc<Number>>> + use<> {
    let (filter, limit) = (NumberFilter::default(), Limit::new(200).expect("a limit"));
    use_case!(caller, |desk, context| desk
        .numbers
        .list(context, None, &filter, limit, None))
}

/// Settles an order that needs a review.
pub(crate) fn settle_review(
    caller: &Caller,
    id: &OrderId,
    finding: Finding,
) -> impl FnOnce(Desk) -> Work<OrderWithNumber> + use<> {
    let id = id.clone();
    use_case!(caller, |desk, context| desk
        .orders
        .settle_review(context, &id, &finding))
}

/// Returns all orders that the database has.
pub(crate) async fn orders_in(store: &Store) -> Vec<Order> {
    let limit = Limit::new(200).expect("a limit");
    let (mut orders, mut after) = (Vec::new(), None);
    loop {
        let (scope, filter) = (Scope::system("test"), OrderFilter::default());
        let page = store
            .orders(&scope, &filter, limit, after.as_deref())
            .await
            .expect("orders can be read");
        orders.extend(page.rows);
        match page.next {
            Some(next) => after = Some(next),
            None => return orders,
        }
    }
}

/// Returns a caller of the team who has all permissions for numbers.
pub(crate) fn caller(team: &str) -> Caller {
    let team: Team = team.parse().expect("a team");
    let permissions = "numbers:read numbers:rent numbers:update numbers:release numbers:group numbers:admin";
    caller_with(&team, permissions)
}

/// Returns a caller of the team who has these permissions.
pub(crate) fn caller_with(team: &Team, permissions: &str) -> Caller {
    Caller::of_token(TokenIdentity {
        teams: vec![team.clone()],
        permissions: permissions.split(' ').map(str::to_owned).collect(),
        ..TokenIdentity::named("https://idp.example.com/", &format!("app of {team}"))
    })
}

/// Reads an order request from JSON, as the API does.
pub(crate) fn request(body: &Value) -> Request {
    numberdesk::domain::input::read::read::<OrderRequest>(body)
        .expect("a request")
        .into_parts()
        .1
}
