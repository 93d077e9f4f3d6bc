//! The commands for development: `dev`, `token` and `sandbox`.

use serde_json::Value;

use super::rewrite;
use crate::support::binary::{command, output_of, run};
use crate::support::eventually;

#[tokio::test]
async fn token_fails_without_a_dev_issuer() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let refused = run(folder.path(), &["token", "--team", "sales"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
    assert!(
        refused.stderr.contains("`numberdesk dev`") && refused.stderr.contains("`--dir`"),
        "{refused:?}"
    );
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("the folder can be listed")
            .count(),
        0,
        "an issuer was created"
    );
}

#[tokio::test]
async fn dev_runs_the_demo_without_configuration_and_twice_at_once() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("a bound address").port().to_string();
    let mut both = Vec::new();
    for name in ["one", "two"] {
        let mut dev = command(
            folder.path(),
            &["dev", "--exit-after-tour", "--dir", name, "--port", &port],
        );
        dev.env("NO_COLOR", "1");
        both.push(output_of(dev));
    }
    for demo in futures::future::join_all(both).await {
        assert_eq!(demo.code, 0, "{demo:?}");
        for part in [
            "fulfilled",
            "teams.sales-emea.countries",
            "teams.sales-emea.group_numbers",
            "the same order",
            "order.create",
        ] {
            assert!(demo.stdout.contains(part), "{part} is not in {}", demo.stdout);
        }
        assert!(
            !demo.stdout.contains('\u{1b}'),
            "escape codes in a pipe: {}",
            demo.stdout
        );
        assert!(
            demo.stderr.contains(&format!("port {port} is taken")),
            "{}",
            demo.stderr
        );
    }
    // `token` uses the dev issuer of the folder.
    let token = run(folder.path(), &["token", "--team", "sales-emea", "--dir", "one"]).await;
    assert_eq!(
        (token.code, token.stdout.matches('.').count()),
        (0, 2),
        "{token:?}"
    );
    // A second run in the same folder starts again and keeps the edited policy.
    rewrite(
        folder.path(),
        "one/policy.toml",
        "max_numbers = 50",
        "max_numbers = 49",
    );
    let again = run(
        folder.path(),
        &["dev", "--exit-after-tour", "--dir", "one", "--port", &port],
    )
    .await;
    assert_eq!(again.code, 0, "{again:?}");
    let policy =
        std::fs::read_to_string(folder.path().join("one/policy.toml")).expect("the file can be read");
    assert!(policy.contains("max_numbers = 49"));
}

#[tokio::test]
async fn sandbox_prints_its_address_and_applies_faults() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let faults = r#"[{"path": "/me/", "times": 1, "answer": {"status": 503}}]"#;
    std::fs::write(folder.path().join("faults.json"), faults).expect("the file can be written");
    let out = folder.path().join("out");
    let file = std::fs::File::create(&out).expect("the output can be created");
    let mut sandbox = command(
        folder.path(),
        &[
            "sandbox",
            "--listen",
            "127.0.0.1:0",
            "--seed",
            "7",
            "--faults",
            "faults.json",
        ],
    );
    let mut child = sandbox
        .stdout(file)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the sandbox can be started");
    let url = eventually("the sandbox prints its URL", || async {
        let printed = std::fs::read_to_string(&out).expect("the output can be read");
        printed.ends_with('\n').then(|| printed.trim().to_owned())
    })
    .await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let world = url.replace("/api/v1", "/_control/world");
    let world: Value = client
        .get(world)
        .send()
        .await
        .expect("the sandbox answers")
        .json()
        .await
        .expect("JSON");
    let key = world["api_key"].as_str().expect("the state has an API key");
    let me = async || {
        client
            .get(format!("{url}/me/"))
            .basic_auth(key, Some(""))
            .send()
            .await
            .expect("the sandbox answers")
    };
    assert_eq!(me().await.status(), 503);
    assert_eq!(me().await.status(), 200);
    child.kill().await.expect("the sandbox can be killed");

    std::fs::write(folder.path().join("faults.json"), "[{\"metod\": 1}]").expect("the file can be written");
    let refused = run(
        folder.path(),
        &["sandbox", "--listen", "127.0.0.1:0", "--faults", "faults.json"],
    )
    .await;
    assert!(
        refused.code == 1 && refused.stderr.contains("faults.json") && refused.stderr.contains("metod"),
        "{refused:?}"
    );
}
