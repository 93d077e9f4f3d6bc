//! The settings of the network: proxies, authorities, idle connections, and origins of web pages.

use super::*;

/// Returns whether a configuration with these lines is valid; otherwise its faults.
fn read(lines: &str) -> Result<Config, Vec<String>> {
    let text = format!("{}\n{lines}", minimal());
    with(&text, &[]).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn origins_are_read_as_browsers_write_them() {
    let config =
        read("[server]\ncors_origins = [\"https://App.example.com:443\", \"http://localhost:3000\"]")
            .unwrap();
    assert_eq!(
        config.server.cors_origins(),
        ["https://app.example.com", "http://localhost:3000"]
    );
    assert!(read("").unwrap().server.cors_origins().is_empty());
    for bad in [
        "*",
        "null",
        "",
        "app.example.com",
        "https://*.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://user@app.example.com",
        "http://app.example.com",
        "ftp://app.example.com",
    ] {
        let faults = read(&format!("[server]\ncors_origins = [\"{bad}\"]")).unwrap_err();
        assert!(faults[0].contains("server.cors_origins"), "{bad}: {faults:?}");
        assert!(faults[0].contains("must be one origin"), "{bad}: {faults:?}");
    }
}

#[test]
fn an_idle_connection_has_75_seconds_unless_set_up_to_an_hour() {
    let idle = |lines: &str| read(lines).map(|config| config.server.idle_timeout.get().as_secs());
    assert_eq!(idle("").unwrap(), 75);
    let hour = idle("[server]\nidle_timeout = \"1h\"\nheader_timeout = \"5s\"");
    assert_eq!(hour.unwrap(), 3_600);
    assert!(idle("[server]\nidle_timeout = \"61m\"").is_err());
    assert!(idle("[server]\nidle_timeout = \"0s\"").is_err());
}

#[test]
fn authorities_need_a_url_that_uses_them() {
    let fault = |lines: &str| read(lines).map(drop).unwrap_err().remove(0);
    let no_effect = "has no effect";
    let traces = "[traces]\nendpoint = \"http://c:4318/v1/traces\"\nca_file = \"ca.crt\"";
    assert!(fault(traces).contains(no_effect), "{}", fault(traces));
    let close = minimal() + "base_url = \"http://127.0.0.1:1/\"\nca_file = \"ca.crt\"";
    let faults = with(&close, &[]).unwrap_err();
    assert!(faults[0].to_string().contains(no_effect), "{faults:?}");
    assert!(fault("[webhooks]\nca_file = \"nowhere\"").contains("can't read"));
    assert!(read("[webhooks]\nca_file = \"ca.crt\"").is_ok());
    assert!(with(&(minimal() + "ca_file = \"ca.crt\""), &[]).is_ok());
}

#[test]
fn a_proxy_is_named_once_and_without_a_secret() {
    let url = |lines: &str| {
        read(lines)
            .unwrap()
            .proxy
            .url()
            .unwrap()
            .map(|(url, source)| format!("{url} {source}"))
    };
    assert_eq!(url(""), None);
    assert_eq!(
        url("[proxy]\nurl = \"http://proxy.example.com:3128\"").as_deref(),
        Some("http://proxy.example.com:3128 proxy.url")
    );
    assert!(read("[proxy]\nurl_file = \"proxy\"").unwrap().proxy.in_file());
    for (lines, fault) in [
        (
            "url = \"http://proxy:1\"\nurl_file = \"proxy\"",
            "set only one of the two",
        ),
        (
            "url = \"http://u:hunter2@proxy:1\"",
            "must not contain a user or a password",
        ),
        (
            "url = \"socks5://hunter2:1\"",
            "must be the http or https URL of a proxy",
        ),
        (
            "url_file = \"bad-proxy\"",
            "must be the http or https URL of a proxy",
        ),
        ("except = [\"http://hunter2/\"]", "must be a host like"),
    ] {
        let faults = read(&format!("[proxy]\n{lines}")).unwrap_err();
        assert!(
            faults.iter().any(|text| text.contains(fault)),
            "{lines}: {faults:?}"
        );
        assert!(!faults.iter().any(|text| text.contains("hunter2")), "{faults:?}");
    }
}
