//! Tests of the readers of Close's JSON.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::domain::later_word::LaterMembers;
use crate::domain::number::{CarrierType, Sharing};

/// A number in the response to its rent: times without an offset, nulls, and without fields that Close adds later.
fn fresh() -> Value {
    json!({
        "id": "phon_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "organization_id": "orga_B",
        "number": "+14155550123", "number_formatted": "+1 415-555-0123", "country": "US", "label": null,
        "type": "internal", "carrier": null, "carrier_type": null, "address_id": null, "bundle_id": null,
        "is_premium": false, "is_verified": true, "sms_enabled": true, "mms_enabled": true,
        "last_billed_price": null, "next_billing_on": null, "is_group_number": false, "user_id": "user_C",
        "date_created": "2026-11-23T10:00:00.651057", "date_updated": "2026-11-23T10:00:00.651057"
    })
}

/// A number in a later listing.
fn settled() -> Value {
    json!({
        "id": "phon_A", "organization_id": "orga_B", "number": "+14155550123", "country": "US", "label": "Sales line",
        "type": "internal", "carrier": "twilio", "carrier_type": "local", "sms_enabled": true,
        "last_billed_price": 1.15, "next_billing_on": "2026-12-23T00:00:00+00:00", "forward_to": "",
        "participants": ["user_C"], "participant_groups": [], "is_group_number": true, "user_id": null,
        "date_created": "2026-11-23T10:00:00.000000+00:00", "date_updated": "2026-11-23T10:00:00.000000+00:00"
    })
}

/// `settled`, with one field changed; `null` stays `null`.
fn with(field: &str, value: Value) -> Value {
    let mut number = settled();
    number[field] = value;
    number
}

#[test]
fn a_new_number_is_read_although_many_fields_are_missing() {
    let facts = facts(fresh()).unwrap();
    assert_eq!(facts.number, "+14155550123");
    assert_eq!(facts.country.unwrap().as_str(), "US");
    assert!(facts.rented() && !facts.group && facts.participants.is_empty());
    assert_eq!((facts.label, facts.billed, facts.sms), (None, None, Some(true)));
    assert_eq!(facts.user.unwrap().as_str(), "user_C");
    assert_eq!(
        facts.created_at.unwrap().to_string(),
        "2026-11-23T10:00:00.651057Z"
    );
    assert_eq!(Value::Object(facts.object.members()), fresh());
}

#[test]
fn a_listed_number_is_read_and_unknown_fields_are_kept() {
    let body = with("quantum_ready", json!({"a": [1]}));
    let facts = facts(body.clone()).unwrap();
    assert_eq!(facts.billed, Some(Money::from_cents(115)));
    assert_eq!(
        facts.created_at.unwrap().to_string(),
        "2026-11-23T10:00:00.000000Z"
    );
    assert_eq!(facts.label.as_deref(), Some("Sales line"));
    assert!(facts.group);
    assert_eq!(Value::Object(facts.object.members()), body);
}

#[test]
fn an_object_without_a_valid_id_or_without_a_number_is_not_a_phone_number() {
    for (field, value) in [
        ("id", json!(null)),
        ("id", json!(5)),
        ("id", json!("user_A")),
        ("id", json!("phon_a/../me")),
        ("number", json!(null)),
        ("number", json!(14_155_550_123_u64)),
        ("number", json!("")),
    ] {
        assert_eq!(facts(with(field, value.clone())), None, "{field}: {value}");
    }
    for body in [
        json!(null),
        json!([]),
        json!("phon_A"),
        json!({}),
        json!([settled()]),
    ] {
        assert_eq!(facts(body), None);
    }
}

