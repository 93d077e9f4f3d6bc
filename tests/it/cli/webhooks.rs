//! `numberdesk webhooks`: an operator shows and changes the subscription at Close.

use std::path::Path;

use close_sandbox as sandbox;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{CommandOutput, command, end, output_of, run};
use crate::support::close::FakeClose;
use crate::support::eventually;
use crate::support::personas::ISSUER;
use crate::support::server::{TestConfig, write_files};
use crate::support::snapshot;

const URL: &str = "https://desk.example/phones/webhooks/close";

/// The command line of an operator, with a simulated Close.
struct Cli {
    close: FakeClose,
    folder: TempDir,
}

impl Cli {
    /// Creates a configuration whose webhook URL is `URL`.
    async fn new() -> Self {
        let close = FakeClose::start(sandbox::Options::default()).await;
        let folder = tempfile::tempdir().unwrap();
        numberdesk::auth::DevIssuer::load_or_create(folder.path(), ISSUER).unwrap();
        let config = TestConfig {
            server: "public_url = \"https://desk.example/phones\"",
            subscribe: true,
            ..TestConfig::default()
        };
        let database = "sqlite://never-opened.db";
        write_files(
            folder.path(),
            &config,
            &close.base_url(),
            close.api_key(),
            database,
        );
        Self { close, folder }
    }

    /// Runs `webhooks` and asserts that its output contains no key.
    async fn webhooks(&self, arguments: &[&str]) -> CommandOutput {
        let arguments = [&["webhooks"], arguments].concat();
        let output = run(self.folder.path(), &arguments).await;
        let text = format!("{output:?}");
        assert!(!text.contains(self.close.api_key()), "{text}");
        for subscription in self.close.subscriptions().await {
            let key = subscription["signature_key"].as_str().unwrap();
            assert!(!text.contains(&key[..16]), "{text}");
        }
        output
    }

    /// Runs `webhooks`, which must succeed, and returns its standard output.
    async fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.webhooks(arguments).await;
        assert_eq!(output.code, 0, "{output:?}");
        output.stdout
    }
}

