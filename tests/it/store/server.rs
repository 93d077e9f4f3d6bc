//! PostgreSQL as companies run it: poolers, failovers, servers that vanish, and servers that can't be used.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use numberdesk::app::workers::Workers;
use numberdesk::error::Error;

use super::*;
use crate::support::database::{execute_on_server, on_postgres_only};
use crate::support::eventually;
use crate::support::forwarder::Forwarder;
use crate::support::pooler::Pooler;
use crate::support::scripted::unused_address;
use crate::support::tls::{self, TlsFront};

on_postgres_only! {
    behind_a_pooler_in_transaction_mode_the_store_works_and_leaves_no_trace_in_other_sessions,
    behind_a_pooler_in_session_mode_the_store_uses_sessions,
    a_url_can_say_that_there_is_a_pooler,
    a_pooler_in_statement_mode_is_refused_with_the_setting_to_change,
    a_direct_connection_is_not_taken_for_a_pooler,
    a_session_that_learns_that_its_server_only_reads_is_replaced,
    a_server_that_only_reads_is_not_used,
    connections_to_a_server_that_vanished_are_replaced_at_once,
    of_several_hosts_the_one_that_answers_is_used,
    a_schema_of_the_url_holds_the_tables,
    the_limits_of_a_provider_are_replaced,
    a_database_that_can_t_be_used_says_what_to_do,
    a_user_without_rights_to_the_schema_is_told_which_to_grant,
    a_user_without_the_right_to_create_can_use_a_finished_schema,
    a_user_without_the_right_to_create_is_told_which_migrations_are_missing,
    the_certificate_of_another_machine_is_verified_unless_the_url_says_otherwise,
    statements_under_way_when_the_server_vanishes_keep_no_connection,
    notifications_arrive_again_after_each_failover,
    a_migration_whose_server_vanishes_ends_and_can_be_repeated,
}

/// The server processes of the service in this database.
async fn processes(database: &Database) -> BTreeSet<String> {
    let query = format!(
        "SELECT pid::text FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'numberdesk'",
        database.name()
    );
    database.query_texts(&query, &[]).await.into_iter().collect()
}

