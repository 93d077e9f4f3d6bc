//! `numberdesk policy whoami`: what a token and the policy give its caller, for every kind of token.

use std::path::Path;
use std::process::Stdio;

use numberdesk::auth::DevIssuer;
use numberdesk::domain::time::Clock;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{config_folder, rewrite};
use crate::support::binary::{CommandOutput, command, run};
use crate::support::personas::{AUDIENCE, ISSUER};
use crate::support::server::POLICY;
use crate::support::snapshot;

fn issued() -> i64 {
    Clock::system().now().as_seconds()
}

fn expires() -> i64 {
    issued() + 3_600
}

const GRANTS: &str = "[[grants]]\nclaim = \"/groups\"\nvalue = \"sales-leads\"\nteam = \"sales\"\n\
                      permissions = [\"numbers:read\", \"numbers:rent\"]\n\
                      [[grants]]\nclaim = [\"/roles\", \"/groups\"]\nvalue = \"auditors\"\neverywhere = true\n\
                      permissions = [\"audit:read\"]\n\
                      [[grants]]\nissuer = \"https://elsewhere.example/\"\nclaim = \"/groups\"\nvalue = \"sales-leads\"\n\
                      team = \"support\"\npermissions = [\"numbers:read\"]\n";

fn folder() -> tempfile::TempDir {
    let folder = config_folder();
    std::fs::write(folder.path().join("policy.toml"), format!("{POLICY}{GRANTS}"))
        .expect("the policy is written");
    folder
}

/// Signs a token with these changes to its claims.
fn token(folder: &Path, changes: &Value) -> String {
    let issuer = DevIssuer::load(folder, ISSUER).expect("the issuer is there");
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "anna@example.com", "iat": issued(), "exp": expires(),
        "teams": ["support", "/sales/emea"], "scope": "numbers:read", "groups": ["sales-leads"],
    });
    for (name, value) in changes.as_object().expect("claims are an object") {
        claims[name] = value.clone();
    }
    issuer.sign(&claims).expect("the claims can be signed")
}

