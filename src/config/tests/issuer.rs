//! Issuers that are Kubernetes clusters, and how their keys are fetched.

use super::*;

fn issuer(lines: &str) -> Result<Config, Vec<FileFault>> {
    let issuer = "[[auth.issuers]]\nissuer = \"https://cluster.local\"\naudiences = [\"numberdesk\"]";
    with(
        &format!("{issuer}\n{lines}\n[close]\napi_key_file = \"key\"\n"),
        &[],
    )
}

#[test]
fn the_keys_of_a_cluster_are_fetched_with_its_own_authority_and_a_token() {
    let lines = "kind = \"kubernetes\"\njwks_url = \"https://kubernetes.default.svc/openid/v1/jwks\"\n\
                 ca_file = \"ca.crt\"\ntoken_file = \"jwks.json\"";
    let config = issuer(lines).unwrap();
    let cluster = &config.auth[0];
    assert_eq!(cluster.kind, IssuerKind::Kubernetes);
    assert!(cluster.ca_file.as_ref().unwrap().ends_with("ca.crt"));
    assert!(cluster.token_file.as_ref().unwrap().ends_with("jwks.json"));
    assert_eq!(config.clusters(), ["https://cluster.local"]);

    let discovered = issuer("kind = \"kubernetes\"").unwrap();
    assert_eq!(discovered.auth[0].jwks, Jwks::Discovery);
    // An OIDC provider inside a company may have a private authority, too.
    let config = issuer("kind = \"oidc\"\nca_file = \"ca.crt\"").unwrap();
    assert!(config.clusters().is_empty());
}

#[test]
fn conflicting_keys_are_faults() {
    let cases = [
        (
            "kind = \"k8s\"",
            ":4: auth.issuers[0].kind: must be \"oidc\" or \"kubernetes\"",
        ),
        (
            "kind = \"kubernetes\"\nclaims = { teams = \"/teams\" }",
            ":5: auth.issuers[0].claims: does not apply to `kind = \"kubernetes\"`: the permissions of a service \
             account are in the policy, under [[service_accounts]]",
        ),
        (
            "token_file = \"key\"",
            ":1: auth.issuers[0]: `token_file` needs `ca_file`: the token is sent only to a server with a certificate \
             of that authority",
        ),
        (
            "ca_file = \"ca.crt\"\njwks_file = \"jwks.json\"",
            ":1: auth.issuers[0]: `ca_file` has no effect: it is used only for keys at an https URL",
        ),
        (
            "ca_file = \"ca.crt\"\njwks_url = \"http://localhost/\"",
            ":1: auth.issuers[0]: `ca_file` has no effect: it is used only for keys at an https URL",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(
            fault_texts(issuer(lines)),
            [format!("numberdesk.toml{expected}")],
            "{lines}"
        );
    }
    let [fault] = &fault_texts(issuer("ca_file = \"jwks.json\""))[..] else {
        panic!("one fault")
    };
    assert!(fault.starts_with("numberdesk.toml:4: auth.issuers[0].ca_file: "));
    assert!(fault.ends_with("contains no PEM certificate"), "{fault}");
    assert!(
        fault_texts(issuer("ca_file = \"ca.crt\"\ntoken_file = \"nowhere\""))[0]
            .contains(":5: auth.issuers[0].token_file: can't read")
    );
}
