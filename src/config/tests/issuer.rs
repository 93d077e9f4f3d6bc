//! Issuers: which claims are read, what their tokens must fulfil, and how the keys of a cluster are fetched.

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
    let cluster = &config.auth.issuers[0];
    assert_eq!(cluster.kind(), IssuerKind::Kubernetes);
    assert!(cluster.ca_file().unwrap().ends_with("ca.crt"));
    assert!(cluster.token_file().unwrap().ends_with("jwks.json"));
    assert_eq!(config.clusters(), ["https://cluster.local"]);

    let discovered = issuer("kind = \"kubernetes\"").unwrap();
    assert_eq!(discovered.auth.issuers[0].jwks(), Jwks::Discovery);
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

#[test]
fn a_claim_is_at_one_pointer_or_at_several_and_permissions_may_be_off() {
    let claims = |lines: &str| {
        let config = issuer(&format!("[auth.issuers.claims]\n{lines}")).unwrap();
        let IssuerKind::Oidc(claims) = config.auth.issuers[0].kind() else {
            panic!("not the default kind")
        };
        claims
    };
    let default = claims("");
    assert_eq!(default.teams.to_strings(), ["/teams"]);
    assert_eq!(default.permissions.to_strings(), ["/scope"]);
    assert_eq!(default.close_user.to_strings(), ["/close_user_id"]);
    assert_eq!(default.subject.to_strings(), ["/sub"]);

    let lists = claims(
        "teams = [\"/groups\", \"/roles\"]\npermissions = [\"/roles\", \"/scp\"]\nsubject = [\"/upn\", \"/oid\"]\n\
         close_user = \"/extension_closeUser\"",
    );
    assert_eq!(lists.teams.to_strings(), ["/groups", "/roles"]);
    assert_eq!(lists.permissions.to_strings(), ["/roles", "/scp"]);
    assert_eq!(lists.subject.to_strings(), ["/upn", "/oid"]);
    assert_eq!(lists.close_user.to_strings(), ["/extension_closeUser"]);
    assert!(claims("permissions = false").permissions.to_strings().is_empty());
}

#[test]
fn what_the_tokens_of_an_issuer_must_fulfil_has_defaults_and_limits() {
    let plain = issuer("").unwrap();
    let plain = &plain.auth.issuers[0];
    assert_eq!(plain.leeway.get(), Duration::from_secs(30));
    assert_eq!(plain.max_lifetime.get(), Duration::from_hours(24));
    assert!(plain.typ.is_none());

    let strict =
        issuer("leeway = \"0s\"\nmax_lifetime = \"1h\"\ntyp = \"at+jwt\"\nalgorithms = [\"Ed25519\"]")
            .unwrap();
    let strict = &strict.auth.issuers[0];
    assert_eq!(strict.leeway.get(), Duration::ZERO);
    assert_eq!(strict.max_lifetime.get(), Duration::from_hours(1));
    assert_eq!(strict.typ, Some(TokenType::AccessToken));

    let pointer = "must be a JSON pointer into the token, which begins with a slash, like \"/phone/countries\"; in the \
                   name of a claim, `/` is written `~1` and `~` is written `~0`";
    for (lines, expected) in [
        (
            "leeway = \"6m\"",
            "4: auth.issuers[0].leeway: must be from 0s to 5m",
        ),
        (
            "max_lifetime = \"1s\"",
            "4: auth.issuers[0].max_lifetime: must be from 1m to 365d",
        ),
        (
            "typ = \"id_token\"",
            "4: auth.issuers[0].typ: must be one of at+jwt, JWT",
        ),
        (
            "claims = { teams = [] }",
            "4: auth.issuers[0].claims.teams: must have 1 to 20 pointers",
        ),
        (
            "claims = { teams = [\"/a\", \"/a\"] }",
            "4: auth.issuers[0].claims.teams[1]: is a duplicate in the list",
        ),
        (
            "claims = { subject = [\"oid\"] }",
            &format!("4: auth.issuers[0].claims.subject[0]: {pointer}"),
        ),
        (
            "claims = { teams = \"groups\" }",
            &format!("4: auth.issuers[0].claims.teams: {pointer}"),
        ),
        (
            "claims = { teams = false }",
            "4: auth.issuers[0].claims.teams: must be a JSON pointer into the token, like \"/groups\", or a list of \
             them, like [\"/groups\", \"/roles\"]",
        ),
        (
            "claims = { permissions = true }",
            "4: auth.issuers[0].claims.permissions: must be a JSON pointer like \"/scope\", a list like [\"/roles\", \
             \"/scp\"], or false",
        ),
        (
            "claims = { team = \"/groups\" }",
            "4: auth.issuers[0].claims.team: unknown key `team`; did you mean `teams`?",
        ),
    ] {
        assert_eq!(
            fault_texts(issuer(lines)),
            [format!("numberdesk.toml:{expected}")],
            "{lines}"
        );
    }
}
