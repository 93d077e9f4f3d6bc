//! Lists of phone numbers, and how far they lag behind changes.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::json;

use super::Close;

#[tokio::test]
async fn lists_are_filtered_and_paged_and_refuse_invalid_limits() {
    let close = Close::start().await;
    let (owner, alice, group) = (close.user(0).await, close.user(1).await, close.group(0).await);
    let own = close.rented(json!({"country": "DE"})).await;
    let hers = close.rented(json!({"country": "FR", "assign_to": [alice]})).await;
    let shared = close
        .rented(json!({"country": "GB", "sharing": "group", "assign_to": [owner, alice]}))
        .await;
    let grouped = close.rented(json!({"country": "US", "sharing": "group"})).await;
    close
        .put(
            &format!("/phone_number/{grouped}/"),
            json!({"participant_groups": [group]}),
        )
        .await;

    let ids = async |query: &str| -> Vec<String> {
        let (status, list) = close.get(&format!("/phone_number/?{query}")).await;
        assert_eq!(status, 200, "{query}: {list}");
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|number| number["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        ids(&format!("participant_user_id={alice}")).await,
        [&*hers, &*shared, &*grouped]
    );
    assert_eq!(ids(&format!("user_id={alice}")).await, [&*hers]);
    assert_eq!(ids("is_group_number=true").await, [&*shared, &*grouped]);
    assert_eq!(ids("is_group_number=false").await, [&*own, &*hers]);
    let (_, first) = close.get(&format!("/phone_number/{own}/")).await;
    let number = first["number"].as_str().unwrap();
    assert_eq!(
        ids(&format!("number={}", number.replace('+', "%2B"))).await,
        [&*own]
    );
    assert_eq!(ids("number=%2B4930999").await, Vec::<String>::new());

    let (_, page) = close.get("/phone_number/?_limit=3&_fields=id,number").await;
    assert_eq!(
        (page["data"].as_array().unwrap().len(), &page["has_more"]),
        (3, &json!(true))
    );
    assert_eq!(page["data"][0].as_object().unwrap().len(), 2);
    let (_, page) = close.get("/phone_number/?_limit=3&_skip=3").await;
    assert_eq!(
        (page["data"].as_array().unwrap().len(), &page["has_more"]),
        (1, &json!(false))
    );
    assert!(page.get("total_results").is_none());

    for query in ["_limit=101", "_limit=0", "_limit=-1", "_limit=x", "_skip=-1"] {
        let (status, answer) = close.get(&format!("/phone_number/?{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(
            answer["field-errors"].as_object().unwrap().len() == 1,
            "{query}: {answer}"
        );
    }
    close.set(json!({"list_shuffled": true})).await;
    let mut orders = HashSet::new();
    for _ in 0..20 {
        orders.insert(ids("").await);
    }
    assert!(orders.len() > 1, "all listings had the same order");
}

#[tokio::test]
async fn listings_and_reads_lag_behind_changes_by_the_configured_time() {
    let close = Close::start().await;
    close.set(json!({"listing_lag": "1h", "event_lag": "1h"})).await;
    let id = close.rented(json!({"country": "DE"})).await;
    let path = format!("/phone_number/{id}/");
    assert_eq!(close.get("/phone_number/").await.1["data"], json!([]));
    assert_eq!(close.get("/event/").await.1["data"], json!([]));
    assert_eq!(close.get(&path).await.0, 200);
    close.set(json!({"listing_lag": 0, "event_lag": 0})).await;
    assert_eq!(close.get("/phone_number/").await.1["data"][0]["id"], json!(id));

    close
        .set(json!({"listing_lag": "1h", "read_lag": "1h", "clock_shift": "2h"}))
        .await;
    close.call(Method::DELETE, &path, None).await;
    assert_eq!(close.get("/phone_number/").await.1["data"][0]["id"], json!(id));
    assert_eq!(close.get(&path).await.0, 200);
    close.set(json!({"clock_shift": "4h"})).await;
    assert_eq!(close.get("/phone_number/").await.1["data"], json!([]));
    assert_eq!(close.get(&path).await.0, 404);
}
