//! What logs and spans come from: the attributes of this process, as OpenTelemetry names them.

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use uuid::Uuid;

/// Returns the attributes of the process: those of `OTEL_RESOURCE_ATTRIBUTES`, and its name, version and instance.
///
/// The variables name the service and the instance, if they do. Otherwise the instance is the pod, or a random id.
#[expect(
    clippy::disallowed_methods,
    reason = "the id of a process is no id of the service, and begins before any clock"
)]
pub(super) fn resource() -> Resource {
    let found = Resource::builder().build();
    let given = |key: &'static str| Some(found.get(&Key::from_static_str(key))?.to_string());
    let name = given("service.name").filter(|name| !name.starts_with("unknown_service"));
    let pod = given("k8s.namespace.name").zip(given("k8s.pod.name"));
    let instance = given("service.instance.id")
        .or_else(|| pod.map(|(namespace, pod)| format!("{namespace}.{pod}")))
        .unwrap_or_else(|| Uuid::now_v7().to_string());
    Resource::builder()
        .with_service_name(name.unwrap_or_else(|| "numberdesk".to_owned()))
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ])
        .build()
}

/// Returns the attributes as members of a JSON object, each with a comma before it.
pub(super) fn members(resource: &Resource) -> String {
    let attributes = resource
        .iter()
        .filter(|(key, _)| !key.as_str().starts_with("telemetry.sdk."));
    let mut members: Vec<_> = attributes
        .map(|(key, value)| {
            let (key, value) = (serde_json::json!(key.as_str()), serde_json::json!(value.as_str()));
            format!(",{key}:{value}")
        })
        .collect();
    members.sort();
    members.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_members_of_json_whatever_they_contain() {
        let resource = Resource::builder_empty()
            .with_attributes([KeyValue::new("b", "say \"hi\"\n"), KeyValue::new("a", "1")])
            .build();
        assert_eq!(members(&resource), r#","a":"1","b":"say \"hi\"\n""#);
    }
}
