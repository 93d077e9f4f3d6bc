//! `numberdesk webhooks listen`: forwards events to a receiver under development.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Child;

use crate::support::binary::{command, end, run, send_sigterm};
use crate::support::dev::{Dev, small_order};
use crate::support::eventually;
use crate::support::receiver::{ReceivedWebhook, Receiver};

/// A running `numberdesk webhooks listen`.
struct Listener {
    child: Child,
    secret: String,
    folder: PathBuf,
}

impl Listener {
    /// Starts it in the folder of a running `dev`, and waits until it is connected.
    async fn start(folder: &Path, receiver: &Receiver, arguments: &[&str]) -> Self {
        let url = receiver.url();
        let base = ["webhooks", "listen", "--forward-to", url.as_str()];
        let mut command = command(folder, &[&base, arguments].concat());
        let file = |name: &str| fs::File::create(folder.join(name)).expect("the file can be written");
        let child = command
            .stdout(file("listen.out"))
            .stderr(file("listen.err"))
            .spawn()
            .expect("the binary can be started");
        let mut listener = Self {
            child,
            secret: String::new(),
            folder: folder.to_owned(),
        };
        listener.connects(1).await;
        let stdout = listener.read("listen.out");
        let secret = stdout
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("secret "));
        secret
            .expect("the secret is printed first")
            .clone_into(&mut listener.secret);
        listener
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("the file can be read")
    }

    /// Waits until it has connected `times` times.
    async fn connects(&self, times: usize) {
        eventually("listen connects", || async {
            let connected = self.read("listen.err").matches("connected to").count();
            (connected >= times).then_some(())
        })
        .await;
    }

    async fn signal(&self, name: &str) {
        let id = self.child.id().expect("the process runs").to_string();
        let sent = tokio::process::Command::new("kill")
            .args([name, &id])
            .status()
            .await;
        assert!(sent.expect("kill can be run").success());
    }

    /// Stops it, and asserts that it exits well.
    async fn stop(mut self) {
        send_sigterm(&self.child).await;
        assert_eq!(end(&mut self.child).await, 0);
    }
}

/// Waits for the event of this type about the order.
async fn event_of(receiver: &Receiver, kind: &str, order: &Value) -> ReceivedWebhook {
    eventually("the event arrives", || async {
        receiver.got().into_iter().find(|received| {
            let event = received.json();
            event["type"] == kind && event["data"]["order_id"] == order["id"]
        })
    })
    .await
}

