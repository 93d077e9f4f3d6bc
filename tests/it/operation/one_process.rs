//! One process serves a SQLite file. A second process refuses to start and changes nothing.

use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::support::binary::{CommandOutput, ServerProcess, command, output_of, run};
use crate::support::database::{with_postgres, with_sqlite};
use crate::support::eventually;
use crate::support::personas::OLGA;
use crate::support::server::{TestConfig, TestServer};

/// Runs a second `serve` on the store until it exits.
async fn serve_again(folder: &Path, store: &str) -> CommandOutput {
    let mut serve = command(folder, &["serve", "--config", "numberdesk.toml"]);
    serve.env("NUMBERDESK_STORE__URL", store);
    output_of(serve).await
}

/// Returns the status of a GET request; `None` if there is no response.
async fn status(url: String) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(url).send().await.ok()?;
    Some(answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_a_sqlite_file_refuses_to_start_and_says_why() {
    with_sqlite(|database| async move {
        let (server, mut first) = TestServer::as_process(database.clone(), TestConfig::default()).await;
        let folder = server.folder.path().to_owned();
        let url = database.url().expose_secret().to_owned();
        let file = url.strip_prefix("sqlite://").expect("a file").to_owned();
        let link = folder.join("link.db");
        std::os::unix::fs::symlink(&file, &link).expect("a link can be made");
        // The file also names a port that is in use. The error must be about the database, which comes first.
        let config = folder.join("numberdesk.toml");
        let text = std::fs::read_to_string(&config).expect("the file can be read");
        let taken = first.api.strip_prefix("http://").expect("a URL");
        let text = text.replacen("127.0.0.1:0", taken, 1);
        std::fs::write(&config, text).expect("the file can be written");
        for store in [
            url.clone(),
            format!("sqlite://{}", link.display()),
            format!("{url}?mode=rwc"),
            "sqlite://link.db".to_owned(),
        ] {
            let refused = serve_again(&folder, &store).await;
            assert_eq!(refused.code, 1, "{store}: {refused:?}");
            let pid = first.child.id().expect("the process runs");
            let real = std::fs::canonicalize(&file).expect("the file exists");
            for expected in [
                real.display().to_string(),
                format!("process {pid}"),
                "another numberdesk".to_owned(),
                "postgres://".to_owned(),
            ] {
                assert!(
                    refused.stderr.contains(&expected),
                    "{expected} is not in {refused:?}"
                );
            }
        }
        // The first process still serves, and other commands than `serve` may use the database.
        assert_eq!(server.at_ops("/readyz").await.status, 200);
        server.get(&OLGA, "/v1/orders").await.expect(200);
        let migrated = run(&folder, &["migrate", "--config", "numberdesk.toml"]).await;
        assert_eq!(migrated.code, 0, "{migrated:?}");
        // Whether a process was killed or has exited, the next one can start.
        first.kill().await;
        let mut next = ServerProcess::start(&folder).await;
        assert_eq!(next.terminate().await, 0);
        let mut last = ServerProcess::start(&folder).await;
        assert_eq!(last.terminate().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_can_serve_one_postgresql_database() {
    with_postgres(|database| async move {
        let mut server = TestServer::new(database).await;
        server.stop().await;
        let (mut first, mut second) = (server.start_process().await, server.start_process().await);
        for desk in [&first, &second] {
            eventually("the process is ready", || async {
                (status(format!("{}/readyz", desk.ops)).await == Some(200)).then_some(())
            })
            .await;
        }
        assert_eq!((first.terminate().await, second.terminate().await), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_second_dev_in_the_same_folder_refuses_to_start_and_changes_no_file() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut dev = command(folder.path(), &["dev", "--dir", "one", "--port", "0"]);
    let out = std::fs::File::create(folder.path().join("out")).expect("the file can be written");
    let errors = out.try_clone().expect("a second handle");
    let mut first = dev
        .stdout(out)
        .stderr(errors)
        .spawn()
        .expect("dev can be started");
    let ops = eventually("the first dev has ended its demo", || async {
        let printed = std::fs::read_to_string(folder.path().join("out")).expect("the file can be read");
        let ops = printed
            .split_whitespace()
            .find(|word| word.ends_with("/readyz"))?;
        printed.contains("Press Ctrl-C to stop").then(|| ops.to_owned())
    })
    .await;
    let files = || {
        ["numberdesk.toml", "close-api-key", "policy.toml", "jwks.json"]
            .map(|name| std::fs::read(folder.path().join("one").join(name)).expect("the file can be read"))
    };
    let before = files();
    let refused = run(folder.path(), &["dev", "--exit-after-tour", "--dir", "one"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let pid = first.id().expect("the process runs");
    for expected in ["one", "--dir", &format!("process {pid}")] {
        assert!(
            refused.stderr.contains(expected),
            "{expected} is not in {refused:?}"
        );
    }
    assert_eq!(refused.stdout, "", "no demo was run");
    assert_eq!(files(), before);
    assert_eq!(status(ops).await, Some(200));
    assert!(folder.path().join("one/numberdesk.db").exists());
    first.kill().await.expect("dev can be killed");
    let again = run(folder.path(), &["dev", "--exit-after-tour", "--dir", "one"]).await;
    assert_eq!(again.code, 0, "{again:?}");
}