/// Replaces a text in the configuration, which must contain it.
fn rewrite(folder: &Path, from: &str, to: &str) {
    let path = folder.join("numberdesk.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn id(subscription: &Value) -> &str {
    subscription["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_subscription_is_created_shown_repaired_and_deleted() {
    let cli = Cli::new().await;
    let missing = cli.webhooks(&["status"]).await;
    snapshot::assert_output("cli/webhooks_status_without_a_subscription", &missing);

    let created = cli.succeed(&["create"]).await;
    let all = cli.close.subscriptions().await;
    assert!(created.contains(id(&all[0])), "{created}");
    assert_eq!((all.len(), &all[0]["url"]), (1, &json!(URL)));
    let again = cli.succeed(&["create"]).await;
    assert!(again.contains("exists and is active"), "{again}");

    let other = json!({"url": "https://hook.example/?token=hunter2",
        "events": [{"object_type": "lead", "action": "created"}]});
    assert_eq!(cli.close.call("POST", "/webhook/", Some(other)).await.0, 201);
    let active = cli.webhooks(&["status"]).await;
    snapshot::assert_output("cli/webhooks_status_active", &active);
    assert!(active.stdout.contains(id(&all[0])), "{active:?}");
    assert!(!active.stdout.contains("hunter2"), "{active:?}");

    let path = format!("/webhook/{}/", id(&all[0]));
    let pause = json!({"status": "paused", "events": [{"object_type": "group", "action": "created"}]});
    cli.close.call("PUT", &path, Some(pause)).await;
    let paused = cli.webhooks(&["status", "--format", "json"]).await;
    assert_eq!(paused.code, 1, "{paused:?}");
    let document: Value = serde_json::from_str(&paused.stdout).unwrap();
    snapshot::assert_json("cli/webhooks_status_paused", &document);
    assert_eq!(document["subscriptions"][0]["id"], all[0]["id"]);
    let repaired = cli.succeed(&["create"]).await;
    assert!(repaired.contains("active again"), "{repaired}");
    cli.succeed(&["status"]).await;

    let unconfirmed = cli.webhooks(&["delete"]).await;
    assert_eq!(unconfirmed.code, 1, "{unconfirmed:?}");
    assert!(
        unconfirmed.stderr.contains("--yes") && unconfirmed.stdout.contains(id(&all[0])),
        "{unconfirmed:?}"
    );
    assert_eq!(cli.close.subscriptions().await.len(), 2);
    cli.succeed(&["delete", "--yes"]).await;
    assert_eq!(
        cli.close.subscriptions().await.len(),
        1,
        "the subscription of another app stays"
    );
    let none = cli.succeed(&["delete", "--yes"]).await;
    assert!(none.contains("nothing to delete"), "{none}");
}

#[tokio::test]
async fn rotate_replaces_the_subscription_and_completes_an_interrupted_rotation() {
    let cli = Cli::new().await;
    cli.succeed(&["create"]).await;
    let old = cli.close.subscriptions().await;
    let new = cli.succeed(&["rotate", "--overlap", "0s"]).await;
    let all = cli.close.subscriptions().await;
    assert_eq!((all.len(), id(&all[0])), (1, new.trim()));
    assert_ne!(all[0]["id"], old[0]["id"]);
    assert_ne!(all[0]["signature_key"], old[0]["signature_key"]);

    let arguments = ["webhooks", "rotate", "--overlap", "10m"];
    let mut rotation = command(cli.folder.path(), &arguments);
    let mut rotation = rotation.stderr(std::process::Stdio::null()).spawn().unwrap();
    let both = eventually("the second subscription is created", || async {
        let all = cli.close.subscriptions().await;
        (all.len() == 2).then_some(all)
    })
    .await;
    rotation.kill().await.unwrap();
    let output = cli.webhooks(&["rotate", "--overlap", "0s"]).await;
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("continuing that rotation"), "{output:?}");
    let remaining = cli.close.subscriptions().await;
    let newest = both
        .iter()
        .find(|subscription| subscription["id"] != all[0]["id"])
        .unwrap();
    assert_eq!((remaining.len(), &remaining[0]["id"]), (1, &newest["id"]));

    // A rotation does not stop half-way if nobody reads its progress.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut unread = command(cli.folder.path(), &["webhooks", "rotate", "--overlap", "0s"]);
    let mut unread = unread.stderr(writer).spawn().unwrap();
    assert_eq!(end(&mut unread).await, 0);
    let rotated = cli.close.subscriptions().await;
    assert_eq!(rotated.len(), 1, "{rotated:?}");
    assert_ne!(rotated[0]["id"], remaining[0]["id"]);

    let too_long = cli.webhooks(&["rotate", "--overlap", "11m"]).await;
    assert_eq!(too_long.code, 2, "{too_long:?}");
    assert!(too_long.stderr.contains("10m at most"), "{too_long:?}");
}

#[tokio::test]
async fn a_command_that_fails_prints_what_to_do() {
    let cli = Cli::new().await;
    let body =
        json!({"url": "https://other.example/", "events": [{"object_type": "lead", "action": "created"}]});
    for _ in 0..40 {
        cli.close.call("POST", "/webhook/", Some(body.clone())).await;
    }
    let full = cli.webhooks(&["create"]).await;
    assert_eq!(full.code, 1, "{full:?}");
    assert!(
        full.stderr
            .contains("allows an organization 40 webhook subscriptions"),
        "{full:?}"
    );

    rewrite(
        cli.folder.path(),
        "[close]",
        "[close]\nwebhook_signature_key_file = \"close-webhook-key\"",
    );
    for (arguments, message) in [
        (
            vec!["create"],
            "remove close.webhook_signature_key_file from the configuration",
        ),
        (vec!["rotate"], "as a second line"),
    ] {
        let refused = cli.webhooks(&arguments).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
        assert!(refused.stderr.contains(message), "{refused:?}");
    }
    let status = cli.webhooks(&["status"]).await;
    assert!(status.stdout.contains("from the configuration"), "{status:?}");

    // Close can't reach a server on a loopback address.
    let mut local = command(cli.folder.path(), &["webhooks", "status"]);
    local.env("NUMBERDESK_SERVER__PUBLIC_URL", "http://127.0.0.1:8080");
    local.env("NUMBERDESK_CLOSE__BASE_URL", "https://close.invalid/api/v1");
    let local = output_of(local).await;
    assert_eq!(local.code, 1, "{local:?}");
    assert!(
        local
            .stderr
            .contains("server.public_url must name a host that Close can reach"),
        "{local:?}"
    );
    let mut broken = command(cli.folder.path(), &["webhooks", "status"]);
    broken.env("NUMBERDESK_CLOSE__SUBSCRIBE", "maybe");
    assert_eq!(output_of(broken).await.code, 64);
}
