//! The organization and its groups, refused requests, rate limits, and the control routes.

use close_sandbox::{Options, Sandbox};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{Close, RENT};

#[tokio::test]
async fn a_state_file_keeps_the_organization_and_one_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let start = |seed| {
        Sandbox::start(Options {
            seed,
            numbers: 2,
            state_file: Some(file.clone()),
            ..Options::default()
        })
    };
    let http = Client::builder().no_proxy().build().unwrap();
    let list = async |sandbox: &Sandbox, what: &str| {
        let url = format!("{}{what}", sandbox.base_url());
        let request = http.get(url).basic_auth(sandbox.api_key(), Some(""));
        request.send().await.unwrap().json::<Value>().await.unwrap()["data"].clone()
    };
    let first = start(1).await.unwrap();
    let url = format!("http://{}/_control/numbers", first.address());
    let rent = http.post(url).json(&json!({ "country": "GB" }));
    assert_eq!(rent.send().await.unwrap().status(), 201);
    let before = (
        list(&first, "/phone_number/").await,
        list(&first, "/event/").await,
    );
    assert_eq!(before.0.as_array().unwrap().len(), 3);
    first.stop().await;

    let second = start(1).await.unwrap();
    let after = (
        list(&second, "/phone_number/").await,
        list(&second, "/event/").await,
    );
    assert_eq!(after, before, "no number is rented again, and none is lost");
    second.stop().await;
    let other = start(2).await.unwrap_err().to_string();
    assert!(
        other.contains("state.json") && other.contains("seed 1"),
        "{other}"
    );
    std::fs::write(&file, "{}").unwrap();
    let broken = format!("{:#}", start(1).await.unwrap_err());
    assert!(broken.contains("state.json"), "{broken}");
}

#[tokio::test]
async fn the_seed_determines_the_organization_and_its_api_key() {
    let first = Close::start().await;
    let second = Close::start().await;
    assert_eq!(first.organization().await, second.organization().await);
    let sandbox = Sandbox::start(Options {
        seed: 2,
        ..Options::default()
    })
    .await
    .unwrap();
    assert_ne!(sandbox.api_key(), first.sandbox.api_key());

    let (left, right) = sandbox
        .api_key()
        .strip_prefix("api_")
        .unwrap()
        .split_once('.')
        .unwrap();
    assert_eq!((left.len(), right.len()), (22, 22));
    let organization = first.organization().await;
    assert_eq!(organization["owner"], organization["users"][0]["id"]);
    assert!(
        organization["users"]
            .as_array()
            .unwrap()
            .iter()
            .any(|user| user["can_call"] == false)
    );
}

#[tokio::test]
async fn requests_with_a_wrong_key_path_method_or_body_are_refused() {
    let close = Close::start().await;
    let url = format!("{}/me/", close.sandbox.base_url());
    let without_key = close.http.get(&url).send().await.unwrap();
    assert_eq!(without_key.status(), 401);
    assert_eq!(
        without_key.json::<Value>().await.unwrap(),
        json!({"error": "Unauthorized"})
    );
    let wrong_key = close
        .http
        .get(&url)
        .basic_auth("api_wrong", Some(""))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong_key.status(), 401);
    let token = close.organization().await["oauth_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        close
            .http
            .get(&url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );

    assert_eq!(close.get("/phone_number").await.0, 404);
    assert_eq!(close.get("/lead/").await, (404, json!({"error": "Not Found"})));
    let response = close.send(Method::PATCH, "/phone_number/", None).await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["allow"].to_str().unwrap()
        ),
        (405, "GET")
    );
    assert_eq!(close.send(Method::GET, RENT, None).await.unwrap().status(), 405);

    let rent = || {
        let url = format!("{}{RENT}", close.sandbox.base_url());
        close.http.post(url).basic_auth(close.sandbox.api_key(), Some(""))
    };
    assert_eq!(rent().body("country=DE").send().await.unwrap().status(), 415);
    let broken = rent()
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(broken.status(), 400);
    assert_eq!(
        broken.json::<Value>().await.unwrap()["error"],
        "The request contains invalid JSON."
    );

    close.set(json!({"key_valid": false})).await;
    assert_eq!(close.get("/me/").await.0, 401);
}

