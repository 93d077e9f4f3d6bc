//! What `dev` keeps between starts, where it writes it, and what it prints for scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::rewrite;
use crate::support::binary::{command, output_of, run};
use crate::support::dev::{Dev, small_order};
use crate::support::eventually;

#[tokio::test]
async fn dev_keeps_numbers_orders_and_close_over_a_crash_and_fresh_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = Dev::start(folder.path(), &[]).await;
    let (status, order) = dev.order("ALICE", "kept", small_order("DE")).await;
    assert_eq!(status, 201, "{order}");
    let number = &order["phone_number"]["id"];
    dev.kill().await;

    let dev = Dev::start(folder.path(), &[]).await;
    let (status, again) = dev.order("ALICE", "kept", small_order("DE")).await;
    assert_eq!((status, &again["id"]), (201, &order["id"]), "{again}");
    let held = dev.get("ALICE", "/v1/phone-numbers").await;
    assert_eq!(held["data"][0]["id"], *number, "{held}");
    // The simulated Close knows the number too, and goes on with other numbers.
    let close = dev.numbers_in_close().await;
    assert_eq!(
        (close.as_array().map(Vec::len), &close[0]["id"]),
        (Some(1), number)
    );
    let (status, second) = dev.order("ALICE", "second", small_order("DE")).await;
    assert_eq!(status, 201, "{second}");
    assert_ne!(second["phone_number"]["number"], order["phone_number"]["number"]);
    let vanished = dev.get("ALICE", "/v1/events?type=phone_number.vanished").await;
    assert_eq!(vanished["data"], json!([]));
    dev.stop().await;

    let dev = Dev::start(folder.path(), &["--fresh"]).await;
    assert_eq!(dev.get("OLAF", "/v1/orders").await["data"], json!([]));
    assert_eq!(dev.numbers_in_close().await, json!([]));
    dev.stop().await;
}

#[tokio::test]
async fn dev_begins_anew_when_only_one_half_of_its_data_is_left() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = Dev::start(folder.path(), &[]).await;
    assert_eq!(dev.order("ALICE", "lost", small_order("DE")).await.0, 201);
    dev.stop().await;
    fs::remove_file(folder.path().join(".dev/close-state.json")).expect("dev keeps the state of Close");
    let dev = Dev::start(folder.path(), &[]).await;
    let stderr = dev.stderr();
    assert!(
        stderr.contains("numberdesk.db has no close-state.json beside it: it is now numberdesk.db.old"),
        "{stderr}"
    );
    let kept = fs::metadata(folder.path().join(".dev/numberdesk.db.old")).expect("the database is kept");
    assert!(kept.len() > 0);
    assert_eq!(dev.get("ALICE", "/v1/orders").await["data"], json!([]));
    dev.stop().await;
}

#[tokio::test]
async fn after_any_valid_edit_of_the_policy_dev_starts_and_says_what_the_demo_leaves_out() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let demo = async |arguments: &[&str]| {
        let output = run(
            folder.path(),
            &[&["dev", "--exit-after-tour", "--port", "0"], arguments].concat(),
        )
        .await;
        assert_eq!(output.code, 0, "{output:?}");
        output.stdout
    };
    let whole = demo(&[]).await;
    assert!(!whole.contains("left out"), "{whole}");
    for part in [
        "found-by-reconciliation",
        "awaiting_approval",
        "phone_number.updated",
    ] {
        assert!(whole.contains(part), "{part} is not in {whole}");
    }

    let policy = |from: &str, to: &str| rewrite(folder.path(), ".dev/policy.toml", from, to);
    policy(r#"countries = ["DE", "FR", "GB", "CH"]"#, r#"countries = ["GB"]"#);
    let kept = demo(&[]).await;
    assert!(kept.contains("left out: the demo's rents"), "{kept}");
    assert!(
        kept.contains("Berlin line") || kept.contains("Front desk"),
        "{kept}"
    );
    assert!(!kept.contains("POST /v1/orders"), "the demo rents again: {kept}");

    let british = demo(&["--fresh"]).await;
    assert!(british.contains("+44"), "{british}");
    assert_eq!(british.matches("left out").count(), 1, "{british}");
    assert!(
        british.contains("left out: the policy asks for no approval"),
        "{british}"
    );

    policy(r#"countries = ["GB"]"#, "countries = []");
    let nothing = demo(&["--fresh"]).await;
    let expected = "left out: the policy allows Alice no order: teams.sales-emea.countries";
    assert!(nothing.contains(expected), "{nothing}");

    fs::write(
        folder.path().join(".dev/policy.toml"),
        "[teams.other]\ncountries = [\"DE\"]\n",
    )
    .expect("the file can be written");
    let unknown = demo(&["--fresh"]).await;
    let why = "the policy has no team sales-emea: `numberdesk token --team other` prints a token";
    assert!(unknown.contains(why), "{unknown}");
    // Without the demo, the last lines say it, instead of a command that would be denied.
    let path = folder.path().join("last-lines");
    let mut dev = command(folder.path(), &["dev", "--no-tour", "--port", "0"]);
    let mut dev = dev
        .stdout(fs::File::create(&path).expect("the file can be written"))
        .spawn()
        .expect("dev can be started");
    let printed = eventually("dev prints its last lines", || async {
        let printed = fs::read_to_string(&path).expect("the file can be read");
        printed.contains("Press Ctrl-C to stop").then_some(printed)
    })
    .await;
    assert!(printed.contains(why) && !printed.contains("curl"), "{printed}");
    dev.kill().await.expect("dev can be killed");
}

#[tokio::test]
async fn only_their_owner_can_read_the_files_of_dev() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = folder.path().join(".dev");
    let mode = |path: &Path| {
        let mode = fs::metadata(path)
            .expect("the file is there")
            .permissions()
            .mode();
        mode & 0o777
    };
    let private = || {
        assert_eq!(mode(&dev), 0o700);
        let mut names = Vec::new();
        for file in fs::read_dir(&dev).expect("the folder can be listed") {
            let file = file.expect("a file of the folder");
            let name = file.file_name().into_string().expect("a name");
            // The policy is written to be read and edited.
            let expected = if name == "policy.toml" { 0o644 } else { 0o600 };
            assert_eq!(mode(&file.path()) | (expected & 0o044), expected, "{name}");
            names.push(name);
        }
        for name in [
            "close-api-key",
            "close-state.json",
            "env",
            "issuer.key",
            "numberdesk.db",
            "webhook-secret",
        ] {
            assert!(
                names.iter().any(|known| known == name),
                "{name} is not in {names:?}"
            );
        }
    };
    Dev::start(folder.path(), &[]).await.stop().await;
    private();
    // As an older version has left it.
    fs::set_permissions(&dev, fs::Permissions::from_mode(0o755)).expect("the mode can be changed");
    for name in ["close-api-key", "env", "webhook-secret", "numberdesk.toml"] {
        let readable = fs::Permissions::from_mode(0o644);
        fs::set_permissions(dev.join(name), readable).expect("the mode can be changed");
    }
    Dev::start(folder.path(), &[]).await.stop().await;
    private();
}

