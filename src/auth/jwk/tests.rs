//! Tests of reading key sets, as providers publish them.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;

// RFC 8037, appendix A.2.
const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
// RFC 8032, section 7.1, test 2.
const OTHER_ED: &str = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
// RFC 7517, appendix A.1.
const EC_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
const EC_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

// Multiples of the base point of P-256 (the 379th and the 43rd) with a coordinate that begins with a zero byte.
const POINTS_WITH_ZEROS: [(&str, &str); 2] = [
    (
        "005543894af3d00ed7d740abdbd75c96b06877b787db5f70eea78b90a8d7c00a",
        "bb4c85a3d8ea29efaafa24406912dd84d5b14dc32bf656ef6c6bd58a5d943f92",
    ),
    (
        "986ae2506f1ff104d04230861d8f4b498f4bc4c6d009b30f7544dc129b82d28d",
        "003cccc0a6460e0ae328a4d97d3c7b61d86fc6289c189f2525110c441bb07e97",
    ),
];

fn set(keys: &Value) -> KeySet {
    match KeySet::parse(json!({"keys": keys}).to_string().as_bytes(), Algorithm::ALL) {
        Err(NotAKeySet::NoneUsable(_)) => KeySet::default(),
        read => read.unwrap(),
    }
}
fn ed(kid: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": ED, "kid": kid})
}
fn rsa(bits: usize) -> Value {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] = 0xff >> (modulus.len() * 8 - bits);
    json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB", "kid": "r"})
}
fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

#[test]
fn each_key_verifies_only_its_own_algorithms() {
    let ec = json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y, "kid": "e"});
    let keys = set(&json!([
        ed("d"),
        ec,
        rsa(2048),
        with(with(rsa(2048), "kid", "p".into()), "alg", "PS256".into())
    ]));
    assert_eq!(keys.len(), 4);
    for (kid, good) in [
        ("d", &[Algorithm::EdDSA][..]),
        ("e", &[Algorithm::ES256]),
        ("r", &[Algorithm::RS256, Algorithm::PS256]),
        ("p", &[Algorithm::PS256]),
    ] {
        for algorithm in Algorithm::ALL {
            let picked = keys.pick(Some(kid), *algorithm);
            assert_eq!(
                matches!(picked, Pick::Key(_)),
                good.contains(algorithm),
                "{kid} {algorithm}"
            );
        }
    }
}

#[test]
fn keys_that_must_not_verify_tokens_are_left_out() {
    let off_curve = json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_X, "kid": "e"});
    let other_curve = json!({"kty": "EC", "crv": "P-384", "x": EC_X, "y": EC_Y, "kid": "e"});
    for bad in [
        rsa(1024),
        rsa(2047),
        rsa(8200),
        with(rsa(2048), "e", "AQ".into()),
        with(rsa(2048), "e", "Ag".into()),
        with(rsa(2048), "alg", "RS512".into()),
        with(rsa(2048), "alg", "ES256".into()),
        off_curve,
        other_curve,
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "h", "alg": "HS256"}),
        json!({"kty": "OKP", "crv": "Ed448", "x": ED}),
        with(ed("a"), "use", "enc".into()),
        with(ed("a"), "key_ops", json!(["encrypt"])),
        with(ed("a"), "x", "AAAA".into()),
        with(ed("a"), "kid", json!(7)),
        with(ed("a"), "d", ED.into()),
        with(rsa(2048), "qi", "AQAB".into()),
        with(rsa(2048), "oth", json!([])),
        json!("key"),
        json!({}),
    ] {
        assert_eq!(set(&json!([bad])).len(), 0, "{bad}");
    }
    assert_eq!(
        set(&json!([with(ed("a"), "key_ops", json!(["verify"]))])).len(),
        1
    );
    let only_rsa = KeySet::parse(
        json!({"keys": [ed("a")]}).to_string().as_bytes(),
        &[Algorithm::RS256],
    );
    assert_eq!(only_rsa, Err(NotAKeySet::NoneUsable("algorithm: 1".into())));
}

#[test]
fn different_keys_of_one_kid_and_algorithm_are_refused_and_others_of_that_kid_are_used() {
    let other = with(ed("a"), "x", OTHER_ED.into());
    let keys = set(&json!([
        ed("a"),
        other,
        with(rsa(2048), "kid", "a".into()),
        ed("b")
    ]));
    assert_eq!(keys.pick(Some("a"), Algorithm::EdDSA), Pick::OtherAlgorithm);
    assert!(matches!(keys.pick(Some("a"), Algorithm::RS256), Pick::Key(_)));
    assert!(matches!(keys.pick(Some("b"), Algorithm::EdDSA), Pick::Key(_)));
    assert_eq!(keys.len(), 2);
    assert_eq!(
        set(&json!([ed("a"), other])).pick(Some("a"), Algorithm::EdDSA),
        Pick::Unknown
    );

    // One of two RSA keys is for PS256 alone, so only that algorithm is ambiguous.
    let mut modulus = vec![0xff; 256];
    modulus[1] = 0x7f;
    let second =
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB", "kid": "r", "alg": "PS256"});
    let keys = set(&json!([rsa(2048), second]));
    assert!(matches!(keys.pick(Some("r"), Algorithm::RS256), Pick::Key(_)));
    assert_eq!(keys.pick(Some("r"), Algorithm::PS256), Pick::OtherAlgorithm);
}

