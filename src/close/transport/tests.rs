//! Tests of the base URL and of keeping the API key secret.

use super::*;
use url::Url;

fn client(base: &str) -> anyhow::Result<Transport> {
    let settings = Settings::new(Url::parse(base).unwrap(), Duration::from_secs(1));
    Transport::new(settings, "api_x.y".into(), Clock::system())
}

#[test]
fn a_base_url_that_would_carry_a_secret_or_lead_nowhere_is_refused_without_being_repeated() {
    for bad in [
        "ftp://api.close.com/",
        "data:text/plain,hunter2",
        "https://hunter2@api.close.com/",
        "https://x:hunter2@api.close.com/",
        "https://api.close.com/?k=hunter2",
        "https://api.close.com/#hunter2",
    ] {
        let fault = client(bad).err().unwrap_or_else(|| panic!("{bad}"));
        assert!(!format!("{fault:?}").contains("hunter2"), "{bad}");
    }
    assert!(client("https://api.close.com/api/v1").is_ok());
    assert!(client("http://127.0.0.1:8081").is_ok());
}

#[test]
fn the_key_goes_into_one_header_that_hides_it() {
    let headers = headers(&"api_abc.def".into());
    let sent = &headers[AUTHORIZATION];
    assert_eq!(sent.to_str().unwrap(), "Basic YXBpX2FiYy5kZWY6");
    assert!(sent.is_sensitive());
    assert!(!format!("{headers:?}").contains("YXBp"));
}

#[test]
fn a_response_with_the_key_is_noticed_in_either_form() {
    let key = "api_abc.def".into();
    assert!(contains_key(br#"{"auth":"Basic YXBpX2FiYy5kZWY6"}"#, &key));
    assert!(contains_key(br#"{"error":"bad key api_abc.def"}"#, &key));
    assert!(!contains_key(br#"{"id":"phon_1"}"#, &key));
    assert!(!contains_key(b"", &"".into()));
}

#[test]
fn a_key_is_recognised_by_its_public_part_also_after_it_was_replaced() {
    let transport = client("https://api.close.com/api/v1").unwrap();
    assert!(transport.has_used_key("api_x"));
    for other in ["", "api_x.y", "y", "api_z"] {
        assert!(!transport.has_used_key(other), "{other}");
    }
    transport.replace_key("api_z.y".into());
    transport.replace_key("without a public part".into());
    assert!(transport.has_used_key("api_x") && transport.has_used_key("api_z"));
    assert!(!transport.has_used_key("without a public part"));
}

#[test]
fn a_time_limit_is_given_in_seconds_and_without_the_time_that_has_passed_since() {
    for (limit, expected) in [(4_999_995, "5 s"), (30_000_000, "30 s"), (249_000, "0.2 s")] {
        assert_eq!(in_seconds(Duration::from_micros(limit)), expected);
    }
}
