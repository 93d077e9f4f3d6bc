//! The commands, run as a shell runs them.

pub(crate) mod doctor;
pub(crate) mod webhooks;

use std::path::Path;

use serde_json::Value;

use crate::support::binary::{ServerProcess, command, output_of, run};
use crate::support::eventually;
use crate::support::personas::ISSUER;
use crate::support::server::{TestConfig, write_files};

/// A folder with a configuration that is fine, for a Close that is not there.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    numberdesk::auth::DevIssuer::load_or_create(folder.path(), ISSUER).expect("an issuer can be made");
    let database = format!("sqlite://{}", folder.path().join("desk.db").display());
    write_files(
        folder.path(),
        &TestConfig::default(),
        "http://127.0.0.1:9/api/v1",
        "api_x.y",
        &database,
    );
    folder
}

fn rewrite(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).expect("the file is there");
    assert!(text.contains(from), "{file} has no {from}");
    std::fs::write(path, text.replace(from, to)).expect("the file can be written");
}

#[tokio::test]
async fn every_command_explains_itself() {
    let folder = folder();
    let help = run(folder.path(), &["--help"]).await;
    assert_eq!(help.code, 0);
    for name in [
        "dev", "serve", "sandbox", "check", "policy", "audit", "token", "openapi", "migrate",
    ] {
        assert!(help.stdout.contains(name), "{name} is not in {}", help.stdout);
        let own = run(folder.path(), &[name, "--help"]).await;
        assert!(own.code == 0 && own.stdout.len() > 100, "{name}: {own:?}");
    }
    assert_eq!(run(folder.path(), &["nonsense"]).await.code, 2);
    assert_ne!(run(folder.path(), &[]).await.code, 0);
    assert!(
        run(folder.path(), &["--version"])
            .await
            .stdout
            .starts_with("numberdesk ")
    );
}

#[tokio::test]
async fn check_names_every_fault_with_file_line_and_key_and_serve_says_the_same() {
    let folder = folder();
    let fine = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert_eq!(fine.code, 0, "{fine:?}");
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "timeout = \"20s\"",
        "timeout = \"soon\"\ntimeot = \"5s\"",
    );
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "audiences = [\"numberdesk\"]",
        "audiences = []",
    );
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert_eq!((checked.code, checked.stdout.as_str()), (1, ""), "{checked:?}");
    for said in [
        "numberdesk.toml:",
        "close.timeout",
        "close.timeot",
        "did you mean",
        "auth.issuers[0].audiences",
    ] {
        assert!(
            checked.stderr.contains(said),
            "{said} is not in {}",
            checked.stderr
        );
    }
    let text = std::fs::read_to_string(folder.path().join("numberdesk.toml")).expect("it is there");
    let line = 1 + text
        .lines()
        .position(|line| line.contains("timeot"))
        .expect("it is there");
    assert!(
        checked
            .stderr
            .contains(&format!("numberdesk.toml:{line}: close.timeot")),
        "{}",
        checked.stderr
    );
    for name in ["serve", "migrate"] {
        let refused = run(folder.path(), &[name, "--config", "numberdesk.toml"]).await;
        assert_eq!((refused.code, &refused.stderr), (64, &checked.stderr), "{name}");
    }
    assert!(
        !folder.path().join("desk.db").exists(),
        "a database was made for a faulty configuration"
    );
}

#[tokio::test]
async fn check_reads_the_policy_too() {
    let folder = folder();
    let policy = "[teams.sales]\ncountries = [\"DE\", \"XX\"]\nmonthly_budget = \"12.345\"\nmax_numbrs = 5\n";
    std::fs::write(folder.path().join("policy.toml"), policy).expect("it can be written");
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert_eq!(checked.code, 1);
    for said in [
        "policy.toml:2",
        "countries",
        "policy.toml:3",
        "monthly_budget",
        "policy.toml:4",
        "max_numbers",
    ] {
        assert!(
            checked.stderr.contains(said),
            "{said} is not in {}",
            checked.stderr
        );
    }
    std::fs::remove_file(folder.path().join("policy.toml")).expect("it can be removed");
    let missing = run(folder.path(), &["serve", "--config", "numberdesk.toml"]).await;
    assert_eq!(missing.code, 64, "{missing:?}");
    let absent = run(folder.path(), &["serve", "--config", "elsewhere.toml"]).await;
    assert_eq!(absent.code, 64, "{absent:?}");
    assert!(absent.stderr.contains("elsewhere.toml"));
}