async fn behind_a_pooler_in_transaction_mode_the_store_works_and_leaves_no_trace_in_other_sessions(
    database: Database,
) {
    let database = database.without_schema().await;
    let pooler = Pooler::start(&database, "transaction", 3).await;
    let stores = [pooler.database.open().await, pooler.database.open().await];
    assert!(stores.iter().all(Store::transaction_pooling));
    assert!(!stores[0].migrate().await.unwrap().is_empty());
    let tasks: Vec<_> = (0..40)
        .map(|nth| {
            let store = stores[nth % 2].clone();
            tokio::spawn(async move {
                let order = order("sales", &format!("key-{nth}"), "DE");
                assert_eq!(insert(&store, &order, &NO_CAPS).await, Inserted::New);
                store.ping().await.unwrap();
                let found = store.order(&Scope::system("test"), &order.id).await.unwrap();
                assert_eq!(
                    found.expect("the order is stored").idempotency_key,
                    order.idempotency_key
                );
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM orders").await, 40);
    // `doctor` reads by the pooler, too.
    let reader = Store::open_read_only(pooler.database.url()).await.unwrap();
    assert!(reader.migrated().await.unwrap());
    assert!(reader.probe_write(NOW).await.is_err());
    // Whatever a session of another client is now, it has the defaults of the server and can write.
    let mut others = Vec::new();
    for _ in 0..3 {
        let options: PgConnectOptions = pooler.database.url().expose_secret().parse().unwrap();
        // The pooler refuses this parameter, which the driver sends unless it is told not to.
        let mut other = options.extra_float_digits(None).connect().await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
        others.push(other);
    }
    for mut other in others {
        for (setting, value) in [
            ("statement_timeout", "0"),
            ("default_transaction_read_only", "off"),
        ] {
            let show = sqlx::AssertSqlSafe(format!("SHOW {setting}"));
            let row = sqlx::raw_sql(show).fetch_one(&mut other).await.unwrap();
            assert_eq!(row.get::<String, _>(0), value, "{setting}");
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    }
}

async fn behind_a_pooler_in_session_mode_the_store_uses_sessions(database: Database) {
    let pooler = Pooler::start(&database, "session", 12).await;
    let store = pooler.database.store().await;
    assert!(!store.transaction_pooling());
    assert_eq!(
        insert(&store, &order("sales", "k", "DE"), &NO_CAPS).await,
        Inserted::New
    );
    let narrow = Pooler::start(&database, "session", 1).await;
    let Err(error) = Store::open(narrow.database.url()).await else {
        panic!("one connection is not enough");
    };
    assert!(chain(&error).contains("session mode"), "{}", chain(&error));
}

async fn a_url_can_say_that_there_is_a_pooler(database: Database) {
    for parameter in ["pgbouncer=true", "statement_cache_size=0"] {
        let url = format!("{}?{parameter}", database.url().expose_secret());
        let store = Database::by(&url).store().await;
        assert!(store.transaction_pooling(), "{parameter}");
        store.probe_write(NOW).await.unwrap();
    }
}

async fn a_pooler_in_statement_mode_is_refused_with_the_setting_to_change(database: Database) {
    let pooler = Pooler::start(&database, "statement", 3).await;
    let Err(error) = Store::open(pooler.database.url()).await else {
        panic!("a pooler without transactions was accepted");
    };
    assert!(chain(&error).contains("pool_mode"), "{}", chain(&error));
}

async fn a_direct_connection_is_not_taken_for_a_pooler(database: Database) {
    let opened = futures::future::join_all((0..5).map(|_| database.open())).await;
    assert!(opened.iter().all(|store| !store.transaction_pooling()));
}

async fn a_session_that_learns_that_its_server_only_reads_is_replaced(database: Database) {
    let store = database.store().await;
    // One session serves many pings if each ends before the next one begins.
    let before = eventually("the pool has several sessions", || async {
        futures::future::join_all((0..8).map(|_| store.ping())).await;
        let open = processes(&database).await;
        (open.len() > 1).then_some(open)
    })
    .await;
    // The error of a standby, on sessions that stay connected.
    database
        .execute(
            "CREATE FUNCTION only_reads() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'cannot execute INSERT' USING ERRCODE = '25006'; END $$; \
             CREATE TRIGGER only_reads BEFORE INSERT ON turns FOR EACH ROW EXECUTE FUNCTION only_reads()",
        )
        .await;
    let failed = store.probe_write(NOW).await;
    assert!(matches!(failed, Err(Error::StoreUnavailable(_))), "{failed:?}");
    database.execute("DROP TRIGGER only_reads ON turns").await;
    for _ in 0..8 {
        store.probe_write(NOW).await.unwrap();
    }
    futures::future::join_all((0..8).map(|_| store.ping())).await;
    eventually("no session of before is left", || async {
        store.ping().await.ok()?;
        processes(&database).await.is_disjoint(&before).then_some(())
    })
    .await;
}

async fn a_server_that_only_reads_is_not_used(database: Database) {
    let store = database.store().await;
    let name = database.name();
    let set = |value: &str| format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
    execute_on_server(&set("on")).await.unwrap();
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    execute_on_server(&end).await.unwrap();
    let failed = store.ping().await;
    assert!(matches!(failed, Err(Error::StoreUnavailable(_))), "{failed:?}");
    eventually("the reason is known", || async {
        // Each attempt searches a server.
        let _ = store.probe_write(NOW).await;
        store.only_reads().then_some(())
    })
    .await;
    let Err(error) = Store::open(database.url()).await else {
        panic!("a database that only reads was opened for writing");
    };
    assert!(chain(&error).contains("accepts only reads"), "{}", chain(&error));
    let reader = Store::open_read_only(database.url()).await.unwrap();
    assert!(reader.inspect().await.unwrap().only_reads);
    execute_on_server(&set("off")).await.unwrap();
    eventually("the store writes again", || async {
        store.probe_write(NOW).await.ok()
    })
    .await;
    assert!(store.accepts_writes().await.unwrap());
    assert!(!store.only_reads());
}

async fn connections_to_a_server_that_vanished_are_replaced_at_once(database: Database) {
    let forwarder = Forwarder::start(&database).await;
    let store = forwarder.database.store().await;
    futures::future::join_all((0..10).map(|_| store.ping())).await;
    forwarder.freeze();
    // Ten connections that never answer. Each statement alone would wait until its own deadline.
    eventually("the store writes again", || async {
        store.probe_write(NOW).await.ok()
    })
    .await;
    for outcome in futures::future::join_all((0..10).map(|_| store.ping())).await {
        outcome.unwrap();
    }
}

async fn of_several_hosts_the_one_that_answers_is_used(database: Database) {
    let url = url::Url::parse(database.url().expose_secret()).unwrap();
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap_or(5432));
    let dead = unused_address();
    let forwarder = Forwarder::start(&database).await;
    let first = url::Url::parse(forwarder.database.url().expose_secret()).unwrap();
    let several = |first: &str| {
        format!(
            "postgres://{user}:{password}@{first},{host}:{port}/{}?target_session_attrs=read-write",
            database.name()
        )
    };
    let store = Database::by(&several(&dead.to_string())).store().await;
    store.probe_write(NOW).await.unwrap();
    // The first host is preferred, and left when it is gone.
    let address = format!("127.0.0.1:{}", first.port().unwrap());
    let store = Database::by(&several(&address)).store().await;
    forwarder.freeze();
    drop(forwarder);
    eventually("the store writes by the second host", || async {
        store.probe_write(NOW).await.ok()
    })
    .await;
}

async fn a_schema_of_the_url_holds_the_tables(database: Database) {
    let database = database.without_schema().await;
    database.execute("CREATE SCHEMA \"number-desk\"").await;
    for pooled in ["", "&pgbouncer=true"] {
        let url = format!("{}?schema=number-desk{pooled}", database.url().expose_secret());
        let store = Database::by(&url).store().await;
        store.probe_write(NOW).await.unwrap();
    }
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = ";
    assert_eq!(database.query_integer(&format!("{tables} 'public'")).await, 0);
    assert!(database.query_integer(&format!("{tables} 'number-desk'")).await > 10);
}

async fn the_limits_of_a_provider_are_replaced(database: Database) {
    database.store().await.close().await;
    let name = database.name();
    for (setting, value) in [
        ("statement_timeout", "'7s'"),
        ("idle_in_transaction_session_timeout", "'8s'"),
        ("default_transaction_isolation", "'serializable'"),
        ("synchronous_commit", "off"),
    ] {
        let set = format!("ALTER DATABASE {name} SET {setting} = {value}");
        execute_on_server(&set).await.unwrap();
    }
    // What a transaction of the service works with.
    database
        .execute(
            "CREATE TABLE seen (settings TEXT); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO seen VALUES (concat_ws(' ', current_setting('statement_timeout'), \
                current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation'), \
                current_setting('synchronous_commit'))); RETURN NEW; END $$; \
             CREATE TRIGGER see BEFORE INSERT ON turns FOR EACH ROW EXECUTE FUNCTION see()",
        )
        .await;
    for parameters in ["", "?pgbouncer=true"] {
        let url = format!("{}{parameters}", database.url().expose_secret());
        Database::by(&url).open().await.probe_write(NOW).await.unwrap();
    }
    let seen = database.query_texts("SELECT settings FROM seen", &[]).await;
    assert_eq!(seen, ["10s 15s read committed on"; 2]);
}

async fn a_database_that_can_t_be_used_says_what_to_do(database: Database) {
    let url = url::Url::parse(database.url().expose_secret()).unwrap();
    let name = format!("{}_latin", database.name());
    let create =
        format!("CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    execute_on_server(&create).await.unwrap();
    let with = |change: &dyn Fn(&mut url::Url)| {
        let mut url = url.clone();
        change(&mut url);
        url
    };
    let cases = [
        (with(&|url| url.set_path("nowhere")), "CREATE DATABASE"),
        (with(&|url| url.set_path(&name)), "LATIN1"),
        (
            with(&|url| url.set_query(Some("sslmode=require"))),
            "does not support TLS",
        ),
        (
            with(&|url| url.set_query(Some("connect_timeout=1&port=1"))),
            "127.0.0.1:1",
        ),
        (
            with(&|url| url.set_password(Some("wr0ng-s3cr3t")).unwrap()),
            "does not accept the password",
        ),
    ];
    for (url, part) in cases {
        let Err(error) = Store::open(&url.as_str().into()).await else {
            // A server without passwords accepts any.
            assert!(part.contains("password"), "{part}");
            continue;
        };
        let text = chain(&error);
        assert!(text.contains(part), "{part}: {text}");
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    execute_on_server(&format!("DROP DATABASE {name}")).await.unwrap();
}

/// Creates a user of its own with a password, and returns the URL of the database for it.
async fn user(database: &Database) -> (String, Database) {
    let name = format!("user_{}", database.name());
    execute_on_server(&format!("CREATE ROLE {name} LOGIN PASSWORD 'secret'"))
        .await
        .unwrap();
    let mut url = url::Url::parse(database.url().expose_secret()).unwrap();
    url.set_username(&name).unwrap();
    url.set_password(Some("secret")).unwrap();
    let by = Database::by(url.as_str());
    (name, by)
}

async fn remove(database: &Database, user: &str) {
    database.execute(&format!("DROP OWNED BY {user}")).await;
    execute_on_server(&format!("DROP ROLE {user}")).await.unwrap();
}

async fn a_user_without_rights_to_the_schema_is_told_which_to_grant(database: Database) {
    let database = database.without_schema().await;
    let (name, by) = user(&database).await;
    let store = by.open().await;
    let error = store.migrate().await.unwrap_err();
    assert!(
        chain(&error).contains("GRANT USAGE, CREATE ON SCHEMA public"),
        "{}",
        chain(&error)
    );
    let reader = Store::open_read_only(by.url()).await.unwrap();
    assert!(reader.inspect().await.unwrap().no_create);
    database
        .execute(&format!("GRANT USAGE, CREATE ON SCHEMA public TO {name}"))
        .await;
    assert!(!store.migrate().await.unwrap().is_empty());
    store.probe_write(NOW).await.unwrap();
    assert_eq!(
        reader.inspect().await.unwrap(),
        numberdesk::store::Inspection::default()
    );
    for store in [store, reader] {
        store.close().await;
    }
    remove(&database, &name).await;
}

async fn a_user_without_the_right_to_create_can_use_a_finished_schema(database: Database) {
    let (name, by) = user(&database).await;
    database.store().await;
    let reader = Store::open_read_only(by.url()).await.unwrap();
    database
        .execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}"))
        .await;
    assert!(reader.inspect().await.unwrap().denied_table.is_some());
    let rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public";
    database.execute(&format!("GRANT {rights} TO {name}")).await;
    assert_eq!(reader.inspect().await.unwrap().denied_table, None);
    let store = by.open().await;
    assert_eq!(store.migrate().await.unwrap(), [""; 0]);
    assert_eq!(
        insert(&store, &order("sales", "k", "DE"), &NO_CAPS).await,
        Inserted::New
    );
    for store in [store, reader] {
        store.close().await;
    }
    remove(&database, &name).await;
}

async fn a_user_without_the_right_to_create_is_told_which_migrations_are_missing(database: Database) {
    let (name, by) = user(&database).await;
    database.store().await.close().await;
    let rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public";
    database.execute(&format!("GRANT {rights} TO {name}")).await;
    database
        .execute("DELETE FROM migrations WHERE name = '0008_outgoing'")
        .await;
    let store = by.open().await;
    let error = chain(&store.migrate().await.unwrap_err());
    for part in ["lacks 0008_outgoing", "numberdesk migrate"] {
        assert!(error.contains(part), "{error}");
    }
    store.close().await;
    remove(&database, &name).await;
}

/// Returns the URL with the address 0.0.0.0, which is this machine, but not by its name: the service must take it for
/// another one.
fn remote(url: &str, port: u16, parameters: &str) -> Database {
    let mut url = url::Url::parse(url).unwrap();
    url.set_host(Some("0.0.0.0")).unwrap();
    url.set_port(Some(port)).unwrap();
    url.set_query(Some(parameters).filter(|parameters| !parameters.is_empty()));
    Database::by(url.as_str())
}

async fn the_certificate_of_another_machine_is_verified_unless_the_url_says_otherwise(database: Database) {
    let url = database.url().expose_secret();
    let forwarder = Forwarder::start(&database).await;
    let plain = url::Url::parse(forwarder.database.url().expose_secret())
        .unwrap()
        .port()
        .unwrap();
    let failure = async |database: Database| match Store::open(database.url()).await {
        Err(error) => chain(&error),
        Ok(_) => panic!("the server was trusted"),
    };
    let refused = failure(remote(url, plain, "")).await;
    for part in ["does not support TLS", "sslmode=disable"] {
        assert!(refused.contains(part), "{refused}");
    }
    for mode in ["disable", "prefer"] {
        let store = remote(url, plain, &format!("sslmode={mode}")).open().await;
        store.ping().await.unwrap();
    }

    let folder = tempfile::tempdir().unwrap();
    let authority = tls::Authority::new();
    let file = folder.path().join("ca.crt");
    let behind = std::net::SocketAddr::from(([127, 0, 0, 1], plain));
    let pair = authority.issue_to(&["0.0.0.0"], 2020, 2090);
    std::fs::write(&file, &pair.authority).unwrap();
    let front = TlsFront::of_postgres(&pair, behind).await;
    let port = front.address.port();
    let unknown = failure(remote(url, port, "")).await;
    assert!(unknown.contains("sslrootcert"), "{unknown}");
    let trusting = format!("sslrootcert={}", file.display());
    let store = remote(url, port, &trusting).open().await;
    store.probe_write(NOW).await.unwrap();
    remote(url, port, "sslmode=require")
        .open()
        .await
        .ping()
        .await
        .unwrap();

    let of_another =
        TlsFront::of_postgres(&authority.issue_to(&["db.example.com"], 2020, 2090), behind).await;
    let other = failure(remote(url, of_another.address.port(), &trusting)).await;
    assert!(other.contains("another name"), "{other}");
}

async fn statements_under_way_when_the_server_vanishes_keep_no_connection(database: Database) {
    let forwarder = Forwarder::start(&database).await;
    let store = forwarder.database.store().await;
    let begun = std::time::Instant::now();
    for failover in 0..2 {
        // Every connection of the service is in the middle of a statement.
        let options: PgConnectOptions = database.url().expose_secret().parse().unwrap();
        let mut locker = options.connect().await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            .execute(&mut locker)
            .await
            .unwrap();
        let under_way: Vec<_> = (0..20)
            .map(|nth| {
                let store = store.clone();
                tokio::spawn(async move {
                    let order = order("sales", &format!("{failover}-{nth}"), "DE");
                    let (audit, fingerprint) = (audit_row(Action::OrderCreate), "f");
                    drop(store.insert_order(&order, fingerprint, &NO_CAPS, &audit).await);
                    drop(store.order(&Scope::system("test"), &order.id).await);
                })
            })
            .collect();
        let waiting = format!(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
            database.name()
        );
        eventually("statements are under way", || async {
            (database.query_integer(&waiting).await >= 5).then_some(())
        })
        .await;
        forwarder.freeze();
        sqlx::raw_sql("ROLLBACK").execute(&mut locker).await.unwrap();
        eventually("the store writes again", || async {
            store.probe_write(NOW).await.ok()
        })
        .await;
        for task in under_way {
            task.await.unwrap();
        }
        // As many as there are connections, each of which must answer.
        let reads = (0..20).map(|_| store.ping());
        for outcome in futures::future::join_all(reads).await {
            outcome.unwrap();
        }
        let writes = (0..20).map(|_| store.probe_write(NOW));
        for outcome in futures::future::join_all(writes).await {
            outcome.unwrap();
        }
    }
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(80),
        "{:?}",
        begun.elapsed()
    );
}

async fn notifications_arrive_again_after_each_failover(database: Database) {
    let forwarder = Forwarder::start(&database).await;
    let (store, other) = (forwarder.database.store().await, database.open().await);
    let (listener, stop) = (store.clone(), CancellationToken::new());
    let pause = std::time::Duration::from_millis(200);
    Workers::new(TaskTracker::new(), stop.clone()).every("listen", pause, pause, move || {
        let listener = listener.clone();
        async move { listener.listen().await }
    });
    for failover in 0..3 {
        let mut nth = 0;
        // A start of the listener notifies once by itself, so several in a row show that another process does.
        let mut in_a_row = 0;
        let begun = std::time::Instant::now();
        while in_a_row < 4 {
            nth += 1;
            insert(
                &other,
                &order("sales", &format!("{failover}-{nth}"), "DE"),
                &NO_CAPS,
            )
            .await;
            while other.assign_sequence().await.unwrap() > 0 {}
            let notified = store.new_events();
            let notified = tokio::time::timeout(std::time::Duration::from_secs(1), notified.notified());
            in_a_row = if notified.await.is_ok() { in_a_row + 1 } else { 0 };
            assert!(
                begun.elapsed() < std::time::Duration::from_secs(90),
                "nobody listens"
            );
        }
        forwarder.freeze();
    }
    stop.cancel();
}

async fn a_migration_whose_server_vanishes_ends_and_can_be_repeated(database: Database) {
    let database = database.without_schema().await;
    let forwarder = Forwarder::start(&database).await;
    let store = forwarder.database.open().await;
    let options: PgConnectOptions = database.url().expose_secret().parse().unwrap();
    let mut migrator = options.connect().await.unwrap();
    // The lock of migrators, as another one holds it.
    sqlx::raw_sql("BEGIN; SELECT pg_advisory_xact_lock(7126083515430211)")
        .execute(&mut migrator)
        .await
        .unwrap();
    let migration = tokio::spawn({
        let store = store.clone();
        async move { store.migrate().await }
    });
    let waiting = format!(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
        database.name()
    );
    eventually("the migration waits", || async {
        (database.query_integer(&waiting).await == 1).then_some(())
    })
    .await;
    forwarder.freeze();
    sqlx::raw_sql("ROLLBACK").execute(&mut migrator).await.unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(90), migration).await;
    let error = ended.expect("the migration ends").unwrap().unwrap_err();
    assert!(matches!(error, Error::StoreUnavailable(_)), "{error:?}");
    // The server ends the session that nobody answers, and with it the lock.
    eventually("the schema is migrated", || async { store.migrate().await.ok() }).await;
    assert!(store.migrated().await.unwrap());
}