#[tokio::test]
async fn json_prints_the_variables_of_the_env_file_and_the_log_goes_to_stderr() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let dev = Dev::start(folder.path(), &[]).await;
    let file = fs::read_to_string(folder.path().join(".dev/env")).expect("dev writes the file");
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let mut variables = serde_json::Map::new();
    for (name, value) in lines.filter_map(|line| line.split_once('=')) {
        variables.insert(name.to_owned(), value.into());
    }
    assert_eq!(dev.variables, serde_json::Value::Object(variables));
    for name in ["API", "OPS", "CLOSE", "ALICE", "BOB", "LENA", "OLAF", "GRETA"] {
        assert!(!dev.variable(name).is_empty(), "{name}");
    }
    dev.arm(json!({ "method": "POST", "times": 1, "effect": true, "answer": "drop_before_headers" }))
        .await;
    assert_eq!(dev.order("ALICE", "doubt", small_order("FR")).await.0, 202);
    eventually("the doubt is logged", || async {
        dev.stderr().contains("order unverified").then_some(())
    })
    .await;
    assert_eq!(dev.stdout().lines().count(), 1, "{}", dev.stdout());
    dev.stop().await;
}

#[tokio::test]
async fn no_log_line_interrupts_the_demo() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("both");
    let both = fs::File::create(&path).expect("the file can be written");
    let errors = both.try_clone().expect("a second handle");
    let mut dev = command(folder.path(), &["dev", "--port", "0"]);
    let mut dev = dev
        .stdout(both)
        .stderr(errors)
        .spawn()
        .expect("dev can be started");
    let printed = eventually("the demo ends and the log follows", || async {
        let printed = fs::read_to_string(&path).expect("the file can be read");
        printed.contains("order unverified").then_some(printed)
    })
    .await;
    let end = printed.find("Press Ctrl-C to stop").expect("the demo has ended");
    let log = printed.find("\"level\"").expect("a line of the log");
    assert!(log > end, "{printed}");
    dev.kill().await.expect("dev can be killed");
}

#[tokio::test]
async fn the_ports_of_dev_can_be_fixed() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [ops, close] = listeners.map(|listener| {
        let address = listener.local_addr().expect("a bound address");
        address.port().to_string()
    });
    let fixed = ["--ops-port", ops.as_str(), "--close-port", close.as_str()];
    let dev = Dev::start(folder.path(), &fixed).await;
    assert_eq!(dev.variable("OPS"), format!("http://127.0.0.1:{ops}"));
    assert_eq!(dev.variable("CLOSE"), format!("http://127.0.0.1:{close}"));
    for (name, port) in [("--ops-port", &ops), ("--close-port", &close)] {
        let other = command(
            folder.path(),
            &["dev", "--no-tour", "--dir", "other", "--port", "0", name, port],
        );
        let refused = output_of(other).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        let expected = format!("error: port {port} is taken; `{name}` chooses another one");
        assert!(refused.stderr.contains(&expected), "{refused:?}");
    }
    dev.stop().await;
    // Also in a folder with data, which another port would not save.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("a bound address").port().to_string();
    for name in ["--ops-port", "--close-port"] {
        let refused = run(folder.path(), &["dev", "--no-tour", "--port", "0", name, &port]).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(!refused.stderr.contains("--fresh"), "{refused:?}");
    }
}
