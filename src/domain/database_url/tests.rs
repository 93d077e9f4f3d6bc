//! The forms of URL that people copy, and the faults of those that can't work.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;

fn postgres(text: &str) -> PostgresUrl {
    match DatabaseUrl::parse(text) {
        Ok(DatabaseUrl::Postgres(url)) => *url,
        other => panic!("{text}: {other:?}"),
    }
}

fn fault(text: &str) -> String {
    match DatabaseUrl::parse(text) {
        Err(fault) => fault,
        Ok(url) => panic!("{text} was accepted: {url:?}"),
    }
}

fn host(name: &str, port: Option<u16>) -> Host {
    Host {
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        port,
    }
}

#[test]
fn the_urls_of_libpq_and_of_providers_are_read_as_their_authors_mean_them() {
    let neon = postgres(
        "postgresql://neondb_owner:npg_x@ep-cool-1-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&\
         channel_binding=require",
    );
    assert_eq!(neon.tls, Some(TlsMode::VerifyFull));
    assert_eq!(neon.authorities, Some(Authorities::System));
    let endpoint = postgres("postgres://u:p@h/d?options=endpoint%3Dep-cool-1");
    assert_eq!(endpoint.options.as_deref(), Some("endpoint=ep-cool-1"));
    let supabase = postgres(
        "postgresql://postgres.abc:pw@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=5&\
         pool_timeout=10&schema=desk",
    );
    assert_eq!(supabase.user.as_deref(), Some("postgres.abc"));
    assert_eq!(supabase.hosts, [host("aws-0-eu.pooler.supabase.com", Some(6543))]);
    assert!(supabase.transaction_pooling);
    assert_eq!(
        (supabase.connections, supabase.wait, supabase.search_path),
        (Some(5), Some(Duration::from_secs(10)), vec!["desk".to_owned()])
    );
    let rds = postgres(
        "postgres://u@db.rds.amazonaws.com/d?sslmode=require&sslrootcert=/etc/rds.pem&connect_timeout=60",
    );
    assert_eq!(rds.tls, Some(TlsMode::VerifyCa), "libpq verifies then, too");
    assert_eq!(
        rds.authorities,
        Some(Authorities::File("/etc/rds.pem".to_owned()))
    );
    assert_eq!(rds.wait, Some(Duration::from_secs(15)));
    let several = postgres(
        "postgres://u@one,two:5433,[::1]:5434/d?target_session_attrs=read-write&application_name=desk",
    );
    assert_eq!(
        several.hosts,
        [
            host("one", None),
            host("two", Some(5433)),
            host("::1", Some(5434))
        ]
    );
    assert_eq!(several.application_name.as_deref(), Some("desk"));
    assert_eq!(several.to_string(), "postgres://u@one,two:5433,[::1]:5434/d");
    let listed = postgres("postgres:///d?host=one,two&port=5433&user=u@tenant&password=p%20w");
    assert_eq!(listed.hosts, [host("one", Some(5433)), host("two", Some(5433))]);
    assert_eq!(listed.user.as_deref(), Some("u@tenant"));
    assert_eq!(listed.password.expect("a password").expose_secret(), "p w");
    for socket in [
        "postgres:///d?host=/var/run/postgresql",
        "postgres://%2Fvar%2Frun%2Fpostgresql/d",
    ] {
        assert_eq!(postgres(socket).hosts, [host("/var/run/postgresql", None)]);
        assert_eq!(postgres(socket).database.as_deref(), Some("d"));
    }
    assert_eq!(postgres("postgres:///d").hosts, []);
    assert_eq!(
        postgres("postgres://h?sslrootcert=system").tls,
        Some(TlsMode::VerifyFull)
    );
    assert!(postgres("postgres://h/d?statement_cache_size=0").transaction_pooling);
    assert!(!postgres("postgres://h/d?statement-cache-capacity=100").transaction_pooling);
}

#[test]
fn a_password_is_read_or_its_fault_is_named_and_never_repeats_it() {
    for (written, password) in [
        ("p%40%2F%3F%23%3A%25", "p@/?#:%"),
        ("p@ss", "p@ss"),
        ("a:b", "a:b"),
        ("grün", "grün"),
        ("a+b", "a+b"),
    ] {
        let url = postgres(&format!("postgres://u:{written}@h:5432/d"));
        assert_eq!(url.password.expect("a password").expose_secret(), password);
        assert_eq!(url.hosts, [host("h", Some(5432))]);
    }
    for written in [
        "hunt/er2",
        "hunt?er2",
        "hunt#er2",
        "12/er2",
        "12?er2=x",
        "12#er2",
        "hunt?a&er2",
    ] {
        for user in ["u:", "u:x@y:"] {
            let fault = fault(&format!("postgres://{user}{written}@h/d"));
            assert!(
                fault.contains("%2F") && fault.contains("store.password_file"),
                "{fault}"
            );
            assert!(!fault.contains("er2") && !fault.contains("hunt"), "{fault}");
        }
    }
    for written in ["100%er2", "er2%", "er2%f"] {
        let fault = fault(&format!("postgres://u:{written}@h/d"));
        assert!(fault.contains("%25") && !fault.contains("er2"), "{fault}");
    }
    assert!(
        fault("postgresql://postgres:[YOUR-PASSWORD]@db.x.supabase.co:5432/postgres").contains("placeholder")
    );
}

