//! The service in a network that lets it out only by a proxy.
//!
//! Close and the issuer have names that only the proxy can resolve, and certificates of a private authority.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::binary::{ServerProcess, command, output_of, run};
use crate::support::connect_proxy::{Connect, ConnectProxy};
use crate::support::database::{Database, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, Persona};
use crate::support::receiver::Receiver;
use crate::support::scripted::{Scripted, says, unused_address};
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::tls::{Authority, TlsFront};

on_sqlite! {
    close_and_issuers_are_reached_by_the_proxy_of_the_environment,
    a_proxy_in_the_settings_takes_the_place_of_the_environment_and_its_file_is_read_again,
    an_order_stays_queued_while_the_proxy_opens_no_tunnel_and_is_sent_once_later,
    an_order_is_unverified_if_the_proxy_fails_after_the_request_was_sent,
    an_unusable_proxy_is_a_fault_that_repeats_no_url,
    webhooks_go_by_the_proxy_only_if_the_settings_say_so,
}

/// A password that must appear nowhere.
const PASSWORD: &str = "canary-proxy-password";

/// A prepared service, and a proxy to its simulated Close and its issuer.
struct Network {
    server: TestServer,
    proxy: ConnectProxy,
    _servers: (TlsFront, TlsFront, Scripted),
}

const MANAGER: Persona = LENA.with("numbers:read webhooks:manage");

/// The settings of a second issuer, whose keys are behind the proxy.
const ISSUER: &str = r#"
[[auth.issuers]]
issuer = "https://idp.test/"
audiences = ["numberdesk"]
jwks_url = "https://idp.test/jwks"
algorithms = ["EdDSA"]
ca_file = "ca.crt"
"#;

