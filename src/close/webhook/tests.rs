//! Tests of signatures and events, with a test vector that other implementations use too.

use super::*;
use hmac::Mac;
use serde_json::json;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const OTHER: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
const BODY: &str = r#"{"subscription_id":"whsub_0000000000000000000000","event":{"id":"ev_0000000000000000000000","object_type":"phone_number","action":"created"}}"#;
const SIGNATURE: &str = "7ad0c5390af0c03e9108082934034327d6e26ab6fe8f2b55a7dee14927dc633d";
const AT: &str = "1790000000";
const DAY: Duration = Duration::from_hours(24);

fn keys(texts: &[&str]) -> Vec<SignatureKey> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Reads the headers and verifies the body, in one step.
fn verify(
    keys: &[SignatureKey],
    signature: Option<&str>,
    timestamp: Option<&str>,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), Forged> {
    Signature::from_headers(signature, timestamp, now, tolerance)?.verify(keys, body)
}

/// Verifies at the time of the signature, with a tolerance of a day.
fn verified(keys: &[SignatureKey], signature: &str, timestamp: &str, body: &str) -> Result<(), Forged> {
    let now = Timestamp::from_seconds(1_790_000_000);
    verify(keys, Some(signature), Some(timestamp), body.as_bytes(), now, DAY)
}

