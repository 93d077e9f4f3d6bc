//! The settings in the guides and the Kubernetes manifests are valid. Their files exist only where they are used.

use super::*;
use crate::domain::input::read::read;

/// Faults of a part of a file, whose other part the guide does not repeat.
const INCOMPLETE: [&str; 2] = [
    "`api_key_file` is required (or NUMBERDESK_CLOSE__API_KEY in the environment)",
    "needs at least one [[auth.issuers]]: without an issuer, no token is valid",
];

/// Returns the settings in a Markdown page. Other TOML is about the policy.
fn settings(page: &str) -> Vec<&str> {
    let blocks = page.split("```toml\n").skip(1);
    blocks
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| {
            !["[teams", "[[grants]]", "[[service_accounts]]", "[prices]"]
                .iter()
                .any(|table| block.contains(table))
        })
        .collect()
}

fn faults(text: &str) -> Vec<String> {
    let document = Document::parse("sample", text).unwrap();
    let faults = read::<Config>(document.root()).err().unwrap_or_default();
    let located = document.locate(faults);
    located
        .iter()
        .filter(|fault| !INCOMPLETE.contains(&fault.message.as_str()))
        .map(|fault| format!("{fault}\n{text}"))
        .collect()
}

#[test]
fn every_sample_is_valid_apart_from_its_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut samples = 0;
    for guide in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = guide.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            for block in settings(&std::fs::read_to_string(path).unwrap()) {
                assert_eq!(faults(block), [""; 0]);
                samples += 1;
            }
        }
    }
    for name in [
        "overlays/embedded",
        "overlays/postgres",
        "overlays/postgres-url",
        "examples/acme/base",
    ] {
        let text = std::fs::read_to_string(root.join(format!("k8s/{name}/numberdesk.toml"))).unwrap();
        assert_eq!(faults(&text), [""; 0]);
        samples += 1;
    }
    assert!(samples > 10, "{samples}");
    assert_eq!(faults("[server]\nlisen = 'x'").len(), 1);
}