#[test]
fn a_url_of_another_kind_is_a_fault_that_names_the_difference() {
    for (text, part) in [
        ("jdbc:postgresql://h/d?user=u&password=hunter2", "JDBC"),
        ("psql 'postgresql://u:hunter2@h/d'", "only the URL"),
        ("'postgresql://u:hunter2@h/d'", "only the URL"),
        ("postgresql+psycopg2://u:hunter2@h/d", "driver"),
        ("host=h user=u password=hunter2", "keys and values"),
        ("Server=h;User Id=u;Password=hunter2", "ADO.NET"),
        ("Postgres://u:hunter2@h/d", "upper case"),
        ("mysql://u:hunter2@h/d", "postgres://user@host/database"),
        ("postgres://u:hunter2@h/d'", "quotation"),
        ("postgres://u:hunter2@h /d", "white space"),
        ("postgres://u:hunter2@::1/d", "brackets"),
        ("postgres://u:hunter2@[::x]/d", "IPv6"),
        ("postgres://u:hunter2@h:port/d", "port"),
        ("postgres://u:hunter2@h:70000/d", "port"),
        ("postgres://u:hunter2@<host>/d", "host"),
        ("postgres://u:hunter2@h/d/e", "database"),
        ("sqlite://", "must name a file"),
        ("sqlite://a.db?mod=rwc", "did you mean `mode`?"),
    ] {
        let fault = fault(text);
        assert!(fault.contains(part), "{text}: {fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}

#[test]
fn a_parameter_that_can_t_be_honoured_is_a_fault_that_names_it() {
    for (parameters, part) in [
        ("sslmod=require", "did you mean `sslmode`?"),
        ("frobnicate=1", "unknown parameter `frobnicate`"),
        ("sslmode=no-verify", "sslmode"),
        ("ssl=true", "sslmode=require"),
        ("sslmode=require&sslrootcert=system", "verify-full"),
        ("sslmode=disable&channel_binding=require", "channel_binding"),
        ("sslcert=/c", "sslkey"),
        ("target_session_attrs=standby", "the service writes"),
        ("sslcrl=/x", "sslcrl"),
        ("gssencmode=require", "gssencmode"),
        ("client_encoding=LATIN1", "client_encoding"),
        ("connect_timeout=soon", "connect_timeout"),
        ("connection_limit=1", "from 3 to 100"),
        ("host=a,b&port=1,2,3", "number of ports"),
        ("host=a&hostaddr=::1", "hostaddr"),
        ("sslmode=require&sslmode=disable", "twice"),
        ("sslmode", "without `=`"),
        ("search_path=a';--", "list of schemas"),
    ] {
        let fault = fault(&format!("postgres://u:hunter2@h/d?{parameters}"));
        assert!(fault.contains(part), "{parameters}: {fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}

#[test]
fn the_certificate_of_another_machine_is_verified_unless_the_url_says_otherwise() {
    for (text, mode) in [
        ("postgres://u@db.example.com/d", Some(TlsMode::VerifyFull)),
        ("postgres://u@10.0.0.7/d", Some(TlsMode::VerifyFull)),
        ("postgres://u@[fd00::1]/d", Some(TlsMode::VerifyFull)),
        ("postgres://u@localhost.example.com/d", Some(TlsMode::VerifyFull)),
        ("postgres://u@db/d?sslrootcert=/ca.pem", Some(TlsMode::VerifyFull)),
        ("postgres://u@db/d?sslmode=prefer", Some(TlsMode::Prefer)),
        ("postgres://u@db/d?sslmode=disable", Some(TlsMode::Disable)),
        (
            "postgres://u@127.0.0.1/d?sslrootcert=/ca.pem",
            Some(TlsMode::VerifyFull),
        ),
        ("postgres://u@localhost/d", None),
        ("postgres://u@127.1.2.3/d", None),
        ("postgres://u@[::1]/d", None),
        ("postgres:///d?host=/var/run/postgresql", None),
    ] {
        let url = postgres(text);
        assert_eq!(url.tls_to(&url.hosts[0]), mode, "{text}");
    }
    let mixed = postgres("postgres://u@localhost,db.example.com/d");
    let modes: Vec<_> = mixed.hosts.iter().map(|host| mixed.tls_to(host)).collect();
    assert_eq!(modes, [None, Some(TlsMode::VerifyFull)]);
}

#[test]
fn a_mode_that_verifies_less_is_a_weakness_that_is_named_without_a_value() {
    for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
        let text = format!("postgres://u:hunter2@localhost,db.example.com:5433/d?sslmode={mode}");
        let weakness = postgres(&text).weakness().expect("a weakness");
        let shown = if mode == "allow" { "prefer" } else { mode };
        assert!(weakness.contains(&format!("sslmode={shown}")), "{weakness}");
        assert!(weakness.contains("db.example.com:5433"), "{weakness}");
        assert!(!weakness.contains("hunter2"), "{weakness}");
        let local = postgres(&format!("postgres://u:hunter2@localhost/d?sslmode={mode}"));
        assert_eq!(local.weakness(), None);
    }
    assert_eq!(postgres("postgres://u@db/d").weakness(), None);
    assert_eq!(postgres("postgres://u@db/d?sslmode=verify-full").weakness(), None);
}