/// Signs with the bytes of `key` as they are.
fn sign(key: &[u8], timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(timestamp.as_bytes());
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn delivery(body: &[u8]) -> Option<CloseEvent> {
    read(&parse(body)?)
}

#[test]
fn the_test_vector_is_valid() {
    assert_eq!(verified(&keys(&[KEY]), SIGNATURE, AT, BODY), Ok(()));
    assert_eq!(
        verified(&keys(&[&KEY.to_uppercase()]), SIGNATURE, AT, BODY),
        Ok(())
    );
}

#[test]
fn during_a_rotation_both_keys_are_valid_and_no_third_one() {
    for pair in [[KEY, OTHER], [OTHER, KEY]] {
        assert_eq!(verified(&keys(&pair), SIGNATURE, AT, BODY), Ok(()));
        let by_other = sign(&hex::decode(OTHER).unwrap(), AT, BODY);
        assert_eq!(verified(&keys(&pair), &by_other, AT, BODY), Ok(()));
        let by_third = sign(&[7; 32], AT, BODY);
        let outcome = verified(&keys(&pair), &by_third, AT, BODY);
        assert_eq!(outcome, Err(Forged::WrongSignature));
    }
    assert_eq!(
        verified(&keys(&[OTHER]), SIGNATURE, AT, BODY),
        Err(Forged::WrongSignature)
    );
    assert_eq!(verified(&[], SIGNATURE, AT, BODY), Err(Forged::NoKey));
}

#[test]
fn a_signature_that_is_not_exactly_right_is_refused() {
    let as_text = sign(KEY.as_bytes(), AT, BODY);
    assert!(as_text.starts_with("72b2097d"), "{as_text}");
    let one_off = SIGNATURE.replace("633d", "633e");
    for (signature, why) in [
        (as_text.as_str(), Forged::WrongSignature),
        (one_off.as_str(), Forged::WrongSignature),
        (&SIGNATURE.to_uppercase(), Forged::MalformedSignature),
        (&SIGNATURE[..63], Forged::MalformedSignature),
        (&SIGNATURE[..62], Forged::MalformedSignature),
        (&format!("{SIGNATURE}00"), Forged::MalformedSignature),
        (&format!("{SIGNATURE} "), Forged::MalformedSignature),
        (&format!("sha256={SIGNATURE}"), Forged::MalformedSignature),
        (&SIGNATURE.replace('7', "g"), Forged::MalformedSignature),
        ("", Forged::MalformedSignature),
        ("é", Forged::MalformedSignature),
    ] {
        let outcome = verified(&keys(&[KEY]), signature, AT, BODY);
        assert_eq!(outcome, Err(why), "{signature}");
    }
    let now = Timestamp::from_seconds(1_790_000_000);
    let bare = |signature, timestamp| verify(&keys(&[KEY]), signature, timestamp, BODY.as_bytes(), now, DAY);
    assert_eq!(bare(None, Some(AT)), Err(Forged::NoSignature));
    assert_eq!(bare(Some(SIGNATURE), None), Err(Forged::NoTimestamp));
}

#[test]
fn another_body_or_another_time_is_another_signature() {
    let again: Value = serde_json::from_str(BODY).unwrap();
    let pretty = serde_json::to_string_pretty(&again).unwrap();
    for body in [
        pretty.as_str(),
        "",
        &BODY.replace("created", "deleted"),
        &format!("{BODY}\n"),
    ] {
        let outcome = verified(&keys(&[KEY]), SIGNATURE, AT, body);
        assert_eq!(outcome, Err(Forged::WrongSignature), "{body}");
    }
    for timestamp in ["1790000001", "01790000000"] {
        let outcome = verified(&keys(&[KEY]), SIGNATURE, timestamp, BODY);
        assert_eq!(outcome, Err(Forged::WrongSignature), "{timestamp}");
    }
    // Nothing separates timestamp and body in the signed text. Digits moved from one to the other must not verify.
    let moved = verified(&keys(&[KEY]), SIGNATURE, "179000000", &format!("0{BODY}"));
    assert_eq!(moved, Err(Forged::Stale));
}

#[test]
fn a_time_that_is_no_count_of_seconds_is_refused() {
    for timestamp in [
        "",
        "-1790000000",
        "+1790000000",
        "1790000000.5",
        "1.79e9",
        " 1790000000",
        "1790000000 ",
        "0x6AB13B80",
        "2026-11-23T10:00:00Z",
        "1790000000000000000000",
        "١٧٩٠٠٠٠٠٠٠",
    ] {
        // Even with a correct signature.
        let signature = sign(&hex::decode(KEY).unwrap(), timestamp, BODY);
        let outcome = verified(&keys(&[KEY]), &signature, timestamp, BODY);
        assert_eq!(outcome, Err(Forged::MalformedTimestamp), "{timestamp}");
    }
}

#[test]
fn a_timestamp_too_old_or_in_the_future_is_refused_despite_a_valid_signature() {
    let at = Timestamp::from_seconds(1_790_000_000);
    let second = Duration::from_secs(1);
    for (now, expected) in [
        (at.plus(DAY), Ok(())),
        (at.plus(DAY + second), Err(Forged::Stale)),
        (at.minus(AHEAD), Ok(())),
        (at.minus(AHEAD + second), Err(Forged::Future)),
    ] {
        let verified = verify(
            &keys(&[KEY]),
            Some(SIGNATURE),
            Some(AT),
            BODY.as_bytes(),
            now,
            DAY,
        );
        assert_eq!(verified, expected, "{now}");
    }
}

#[test]
fn only_64_hexadecimal_digits_are_a_key_and_debug_output_hides_it() {
    for text in [
        "",
        "0",
        &KEY[..63],
        &KEY[..62],
        &format!("{KEY}0"),
        &KEY.replace('0', "x"),
        &format!(" {KEY}"),
    ] {
        let fault = text.parse::<SignatureKey>().unwrap_err().to_string();
        assert!(text.is_empty() || text == "0" || !fault.contains(text), "{fault}");
    }
    let key: SignatureKey = KEY.parse().unwrap();
    assert_eq!(format!("{key:?}{key:#?}"), "SignatureKeySignatureKey");
    assert!(key == KEY.parse().unwrap() && key != OTHER.parse().unwrap());
}

#[test]
fn an_event_names_its_object_and_action() {
    let body = json!({
        "subscription_id": "whsub_1",
        "event": {
            "id": "ev_E1", "object_type": "phone_number", "object_id": "phon_A1", "action": "updated",
            "date_created": "2026-11-23T10:05:00.123000", "date_updated": "2026-11-23T10:05:02.456000",
            "data": {"id": "phon_A1", "country": "DE", "date_updated": "2026-11-23T10:05:01.000000+00:00"},
        },
    });
    let notice = delivery(body.to_string().as_bytes()).unwrap();
    assert_eq!(
        notice,
        CloseEvent {
            event_id: Some("ev_E1".to_owned()),
            updated: Some("2026-11-23T10:05:02.456Z".parse().unwrap()),
            object_type: "phone_number".to_owned(),
            object_id: Some("phon_A1".to_owned()),
            action: "updated".to_owned(),
            data_updated: Some("2026-11-23T10:05:01Z".parse().unwrap()),
            country: Some("DE".parse().unwrap()),
        }
    );
    let bare = delivery(BODY.as_bytes()).unwrap();
    assert_eq!((bare.object_id, bare.updated, bare.country), (None, None, None));
}

#[test]
fn a_missing_or_invalid_member_of_an_event_counts_as_unknown() {
    for (name, odd) in [
        ("id", json!("ev_../x")),
        ("id", json!(format!("ev_{}", "a".repeat(65)))),
        ("id", json!(5)),
        ("object_id", json!("phon_a/b")),
        ("object_id", json!("a".repeat(101))),
        ("object_id", json!({"a": 1})),
        ("date_updated", json!("yesterday")),
        ("date_updated", json!(1_790_000_000)),
        ("data", json!(null)),
        ("data", json!([])),
        ("data", json!({"country": "XX", "date_updated": ""})),
    ] {
        let mut event = json!({"object_type": "phone_number", "action": "deleted"});
        event[name] = odd.clone();
        let notice = delivery(json!({"event": event}).to_string().as_bytes());
        let notice = notice.unwrap_or_else(|| panic!("{name} {odd}"));
        let known = (
            &notice.event_id,
            &notice.object_id,
            notice.updated,
            notice.data_updated,
        );
        assert_eq!(known, (&None, &None, None, None), "{name} {odd}");
        assert_eq!(notice.country, None);
    }
}

#[test]
fn a_body_that_is_no_event_is_ignored() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(r#"{{"event":{{"object_type":"group","action":"created","data":{deep}}}}}"#);
    let twice = r#"{"event":{"object_type":"group","object_type":"phone_number","action":"created"}}"#;
    let hidden = r#"{"event":{"object_type":"group","action":"created","data":{"a":1,"a":2}}}"#;
    let huge = format!(
        r#"{{"event":{{"object_type":"group","action":"created","data":"{}"}}}}"#,
        "x".repeat(LARGEST)
    );
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "5",
        r#"{"event":null}"#,
        r#"{"event":[]}"#,
        r#"{"event":{"object_type":"phone_number"}}"#,
        r#"{"event":{"action":"created"}}"#,
        r#"{"event":{"object_type":5,"action":"created"}}"#,
        r#"{"event":{"object_type":"","action":"created"}}"#,
        r#"{"event":{"object_type":"a\u001b[2J","action":"created"}}"#,
        r#"{"object_type":"phone_number","action":"created"}"#,
        r#"{"event":{"object_type":"phone_number","action":"created"}} x"#,
        twice,
        hidden,
        &deep,
        &nested,
        &huge,
    ] {
        assert_eq!(delivery(body.as_bytes()), None, "{}", &body[..body.len().min(80)]);
    }
    assert_eq!(delivery(b"{\"event\":{\"object_type\":\"\xff\"}}"), None);
}
