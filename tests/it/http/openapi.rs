//! The OpenAPI document keeps its word: it is the one that is committed, it explains every operation, and a fuzzer that
//! has nothing but the document finds no answer that it does not announce.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::support::database::{Database, with_sqlite};
use crate::support::personas::{OLGA, Persona};
use crate::support::program::{provided, root, succeeds};
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};

/// Everything that a token can permit, in a team that may rent.
const EVERYONE: Persona = OLGA.of(&["sales-emea"]).with(
    "numbers:read numbers:rent numbers:group numbers:update numbers:release orders:approve numbers:admin \
     audit:read spend:read webhooks:manage",
);
/// The fuzzer is done in half a minute when it has the machine to itself.
const PATIENCE: Duration = Duration::from_mins(5);
const MEMBERS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_committed() {
    with_sqlite(|database| async move {
        let server = TestServer::unsynced(database, TestConfig::default()).await;
        for format in ["json", "yaml"] {
            let answer = send(server.request("GET", &format!("/openapi.{format}"))).await;
            assert_eq!(answer.status, 200, "{answer}");
            assert_eq!(
                answer.header("content-type"),
                format!("application/{format}"),
                "{answer}"
            );
            let file = format!("openapi/numberdesk.{format}");
            let committed = std::fs::read_to_string(root().join(&file)).unwrap_or_default();
            assert!(
                answer.text.trim_end() == committed.trim_end(),
                "{file} is not what the server says: run `make openapi` and look at the difference"
            );
        }
    })
    .await;
}

