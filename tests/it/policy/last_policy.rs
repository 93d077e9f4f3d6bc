//! The policy that the database keeps, for a process that starts while its policy file is broken or missing.

use serde_json::json;

use crate::support::binary::{CommandOutput, ServerProcess, run};
use crate::support::database::{Database, on_both_stores, on_postgres_only};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA};
use crate::support::server::{POLICY, TestConfig, TestServer, text};

on_both_stores! {
    a_process_that_starts_with_an_unusable_policy_file_has_the_last_valid_policy,
    only_the_sealed_text_of_the_policy_that_was_last_in_force_is_taken,
    without_a_policy_in_the_settings_nothing_is_taken_from_the_database,
}
on_postgres_only! {
    of_replicas_with_different_files_the_later_one_decides_what_the_next_one_starts_with,
}

const BROKEN: &str = "[teams.sales]\nmax_nubmers = 5\n";

fn write(server: &TestServer, name: &str, text: &str) {
    std::fs::write(server.folder.path().join(name), text).expect("the file can be written");
}

/// Starts a process, and waits until it has read its policy file once.
async fn start(server: &mut TestServer, environment: &[(&str, &str)]) -> ServerProcess {
    let desk = server.start_process_with(environment).await;
    eventually("the replica has read its policy file", || async {
        let report = server.at_ops("/readyz?verbose").await.json();
        (report["files"]["policy"].is_object() || report["policy_source"] == "none").then_some(())
    })
    .await;
    desk
}

/// Waits until the database keeps the policy in force, and stops the process.
async fn stop(server: &TestServer, mut desk: ServerProcess) -> String {
    let policy = text(&server.at_ops("/readyz").await.json()["policy"]);
    let kept = format!("SELECT COUNT(*) FROM last_policy WHERE fingerprint = '{policy}'");
    eventually("the database keeps the policy", || async {
        (server.database.query_integer(&kept).await == 1).then_some(())
    })
    .await;
    assert_eq!(desk.terminate().await, 0);
    policy
}

async fn serve(server: &TestServer) -> CommandOutput {
    run(server.folder.path(), &["serve", "--config", "numberdesk.toml"]).await
}

async fn a_process_that_starts_with_an_unusable_policy_file_has_the_last_valid_policy(database: Database) {
    let mut server = TestServer::prepare(database, TestConfig::default()).await;
    write(&server, "policy.toml", BROKEN);
    let refused = serve(&server).await;
    assert_eq!(refused.code, 64, "{refused:?}");
    for part in [
        "policy.toml:2: teams.sales.max_nubmers",
        "no earlier policy can be used",
    ] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    write(&server, "policy.toml", POLICY);
    let desk = start(&mut server, &[]).await;
    assert_eq!(server.at_ops("/readyz").await.json()["policy_source"], "file");
    let policy = stop(&server, desk).await;

    for (nth, file) in [Some(BROKEN), None].into_iter().enumerate() {
        match file {
            Some(text) => write(&server, "policy.toml", text),
            None => {
                std::fs::remove_file(server.folder.path().join("policy.toml")).expect("the file is there");
            }
        }
        let mut desk = start(&mut server, &[]).await;
        server.wait_until_synced().await;
        let report = server.at_ops("/readyz?verbose").await.json();
        assert_eq!(
            (
                report["ready"].as_bool(),
                &report["policy"],
                &report["policy_source"]
            ),
            (Some(true), &json!(policy), &json!("database"))
        );
        assert_eq!(report["files"]["policy"]["good"], false);
        let metrics = server.at_ops("/metrics").await.text;
        for series in [
            "numberdesk_policy_good 0".to_owned(),
            format!("numberdesk_policy_info{{fingerprint=\"{policy}\"}} 1"),
        ] {
            assert!(metrics.contains(&series), "{series}");
        }
        assert!(
            desk.log()
                .contains("the service starts with the last valid policy, from the database")
        );
        server.rent(&ALICE, &format!("order-{nth}"), "DE").await;
        let doctor = run(server.folder.path(), &["doctor", "--format", "json"]).await;
        let note = format!("a service that starts now takes the policy {policy} from the database");
        assert!(doctor.code == 1 && doctor.stdout.contains(&note), "{doctor:?}");
        assert_eq!(desk.terminate().await, 0);
    }
    let mut desk = start(&mut server, &[]).await;
    let rejected = eventually("each kind of fault is one event", || async {
        let rejected = server.list(&OLGA, "/v1/events?type=policy.rejected").await;
        (rejected.len() == 2).then_some(rejected)
    })
    .await;
    assert_eq!(rejected[0]["data"]["in_force"], json!(policy));

    write(&server, "policy.toml", &format!("{POLICY}\n# repaired\n"));
    let report = eventually("the repaired file is in force", || async {
        let report = server.at_ops("/readyz").await.json();
        (report["policy_source"] == "file").then_some(report)
    })
    .await;
    assert_ne!(report["policy"], json!(policy));
    let metrics = server.at_ops("/metrics").await.text;
    let before = format!("numberdesk_policy_info{{fingerprint=\"{policy}\"}} 0");
    assert!(metrics.contains(&before), "{metrics}");
    assert_eq!(desk.terminate().await, 0);
}