#[test]
fn a_field_of_another_type_counts_as_absent() {
    for (field, value) in [
        ("country", json!("us")),
        ("country", json!("XX")),
        ("country", json!(1)),
        ("label", json!({})),
        ("participants", json!("user_C")),
        ("participants", json!([null, 1, "user_../x"])),
        ("last_billed_price", json!(-1)),
        ("last_billed_price", json!(1e300)),
        ("last_billed_price", json!("much")),
        ("last_billed_price", json!("NaN")),
        ("sms_enabled", json!("yes")),
        ("date_created", json!("yesterday")),
        ("date_created", json!(1_790_000_000)),
        ("user_id", json!([])),
        ("carrier_type", json!(false)),
    ] {
        let read = facts(with(field, value.clone())).unwrap_or_else(|| panic!("{field}: {value}"));
        match field {
            "country" => assert_eq!(read.country, None),
            "label" => assert_eq!(read.label, None),
            "participants" => assert!(read.participants.is_empty()),
            "last_billed_price" => assert_eq!(read.billed, None),
            "sms_enabled" => assert_eq!(read.sms, None),
            "date_created" => assert_eq!(read.created_at, None),
            "user_id" => assert_eq!(read.user, None),
            _ => assert_eq!(read.carrier_type, None),
        }
    }
    let billed = |value| facts(with("last_billed_price", value)).unwrap().billed;
    assert_eq!(billed(json!("4.5")), Some(Money::from_cents(450)));
    assert_eq!(billed(json!(2)), Some(Money::from_cents(200)));
    assert!(facts(with("type", json!(7))).unwrap().rented());
    assert_eq!(facts(with("type", json!("new"))).unwrap().kind, "new");
}

#[test]
fn several_participants_or_a_group_make_a_group_number_regardless_of_its_flag() {
    let group = |participants: Value, groups: Value, flag: Value| {
        let mut number = settled();
        number["participants"] = participants;
        number["participant_groups"] = groups;
        number["is_group_number"] = flag;
        facts(number).unwrap().group
    };
    assert!(!group(json!(["user_a"]), json!([]), json!(false)));
    assert!(!group(json!(null), json!(null), json!("true")));
    assert!(group(json!([]), json!([]), json!(true)));
    assert!(group(json!(["user_a", "user_b"]), json!([]), json!(false)));
    assert!(group(json!(["user_a"]), json!(["group_a"]), json!(null)));
    // Participants with ids in an unknown format count too.
    assert!(group(json!(["user-1", "user-2"]), json!([]), json!(false)));
}

#[test]
fn a_page_is_read_row_by_row_and_rejected_if_it_is_no_page() {
    let page = |status, body| {
        crate::close::json::page(Reply {
            status,
            body,
            size: 0,
        })
    };
    let whole = page(
        200,
        json!({"data": [settled(), fresh()], "has_more": true, "x": 1}),
    )
    .unwrap();
    assert!(whole.has_more && whole.numbers.len() == 2);
    assert!(page(200, json!({"data": [], "has_more": false})).is_some());
    for body in [
        json!(null),
        json!([]),
        json!({"data": [settled()]}),
        json!({"has_more": false}),
        json!({"data": {}, "has_more": false}),
        json!({"data": null, "has_more": false}),
        json!({"data": [settled()], "has_more": "false"}),
        json!({"data": [settled()], "has_more": null}),
    ] {
        assert!(page(200, body.clone()).is_none(), "{body}");
    }
    assert!(page(206, json!({"data": [], "has_more": false})).is_none());
    let rows = json!({"data": [settled(), null, {"id": "phon_B"}], "has_more": false});
    let read = page(200, rows).unwrap().numbers;
    assert_eq!((read.items.len(), read.odd.len()), (1, 2));
}

