//! The program in docs/events.md that receives webhooks.

use std::process::Stdio;

use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{APP, register};
use crate::support::database::with_sqlite;
use crate::support::eventually;
use crate::support::program::root;
use crate::support::scripted::unused_address;
use crate::support::server::{TestConfig, TestServer, text, webhooks_to};

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_in_the_guide_accepts_webhooks_of_the_service_and_refuses_forged_ones() {
    with_sqlite(|database| async move {
        let guide = std::fs::read_to_string(root().join("docs/events.md")).expect("the guide");
        let program = guide
            .split("```python\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        let address = unused_address();
        let config = TestConfig {
            webhooks: webhooks_to(&[address.port()]),
            ..TestConfig::default()
        };
        let server = TestServer::with(database, config).await;
        let url = format!("http://{address}/numberdesk");
        let body = json!({ "url": url, "types": ["order.fulfilled"] });
        let endpoint = register(&server, &APP, &body).await.expect(201);
        let mut receiver = tokio::process::Command::new("python3")
            .args(["-c", program.expect("the guide has a Python program")])
            .env("WEBHOOK_SECRET", text(&endpoint["secret"]))
            .env("PORT", address.port().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Python can be run");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let forge = |headers: HeaderMap| client.post(&url).headers(headers).body("{}").send();
        let unsigned = eventually("the receiver listens", || async {
            forge(HeaderMap::new()).await.ok()
        })
        .await;
        assert_eq!(unsigned.status(), 401);
        let mut headers = HeaderMap::new();
        let now = numberdesk::domain::time::Clock::system()
            .now()
            .as_seconds()
            .to_string();
        for (name, value) in [
            ("webhook-id", "evt_1"),
            ("webhook-timestamp", now.as_str()),
            ("webhook-signature", "v1,AAAA"),
        ] {
            headers.insert(name, value.parse().expect("a header"));
        }
        assert_eq!(forge(headers).await.expect("a response").status(), 401);
        let number = server.rent(&APP, "key", "DE").await;
        let mut lines = BufReader::new(receiver.stdout.take().expect("the output is piped")).lines();
        let line = tokio::time::timeout(std::time::Duration::from_secs(30), lines.next_line()).await;
        let line = line
            .expect("a line is printed in time")
            .expect("the line can be read")
            .expect("the output has not ended");
        assert!(
            line.starts_with("order.fulfilled {") && line.contains(&number),
            "{line}"
        );
    })
    .await;
}
