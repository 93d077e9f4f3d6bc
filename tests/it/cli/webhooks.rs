//! `numberdesk webhooks`: the subscription seen and changed by hand, by a shell, against a simulated Close.

use std::path::Path;

use close_sandbox as sandbox;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{CommandOutput, command, output_of, run};
use crate::support::close::FakeClose;
use crate::support::eventually;
use crate::support::personas::ISSUER;
use crate::support::server::{TestConfig, write_files};

const URL: &str = "https://desk.example/phones/webhooks/close";

struct Shell {
    close: FakeClose,
    folder: TempDir,
}

impl Shell {
    /// With a configuration for a desk that Close reaches at `URL`.
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

    /// Runs it, and sees that no key is in what it says.
    async fn webhooks(&self, arguments: &[&str]) -> CommandOutput {
        let arguments = [&["webhooks"], arguments].concat();
        let ended = run(self.folder.path(), &arguments).await;
        let said = format!("{ended:?}");
        assert!(!said.contains(self.close.api_key()), "{said}");
        for subscription in self.close.subscriptions().await {
            let key = subscription["signature_key"].as_str().unwrap();
            assert!(!said.contains(&key[..16]), "{said}");
        }
        ended
    }

    async fn done(&self, arguments: &[&str]) -> String {
        let ended = self.webhooks(arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stdout
    }
}

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
async fn a_subscription_is_made_seen_mended_and_ended() {
    let shell = Shell::new().await;
    let none = shell.webhooks(&["status"]).await;
    assert_eq!(none.code, 1, "{none:?}");
    assert!(
        none.stdout.contains("none") && none.stdout.contains(URL),
        "{none:?}"
    );
    assert!(none.stdout.contains("0 of 40"), "{none:?}");

    let made = shell.done(&["create"]).await;
    let all = shell.close.subscriptions().await;
    assert!(made.contains(id(&all[0])), "{made}");
    assert_eq!((all.len(), &all[0]["url"]), (1, &json!(URL)));
    let again = shell.done(&["create"]).await;
    assert!(again.contains("exists and is active"), "{again}");

    let other = json!({"url": "https://hook.example/?token=hunter2",
        "events": [{"object_type": "lead", "action": "created"}]});
    assert_eq!(shell.close.ask("POST", "/webhook/", Some(other)).await.0, 201);
    let text = shell.done(&["status"]).await;
    for said in [
        URL,
        id(&all[0]),
        "active",
        "2 of 40",
        "healthy",
        "phone_number.created",
        "group.deleted",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");

    let path = format!("/webhook/{}/", id(&all[0]));
    let pause = json!({"status": "paused", "events": [{"object_type": "group", "action": "created"}]});
    shell.close.ask("PUT", &path, Some(pause)).await;
    let paused = shell.webhooks(&["status", "--format", "json"]).await;
    assert_eq!(paused.code, 1, "{paused:?}");
    let document: Value = serde_json::from_str(&paused.stdout).unwrap();
    assert_eq!(document["used"], 2);
    assert_eq!(document["url"], URL);
    let shown = &document["subscriptions"][0];
    assert_eq!(shown["id"], all[0]["id"]);
    assert_eq!(
        (&shown["state"], &shown["pause_reason"]),
        (&json!("paused"), &json!("api"))
    );
    assert_eq!(
        (&shown["complete"], &shown["events"]),
        (&json!(false), &json!(["group.created"]))
    );
    let mended = shell.done(&["create"]).await;
    assert!(mended.contains("active again"), "{mended}");
    shell.done(&["status"]).await;

    let asked = shell.webhooks(&["delete"]).await;
    assert_eq!(asked.code, 1, "{asked:?}");
    assert!(
        asked.stderr.contains("--yes") && asked.stdout.contains(id(&all[0])),
        "{asked:?}"
    );
    assert_eq!(shell.close.subscriptions().await.len(), 2);
    shell.done(&["delete", "--yes"]).await;
    assert_eq!(shell.close.subscriptions().await.len(), 1, "the other's stays");
    let none = shell.done(&["delete", "--yes"]).await;
    assert!(none.contains("nothing to delete"), "{none}");
}

#[tokio::test]
async fn a_key_is_rotated_by_another_subscription_and_an_interrupted_rotation_is_ended_by_the_next() {
    let shell = Shell::new().await;
    shell.done(&["create"]).await;
    let old = shell.close.subscriptions().await;
    let new = shell.done(&["rotate", "--overlap", "0s"]).await;
    let all = shell.close.subscriptions().await;
    assert_eq!((all.len(), id(&all[0])), (1, new.trim()));
    assert_ne!(all[0]["id"], old[0]["id"]);
    assert_ne!(all[0]["signature_key"], old[0]["signature_key"]);

    let arguments = ["webhooks", "rotate", "--overlap", "10m"];
    let mut rotation = command(shell.folder.path(), &arguments);
    let mut rotation = rotation.stderr(std::process::Stdio::null()).spawn().unwrap();
    let both = eventually("another one is made", || async {
        let all = shell.close.subscriptions().await;
        (all.len() == 2).then_some(all)
    })
    .await;
    rotation.kill().await.unwrap();
    let ended = shell.webhooks(&["rotate", "--overlap", "0s"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("continuing that rotation"), "{ended:?}");
    let left = shell.close.subscriptions().await;
    let newest = both.iter().find(|it| it["id"] != all[0]["id"]).unwrap();
    assert_eq!((left.len(), &left[0]["id"]), (1, &newest["id"]));

    let long = shell.webhooks(&["rotate", "--overlap", "11m"]).await;
    assert_eq!(long.code, 2, "{long:?}");
    assert!(long.stderr.contains("10m at most"), "{long:?}");
}

#[tokio::test]
async fn what_can_t_be_done_is_said_with_what_to_do_instead() {
    let shell = Shell::new().await;
    let body =
        json!({"url": "https://other.example/", "events": [{"object_type": "lead", "action": "created"}]});
    for _ in 0..40 {
        shell.close.ask("POST", "/webhook/", Some(body.clone())).await;
    }
    let full = shell.webhooks(&["create"]).await;
    assert_eq!(full.code, 1, "{full:?}");
    assert!(
        full.stderr
            .contains("allows an organization 40 webhook subscriptions"),
        "{full:?}"
    );

    rewrite(
        shell.folder.path(),
        "[close]",
        "[close]\nwebhook_signature_key_file = \"close-webhook-key\"",
    );
    for (arguments, said) in [
        (
            vec!["create"],
            "remove close.webhook_signature_key_file from the configuration",
        ),
        (vec!["rotate"], "as a second line"),
    ] {
        let no = shell.webhooks(&arguments).await;
        assert_eq!((no.code, no.stdout.as_str()), (1, ""), "{no:?}");
        assert!(no.stderr.contains(said), "{no:?}");
    }
    let status = shell.webhooks(&["status"]).await;
    assert!(status.stdout.contains("from the configuration"), "{status:?}");

    // A desk on this machine alone is not for Close to reach.
    let mut local = command(shell.folder.path(), &["webhooks", "status"]);
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
    let mut broken = command(shell.folder.path(), &["webhooks", "status"]);
    broken.env("NUMBERDESK_CLOSE__SUBSCRIBE", "maybe");
    assert_eq!(output_of(broken).await.code, 64);
}