#[test]
fn every_operation_explains_itself() {
    let document = document();
    let mut faults = Vec::new();
    for operation in operations(&document) {
        let name = &operation.name;
        for member in ["operationId", "summary", "description"] {
            if operation.text(member).is_empty() {
                faults.push(format!("{name} has no {member}"));
            }
        }
        if operation.said["tags"].as_array().is_none_or(Vec::is_empty) {
            faults.push(format!("{name} has no tag"));
        }
        for parameter in operation.said["parameters"].as_array().into_iter().flatten() {
            if parameter["description"].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{name}: {} has no description", parameter["name"]));
            }
        }
        for (status, response) in operation.responses() {
            if response["description"].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{name}: {status} has no description"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_body_has_an_example() {
    let document = document();
    let mut faults = Vec::new();
    for operation in operations(&document) {
        let asked = content(&operation.said["requestBody"])
            .map(|(media, content)| (format!("asks {media}"), content));
        let answered = operation.responses().flat_map(|(status, response)| {
            content(response).map(move |(media, content)| (format!("answers {status} {media}"), content))
        });
        for (what, content) in asked.chain(answered) {
            // What is not JSON is a page, a script, or this document.
            if what.ends_with("json")
                && operation.text("path").starts_with("/v1/")
                && !has_example(&document, content)
            {
                faults.push(format!("{} {what} without an example", operation.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_operation_says_who_may_call_it_and_answers_errors_as_problems() {
    let document = document();
    let mut faults = Vec::new();
    for operation in operations(&document) {
        let name = &operation.name;
        let open = operation.is_open(&document);
        if open == operation.text("path").starts_with("/v1/") {
            faults.push(format!("{name} is open: {open}"));
        }
        let statuses: Vec<&String> = operation.responses().map(|(status, _)| status).collect();
        let needed: &[&str] = if open {
            &["400", "500"]
        } else {
            &["400", "401", "403", "404", "500", "503"]
        };
        for status in needed {
            if !statuses.iter().any(|known| known == status) {
                faults.push(format!("{name} does not announce {status}"));
            }
        }
        if !statuses.iter().any(|status| status.starts_with(['2', '3'])) {
            faults.push(format!("{name} never succeeds"));
        }
        for (status, response) in operation.responses() {
            let media: Vec<String> = content(response).map(|(media, _)| media.clone()).collect();
            if status.starts_with(['4', '5']) && media != ["application/problem+json"] {
                faults.push(format!("{name}: {status} is answered as {media:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Sends what the document allows and what it forbids, to every operation, and follows one answer to the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_finds_no_server_error_and_no_answer_that_is_not_announced() {
    with_sqlite(a_fuzzer_finds_nothing).await;
}

async fn a_fuzzer_finds_nothing(database: Database) {
    let schemathesis = provided(".venv/bin/schemathesis");
    let config = TestConfig {
        policy: POLICY.replace("[teams.sales]", "[teams.sales-emea]"),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    // Ids that are made up lead to 404 alone.
    let order = json!({ "country": "DE", "carrier_type": "local" });
    let order = server
        .order(&EVERYONE, "before-the-fuzzer", &order)
        .await
        .expect(201);
    let endpoint = server.request_as(&EVERYONE, "POST", "/v1/webhook-endpoints");
    let endpoint = send(endpoint.json(&json!({ "url": "https://127.0.0.1/hook" })))
        .await
        .expect(201);
    let endpoint = text(&endpoint["id"]);
    let trial = server.request_as(
        &EVERYONE,
        "POST",
        &format!("/v1/webhook-endpoints/{endpoint}/test"),
    );
    let trial = text(&send(trial).await.expect(202)["id"]);
    let mut fuzzer = Command::new(schemathesis);
    fuzzer
        .arg("--config-file")
        .arg(root().join("tests/python/schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", server.api)])
        .current_dir(server.folder.path())
        .env("TOKEN", server.token(&EVERYONE))
        .env("ORDER", text(&order["id"]))
        .env("NUMBER", text(&order["phone_number"]["id"]))
        .env("ENDPOINT", endpoint)
        .env("DELIVERY", trial)
        .env("NO_COLOR", "1");
    println!("{}", succeeds(&mut fuzzer, PATIENCE).await);
}

fn document() -> Value {
    serde_json::to_value(numberdesk::http::document()).expect("the document is JSON")
}

struct Operation<'a> {
    name: String,
    path: &'a str,
    said: &'a Value,
}

impl Operation<'_> {
    fn text(&self, member: &str) -> &str {
        if member == "path" {
            return self.path;
        }
        self.said[member].as_str().unwrap_or_default()
    }

    fn responses(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.said["responses"].as_object().into_iter().flatten()
    }

    /// Whether it can be called without a token: an empty requirement, or none at all.
    fn is_open(&self, document: &Value) -> bool {
        let needs = match &self.said["security"] {
            Value::Null => &document["security"],
            own => own,
        };
        let empty = |need: &Value| need.as_object().is_some_and(Map::is_empty);
        needs
            .as_array()
            .is_none_or(|needs| needs.is_empty() || needs.iter().any(empty))
    }
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("a document has paths") {
        for (method, said) in item.as_object().expect("a path has operations") {
            assert!(
                MEMBERS.contains(&method.as_str()),
                "teach this test about `{method}` of {path}"
            );
            let name = format!("{} {path}", method.to_uppercase());
            found.push(Operation { name, path, said });
        }
    }
    assert!(found.len() > 10, "only {} operations", found.len());
    found
}

/// The bodies of a request or an answer, by media type.
fn content(holder: &Value) -> impl Iterator<Item = (&String, &Value)> {
    holder["content"].as_object().into_iter().flatten()
}

/// Whether an example stands beside the schema, in it, or in each of its parts: then tools can put one together.
fn has_example(document: &Value, content: &Value) -> bool {
    has_own_example(content) || illustrated(document, &content["schema"])
}

fn has_own_example(holder: &Value) -> bool {
    !holder["example"].is_null() || !holder["examples"].is_null()
}

/// Fixed words, whole numbers, yes or no, and what may be `null` speak for themselves.
fn illustrated(document: &Value, schema: &Value) -> bool {
    let schema = resolved(document, schema);
    let fixed = !schema["enum"].is_null() || !schema["const"].is_null();
    let plain = schema["type"] == "boolean" || schema["type"] == "integer";
    if has_own_example(schema) || fixed || plain || may_be_null(schema) {
        return true;
    }
    if !schema["items"].is_null() {
        return illustrated(document, &schema["items"]);
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let mut required = required.filter_map(Value::as_str).peekable();
    required.peek().is_some() && required.all(|name| illustrated(document, &schema["properties"][name]))
}

fn may_be_null(schema: &Value) -> bool {
    let kinds = schema["type"].as_array().into_iter().flatten();
    let options = schema["oneOf"].as_array().into_iter().flatten();
    kinds
        .chain(options.map(|option| &option["type"]))
        .any(|kind| kind == "null")
}

/// The schema that a reference means.
fn resolved<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        schema = document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{reference} leads nowhere"));
    }
    schema
}