#[test]
fn copies_of_one_key_are_one_key_with_the_algorithms_of_all() {
    let copy = |alg: &str| with(rsa(2048), "alg", alg.into());
    let keys = set(&json!([
        copy("RS512"),
        copy("RS256"),
        copy("RS384"),
        copy("PS256"),
        copy("RS256")
    ]));
    assert_eq!(keys.len(), 1);
    for algorithm in [Algorithm::RS256, Algorithm::PS256] {
        assert!(
            matches!(keys.pick(Some("r"), algorithm), Pick::Key(_)),
            "{algorithm}"
        );
    }
    // A key that is listed with and without a `kid` is still the only one for a token without `kid`.
    let mut unnamed = ed("a");
    unnamed.as_object_mut().unwrap().remove("kid");
    assert!(matches!(
        set(&json!([ed("a"), unnamed])).pick(None, Algorithm::EdDSA),
        Pick::Key(_)
    ));
}

#[test]
fn a_key_with_duplicate_members_is_left_out_and_the_others_are_used() {
    let parse = |text: String| KeySet::parse(text.as_bytes(), Algorithm::ALL);
    let (one, other) = (
        ed("a").to_string(),
        with(ed("b"), "x", OTHER_ED.into()).to_string(),
    );
    let twice = other.replacen('{', r#"{"kid":"c","#, 1);
    let nested = other.replacen('{', r#"{"more":{"a":1,"a":2},"#, 1);
    for odd in [&twice, &nested] {
        let keys = parse(format!(r#"{{"keys":[{odd},{one}]}}"#)).unwrap();
        assert!(matches!(keys.pick(Some("a"), Algorithm::EdDSA), Pick::Key(_)));
        assert_eq!(keys.len(), 1, "{odd}");
        assert_eq!(
            parse(format!(r#"{{"keys":[{odd}]}}"#)),
            Err(NotAKeySet::NoneUsable("malformed: 1".into()))
        );
    }
    // Other members of the document have no meaning.
    let keys = parse(format!(r#"{{"version":1,"keys":[{one}],"version":2}}"#));
    assert_eq!(keys.unwrap().len(), 1);
    // An array is no document with `keys` as its first member.
    assert_eq!(parse(format!("[[{one}]]")), Err(NotAKeySet::NoKeys));
}

#[test]
fn an_empty_use_or_algorithm_is_no_limit() {
    let key = with(with(ed("a"), "use", "".into()), "alg", "".into());
    assert!(matches!(
        set(&json!([key])).pick(Some("a"), Algorithm::EdDSA),
        Pick::Key(_)
    ));
}

#[test]
fn a_null_member_is_absent() {
    let mut key = ed("a");
    for name in ["use", "alg", "key_ops", "x5c", "x5t", "d"] {
        key[name] = Value::Null;
    }
    assert!(matches!(
        set(&json!([key])).pick(Some("a"), Algorithm::EdDSA),
        Pick::Key(_)
    ));
    let unnamed = with(ed("a"), "kid", Value::Null);
    assert!(matches!(
        set(&json!([unnamed])).pick(None, Algorithm::EdDSA),
        Pick::Key(_)
    ));
    for name in ["kty", "crv", "x"] {
        assert_eq!(set(&json!([with(ed("a"), name, Value::Null)])).len(), 0, "{name}");
    }
}

#[test]
fn a_coordinate_is_used_without_its_leading_zeros_and_with_one_more() {
    for (x, y) in POINTS_WITH_ZEROS {
        let (full_x, full_y) = (hex::decode(x).unwrap(), hex::decode(y).unwrap());
        assert!(full_x[0] == 0 || full_y[0] == 0);
        let key = |x: &[u8], y: &[u8]| json!({"kty": "EC", "crv": "P-256", "kid": "e", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)});
        let stripped = |number: &[u8]| {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            number[zeros..].to_vec()
        };
        let signed = |number: &[u8]| [&[0], number].concat();
        let full = set(&json!([key(&full_x, &full_y)]));
        assert_eq!(full.len(), 1, "{x}");
        assert_eq!(
            set(&json!([key(&stripped(&full_x), &stripped(&full_y))])),
            full,
            "{x}"
        );
        assert_eq!(
            set(&json!([key(&signed(&full_x), &signed(&full_y))])),
            full,
            "{x}"
        );
        assert_eq!(
            set(&json!([key(&full_x[1..], &full_x)])).len(),
            0,
            "not on the curve"
        );
        assert_eq!(set(&json!([key(&[1; 33], &full_y)])).len(), 0, "too long");
    }
}

#[test]
fn numbers_in_the_common_wrong_encodings_are_the_same_key() {
    let modulus = [vec![0], vec![0xfb; 256]].concat();
    let key = |n: String| set(&json!([{"kty": "RSA", "n": n, "e": "AQAB", "kid": "r"}]));
    let proper = key(URL_SAFE_NO_PAD.encode(&modulus[1..]));
    assert_eq!(proper.len(), 1);
    let plain = STANDARD.encode(&modulus);
    assert!(plain.contains(['+', '/']) && plain.ends_with('='));
    let (start, end) = plain.split_at(76);
    for n in [
        URL_SAFE_NO_PAD.encode(&modulus),
        plain.clone(),
        format!("{start}\r\n{end}\n"),
        plain.replace('+', "-").replace('/', "_"),
    ] {
        assert_eq!(key(n.clone()), proper, "{n}");
    }
    for bad in ["", "=", "A", "AAAA====", "\u{e9}", "AQAB!"] {
        assert_eq!(key(bad.into()).len(), 0, "{bad}");
    }
    // A leading zero of an Ed25519 key belongs to it.
    assert_eq!(
        set(&json!([with(
            ed("a"),
            "x",
            URL_SAFE_NO_PAD.encode([0; 33]).into()
        )]))
        .len(),
        0
    );
}

#[test]
fn of_very_many_keys_only_the_first_are_read() {
    let keys: Vec<Value> = (0..5_000).map(|nth| ed(&format!("key-{nth}"))).collect();
    let keys = set(&json!(keys));
    assert_eq!(keys.len(), MAX_KEYS);
    assert!(matches!(
        keys.pick(Some("key-999"), Algorithm::EdDSA),
        Pick::Key(_)
    ));
    assert_eq!(keys.pick(Some("key-1000"), Algorithm::EdDSA), Pick::Unknown);
    // Copies of one key among them are one key.
    let copies: Vec<Value> = (0..1_000)
        .map(|nth| ed(if nth % 2 == 0 { "a" } else { "b" }))
        .collect();
    assert_eq!(set(&json!(copies)).len(), 2);
}

#[test]
fn keys_of_new_types_and_odd_entries_leave_the_others_usable() {
    let keys = set(&json!([
        {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "pq"},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "ec"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": ED, "kid": "x"},
        {"kty": 7}, {"kty": "RSA"}, {"kty": "RSA", "kid": "cas", "x5c": ["MIIB"]}, null, 7, [], "key",
        with(ed("a"), "use", "enc".into()),
        with(ed("b"), "alg", "Ed25519".into()),
    ]));
    assert_eq!(keys.len(), 1);
    assert!(matches!(keys.pick(Some("b"), Algorithm::EdDSA), Pick::Key(_)));
}

#[test]
fn a_token_without_kid_needs_a_single_key_that_fits() {
    let one = set(&json!([ed("a"), rsa(2048)]));
    assert!(matches!(one.pick(None, Algorithm::EdDSA), Pick::Key(_)));
    assert_eq!(one.pick(None, Algorithm::ES256), Pick::Unknown);
    let other = with(ed("b"), "x", OTHER_ED.into());
    assert_eq!(
        set(&json!([ed("a"), other])).pick(None, Algorithm::EdDSA),
        Pick::Ambiguous
    );
}

#[test]
fn a_document_that_is_not_a_key_set_is_an_error() {
    let parse = |text: &str| KeySet::parse(text.as_bytes(), Algorithm::ALL).unwrap_err();
    assert_eq!(parse(""), NotAKeySet::NotJson);
    assert_eq!(parse("<html>"), NotAKeySet::NotJson);
    assert_eq!(parse(r#"{"keys":[{}],"keys":[{}]}"#), NotAKeySet::NotJson);
    assert_eq!(parse("[]"), NotAKeySet::NoKeys);
    assert_eq!(parse(r#"{"keys":{}}"#), NotAKeySet::NoKeys);
    assert_eq!(parse(r#"{"keys":[]}"#), NotAKeySet::Empty);
    let unusable = r#"{"keys":[{"kty":"RSA","use":"enc"},{"kty":"oct"},{"kty":"oct"}]}"#;
    let error = parse(unusable).to_string();
    assert!(
        error.ends_with("(not_for_signatures: 1, shared_secret: 2)"),
        "{error}"
    );
    let with_mark = [b"\xef\xbb\xbf", json!({"keys": [ed("a")]}).to_string().as_bytes()].concat();
    assert_eq!(KeySet::parse(&with_mark, Algorithm::ALL).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn no_document_and_no_signature_makes_the_verifier_panic(document in any::<Vec<u8>>(), x in any::<Vec<u8>>(), signature in any::<String>()) {
        let _ = KeySet::parse(&document, Algorithm::ALL);
        let _ = set(&json!([{"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(&x), "e": URL_SAFE_NO_PAD.encode(&x)}]));
        let keys = set(&json!([ed("a")]));
        let Pick::Key(key) = keys.pick(Some("a"), Algorithm::EdDSA) else { panic!("the set has the key") };
        prop_assert!(!key.verify(Algorithm::EdDSA, &document, &signature));
    }
}
