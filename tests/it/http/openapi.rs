//! The OpenAPI document: it equals the committed file and describes every operation. A fuzzer that uses it finds no
//! undocumented response.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use numberdesk::domain::event_kind::EventKind;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::support::database::{Database, with_sqlite};
use crate::support::personas::{ALICE, OLGA, Persona};
use crate::support::program::{provided, root, succeeds};
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};

/// A member of a team that may rent, with every permission.
const ALL_PERMISSIONS: Persona = OLGA.of(&["sales-emea"]).with(
    "numbers:read numbers:rent numbers:group numbers:update numbers:release orders:approve numbers:admin \
     audit:read spend:read webhooks:manage",
);
/// The time limit of the fuzzer, which takes half a minute on an idle machine.
const PATIENCE: Duration = Duration::from_mins(5);
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

#[tokio::test]
async fn the_served_document_equals_the_committed_one() {
    with_sqlite(|database| async move {
        let server = TestServer::unsynced(database, TestConfig::default()).await;
        let response = send(server.request("GET", "/openapi.json")).await;
        assert_eq!(response.status, 200, "{response}");
        assert_eq!(response.header("content-type"), "application/json", "{response}");
        let file = "openapi/numberdesk.json";
        let committed = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        let document = serde_json::to_string_pretty(&response.json()).expect("JSON can be written");
        assert!(
            document == committed.trim_end(),
            "{file} differs from the served document: run `make openapi` and review the difference"
        );
    })
    .await;
}