#[tokio::test]
async fn a_post_with_a_method_override_header_is_executed_as_a_get() {
    let close = Close::start().await;
    close.rented(json!({"country": "DE"})).await;
    close.rented(json!({"country": "DE"})).await;
    let response = close
        .http
        .post(format!("{}/phone_number/", close.sandbox.base_url()))
        .basic_auth(close.sandbox.api_key(), Some(""))
        .header("x-http-method-override", "GET")
        .json(&json!({"_params": {"_limit": 1}}))
        .send()
        .await
        .unwrap();
    let list: Value = response.json().await.unwrap();
    assert_eq!(
        (list["data"].as_array().unwrap().len(), &list["has_more"]),
        (1, &json!(true))
    );
}

#[tokio::test]
async fn rate_limits_are_counted_for_each_endpoint_group_and_reported_in_headers() {
    let close = Close::start().await;
    let response = close.send(Method::GET, "/me/", None).await.unwrap();
    let header = response.headers()["ratelimit"].to_str().unwrap().to_owned();
    assert!(
        header.starts_with("limit=320, remaining=319, reset=8.0"),
        "{header}"
    );

    close
        .set(json!({"rate_limit": {"rent_limit": 1, "rent_window": "1h"}}))
        .await;
    assert_eq!(close.rent(json!({"country": "US"})).await.0, 201);
    for (body, expected) in [
        ("empty", ""),
        ("html", "<html>"),
        ("legacy", "{\"message\""),
        ("legacy-wrapped", "{\"error\""),
    ] {
        close.set(json!({"rate_limit": {"body": body}})).await;
        let refused = close
            .send(Method::POST, RENT, Some(json!({"country": "US"})))
            .await
            .unwrap();
        assert_eq!(refused.status(), 429);
        assert!(
            refused.headers()["ratelimit"]
                .to_str()
                .unwrap()
                .starts_with("limit=1, remaining=0, reset=3")
        );
        let wait: u32 = refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((3590..=3600).contains(&wait));
        let text = refused.text().await.unwrap();
        assert!(
            text.starts_with(expected) && text.is_empty() == expected.is_empty(),
            "{body}: {text}"
        );
    }
    assert_eq!(close.get("/phone_number/").await.0, 200);
    assert_eq!(close.numbers().await.len(), 1);
    close
        .set(json!({"rate_limit": {"header": false, "rent_limit": null}}))
        .await;
    let response = close
        .send(Method::POST, RENT, Some(json!({"country": "US"})))
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers().contains_key("ratelimit")
        ),
        (201, false)
    );
}

#[tokio::test]
async fn requests_of_other_keys_count_towards_the_limit_of_the_organization() {
    let close = Close::start().await;
    close
        .set(json!({"rate_limit": {"limit": 10, "window": "1h", "used_by_other_keys": 28}}))
        .await;
    let response = close.send(Method::GET, "/me/", None).await.unwrap();
    assert!(
        response.headers()["ratelimit"]
            .to_str()
            .unwrap()
            .starts_with("limit=30, remaining=1, ")
    );
    assert_eq!(close.get("/me/").await.0, 200);
    assert_eq!(close.get("/me/").await.0, 429);
}

#[tokio::test]
async fn every_request_is_recorded_without_the_api_key() {
    let close = Close::start().await;
    close.rent(json!({"country": "US"})).await;
    close.get("/phone_number/?_limit=5").await;
    let requests = close.requests("").await;
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0]["headers"]["authorization"], "Basic (valid)");
    assert_eq!(requests[0]["body"], json!({"country": "US"}));
    assert_eq!(
        (&requests[0]["status"], &requests[0]["effect"]),
        (&json!(201), &json!(true))
    );
    assert_eq!(
        (&requests[1]["query"]["_limit"], &requests[1]["effect"]),
        (&json!("5"), &json!(false))
    );
    assert!(!json!(requests).to_string().contains(close.sandbox.api_key()));
    assert_eq!(
        close
            .requests("method=POST&path=/phone_number/request/internal/")
            .await
            .len(),
        1
    );
    close.control(Method::DELETE, "requests", None).await;
    assert!(close.requests("").await.is_empty());

    let waiting = close.requests("at_least=1&timeout=30s");
    let (seen, _) = tokio::join!(waiting, close.get("/me/"));
    assert_eq!(seen[0]["path"], "/me/");
}

