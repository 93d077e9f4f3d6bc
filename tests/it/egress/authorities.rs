//! Servers with certificates of private authorities, and the names of the faults of certificates.

use std::net::SocketAddr;
use std::time::Duration;

use close_sandbox::Options;
use numberdesk::close::{CloseClient, Settings};
use numberdesk::domain::time::Clock;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::support::binary::{command, output_of};
use crate::support::close::FakeClose;
use crate::support::database::{Database, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA, Persona};
use crate::support::receiver::Receiver;
use crate::support::scripted::{Scripted, says};
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::tls::{Authority, Pair, TlsFront};

on_sqlite! {
    a_failed_delivery_names_the_fault_of_the_certificate_and_a_replaced_file_of_authorities_repairs_it,
    private_authorities_are_trusted_besides_those_of_the_system_except_for_clusters,
    traces_go_to_a_collector_with_a_private_authority,
}

/// Issues a certificate as `openssl req -x509` does: signed by itself, and an authority.
fn self_signed() -> Pair {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    Pair {
        authority: certificate.clone(),
        certificate,
        key: key.serialize_pem(),
    }
}

#[tokio::test]
async fn each_fault_of_the_certificate_of_close_has_its_name() {
    let close = FakeClose::start(Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let good = authority.issue();
    let ca_file = folder.path().join("ca.crt");
    let me = async |address: SocketAddr, trusted: Option<&str>| {
        let base_url = format!("https://localhost:{}/api/v1", address.port())
            .parse()
            .unwrap();
        let mut settings = Settings::new(base_url, Duration::from_secs(5));
        if let Some(pem) = trusted {
            std::fs::write(&ca_file, pem).unwrap();
            settings.ca_file = Some(ca_file.clone());
        }
        let client = CloseClient::new(settings, close.api_key().into(), Clock::system()).unwrap();
        client.me().await.map(drop).map_err(|error| error.to_string())
    };
    let alone = self_signed();
    let of_authority = Some(good.authority.as_str());
    for (pair, trusted, fault) in [
        (&good, of_authority, None),
        (
            &good,
            None,
            Some("the certificate is of an authority that is not trusted"),
        ),
        (
            &good,
            Some(alone.authority.as_str()),
            Some("the certificate is of an authority that is not trusted"),
        ),
        (
            &authority.issue_for(2020, 2021),
            of_authority,
            Some("the certificate has expired"),
        ),
        (
            &authority.issue_for(2080, 2090),
            of_authority,
            Some("the certificate is not valid yet"),
        ),
        (
            &authority.issue_to(&["other.test"], 2020, 2090),
            of_authority,
            Some("the certificate is for another name"),
        ),
        (
            &alone,
            Some(alone.authority.as_str()),
            Some("the certificate is self-signed, or that of an authority"),
        ),
    ] {
        let front = TlsFront::start(pair, close.address()).await;
        let expected = fault.map_or(Ok(()), |fault| Err(format!("close is unavailable: {fault}")));
        assert_eq!(me(front.address, trusted).await, expected);
    }
    let plain = me(close.address(), of_authority).await.unwrap_err();
    assert_eq!(plain, "close is unavailable: the server does not speak TLS");
}

const MANAGER: Persona = LENA.with("numbers:read numbers:rent webhooks:manage");

async fn a_failed_delivery_names_the_fault_of_the_certificate_and_a_replaced_file_of_authorities_repairs_it(
    database: Database,
) {
    let app = Receiver::start().await;
    let pair = Authority::new().issue();
    let behind = SocketAddr::from(([127, 0, 0, 1], app.port()));
    let front = TlsFront::start(&pair, behind).await;
    let port = front.address.port();
    let config = TestConfig {
        webhooks: format!(
            "secret_file = \"webhook-secret\"\nhosts = [\"localhost\"]\nnetworks = [\"127.0.0.1/32\"]\n\
             ports = [{port}]\nca_file = \"ca.crt\""
        ),
        files: vec![("ca.crt", Authority::new().issue().authority)],
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let endpoint = json!({ "url": format!("https://localhost:{port}/hook"), "types": ["order.*"] });
    let request = server.request_as(&MANAGER, "POST", "/v1/webhook-endpoints");
    let endpoint = send(request.json(&endpoint)).await.expect(201);
    let path = format!("/v1/webhook-endpoints/{}", text(&endpoint["id"]));
    let test = async || send(server.request_as(&MANAGER, "POST", &format!("{path}/test"))).await;
    let outcome = async |wanted: &str| {
        eventually(&format!("a delivery ends with {wanted}"), || async {
            let deliveries = server.list(&MANAGER, &format!("{path}/deliveries")).await;
            deliveries
                .iter()
                .any(|delivery| delivery["outcome"] == wanted)
                .then_some(())
        })
        .await;
    };
    test().await;
    outcome("the certificate is of an authority that is not trusted").await;
    assert_eq!(app.count(), 0);

    let file = server.folder.path().join("ca.crt");
    std::fs::write(&file, "half a certif").unwrap();
    eventually("the unusable file is reported", || async {
        let report = server.at_ops("/readyz?verbose").await.json();
        let wrong = &report["files"]["webhook_ca"]["wrong"];
        wrong
            .as_str()
            .is_some_and(|wrong| wrong.contains("no certificate in PEM"))
            .then_some(())
    })
    .await;
    std::fs::write(&file, &pair.authority).unwrap();
    eventually("the file is good again", || async {
        let report = server.at_ops("/readyz?verbose").await.json();
        (report["files"]["webhook_ca"]["good"] == true).then_some(())
    })
    .await;
    test().await;
    outcome("204").await;
}

/// Serves keys behind TLS, until it is dropped.
async fn issuer(pair: &Pair, jwks: &Value) -> (TlsFront, Scripted) {
    let jwks = jwks.to_string();
    let keys =
        Scripted::start(move |_| says(200, "Content-Type: application/json\r\n", jwks.as_bytes())).await;
    (TlsFront::start(pair, keys.address).await, keys)
}

async fn private_authorities_are_trusted_besides_those_of_the_system_except_for_clusters(database: Database) {
    let (system, private) = (Authority::new(), Authority::new());
    let server = TestServer::new(database).await;
    let folder = server.folder.path();
    let jwks = server.issuer.jwks();
    let public = issuer(&system.issue(), &jwks).await;
    let close = TlsFront::start(&system.issue(), server.close.address()).await;
    std::fs::write(folder.join("system.crt"), system.issue().authority).unwrap();
    std::fs::write(folder.join("private.crt"), private.issue().authority).unwrap();
    let port = public.0.address.port();
    let entry = |name: &str, kind: &str| {
        format!(
            "\n[[auth.issuers]]\nissuer = \"https://{name}.example/\"\naudiences = [\"numberdesk\"]\n\
             algorithms = [\"EdDSA\"]\njwks_url = \"https://localhost:{port}/jwks\"\nca_file = \"private.crt\"\n{kind}\n"
        )
    };
    let settings = folder.join("numberdesk.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let issuers = entry("company", "") + &entry("cluster", "kind = \"kubernetes\"");
    std::fs::write(&settings, text + &issuers).unwrap();

    let mut doctor = command(folder, &["doctor", "--config", "numberdesk.toml"]);
    doctor.envs([
        ("SSL_CERT_FILE", "system.crt"),
        ("NUMBERDESK_CLOSE__CA_FILE", "private.crt"),
    ]);
    let base_url = format!("https://localhost:{}/api/v1", close.address.port());
    doctor.env("NUMBERDESK_CLOSE__BASE_URL", base_url);
    let report = output_of(doctor).await;
    for line in [
        "ok     issuer         https://company.example/: 1 keys, from url",
        "FAULT  issuer         https://cluster.example/: no usable keys from url: the issuer can't be reached: the \
         certificate is of an authority that is not trusted",
        "ok     close          the API key belongs to",
    ] {
        assert!(report.stdout.contains(line), "no `{line}` in {}", report.stdout);
    }
}

async fn traces_go_to_a_collector_with_a_private_authority(database: Database) {
    let collector = Receiver::start().await;
    let pair = Authority::new().issue();
    let behind = SocketAddr::from(([127, 0, 0, 1], collector.port()));
    let front = TlsFront::start(&pair, behind).await;
    let mut server = TestServer::with(database, TestConfig::default()).await;
    server.stop().await;
    let ca_file = server.folder.path().join("ca.crt");
    std::fs::write(&ca_file, &pair.authority).unwrap();
    let endpoint = format!("https://localhost:{}/v1/traces", front.address.port());
    let environment = [
        ("NUMBERDESK_TRACES__ENDPOINT", endpoint.as_str()),
        ("NUMBERDESK_TRACES__CA_FILE", ca_file.to_str().unwrap()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let _process = server.start_process_with(&environment).await;
    server.get(&ALICE, "/v1/me").await.expect(200);
    collector.gets(1).await;
}
