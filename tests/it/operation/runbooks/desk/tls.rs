//! Faults of the TLS certificate.

use numberdesk::domain::time::Clock;

use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::personas::ALICE;
use crate::support::server::TestConfig;
use crate::support::tls::{Authority, Pair, mount};

fn with_certificate(pair: &Pair) -> TestConfig {
    TestConfig {
        tls: Some(pair.clone()),
        ..TestConfig::default()
    }
}

pub(in crate::operation::runbooks) async fn the_certificate_and_its_key_do_not_match(case: Case) {
    let authority = Authority::new();
    let (pair, other) = (authority.issue(), authority.issue());
    let mut scenario = Scenario::new(case, with_certificate(&pair)).await;
    mount(scenario.server.folder.path(), &pair.certificate, &other.key);
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["\"worker\":\"tls\"", "worker step failed"]);
    scenario.server.get(&ALICE, "/v1/me").await.expect(200);

    mount(scenario.server.folder.path(), &other.certificate, &other.key);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn the_certificate_expires_soon(case: Case) {
    let authority = Authority::new();
    let mut scenario = Scenario::new(case, with_certificate(&authority.issue_for(2020, 2090))).await;
    // The time of the alert is three days before the certificate expires.
    let end = scenario
        .metric("numberdesk_tls_certificate_expiry_timestamp_seconds")
        .await;
    let now = f64::from(u32::try_from(Clock::system().now().as_seconds()).unwrap());
    scenario.alert.clock_offset = end - now - 3.0 * 86_400.0;
    scenario.alert.wait_until_active().await;
    let doctor = scenario.run("doctor").await;
    assert!(doctor.stdout.contains("certificate"), "{doctor:?}");

    let next = authority.issue_for(2020, 2095);
    mount(scenario.server.folder.path(), &next.certificate, &next.key);
    scenario.alert.wait_until_inactive().await;
}