/// Prepares the service, which is not started yet, with these lines in its settings.
async fn network(database: Database, lines: &str) -> Network {
    let authority = Authority::new();
    let (of_close, of_issuer) = (
        authority.issue_to(&["close.test"], 2020, 2090),
        authority.issue_to(&["idp.test"], 2020, 2090),
    );
    let config = TestConfig {
        close_url: Some("https://close.test/api/v1".to_owned()),
        close_lines: "\nca_file = \"ca.crt\"",
        timeout: "9s",
        issuers: format!("{ISSUER}\n{lines}"),
        files: vec![("ca.crt", of_close.authority.clone())],
        ..TestConfig::default()
    };
    let server = Box::pin(TestServer::prepare(database, config)).await;
    let jwks = server.issuer.jwks().to_string();
    let keys =
        Scripted::start(move |_| says(200, "Content-Type: application/json\r\n", jwks.as_bytes())).await;
    let close_front = TlsFront::start(&of_close, server.close.address()).await;
    let issuer_front = TlsFront::start(&of_issuer, keys.address).await;
    let proxy = ConnectProxy::start().await;
    proxy.leads("close.test:443", close_front.address);
    proxy.leads("idp.test:443", issuer_front.address);
    Network {
        server,
        proxy,
        _servers: (close_front, issuer_front, keys),
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://desk:{PASSWORD}@{address}")
}

/// Starts the service with this proxy for https, and waits for its first comparison with Close.
async fn start(network: &mut Network) -> ServerProcess {
    let variable = url(network.proxy.address);
    let process = network
        .server
        .start_process_with(&[("HTTPS_PROXY", &variable)])
        .await;
    network.server.wait_until_synced().await;
    process
}

fn body() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

async fn close_and_issuers_are_reached_by_the_proxy_of_the_environment(database: Database) {
    let mut network = network(database, "").await;
    let process = start(&mut network).await;
    network.server.order(&ALICE, "one", &body()).await.expect(201);
    eventually("the keys of the issuer are fetched", || async {
        let report = network.server.at_ops("/readyz?verbose").await.json();
        let issuers = report["issuers"].as_array().expect("issuers").clone();
        issuers
            .iter()
            .all(|issuer| issuer["usable"] == true)
            .then_some(())
    })
    .await;
    let targets = network.proxy.targets();
    for target in ["close.test:443", "idp.test:443"] {
        assert!(targets.iter().any(|other| other == target), "{targets:?}");
    }
    for head in network.proxy.heads() {
        assert!(
            head.contains(": Basic ZGVzazpjYW5hcnktcHJveHktcGFzc3dvcmQ="),
            "{head}"
        );
    }
    assert_eq!(network.server.close.rents().await.len(), 1);

    let folder = network.server.folder.path();
    let mut doctor = command(folder, &["doctor", "--config", "numberdesk.toml"]);
    doctor.env("https_proxy", url(network.proxy.address));
    let report = output_of(doctor).await;
    assert_eq!(report.code, 0, "{report:?}");
    let by = format!("by the proxy http://{} (https_proxy)", network.proxy.address);
    for line in [
        format!("Close at https://close.test: {by}; authorities in"),
        format!("keys at https://idp.test: {by}; authorities in"),
        "webhooks to apps: directly".to_owned(),
        "https://idp.test/: 1 keys, from url".to_owned(),
    ] {
        assert!(report.stdout.contains(&line), "no `{line}` in {}", report.stdout);
    }
    // The name of Close exists only behind the proxy.
    let mut without = command(folder, &["doctor", "--config", "numberdesk.toml"]);
    without.envs([
        ("HTTPS_PROXY", url(network.proxy.address)),
        ("NO_PROXY", ".test".to_owned()),
    ]);
    let without = output_of(without).await;
    for line in [
        "Close at https://close.test: directly, because it is excepted from the proxy",
        "close is unavailable: the host name could not be resolved",
        "the issuer can't be reached: the host name could not be resolved",
    ] {
        assert!(without.stdout.contains(line), "no `{line}` in {}", without.stdout);
    }
    for output in [process.log(), format!("{report:?}"), format!("{without:?}")] {
        for secret in [PASSWORD, "Y2FuYXJ5LXByb3h5"] {
            assert!(!output.contains(secret), "{output}");
        }
    }
}

async fn a_proxy_in_the_settings_takes_the_place_of_the_environment_and_its_file_is_read_again(
    database: Database,
) {
    let mut network = network(database, "[proxy]\nurl_file = \"proxy-url\"").await;
    let file = network.server.folder.path().join("proxy-url");
    std::fs::write(&file, url(network.proxy.address)).unwrap();
    let elsewhere = url(unused_address());
    let _process = network
        .server
        .start_process_with(&[("HTTPS_PROXY", &elsewhere), ("NO_PROXY", "*")])
        .await;
    network.server.wait_until_synced().await;
    network.server.order(&ALICE, "one", &body()).await.expect(201);

    let next = ConnectProxy::start().await;
    std::fs::write(&file, "socks5://half").unwrap();
    eventually("the unusable file is reported", || async {
        let report = network.server.at_ops("/readyz?verbose").await.json();
        let wrong = text(
            &report["files"]["proxy"]["wrong"]
                .clone()
                .as_str()
                .map_or(json!(""), Value::from),
        );
        wrong
            .contains("must be the http or https URL of a proxy")
            .then_some(())
    })
    .await;
    network.server.order(&ALICE, "two", &body()).await.expect(201);
    std::fs::write(&file, format!("{}\n", url(next.address))).unwrap();
    let mut nth = 0;
    let goes_by_the_next = || {
        nth += 1;
        let (server, next, key) = (&network.server, &next, format!("three-{nth}"));
        async move {
            server.order_at_once(&ALICE, &key, &body()).await;
            (!next.heads().is_empty()).then_some(())
        }
    };
    eventually("orders go by the next proxy", goes_by_the_next).await;
}

async fn an_order_stays_queued_while_the_proxy_opens_no_tunnel_and_is_sent_once_later(database: Database) {
    let mut network = network(database, "").await;
    let process = start(&mut network).await;
    let refused = "it did not connect to the server (its answer to CONNECT was not 200)";
    let mut orders = Vec::new();
    for (key, connect, cause) in [
        (
            "407",
            Connect::Status(407),
            "it asks for a user and a password that are not in its URL (407)",
        ),
        ("502", Connect::Status(502), refused),
        ("503", Connect::Status(503), refused),
        (
            "gone",
            Connect::HangUp,
            "it closed the connection before it answered CONNECT",
        ),
    ] {
        network.proxy.answers(connect);
        // Idempotent calls reuse tunnels, and the paid call opens its own.
        network.proxy.cut();
        let order = network
            .server
            .order_at_once(&ALICE, key, &body())
            .await
            .expect(202);
        assert_eq!(order["state"], "queued", "{order}");
        orders.push(text(&order["id"]));
        eventually(&format!("the log names the cause of {key}"), || async {
            let cause = format!("the proxy can't be used: {cause}");
            process.log().contains(&cause).then_some(())
        })
        .await;
    }
    // An order that is being tried again is `renting` for a moment.
    for order in &orders {
        network.server.wait_for_state(&ALICE, order, "queued").await;
    }
    assert!(network.server.close.rents().await.is_empty());
    network.proxy.answers(Connect::Tunnel);
    for order in &orders {
        network.server.wait_for_state(&ALICE, order, "fulfilled").await;
    }
    assert_eq!(network.server.close.rents().await.len(), orders.len());
}

async fn an_order_is_unverified_if_the_proxy_fails_after_the_request_was_sent(database: Database) {
    let mut network = network(database, "").await;
    let _process = start(&mut network).await;
    network
        .server
        .close
        .fault(json!({ "method": "POST", "path": crate::support::close::RENT, "answer": "hang", "times": 1 }))
        .await;
    let order = network
        .server
        .order_at_once(&ALICE, "cut", &body())
        .await
        .expect(202);
    network
        .server
        .close
        .wait_for_requests("POST", crate::support::close::RENT, 1)
        .await;
    network.proxy.cut();
    let order = text(&order["id"]);
    let order = network.server.wait_for_state(&ALICE, &order, "unverified").await;
    assert!(
        text(&order["reason"]).contains("the connection broke before an answer"),
        "{order}"
    );
    // A proxy that inspects TLS answers instead of Close.
    let html = json!({ "status": 502, "body": "<html>Bad Gateway</html>" });
    network
        .server
        .close
        .fault(json!({ "method": "POST", "path": crate::support::close::RENT, "answer": html, "times": 1 }))
        .await;
    let body = json!({ "country": "FR", "carrier_type": "local" });
    let order = network.server.order(&ALICE, "inspected", &body).await.expect(202);
    assert_eq!(order["state"], "unverified", "{order}");
    assert_eq!(network.server.close.rents().await.len(), 2);
}

async fn an_unusable_proxy_is_a_fault_that_repeats_no_url(database: Database) {
    let network = network(database, "").await;
    let folder = network.server.folder.path();
    for (variables, named) in [
        (
            [("HTTPS_PROXY", "socks5://u:hunter2@p:1080"), ("A", "")],
            "HTTPS_PROXY must be",
        ),
        (
            [("all_proxy", "http://u:hunter2@p:port"), ("A", "")],
            "all_proxy must be",
        ),
        (
            [("NUMBERDESK_PROXY__URL", "http://u:hunter2@p:1"), ("A", "")],
            "put the URL into a file, and name it in `url_file`",
        ),
        (
            [("NUMBERDESK_PROXY__EXCEPT", "a/b"), ("A", "")],
            "must be a host like",
        ),
    ] {
        let mut check = command(folder, &["check", "--config", "numberdesk.toml"]);
        check.envs(variables);
        let report = output_of(check).await;
        let output = format!("{report:?}");
        assert!(
            report.code == 1 && output.contains(named),
            "no `{named}` in {output}"
        );
        assert!(!output.contains("hunter2"), "{output}");
    }
    let mut ignored = command(folder, &["check", "--config", "numberdesk.toml"]);
    ignored.envs([
        ("ALL_PROXY", "socks5://p:1080"),
        ("NUMBERDESK_PROXY__ENVIRONMENT", "false"),
    ]);
    assert_eq!(output_of(ignored).await.code, 0);
    assert_eq!(
        run(folder, &["check", "--config", "numberdesk.toml"]).await.code,
        0
    );
}

async fn webhooks_go_by_the_proxy_only_if_the_settings_say_so(database: Database) {
    let mut network = network(database, "").await;
    let app = Receiver::start().await;
    let authority = Authority::new();
    let pair = authority.issue_to(&["app.test"], 2020, 2090);
    let front = TlsFront::start(&pair, SocketAddr::from(([127, 0, 0, 1], app.port()))).await;
    network.proxy.leads("app.test:443", front.address);
    let ca_file = network.server.folder.path().join("app-ca.crt");
    std::fs::write(&ca_file, &pair.authority).unwrap();
    let variable = url(network.proxy.address);
    let environment = |by_proxy: &'static str| {
        [
            ("HTTPS_PROXY", variable.clone()),
            ("NUMBERDESK_PROXY__WEBHOOKS", by_proxy.to_owned()),
            ("NUMBERDESK_WEBHOOKS__HOSTS", "*.test,localhost".to_owned()),
            ("NUMBERDESK_WEBHOOKS__NETWORKS", String::new()),
            (
                "NUMBERDESK_WEBHOOKS__CA_FILE",
                ca_file.to_str().unwrap().to_owned(),
            ),
        ]
    };
    let register = async |server: &TestServer, url: &str| {
        let request = server.request_as(&MANAGER, "POST", "/v1/webhook-endpoints");
        send(request.json(&json!({ "url": url, "types": ["order.*"] }))).await
    };
    for by_proxy in ["false", "true"] {
        let environment = environment(by_proxy);
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut process = network.server.start_process_with(&environment).await;
        network.server.wait_until_synced().await;
        // This machine can't resolve the name, so only the proxy can reach the host.
        let endpoint = register(&network.server, "https://app.test/hook").await;
        if by_proxy == "false" {
            endpoint.problem(400, "invalid-request");
            assert!(!network.proxy.targets().contains(&"app.test:443".to_owned()));
        } else {
            let path = format!("/v1/webhook-endpoints/{}/test", text(&endpoint.expect(201)["id"]));
            send(network.server.request_as(&MANAGER, "POST", &path)).await;
            app.gets(1).await;
            assert!(network.proxy.targets().contains(&"app.test:443".to_owned()));
        }
        // What can be resolved is checked in both cases.
        let internal = register(&network.server, "https://localhost/hook").await;
        internal.problem(400, "invalid-request");
        assert_eq!(process.terminate().await, 0);
    }
}
