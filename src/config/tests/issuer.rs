//! Issuers that are clusters, and how their keys are asked for.

use super::*;

fn issuer(lines: &str) -> Result<Config, Vec<FileFault>> {
    let issuer = "[[auth.issuers]]\nissuer = \"https://cluster.local\"\naudiences = [\"numberdesk\"]";
    with(
        &format!("{issuer}\n{lines}\n[close]\napi_key_file = \"key\"\n"),
        &[],
    )
}

#[test]
fn a_cluster_is_asked_by_its_own_authority_and_with_a_token() {
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
    // An identity provider of a company may have an authority of its own, too.
    let config = issuer("kind = \"oidc\"\nca_file = \"ca.crt\"").unwrap();
    assert!(config.clusters().is_empty());
}

#[test]
fn what_does_not_go_together_is_named() {
    let cases = [
        (
            "kind = \"k8s\"",
            ":4: auth.issuers[0].kind: must be \"oidc\" or \"kubernetes\"",
        ),
        (
            "kind = \"kubernetes\"\nclaims = { teams = \"/teams\" }",
            ":5: auth.issuers[0].claims: does not go with `kind = \"kubernetes\"`: what a service account may do is in the \
             policy, under [[service_accounts]]",
        ),
        (
            "token_file = \"key\"",
            ":1: auth.issuers[0]: `token_file` needs `ca_file`: the token is shown only to whom that authority vouches for",
        ),
        (
            "ca_file = \"ca.crt\"\njwks_file = \"jwks.json\"",
            ":1: auth.issuers[0]: `ca_file` says who vouches for an https address, and its keys are at none",
        ),
        (
            "ca_file = \"ca.crt\"\njwks_url = \"http://localhost/\"",
            ":1: auth.issuers[0]: `ca_file` says who vouches for an https address, and its keys are at none",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(
            said(issuer(lines)),
            [format!("numberdesk.toml{expected}")],
            "{lines}"
        );
    }
    let [said_of_pem] = &said(issuer("ca_file = \"jwks.json\""))[..] else {
        panic!("one fault")
    };
    assert!(said_of_pem.starts_with("numberdesk.toml:4: auth.issuers[0].ca_file: "));
    assert!(
        said_of_pem.ends_with("holds no certificate in PEM"),
        "{said_of_pem}"
    );
    assert!(
        said(issuer("ca_file = \"ca.crt\"\ntoken_file = \"nowhere\""))[0]
            .contains(":5: auth.issuers[0].token_file: can't read")
    );
}