#[tokio::test]
async fn the_environment_overrides_the_file_and_is_checked_like_it() {
    let folder = folder();
    let mut check = command(folder.path(), &["check", "--config", "numberdesk.toml"]);
    check.env("NUMBERDESK_CLOSE__BASE_URL", "http://close.example.com/api/v1");
    let checked = output_of(check).await;
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(
        checked.stderr.contains("NUMBERDESK_CLOSE__BASE_URL") && checked.stderr.contains("https"),
        "{}",
        checked.stderr
    );
    let mut check = command(folder.path(), &["check", "--config", "numberdesk.toml"]);
    check.env("NUMBERDESK_CLOSE__BASE_ULR", "x");
    let checked = output_of(check).await;
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(
        checked.stderr.contains("NUMBERDESK_CLOSE__BASE_URL"),
        "the nearest key is named: {}",
        checked.stderr
    );
}

#[tokio::test]
async fn openapi_prints_the_document_that_is_committed_and_served() {
    let folder = folder();
    for format in ["json", "yaml"] {
        let printed = run(folder.path(), &["openapi", "--format", format]).await;
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("openapi/numberdesk.{format}"));
        let committed = std::fs::read_to_string(&file).expect("the document is committed");
        assert!(
            committed == printed.stdout,
            "openapi/numberdesk.{format} is old: cargo run -- openapi --format {format} > openapi/numberdesk.{format}"
        );
    }
    let printed = run(folder.path(), &["openapi"]).await;
    let document: Value = serde_json::from_str(&printed.stdout).expect("JSON is the default");
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    let mut desk = ServerProcess::start(folder.path()).await;
    let served = reqwest::Client::builder().no_proxy().build().expect("a client");
    let served = served
        .get(format!("{}/openapi.json", desk.api))
        .send()
        .await
        .expect("an answer");
    assert_eq!(served.json::<Value>().await.expect("JSON"), document);
    assert_eq!(desk.terminate().await, 0);
}

#[tokio::test]
async fn policy_explain_says_rule_have_need_and_hint() {
    let folder = folder();
    let explain = async |more: &[&str]| {
        let base = [
            "policy",
            "explain",
            "--config",
            "numberdesk.toml",
            "--team",
            "sales",
        ];
        run(folder.path(), &[&base, more].concat()).await
    };
    let yes = explain(&["--country", "DE"]).await;
    assert_eq!(yes.code, 0, "{yes:?}");
    assert!(
        yes.stdout.starts_with("allowed  by teams.sales\n") && yes.stdout.contains("5.00"),
        "{}",
        yes.stdout
    );
    let no = explain(&["--country", "JP"]).await;
    assert_eq!(no.code, 1);
    for said in [
        "denied   by teams.sales.countries
",
        "have     \"JP\"
",
        "need     ",
        "hint     ",
    ] {
        assert!(no.stdout.contains(said), "{said} is not in {}", no.stdout);
    }
    let group = explain(&["--country", "DE", "--sharing", "group"]).await;
    assert!(
        group.code == 1 && group.stdout.contains("numbers:group"),
        "{group:?}"
    );
    let with = explain(&[
        "--country",
        "DE",
        "--sharing",
        "group",
        "--permissions",
        "numbers:rent,numbers:group",
    ])
    .await;
    assert_eq!(with.code, 0, "{with:?}");
    let full = explain(&["--country", "DE", "--numbers-held", "400"]).await;
    assert!(full.stdout.contains("teams.sales.max_numbers"), "{full:?}");
    assert_eq!(explain(&["--country", "Germany"]).await.code, 2);
}

#[tokio::test]
async fn token_refuses_where_there_is_no_dev_issuer() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let refused = run(folder.path(), &["token", "--team", "sales"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
    assert!(refused.stderr.contains("dev"), "{refused:?}");
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("it can be listed")
            .count(),
        0,
        "an issuer was made"
    );
}

