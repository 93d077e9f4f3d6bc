//! Opening, migrating, and a database that is not there.

use std::time::Instant;

use numberdesk::error::Error;
use secrecy::{ExposeSecret, SecretString};

use super::*;

/// Opens a database that is unavailable and returns its error.
async fn open_error(url: &str) -> String {
    match Store::open(&SecretString::from(url)).await {
        Err(error @ Error::StoreUnavailable(_)) => chain(&error),
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("{url} was opened"),
    }
}

on_both_stores! {
    migrating_twice_changes_nothing_the_second_time,
    replicas_that_start_at_once_migrate_once,
    a_closed_store_is_unavailable,
    a_corrupt_row_is_an_internal_error,
}

async fn migrating_twice_changes_nothing_the_second_time(database: Database) {
    let store = database.without_schema().await.open().await;
    assert!(!store.migrated().await.unwrap());
    let steps = store.migrate().await.unwrap();
    assert_eq!(steps.first().map(String::as_str), Some("0001_start"));
    assert!(steps.is_sorted(), "{steps:?}");
    assert!(store.migrated().await.unwrap());
    assert_eq!(store.migrate().await.unwrap(), [""; 0]);
}

async fn replicas_that_start_at_once_migrate_once(database: Database) {
    let database = database.without_schema().await;
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                let store = database.open().await;
                let applied = store.migrate().await.unwrap();
                assert!(store.migrated().await.unwrap());
                (applied, store.cursor_key().await.unwrap())
            })
        })
        .collect();
    let (mut applied, mut keys) = (Vec::new(), Vec::new());
    for task in tasks {
        let (steps, key) = task.await.unwrap();
        applied.push(steps);
        keys.push(key);
    }
    let migrators = applied.iter().filter(|steps| !steps.is_empty()).count();
    assert_eq!(migrators, 1, "exactly one replica migrates: {applied:?}");
    keys.dedup();
    assert_eq!(keys.len(), 1, "all replicas have the same cursor key");
    assert_ne!(keys[0], [0; 32]);
}

async fn a_closed_store_is_unavailable(database: Database) {
    let store = database.store().await;
    store.ping().await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(Error::StoreUnavailable(_))));
    let order = order("sales", "k", "DE");
    assert!(matches!(
        store
            .insert_order(&order, "f", &NO_CAPS, &audit_row(Action::OrderCreate))
            .await,
        Err(Error::StoreUnavailable(_))
    ));
}

async fn a_corrupt_row_is_an_internal_error(database: Database) {
    let store = database.store().await;
    let order = order("sales", "k", "DE");
    insert(&store, &order, &NO_CAPS).await;
    database
        .query_integer("UPDATE orders SET terms = 'confused' RETURNING attempt")
        .await;
    let error = store.order(&Scope::system("test"), &order.id).await.unwrap_err();
    assert!(matches!(error, Error::Internal(_)));
    assert!(chain(&error).contains("column terms"), "{}", chain(&error));
}

#[tokio::test]
async fn a_silent_server_is_unavailable_soon_and_the_password_stays_secret() {
    let started = Instant::now();
    // Port 1 refuses connections. The listener accepts them in the kernel, but never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let urls = [1, port].map(|port| format!("postgres://desk:s3cr3t@127.0.0.1:{port}/desk"));
    let (refused, unanswered) = tokio::join!(open_error(&urls[0]), open_error(&urls[1]));
    for (port, text) in [(1, refused), (port, unanswered)] {
        assert!(text.contains(&format!("127.0.0.1:{port} as desk")), "{text}");
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    // The limit is 5 s. Without one, opening would never return.
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_url_that_can_t_be_opened_says_why() {
    for (url, reason) in [
        ("sqlite::memory:", "in memory"),
        ("sqlite://desk.db?mode=memory", "in memory"),
        ("sqlite:///nowhere/at/all/desk.db", "/nowhere/at/all/desk.db"),
        ("mysql://desk:s3cr3t@host/desk", "postgres://user@host/database"),
        ("postgres://desk:s3cr3t@host:port/desk", "port"),
        ("postgres://desk:s3cr3t@host/desk?sslmod=require", "`sslmode`"),
    ] {
        let text = open_error(url).await;
        assert!(text.contains(reason), "{text}");
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}

#[tokio::test]
async fn a_new_sqlite_file_is_accessible_only_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("desk.db").display());
    let store = Store::open(&SecretString::from(url)).await.unwrap();
    store.migrate().await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{file:?}"
        );
        files += 1;
    }
    assert_eq!(files, 3, "the file, its journal and the journal's index");
}

#[tokio::test]
async fn every_text_on_postgres_sorts_by_byte_in_any_locale_of_the_server() {
    crate::support::database::with_postgres(|database| async move {
        database.store().await;
        let texts = "SELECT COUNT(*) FROM information_schema.columns \
            WHERE table_schema = 'public' AND table_name <> 'migrations' AND data_type = 'text'";
        assert!(database.query_integer(texts).await > 30);
        let others = format!("{texts} AND COALESCE(collation_name, '') <> 'C'");
        assert_eq!(database.query_integer(&others).await, 0);
    })
    .await;
}

#[tokio::test]
async fn connections_that_the_server_closed_are_replaced() {
    crate::support::database::with_postgres(|database| async move {
        let store = database.store().await;
        let name = database.name();
        database
            .query_integer(&format!(
                "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE datname = '{name}' AND pid <> pg_backend_pid()"
            ))
            .await;
        store.ping().await.unwrap();
        assert_eq!(
            insert(&store, &order("sales", "k", "DE"), &NO_CAPS).await,
            Inserted::New
        );
    })
    .await;
}

#[tokio::test]
async fn a_ping_fails_at_its_deadline_when_the_server_falls_silent() {
    crate::support::database::with_postgres(|database| async move {
        let mut url = url::Url::parse(database.url().expose_secret()).unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let silence = tokio_util::sync::CancellationToken::new();
        let silenced = silence.clone();
        let proxy = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let (server, silenced) = (server.clone(), silenced.clone());
                open.push(tokio::spawn(async move {
                    let mut upstream = tokio::net::TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
                        // Both connections stay open, but no more bytes pass.
                        () = silenced.cancelled() => std::future::pending().await,
                    }
                }));
            }
        });
        let store = Store::open(&SecretString::from(url.as_str())).await.unwrap();
        store.ping().await.unwrap();
        silence.cancel();
        let started = Instant::now();
        let Err(Error::StoreUnavailable(cause)) = store.ping().await else {
            panic!("the ping did not fail as unavailable");
        };
        // The deadline of the ping itself, which is 2 s, and not a longer one of the connection.
        assert!(cause.is::<tokio::time::error::Elapsed>(), "{cause:?}");
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{:?}",
            started.elapsed()
        );
        proxy.abort();
    })
    .await;
}