/// A reader of Swagger UI tries the examples with a token of `numberdesk dev`.
#[tokio::test]
async fn the_policy_of_dev_allows_every_example_of_an_order() {
    with_sqlite(|database| async move {
        let config = TestConfig {
            policy: include_str!("../../../src/cli/dev/policy.toml").to_owned(),
            ..TestConfig::default()
        };
        let server = TestServer::with(database, config).await;
        let alice = ALICE.of(&["sales-emea"]);
        let document = document();
        let mut examples = Vec::new();
        for path in ["/v1/orders", "/v1/orders/validate"] {
            let content = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
            let several = content["examples"].as_object().into_iter().flatten();
            examples.extend(several.map(|(_, example)| example["value"].clone()));
            examples.extend(content.get("example").cloned());
        }
        assert!(examples.len() > 3, "{examples:?}");
        for example in examples {
            let request = server.request_as(&alice, "POST", "/v1/orders/validate");
            let decision = send(request.json(&example)).await.expect(200);
            assert_eq!(decision["allowed"], true, "{example}: {decision}");
            assert_eq!(decision["approval"], Value::Null, "{example}: {decision}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_document_is_served_as_yaml_and_for_openapi_3_0_too() {
    with_sqlite(|database| async move {
        let server = TestServer::unsynced(database, TestConfig::default()).await;
        let yaml = send(server.request("GET", "/openapi.yaml")).await;
        assert_eq!(yaml.header("content-type"), "application/yaml", "{yaml}");
        assert!(yaml.text.starts_with("openapi: 3.1.0\n"), "{yaml}");
        let rendered = send(server.request("GET", "/openapi-3.0.json")).await;
        assert_eq!(rendered.header("content-type"), "application/json", "{rendered}");
        assert_eq!(rendered.json()["openapi"], "3.0.3");
    })
    .await;
}

#[test]
fn generators_of_openapi_3_0_find_one_result_and_one_media_type() {
    let document = numberdesk::http::document_3_0();
    for operation in operations(&document) {
        let name = &operation.name;
        let of_a_success = |status: &str| status.starts_with(['2', '3']);
        let (successes, problems): (Vec<_>, Vec<_>) = operation
            .responses()
            .partition(|(status, _)| of_a_success(status));
        for (kind, responses) in [("results", successes), ("problems", problems)] {
            let bodies: HashSet<String> = responses
                .iter()
                .map(|(_, response)| response["content"].as_object())
                .map(|content| match content {
                    Some(content) => content.values().map(|body| body["schema"].to_string()).collect(),
                    None => String::new(),
                })
                .collect();
            assert_eq!(bodies.len(), 1, "{name} has {kind} {bodies:?}");
            for (status, response) in responses {
                assert!(content(response).count() <= 1, "{name} {status}");
            }
        }
        assert!(content(&operation.object["requestBody"]).count() <= 1, "{name}");
    }
}

#[test]
fn every_operation_has_a_description_and_a_tag() {
    let document = document();
    let mut faults = Vec::new();
    for operation in operations(&document) {
        let name = &operation.name;
        for member in ["operationId", "summary", "description"] {
            if operation.text(member).is_empty() {
                faults.push(format!("{name} has no {member}"));
            }
        }
        if operation.object["tags"].as_array().is_none_or(Vec::is_empty) {
            faults.push(format!("{name} has no tag"));
        }
        for parameter in operation.parameters() {
            let described = [parameter, &parameter["schema"]]
                .iter()
                .any(|part| part["description"].as_str().is_some_and(|text| !text.is_empty()));
            if !described {
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
        let requests = content(&operation.object["requestBody"])
            .map(|(media, content)| (format!("request {media}"), content));
        let responses = operation.responses().flat_map(|(status, response)| {
            content(response).map(move |(media, content)| (format!("response {status} {media}"), content))
        });
        for (what, content) in requests.chain(responses) {
            // The other media types are CSV and a stream of events.
            if what.ends_with("json") && !has_example(&document, content) {
                faults.push(format!("{}: {what} has no example", operation.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_operation_declares_its_security_and_its_errors_as_problems() {
    let document = document();
    let mut faults = Vec::new();
    for operation in operations(&document) {
        let name = &operation.name;
        if operation.is_open() {
            faults.push(format!("{name} needs no token"));
        }
        let statuses: Vec<&String> = operation.responses().map(|(status, _)| status).collect();
        for status in ["400", "401", "403", "404", "500", "503"] {
            if !statuses.iter().any(|known| **known == status) {
                faults.push(format!("{name} does not document {status}"));
            }
        }
        if !statuses.iter().any(|status| status.starts_with(['2', '3'])) {
            faults.push(format!("{name} never succeeds"));
        }
        for (status, response) in operation.responses() {
            let media: Vec<String> = content(response).map(|(media, _)| media.clone()).collect();
            if status.starts_with(['4', '5']) && media != ["application/problem+json"] {
                faults.push(format!("{name}: {status} has the media types {media:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Sends valid and invalid requests to every operation, and uses values of responses in further requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_finds_no_server_error_and_no_undocumented_response() {
    with_sqlite(a_fuzzer_finds_nothing).await;
}

async fn a_fuzzer_finds_nothing(database: Database) {
    let schemathesis = provided(".venv/bin/schemathesis");
    let config = TestConfig {
        policy: POLICY.replace("[teams.sales]", "[teams.sales-emea]"),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    // The fuzzer needs ids of real objects: made-up ids only lead to 404.
    let order = json!({ "country": "DE", "carrier_type": "local" });
    let order = server
        .order(&ALL_PERMISSIONS, "before-the-fuzzer", &order)
        .await
        .expect(201);
    let endpoint = server.request_as(&ALL_PERMISSIONS, "POST", "/v1/webhook-endpoints");
    let endpoint = send(endpoint.json(&json!({ "url": "https://127.0.0.1/hook" })))
        .await
        .expect(201);
    let endpoint = text(&endpoint["id"]);
    let delivery = server.request_as(
        &ALL_PERMISSIONS,
        "POST",
        &format!("/v1/webhook-endpoints/{endpoint}/test"),
    );
    let delivery = text(&send(delivery).await.expect(202)["id"]);
    let mut fuzzer = Command::new(schemathesis);
    fuzzer
        .arg("--config-file")
        .arg(root().join("tests/python/schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", server.api)])
        .current_dir(server.folder.path())
        .env("TOKEN", server.token(&ALL_PERMISSIONS))
        .env("ORDER", text(&order["id"]))
        .env("NUMBER", text(&order["phone_number"]["id"]))
        .env("ENDPOINT", endpoint)
        .env("DELIVERY", delivery)
        .env("NO_COLOR", "1");
    println!("{}", succeeds(&mut fuzzer, PATIENCE).await);
}

fn document() -> Value {
    numberdesk::http::document()
}

/// An operation of the document.
struct Operation<'a> {
    document: &'a Value,
    name: String,
    object: &'a Value,
}

impl Operation<'_> {
    fn text(&self, member: &str) -> &str {
        self.object[member].as_str().unwrap_or_default()
    }

    fn responses(&self) -> impl Iterator<Item = (&String, &Value)> {
        let responses = self.object["responses"].as_object().into_iter().flatten();
        responses.map(|(status, response)| (status, resolve(self.document, response)))
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        let parameters = self.object["parameters"].as_array().into_iter().flatten();
        parameters.map(|parameter| resolve(self.document, parameter))
    }

    /// Whether it can be called without a token: an empty requirement, or none at all.
    fn is_open(&self) -> bool {
        let needs = match &self.object["security"] {
            Value::Null => &self.document["security"],
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
        for (method, object) in item.as_object().expect("a path has operations") {
            assert!(
                METHODS.contains(&method.as_str()),
                "this test does not know `{method}` of {path}"
            );
            let name = format!("{} {path}", method.to_uppercase());
            found.push(Operation {
                document,
                name,
                object,
            });
        }
    }
    assert!(found.len() > 10, "only {} operations", found.len());
    found
}

/// Returns the bodies of a request or a response, by media type.
fn content(holder: &Value) -> impl Iterator<Item = (&String, &Value)> {
    holder["content"].as_object().into_iter().flatten()
}

#[test]
fn every_reference_of_both_versions_of_the_document_resolves() {
    for document in [document(), numberdesk::http::document_3_0()] {
        let mut references = Vec::new();
        collect_references(&document, &mut references);
        assert!(references.len() > 300, "{}", references.len());
        for reference in references {
            resolve(&document, &json!({ "$ref": reference }));
        }
    }
}

#[test]
fn the_document_has_one_result_type_for_each_operation_and_is_small() {
    let document = document();
    for operation in operations(&document) {
        let results = operation
            .responses()
            .filter(|(status, _)| status.starts_with('2'));
        let types: BTreeSet<String> = results
            .flat_map(|(_, response)| content(response))
            .filter(|(media, _)| *media == "application/json")
            .map(|(_, content)| content["schema"].to_string())
            .collect();
        assert!(types.len() <= 1, "{}: {types:?}", operation.name);
    }
    let size = document.to_string().len();
    assert!(size < 200_000, "{size} bytes");
}

#[test]
fn a_webhook_describes_every_event_type_with_its_data() {
    let document = document();
    let webhooks = document["webhooks"].as_object().expect("a document has webhooks");
    let kinds = EventKind::ALL.iter().map(|kind| kind.as_str());
    for kind in kinds.chain(["webhook_endpoint.test"]) {
        let schema = &webhooks[kind]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let event = resolve(&document, schema);
        let data = resolve(&document, &event["properties"]["data"]);
        assert!(
            data["properties"].is_object() || kind == "inventory.compared",
            "{kind}: {data}"
        );
    }
    assert_eq!(webhooks.len(), EventKind::ALL.len() + 1);
}

fn collect_references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members
                .values()
                .for_each(|member| collect_references(member, found));
        }
        _ => {}
    }
}

/// Whether there is an example next to the schema, in it, or in each of its parts, so that tools can build one.
fn has_example(document: &Value, content: &Value) -> bool {
    has_own_example(content) || is_covered(document, &content["schema"])
}

fn has_own_example(holder: &Value) -> bool {
    !holder["example"].is_null() || !holder["examples"].is_null()
}

/// Whether the schema has an example or needs none: enums, integers, booleans and nullable values are clear without.
fn is_covered(document: &Value, schema: &Value) -> bool {
    let schema = resolve(document, schema);
    let fixed = !schema["enum"].is_null() || !schema["const"].is_null();
    let plain = schema["type"] == "boolean" || schema["type"] == "integer";
    if has_own_example(schema) || fixed || plain || may_be_null(schema) {
        return true;
    }
    if !schema["items"].is_null() {
        return is_covered(document, &schema["items"]);
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let mut required = required.filter_map(Value::as_str).peekable();
    required.peek().is_some() && required.all(|name| is_covered(document, &schema["properties"][name]))
}

fn may_be_null(schema: &Value) -> bool {
    let kinds = schema["type"].as_array().into_iter().flatten();
    let options = schema["oneOf"].as_array().into_iter().flatten();
    kinds
        .chain(options.map(|option| &option["type"]))
        .any(|kind| kind == "null")
}

/// Follows the references of a schema.
fn resolve<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        schema = document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{reference} points to nothing"));
    }
    schema
}