#[tokio::test]
async fn migrate_may_be_run_again() {
    let folder = folder();
    let first = run(folder.path(), &["migrate", "--config", "numberdesk.toml"]).await;
    assert!(first.code == 0 && first.stdout.contains("applied"), "{first:?}");
    let second = run(folder.path(), &["migrate", "--config", "numberdesk.toml"]).await;
    assert!(
        second.code == 0 && second.stdout.contains("up to date"),
        "{second:?}"
    );
}

#[tokio::test]
async fn health_is_the_exit_code_of_readiness() {
    let folder = folder();
    let mut desk = ServerProcess::start(folder.path()).await;
    let url = format!("{}/readyz", desk.ops);
    // It listens before it has read its inventory.
    eventually("it is healthy", || async {
        let asked = run(folder.path(), &["health", "--url", &url]).await;
        (asked.code == 0).then_some(())
    })
    .await;
    assert_eq!(
        run(
            folder.path(),
            &["health", "--url", &format!("{}/nothing", desk.ops)]
        )
        .await
        .code,
        1
    );
    assert_eq!(desk.terminate().await, 0);
    assert_eq!(run(folder.path(), &["health", "--url", &url]).await.code, 1);
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has an address").to_string();
    let folder = folder();
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "\nlisten = \"127.0.0.1:0\"",
        &format!("\nlisten = \"{address}\""),
    );
    let refused = run(folder.path(), &["serve", "--config", "numberdesk.toml"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains(&address) && refused.stderr.contains("server.listen"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn dev_gives_the_tour_with_nothing_to_configure_and_twice_at_once() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it has an address").port().to_string();
    let mut both = Vec::new();
    for name in ["one", "two"] {
        let mut dev = command(
            folder.path(),
            &["dev", "--exit-after-tour", "--dir", name, "--port", &port],
        );
        dev.env("NO_COLOR", "1");
        both.push(output_of(dev));
    }
    for toured in futures::future::join_all(both).await {
        assert_eq!(toured.code, 0, "{toured:?}");
        for said in [
            "fulfilled",
            "teams.sales-emea.countries",
            "teams.sales-emea.group_numbers",
            "the same order",
            "order.create",
        ] {
            assert!(toured.stdout.contains(said), "{said} is not in {}", toured.stdout);
        }
        assert!(
            !toured.stdout.contains('\u{1b}'),
            "colours in a pipe: {}",
            toured.stdout
        );
        assert!(
            toured.stderr.contains(&format!("port {port} is taken")),
            "{}",
            toured.stderr
        );
    }
    // The folder's issuer signs for who asks, and only there.
    let minted = run(folder.path(), &["token", "--team", "sales-emea", "--dir", "one"]).await;
    assert_eq!(
        (minted.code, minted.stdout.matches('.').count()),
        (0, 2),
        "{minted:?}"
    );
    // A second time in the same folder begins anew and keeps what was edited.
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
    let kept = std::fs::read_to_string(folder.path().join("one/policy.toml")).expect("it is there");
    assert!(kept.contains("max_numbers = 49"));
}

#[tokio::test]
async fn the_sandbox_prints_where_close_is() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let faults = r#"[{"path": "/me/", "times": 1, "answer": {"status": 503}}]"#;
    std::fs::write(folder.path().join("faults.json"), faults).expect("it can be written");
    let out = folder.path().join("out");
    let file = std::fs::File::create(&out).expect("it can be written");
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
        .expect("it can be started");
    let url = eventually("the sandbox says where it is", || async {
        let said = std::fs::read_to_string(&out).expect("it can be read");
        said.ends_with('\n').then(|| said.trim().to_owned())
    })
    .await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let world = url.replace("/api/v1", "/_control/world");
    let world: Value = client
        .get(world)
        .send()
        .await
        .expect("it answers")
        .json()
        .await
        .expect("JSON");
    let key = world["api_key"].as_str().expect("it has a key");
    let me = async || {
        client
            .get(format!("{url}/me/"))
            .basic_auth(key, Some(""))
            .send()
            .await
            .expect("it answers")
    };
    assert_eq!(me().await.status(), 503);
    assert_eq!(me().await.status(), 200);
    child.kill().await.expect("it can be ended");

    std::fs::write(folder.path().join("faults.json"), "[{\"metod\": 1}]").expect("it can be written");
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