#[tokio::test]
async fn listen_sends_what_the_service_sends_signed_with_its_own_secret() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (registered, local) = (Receiver::start().await, Receiver::start().await);
    let mut start = command(folder.path(), &["dev", "--json", "--port", "0"]);
    start.env("NUMBERDESK_WEBHOOKS__PORTS", registered.port().to_string());
    let dev = Dev::run(folder.path(), start).await;
    let body = json!({ "url": registered.url(), "types": ["order.*"] });
    let (status, endpoint) = dev
        .send("LENA", "POST", "/v1/webhook-endpoints", Some(body))
        .await;
    assert_eq!(status, 201, "{endpoint}");
    let types = ["--types", "order.*,phone_number.released"];
    let listener = Listener::start(folder.path(), &local, &types).await;

    let (status, order) = dev.order("ALICE", "first", small_order("DE")).await;
    assert_eq!(status, 201, "{order}");
    let theirs = event_of(&registered, "order.fulfilled", &order).await;
    let ours = event_of(&local, "order.fulfilled", &order).await;
    assert_eq!(ours.body, theirs.body);
    assert_eq!((&ours.method, ours.id()), (&theirs.method, theirs.id()));
    let headers = |received: &ReceivedWebhook| {
        let mut headers = received.headers.clone();
        for other in ["host", "traceparent", "webhook-timestamp", "webhook-signature"] {
            assert!(headers.remove(other).is_some(), "{other}");
        }
        headers
    };
    assert_eq!(headers(&ours), headers(&theirs));
    assert!(
        ours.holds(&listener.secret),
        "the printed secret verifies the signature"
    );
    assert!(theirs.holds(endpoint["secret"].as_str().expect("a secret")));
    assert!(!theirs.holds(&listener.secret));
    let others: Vec<_> = local
        .got()
        .iter()
        .map(|received| received.json()["type"].clone())
        .collect();
    assert!(
        others
            .iter()
            .all(|kind| kind.as_str().is_some_and(|kind| kind.starts_with("order."))),
        "{others:?}"
    );
    let line = eventually("the delivery is printed", || async {
        let printed = listener.read("listen.out");
        let line = printed.lines().find(|line| line.contains(ours.id()))?;
        Some(line.to_owned())
    })
    .await;
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[1..], ["order.fulfilled", ours.id(), "204"], "{line}");
    listener.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn listen_resumes_after_its_last_event_and_reads_the_new_token_and_address() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let receiver = Receiver::start().await;
    let dev = Dev::start(folder.path(), &[]).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let listener = Listener::start(folder.path(), &receiver, &["--secret", secret]).await;
    assert_eq!(listener.secret, secret);
    let first = dev.order("ALICE", "first", small_order("DE")).await.1;
    event_of(&receiver, "order.fulfilled", &first).await;

    // While it is away, the service loses its connection, moves to another port and rejects the old token.
    listener.signal("-STOP").await;
    dev.kill().await;
    for name in ["issuer.key", "jwks.json"] {
        fs::remove_file(folder.path().join(".dev").join(name)).expect("dev has a key");
    }
    let dev = Dev::start(folder.path(), &[]).await;
    let second = dev.order("ALICE", "second", small_order("DE")).await.1;
    listener.signal("-CONT").await;
    let fulfilled = event_of(&receiver, "order.fulfilled", &second).await;
    assert!(fulfilled.holds(secret));

    let log = dev.get("ALICE", "/v1/events?limit=200").await;
    let log: Vec<_> = log["data"].as_array().expect("events").iter().collect();
    let arrived = receiver.got();
    let begin = log.iter().position(|event| event["id"] == arrived[0].id());
    let begin = begin.expect("every received event is in the log");
    for (event, received) in log[begin..].iter().zip(&arrived) {
        assert_eq!(event["id"], received.id(), "each event arrives once and in order");
    }
    listener.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn listen_reads_the_token_file_again_when_the_token_is_no_longer_accepted() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let receiver = Receiver::start().await;
    let dev = Dev::start(folder.path(), &[]).await;
    let api = dev.variable("API").to_owned();
    let port = api.rsplit(':').next().expect("a port").to_owned();
    let file = folder.path().join("token");
    fs::write(&file, dev.variable("ALICE")).expect("the file can be written");
    let listener = Listener::start(
        folder.path(),
        &receiver,
        &["--api", &api, "--token-file", "token"],
    )
    .await;
    dev.kill().await;
    fs::remove_file(folder.path().join(".dev/issuer.key")).expect("dev has a key");
    let again = command(folder.path(), &["dev", "--json", "--port", &port]);
    let dev = Dev::run(folder.path(), again).await;
    assert_eq!(dev.variable("API"), api);
    eventually("the old token is rejected", || async {
        listener.read("listen.err").contains("401").then_some(())
    })
    .await;
    fs::write(&file, dev.variable("ALICE")).expect("the file can be written");
    listener.connects(2).await;
    let order = dev.order("ALICE", "key", small_order("DE")).await.1;
    event_of(&receiver, "order.fulfilled", &order).await;
    listener.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn listen_says_what_it_needs() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = Dev::start(folder.path(), &[]).await;
    let api = dev.variable("API").to_owned();
    let to = ["webhooks", "listen", "--forward-to", "http://127.0.0.1:9/"];
    let (away, wrong) = (["--dir", "elsewhere"], ["--persona", "nobody"]);
    let invalid = ["--api", &api, "--token", "no.token.at-all"];
    let words = ["--api", &api, "--token", "two words"];
    for (arguments, expected) in [
        (away.as_slice(), "start `numberdesk dev`"),
        (wrong.as_slice(), "has no NOBODY; it has ALICE"),
        (invalid.as_slice(), "the token is not accepted: 401"),
        (words.as_slice(), "characters that no token can have"),
        (["--token-command", "exit 3"].as_slice(), "--token-command failed"),
        (
            ["--team", "platform"].as_slice(),
            "--team must name a team of the token",
        ),
    ] {
        let refused = run(folder.path(), &[&to, arguments].concat()).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.stderr.contains(expected),
            "{expected} is not in {refused:?}"
        );
    }
    for (arguments, expected) in [
        (["--secret", "secret"], "whsec_"),
        (["--types", "order.fulfiled"], "order.fulfilled"),
        (["--api", api.as_str()], "--token"),
    ] {
        let refused = run(folder.path(), &[to.as_slice(), arguments.as_slice()].concat()).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.stderr.contains(expected),
            "{expected} is not in {refused:?}"
        );
    }
    dev.stop().await;
}