/// Runs the command with the token on standard input.
async fn whoami(folder: &Path, token: &str, more: &[&str]) -> CommandOutput {
    let arguments = [
        &["policy", "whoami", "--config", "numberdesk.toml", "--token", "-"],
        more,
    ]
    .concat();
    let mut command = command(folder, &arguments);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(format!("Bearer {token}\n").as_bytes())
        .await
        .expect("the command reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("the command ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
    let output = CommandOutput {
        code: output.status.code().expect("an exit status"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    // Neither the token nor its signature is printed, also in part.
    for part in token.split('.').filter(|part| part.len() > 16) {
        assert!(
            !output.stdout.contains(part) && !output.stderr.contains(part),
            "{output:?}"
        );
    }
    output
}

#[tokio::test]
async fn whoami_shows_what_matches_what_was_left_out_and_what_is_missing() {
    let folder = folder();
    let token = token(folder.path(), &json!({}));
    let output = whoami(folder.path(), &token, &[]).await;
    snapshot::assert_output("cli/policy_whoami", &output);
    // A file works like standard input.
    let file = folder.path().join("token");
    std::fs::write(&file, &token).expect("the token is written");
    let arguments = [
        "policy",
        "whoami",
        "--config",
        "numberdesk.toml",
        "--token",
        "token",
    ];
    assert_eq!(run(folder.path(), &arguments).await.stdout, output.stdout);
}

#[tokio::test]
async fn whoami_says_what_a_caller_without_rights_needs_to_rent() {
    let folder = folder();
    for (changes, missing) in [
        (json!({"groups": []}), "in support: the permission numbers:rent"),
        (
            json!({"groups": [], "teams": []}),
            "a team: a name at the claim for teams",
        ),
        (
            json!({"groups": [], "teams": "platform", "scope": "numbers:rent"}),
            "in platform: rules of the team in the policy, [teams.platform]",
        ),
    ] {
        let output = whoami(folder.path(), &token(folder.path(), &changes), &[]).await;
        assert!(output.code == 0 && output.stdout.contains(missing), "{output:?}");
    }
}

/// The policy may read more claims of the token than the settings of its issuer do.
#[tokio::test]
async fn whoami_shows_the_claims_that_rules_read_and_names_those_without_which_nothing_can_be_rented() {
    let folder = folder();
    let write = |countries: &str| {
        let rules = format!(
            "[teams.support]\n{countries}\ngroup_numbers = {{ claim = \"/phone/group\" }}\nassign_to = \"anyone\"\n\
             [prices]\ndefault = \"5.00\"\n"
        );
        std::fs::write(folder.path().join("policy.toml"), rules).expect("the policy is written");
    };
    let claims = |phone: Value| json!({"teams": "support", "scope": "numbers:rent", "phone": phone});
    let any = "countries = { claim = \"/phone/countries\" }";
    let within = "countries = { claim = \"/phone/countries\", within = [\"DE\"] }";
    let (claim, allowed) = (
        "in support: a country code at the claim /phone/countries of the token",
        "nothing is missing",
    );
    for (rule, phone, expected) in [
        (any, json!({"countries": "JP"}), allowed),
        (any, json!({}), claim),
        (any, json!({"countries": ["XX", "de"]}), claim),
        (any, json!({"countries": ["DE", 7]}), claim),
        (within, json!({"countries": ["FR", "DE"]}), allowed),
        (within, json!({"countries": ["FR"]}), claim),
        (
            "",
            json!({"countries": ["FR"]}),
            "in support: countries in the policy, teams.support.countries",
        ),
    ] {
        write(rule);
        let output = whoami(folder.path(), &token(folder.path(), &claims(phone)), &[]).await;
        assert!(output.code == 0 && output.stdout.contains(expected), "{output:?}");
    }
    write(any);
    let output = whoami(
        folder.path(),
        &token(
            folder.path(),
            &claims(json!({"countries": ["DE"], "group": true})),
        ),
        &["--format", "json"],
    )
    .await;
    let report: Value = serde_json::from_str(&output.stdout).expect("the report is JSON");
    let lines = report["claims"].as_array().expect("claims");
    for line in [
        json!({"read_for": "countries", "pointer": "/phone/countries", "value": "[\"DE\"]"}),
        json!({"read_for": "group_numbers", "pointer": "/phone/group", "value": "true"}),
    ] {
        assert!(lines.contains(&line), "{report:#}");
    }
    assert_eq!(report["teams"][0]["may_rent"], true, "{report:#}");
}

#[tokio::test]
async fn whoami_shows_what_differs_only_in_case_and_which_claims_nothing_reads() {
    let folder = folder();
    let changes = json!({"groups": ["Sales-Leads"], "teams": "Sales", "scope": "numbers:rent", "role": "x", "jti": "y"});
    let output = whoami(folder.path(), &token(folder.path(), &changes), &[]).await;
    for expected in [
        "/groups has `Sales-Leads` and no `sales-leads`: upper and lower case count",
        "in Sales: rules of the team in the policy, [teams.Sales]; it has [teams.sales], and upper and lower case count",
        "not read      \"role\"\n",
    ] {
        assert!(output.stdout.contains(expected), "{expected}: {output:?}");
    }
}

#[tokio::test]
async fn whoami_explains_a_token_that_is_refused() {
    let folder = folder();
    let expired = whoami(
        folder.path(),
        &token(folder.path(), &json!({"exp": issued() - 3_600, "aud": "billing"})),
        &[],
    )
    .await;
    assert_eq!(expired.code, 1, "{expired:?}");
    snapshot::assert_output("cli/policy_whoami_of_an_expired_token", &expired);

    let good = token(folder.path(), &json!({}));
    let (signed, signature) = good.rsplit_once('.').expect("a JWT has three parts");
    let other = DevIssuer::generate(ISSUER).expect("a key");
    let forged = other
        .sign(&json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": expires()}))
        .expect("signed");
    for (what, token, expected) in [
        (
            "changed",
            format!("{signed}.{}", signature.chars().rev().collect::<String>()),
            "FAULT    signature",
        ),
        ("another key", forged, "FAULT    signature"),
        (
            "unsigned",
            format!("{signed}."),
            "FAULT    form         the token is not signed",
        ),
        (
            "no JWT",
            "opaque-token-of-some-provider".to_owned(),
            "FAULT    form         the token is not a JWT",
        ),
        (
            "no JWT with a dot",
            "ya29.opaque-token-of-some-provider".to_owned(),
            "FAULT    form         the token is not a JWT; some providers",
        ),
        (
            "another issuer",
            token(folder.path(), &json!({"iss": "https://evil.example/"})),
            "FAULT    issuer       no [[auth.issuers]] of the configuration has exactly this `issuer`: \
             \"https://evil.example/\"; did you mean",
        ),
        (
            "an issuer without the slash at its end",
            token(folder.path(), &json!({"iss": ISSUER.trim_end_matches('/')})),
            "; there is `https://idp.example.com/`, and a slash at the end counts",
        ),
        (
            "another audience",
            token(folder.path(), &json!({"aud": "billing"})),
            "FAULT    audience     the token is for another audience (`aud`): \"billing\"; the issuer's `audiences` are \
             numberdesk",
        ),
        (
            "no audience that the service accepts",
            token(folder.path(), &json!({"aud": "billing"})),
            "missing to rent\n         a token that passes each check above\n",
        ),
    ] {
        let output = whoami(folder.path(), &token, &[]).await;
        assert!(
            output.code == 1 && output.stdout.contains(expected),
            "{what}: {output:?}"
        );
    }
    let empty = whoami(folder.path(), "", &[]).await;
    assert!(
        empty.code == 1 && empty.stderr.contains("no token to read"),
        "{empty:?}"
    );
}

#[tokio::test]
async fn whoami_without_the_keys_of_the_issuer_says_so_and_shows_the_rest() {
    let folder = folder();
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "jwks_file = \"jwks.json\"",
        "jwks_url = \"http://127.0.0.1:9/jwks\"",
    );
    let output = whoami(folder.path(), &token(folder.path(), &json!({})), &[]).await;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output
            .stdout
            .contains("unknown  signature    not checked, because the issuer's keys could not be had"),
        "{output:?}"
    );
    assert!(output.stdout.contains("numbers:rent (grants[0])"), "{output:?}");
}

#[tokio::test]
async fn whoami_says_that_the_policy_has_no_entry_for_a_service_account() {
    let folder = config_folder();
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "jwks_file = \"jwks.json\"",
        "jwks_file = \"jwks.json\"\nkind = \"kubernetes\"",
    );
    let account = token(folder.path(), &json!({"sub": "system:serviceaccount:crm:dialer"}));
    let output = whoami(folder.path(), &account, &[]).await;
    for expected in [
        "FAULT    caller       the policy has no entry [[service_accounts]] with namespace = \"crm\" and name = \"dialer\"",
        "missing to rent\n         a token that passes each check above\n",
    ] {
        assert!(output.code == 1 && output.stdout.contains(expected), "{output:?}");
    }
}

#[tokio::test]
async fn whoami_prints_json_for_programs() {
    let folder = folder();
    let token = token(folder.path(), &json!({}));
    let output = whoami(folder.path(), &token, &["--format", "json"]).await;
    let report: Value = serde_json::from_str(&output.stdout).expect("the output is JSON");
    assert_eq!((output.code, &report["accepted"]), (0, &json!(true)));
    assert_eq!(report["caller"]["subject"], "anna@example.com");
    assert_eq!(report["grants"][0]["matches"], true);
    assert_eq!(
        report["teams"][1]["permissions"][1],
        json!({"permission": "numbers:rent", "from": ["grants[0]"]})
    );
    assert_eq!(report["missing_to_rent"], json!([]));
}