async fn only_the_sealed_text_of_the_policy_that_was_last_in_force_is_taken(database: Database) {
    let mut server = TestServer::prepare(database.clone(), TestConfig::default()).await;
    let desk = start(&mut server, &[]).await;
    stop(&server, desk).await;
    write(&server, "policy.toml", BROKEN);
    for (change, undo, why) in [
        (
            "UPDATE settings SET value = '000000000000' WHERE name = 'policy'",
            "UPDATE settings SET value = (SELECT fingerprint FROM last_policy) WHERE name = 'policy'",
            "another policy was in force after",
        ),
        (
            "UPDATE last_policy SET text = text || '[teams.curious]'",
            "UPDATE last_policy SET text = replace(text, '[teams.curious]', '')",
            "was not written with this API key",
        ),
    ] {
        database.execute(change).await;
        let refused = serve(&server).await;
        assert_eq!(refused.code, 64, "{why}: {refused:?}");
        assert!(refused.stderr.contains(why), "{why}: {refused:?}");
        database.execute(undo).await;
    }
    write(&server, "close-api-key", "api_other.key");
    let refused = serve(&server).await;
    assert_eq!(refused.code, 64, "{refused:?}");
    assert!(
        refused.stderr.contains("was not written with this API key"),
        "{refused:?}"
    );
}

async fn without_a_policy_in_the_settings_nothing_is_taken_from_the_database(database: Database) {
    let mut server = TestServer::prepare(database, TestConfig::default()).await;
    let desk = start(&mut server, &[]).await;
    stop(&server, desk).await;
    let file = server.folder.path().join("numberdesk.toml");
    let settings = std::fs::read_to_string(&file).expect("the file can be read");
    std::fs::write(&file, settings.replace("[policy]\nfile = \"policy.toml\"\n", ""))
        .expect("it can be written");
    let mut desk = start(&mut server, &[]).await;
    server.wait_until_synced().await;
    assert_eq!(server.at_ops("/readyz").await.json()["policy_source"], "none");
    let denied = server
        .order(
            &ALICE,
            "denied",
            &json!({ "country": "DE", "carrier_type": "local" }),
        )
        .await;
    denied.problem(403, "policy-denied");
    let none = text(&server.at_ops("/readyz").await.json()["policy"]);
    let recorded = format!("SELECT COUNT(*) FROM settings WHERE name = 'policy' AND value = '{none}'");
    eventually("the database knows that no policy is in force", || async {
        (server.database.query_integer(&recorded).await == 1).then_some(())
    })
    .await;
    assert_eq!(desk.terminate().await, 0);
    // Another policy, none, was in force since, so that of before is not taken either.
    std::fs::write(&file, settings).expect("it can be written");
    write(&server, "policy.toml", BROKEN);
    let refused = serve(&server).await;
    assert!(
        refused.code == 64 && refused.stderr.contains("another policy was in force after"),
        "{refused:?}"
    );
}

async fn of_replicas_with_different_files_the_later_one_decides_what_the_next_one_starts_with(
    database: Database,
) {
    let mut server = TestServer::prepare(database, TestConfig::default()).await;
    let mut old = start(&mut server, &[]).await;
    let first = text(&server.at_ops("/readyz").await.json()["policy"]);
    // A rollout: the new replica has another file, and the old one keeps its own.
    write(&server, "new.toml", &format!("{POLICY}\n# new\n"));
    let new = start(&mut server, &[("NUMBERDESK_POLICY__FILE", "new.toml")]).await;
    let second = stop(&server, new).await;
    assert_ne!(first, second);
    write(&server, "broken.toml", BROKEN);
    let mut third = start(&mut server, &[("NUMBERDESK_POLICY__FILE", "broken.toml")]).await;
    let report = server.at_ops("/readyz").await.json();
    assert_eq!(
        (&report["policy"], &report["policy_source"]),
        (&json!(second), &json!("database"))
    );
    for desk in [&mut old, &mut third] {
        assert_eq!(desk.terminate().await, 0);
    }
}