#[tokio::test]
async fn a_number_that_no_numbering_plan_has_is_refused_with_the_reason() {
    let close = Close::start().await;
    for (fields, expected) in [
        (
            json!({"country": "XX"}),
            "`XX` is no country whose numbering plan is known",
        ),
        (
            json!({"country": "de"}),
            "`de` is no country whose numbering plan is known",
        ),
        (json!({"country": 49}), "`country` must be a string"),
        (
            json!({"country": "DE", "prefix": 30}),
            "`prefix` must be a string",
        ),
    ] {
        let (status, refused) = close.control(Method::POST, "numbers", Some(fields)).await;
        assert_eq!((status, &refused["error"]), (400, &json!(expected)));
    }
    assert_eq!(close.control(Method::GET, "numbers", None).await.1, json!([]));
}

#[tokio::test]
async fn control_routes_change_numbers_as_people_do_without_the_api() {
    let close = Close::start().await;
    let (status, made) = close
        .control(
            Method::POST,
            "numbers",
            Some(json!({"country": "FR", "label": "UI"})),
        )
        .await;
    assert_eq!(status, 201, "{made}");
    let (_, silent) = close
        .control(
            Method::POST,
            "numbers",
            Some(json!({"country": "FR", "silent": true})),
        )
        .await;
    let (_, events) = close.get("/event/?object_type=phone_number&action=created").await;
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&events["data"][0]["object_id"], &events["data"][0]["api_key_id"]),
        (&made["id"], &Value::Null)
    );
    assert_eq!(
        close.get("/phone_number/").await.1["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let id = silent["id"].as_str().unwrap();
    let patch = json!({"last_billed_price": 9.5, "forward_to": "+4915112345678", "brand_new": {"a": 1}});
    let (status, _) = close
        .control(Method::PATCH, &format!("numbers/{id}"), Some(patch))
        .await;
    assert_eq!(status, 200);
    let (_, number) = close.get(&format!("/phone_number/{id}/")).await;
    assert_eq!(
        (&number["last_billed_price"], &number["brand_new"]["a"]),
        (&json!(9.5), &json!(1))
    );
    assert_eq!(
        close
            .control(Method::DELETE, &format!("numbers/{id}"), None)
            .await
            .0,
        204
    );
    assert_eq!(close.get(&format!("/phone_number/{id}/")).await.0, 404);

    close.control(Method::POST, "reset", None).await;
    assert!(close.numbers().await.is_empty());
    assert_eq!(close.get("/me/").await.0, 200);
}

#[tokio::test]
async fn initial_numbers_are_listed() {
    let sandbox = Sandbox::start(Options {
        numbers: 5,
        ..Options::default()
    })
    .await
    .unwrap();
    let close = Close {
        sandbox,
        http: Client::builder().build().unwrap(),
    };
    assert_eq!(
        close.get("/phone_number/").await.1["data"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[tokio::test]
async fn groups_have_unique_names_and_members_can_be_added_and_removed() {
    let close = Close::start().await;
    let alice = close.user(1).await;
    let (status, group) = close
        .call(Method::POST, "/group/", Some(json!({"name": "Berlin"})))
        .await;
    assert_eq!((status, &group["members"]), (201, &json!([])));
    assert_eq!(
        close
            .call(Method::POST, "/group/", Some(json!({"name": "Berlin"})))
            .await
            .0,
        400
    );
    let path = format!("/group/{}/", group["id"].as_str().unwrap());
    for _ in 0..2 {
        let body = Some(json!({"user_id": alice}));
        assert_eq!(
            close.call(Method::POST, &format!("{path}member/"), body).await.0,
            201
        );
    }
    assert_eq!(close.get(&path).await.1["members"], json!([{"user_id": alice}]));
    let (_, list) = close.get("/group/").await;
    assert_eq!(
        (
            list["data"].as_array().unwrap().len(),
            &list["data"][3]["members"]
        ),
        (4, &Value::Null)
    );
    for _ in 0..2 {
        assert_eq!(
            close
                .call(Method::DELETE, &format!("{path}member/{alice}/"), None)
                .await
                .0,
            204
        );
    }
    assert_eq!(
        close.put(&path, json!({"name": "Munich"})).await.1["name"],
        "Munich"
    );
    assert_eq!(close.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(close.get(&path).await.0, 404);
}

#[tokio::test]
async fn a_stopped_sandbox_frees_its_port() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let address = sandbox.address();
    sandbox.stop().await;
    Sandbox::start(Options {
        listen: address,
        ..Options::default()
    })
    .await
    .unwrap()
    .stop()
    .await;
}
