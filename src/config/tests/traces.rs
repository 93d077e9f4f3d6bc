//! The section `[traces]`.

use super::*;

#[test]
fn a_collector_is_a_whole_url_without_a_secret_and_its_share_a_percentage() {
    let traces = |lines: &str| with(&format!("{}\n[traces]\n{lines}", minimal()), &[]);
    let config = traces("endpoint = \"http://collector:4318/v1/traces\"\npercent = 0").unwrap();
    assert_eq!(
        config.traces.endpoint.unwrap().as_str(),
        "http://collector:4318/v1/traces"
    );
    assert_eq!(config.traces.percent.0, 0);
    for (lines, fault) in [
        (
            "endpoint = \"http://collector:4318\"",
            "must be the whole URL of a collector",
        ),
        (
            "endpoint = \"collector:4318/v1/traces\"",
            "must be the whole URL of a collector",
        ),
        (
            "endpoint = \"https://x:hunter2@c/v1/traces\"",
            "must not contain a user",
        ),
        ("percent = 101", "must be a whole number from 0 to 100"),
    ] {
        let faults = fault_texts(traces(lines));
        assert!(
            faults.iter().any(|text| text.contains(fault)),
            "{lines}: {faults:?}"
        );
        assert!(!faults.iter().any(|text| text.contains("hunter2")));
    }
}