#[test]
fn the_body_of_a_rent_has_only_the_requested_fields() {
    let mut request = Request {
        country: "DE".parse().unwrap(),
        sharing: Sharing::Personal,
        prefix: None,
        carrier_type: None,
        bundle_id: None,
        with_sms: None,
        with_mms: None,
        assign_to: None,
        label: Some("Berlin".into()),
        later: LaterMembers::new(),
    };
    let mut terms = Terms {
        carrier_type: None,
        assign_to: None,
        monthly: Money::ZERO,
        later: LaterMembers::new(),
    };
    let body = |request: &Request, terms: &Terms, sharing| Value::Object(rent(request, terms, sharing));
    assert_eq!(body(&request, &terms, false), json!({"country":"DE"}));
    assert_eq!(
        body(&request, &terms, true),
        json!({"country":"DE","sharing":"personal"})
    );
    request.assign_to = Some(vec!["user_a".parse().unwrap(), "user_b".parse().unwrap()]);
    assert_eq!(
        body(&request, &terms, true),
        json!({"country":"DE","sharing":"group"}),
        "several assignees are several people"
    );
    request.sharing = Sharing::Group;
    request.prefix = Some("30".into());
    request.bundle_id = Some("bu_1".into());
    request.with_sms = Some(false);
    request.with_mms = Some(true);
    terms.carrier_type = Some(CarrierType::TollFree);
    terms.assign_to = Some(vec!["user_a".parse().unwrap()]);
    assert_eq!(
        body(&request, &terms, true),
        json!({"country":"DE","sharing":"group","prefix":"30","carrier_type":"tollfree","bundle_id":"bu_1",
            "with_sms":false,"with_mms":true,"assign_to":["user_a"]})
    );
}

#[test]
fn the_owner_of_the_key_is_read_from_memberships_and_organizations() {
    let body = json!({"id":"user_a","organizations":[{"id":"orga_1"},{"id":"orga_2"}],"memberships":[
        {"organization_id":"orga_1","permissions_granted":["calling","manage_group_numbers",5]},
        {"organization_id":"orga_1"}, "odd"]});
    let read = me(&body).unwrap();
    assert_eq!(read.user_id.as_ref().unwrap().as_str(), "user_a");
    assert_eq!(read.odd.len(), 1, "one membership is a text");
    assert_eq!(read.organization_ids, ["orga_1", "orga_2"]);
    assert!(read.permissions.contains("manage_group_numbers") && read.permissions.len() == 2);
    assert!(me(&json!({"id":"user_a"})).unwrap().permissions.is_empty());
    let odd = me(&json!({"id":"user-7","organizations":[{"id":"orga_1"}]})).unwrap();
    assert_eq!((odd.user_id, odd.odd.len()), (None, 1));
    for body in [json!(null), json!({}), json!({"id":"phon_a"}), json!([])] {
        assert_eq!(me(&body), None);
    }
}

#[test]
fn a_group_without_members_or_with_another_id_is_rejected() {
    let id = "group_a".parse().unwrap();
    let read = members(
        &id,
        &json!({"id":"group_a","members":[{"user_id":"user_b"},{"user_id":1},{}]}),
    );
    let read = read.unwrap();
    assert_eq!((read.items.len(), read.odd.len()), (1, 1));
    assert_eq!(
        members(&id, &json!({"id":"group_a","members":[]})).unwrap().len(),
        0
    );
    for body in [
        json!({"id":"group_a","members":null}),
        json!({"id":"group_a"}),
        json!({"id":"group_b","members":[]}),
        json!(null),
    ] {
        assert_eq!(members(&id, &body), None, "{body}");
    }
}

fn rows(rows: Vec<Value>) -> Listed<Facts> {
    Listed::read(rows, number)
}

