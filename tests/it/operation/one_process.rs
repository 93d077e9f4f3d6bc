//! A SQLite file is served by one process; who comes second is told so and changes nothing.

use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::support::binary::{CommandOutput, ServerProcess, command, output_of, run};
use crate::support::database::{with_postgres, with_sqlite};
use crate::support::eventually;
use crate::support::personas::OLGA;
use crate::support::server::TestServer;

async fn second(folder: &Path, store: &str) -> CommandOutput {
    let mut serve = command(folder, &["serve", "--config", "numberdesk.toml"]);
    serve.env("NUMBERDESK_STORE__URL", store);
    output_of(serve).await
}

async fn status(url: String) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(url).send().await.ok()?;
    Some(answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_a_sqlite_file_refuses_to_start_and_says_why() {
    with_sqlite(|database| async move {
        let mut server = TestServer::new(database.clone()).await;
        server.stop().await;
        let mut first = server.start_process().await;
        let folder = server.folder.path().to_owned();
        let url = database.url().expose_secret().to_owned();
        let file = url.strip_prefix("sqlite://").expect("a file").to_owned();
        let link = folder.join("link.db");
        std::os::unix::fs::symlink(&file, &link).expect("a link can be made");
        // A port that is taken would be found only later.
        let config = folder.join("numberdesk.toml");
        let text = std::fs::read_to_string(&config).expect("it is there");
        let taken = first.api.strip_prefix("http://").expect("a URL");
        let text = text.replacen("127.0.0.1:0", taken, 1);
        std::fs::write(&config, text).expect("it can be written");
        for store in [
            url.clone(),
            format!("sqlite://{}", link.display()),
            format!("{url}?mode=rwc"),
            "sqlite://link.db".to_owned(),
        ] {
            let refused = second(&folder, &store).await;
            assert_eq!(refused.code, 1, "{store}: {refused:?}");
            let pid = first.child.id().expect("it runs");
            let real = std::fs::canonicalize(&file).expect("it is there");
            for said in [
                real.display().to_string(),
                format!("process {pid}"),
                "another numberdesk".to_owned(),
                "postgres://".to_owned(),
            ] {
                assert!(refused.stderr.contains(&said), "{said} is not in {refused:?}");
            }
        }
        // The first one goes on, and whoever does not serve is free to look and to migrate.
        assert_eq!(server.at_ops("/readyz").await.status, 200);
        server.get(&OLGA, "/v1/orders").await.expect(200);
        let migrated = run(&folder, &["migrate", "--config", "numberdesk.toml"]).await;
        assert_eq!(migrated.code, 0, "{migrated:?}");
        // However it ends, the next one can start.
        first.kill().await;
        let mut next = ServerProcess::start(&folder).await;
        assert_eq!(next.terminate().await, 0);
        let mut last = ServerProcess::start(&folder).await;
        assert_eq!(last.terminate().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_of_processes_serve_one_postgresql_database() {
    with_postgres(|database| async move {
        let mut server = TestServer::new(database).await;
        server.stop().await;
        let (mut first, mut second) = (server.start_process().await, server.start_process().await);
        for desk in [&first, &second] {
            eventually("it is ready", || async {
                (status(format!("{}/readyz", desk.ops)).await == Some(200)).then_some(())
            })
            .await;
        }
        assert_eq!((first.terminate().await, second.terminate().await), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_second_dev_in_one_folder_leaves_the_first_one_s_files_alone() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut dev = command(folder.path(), &["dev", "--dir", "one", "--port", "0"]);
    let out = std::fs::File::create(folder.path().join("out")).expect("it can be written");
    let errors = out.try_clone().expect("a second handle");
    let mut first = dev.stdout(out).stderr(errors).spawn().expect("it can be started");
    let ops = eventually("the first dev has given its tour", || async {
        let said = std::fs::read_to_string(folder.path().join("out")).expect("it can be read");
        let ops = said.split_whitespace().find(|word| word.ends_with("/readyz"))?;
        said.contains("Press Ctrl-C to stop").then(|| ops.to_owned())
    })
    .await;
    let files = || {
        ["numberdesk.toml", "close-api-key", "policy.toml", "jwks.json"]
            .map(|name| std::fs::read(folder.path().join("one").join(name)).expect("it is there"))
    };
    let before = files();
    let refused = run(folder.path(), &["dev", "--exit-after-tour", "--dir", "one"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let pid = first.id().expect("it runs");
    for said in ["one", "--dir", &format!("process {pid}")] {
        assert!(refused.stderr.contains(said), "{said} is not in {refused:?}");
    }
    assert_eq!(refused.stdout, "", "no tour was given");
    assert_eq!(files(), before);
    assert_eq!(status(ops).await, Some(200));
    assert!(folder.path().join("one/numberdesk.db").exists());
    first.kill().await.expect("it can be ended");
    let again = run(folder.path(), &["dev", "--exit-after-tour", "--dir", "one"]).await;
    assert_eq!(again.code, 0, "{again:?}");
}
