//! Event streams through the reverse proxies that companies have.

use crate::support::database::{Database, on_sqlite};
use crate::support::nginx::Nginx;
use crate::support::personas::ALICE;
use crate::support::server::TestServer;
use crate::support::stream::Stream;

on_sqlite! {
    events_arrive_at_once_through_nginx_with_its_default_settings,
}

async fn events_arrive_at_once_through_nginx_with_its_default_settings(database: Database) {
    let server = TestServer::new(database).await;
    let direct = server
        .request_as(&ALICE, "GET", "/v1/events/stream")
        .send()
        .await
        .unwrap();
    assert_eq!(direct.headers()["x-accel-buffering"], "no");
    assert_eq!(direct.headers()["cache-control"], "no-cache, no-transform");
    drop(direct);

    // A stream begins with the id of the last event, if there is one.
    server.rent(&ALICE, "zero", "DE").await;
    let nginx = Nginx::start(&server.api).await;
    let request = nginx
        .client()
        .get("http://numberdesk/v1/events/stream")
        .bearer_auth(server.token(&ALICE));
    let mut stream = Stream::open(request, None).await;
    let last = stream.begins_after().await;
    server.rent(&ALICE, "one", "DE").await;
    // A later event would take these out of nginx's buffer. None follows.
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "order.fulfilled") {
        kinds.push(stream.next().await.expect("the stream goes on").kind);
    }
    assert!(
        !last.is_empty() && kinds.contains(&"order.queued".to_owned()),
        "{kinds:?}"
    );
}