#[test]
fn an_odd_row_is_named_and_does_not_hide_the_others() {
    let good = json!({"id": "phon_A", "number": "+493012345"});
    for (odd, name, fault) in [
        (
            json!({"id": "phon_B", "number": null}),
            Some("phon_B"),
            "`number` is null",
        ),
        (json!({"id": "phon_B"}), Some("phon_B"), "`number` is missing"),
        (
            json!({"id": "phon_B", "number": ""}),
            Some("phon_B"),
            "`number` is empty",
        ),
        (
            json!({"id": "phon_B", "number": 49}),
            Some("phon_B"),
            "`number` is not a text",
        ),
        (
            json!({"id": "num-7", "number": "+49"}),
            Some("num-7"),
            "`id` has an unexpected form",
        ),
        (
            json!({"id": "../x", "number": "+49"}),
            None,
            "`id` has an unexpected form",
        ),
        (json!({"id": 7, "number": "+49"}), None, "`id` is not a text"),
        (json!({"number": "+49"}), None, "`id` is missing"),
        (json!("phon_B"), None, "it is not a JSON object"),
        (json!(null), None, "it is not a JSON object"),
    ] {
        let listed = rows(vec![odd.clone(), good.clone()]);
        assert_eq!(listed.items.len(), 1, "{odd}");
        let [record] = listed.odd.as_slice() else {
            panic!("{odd}: {listed:?}")
        };
        assert_eq!(record.fault, fault, "{odd}");
        match name {
            Some(name) => assert_eq!(record.name, name),
            None => assert!(record.name.starts_with("unnamed-"), "{record:?}"),
        }
        assert!(!record.name.contains("+49"), "{record:?}");
    }
}

#[test]
fn records_that_can_not_be_told_apart_are_numbered_and_the_same_number_counts_once() {
    let nameless = json!({"id": null, "number": null});
    let named = json!({"id": "phon_B", "number": null});
    let listed = rows(vec![
        nameless.clone(),
        named.clone(),
        nameless.clone(),
        named,
        nameless,
    ]);
    let shown: Vec<&str> = listed.odd.iter().map(|odd| odd.name.as_str()).collect();
    assert_eq!(shown.len(), 4);
    assert!(shown[2].ends_with("#2") && shown[3].ends_with("#3"), "{shown:?}");
}

#[test]
fn two_numbers_with_one_id_on_a_page_are_odd_and_a_number_that_moved_to_the_next_page_is_not() {
    let page = |numbers: &[&str]| {
        let row = |number: &&str| json!({"id": "phon_A", "number": number});
        rows(numbers.iter().map(row).collect())
    };
    let (mut all, mut seen) = (Listed::default(), HashMap::new());
    all.add_page(page(&["+4930", "+4930"]), &mut seen, 0);
    all.add_page(page(&["+4931"]), &mut seen, 1);
    assert_eq!((all.items.len(), all.odd.len()), (1, 0));
    let (mut all, mut seen) = (Listed::default(), HashMap::new());
    all.add_page(page(&["+4930", "+4931"]), &mut seen, 0);
    assert_eq!((all.items.len(), all.odd.len()), (1, 1));
    assert_eq!(
        (&all.odd[0].number, all.odd[0].name.as_str()),
        (&None, "phon_A#2")
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("phon_A")),
        Just(json!("2026-11-23T10:00:00")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_a_reader_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 0..8), any in any_json()) {
        let mut number = settled();
        let names: Vec<String> = number.as_object().unwrap().keys().cloned().collect();
        for (which, value) in changes {
            number[which.get(&names)] = value;
        }
        if let Some(read) = facts(number.clone()) {
            // Compares the texts, because a float may be parsed as its neighbour.
            prop_assert_eq!(serde_json::to_string(&read.object).unwrap(), number.to_string());
        }
        let _ = facts(any.clone());
        let _ = me(&any);
        let _ = members(&"group_a".parse().unwrap(), &any);
        let _ = page(Reply { status: 200, body: json!({"data": any, "has_more": true}), size: 0 });
    }

    #[test]
    fn no_bytes_make_the_reader_of_responses_panic(status in 100_u16..1000, body in prop::collection::vec(any::<u8>(), 0..200), value in any_json()) {
        let _ = crate::close::response::read(status, &body);
        let _ = crate::close::response::read(status, value.to_string().as_bytes());
        let wrapped = json!({"status": value, "error": value, "errors": value, "field-errors": value});
        let _ = crate::close::response::read(status, wrapped.to_string().as_bytes());
    }
}
