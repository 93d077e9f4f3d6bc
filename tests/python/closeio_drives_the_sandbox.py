"""Calls the simulated Close with Close's official client, with every HTTP method. Arguments: BASE_URL API_KEY."""

import sys
import time

from closeio_api import API, APIError, ValidationError


def refused(kind, status, call, *arguments, **keywords):
    """Asserts that the call raises an error of this class and status, and returns the error."""
    try:
        call(*arguments, **keywords)
    except APIError as error:
        assert type(error) is kind, (type(error), error)
        assert error.response.status_code == status, (error.response.status_code, error)
        return error
    raise AssertionError(f"{arguments} was not refused")


def numbers(close, me):
    rented = close.post("phone_number/request/internal", {"country": "US", "prefix": "415"})
    assert rented["id"].startswith("phon_") and rented["number"].startswith("+1415"), rented
    assert rented["label"] is None and "participants" not in rented, rented
    path = "phone_number/" + rented["id"]

    assert close.get(path)["user_id"] == me["id"]
    assert close.get(path, params={"_fields": "id,number"}).keys() == {"id", "number"}
    changed = close.put(path, {"label": "Sales", "participants": [me["id"]]})
    assert changed["label"] == "Sales", changed
    found = close.get("phone_number", params={"number": rented["number"]})
    assert [number["id"] for number in found["data"]] == [rented["id"]] and found["has_more"] is False, found
    assert close.get("phone_number", params={"participant_user_id": me["id"], "_limit": 1})["data"]

    error = refused(ValidationError, 400, close.post, "phone_number/request/internal", {"prefix": "415"})
    assert error.field_errors == {"country": "Field required"} and error.errors == [], error
    error = refused(ValidationError, 400, close.post, "phone_number/request/internal",
                    {"country": "DE", "with_sms": True})
    assert error.response.json() == {"status": "has-voice-only"}, error
    refused(ValidationError, 400, close.put, path, {"inbound_ring_duration": 5})
    refused(ValidationError, 400, close.get, "phone_number", params={"_limit": 100000})

    assert close.delete(path) == {}
    refused(APIError, 404, close.delete, path)
    refused(APIError, 404, close.get, path)
    return rented["id"]


def groups(close, me):
    group = close.post("group", {"name": "Python"})
    path = "group/" + group["id"]
    close.post(path + "/member", {"user_id": me["id"]})
    assert close.get(path)["members"] == [{"user_id": me["id"]}]
    assert close.put(path, {"name": "Snakes"})["name"] == "Snakes"
    assert group["id"] in [other["id"] for other in close.get("group")["data"]]
    assert close.delete(path + "/member/" + me["id"]) == ""
    assert close.delete(path) == ""
    refused(APIError, 404, close.get, path)


def webhooks(close):
    events = [{"object_type": "phone_number", "action": "created"}]
    # Nothing listens on this port, so deliveries fail.
    hook = close.post("webhook", {"url": "http://127.0.0.1:9/", "events": events})
    assert len(bytes.fromhex(hook["signature_key"])) == 32, hook
    path = "webhook/" + hook["id"]
    assert close.get(path)["status"] == "active"
    assert close.put(path, {"status": "paused"})["pause_reason"] == "api"
    assert [webhook["id"] for webhook in close.get("webhook")["data"]] == [hook["id"]]
    refused(ValidationError, 400, close.post, "webhook", {"url": "nowhere", "events": events})
    close.delete(path)
    refused(APIError, 404, close.get, path)


def events(close, number_id):
    for action in ("created", "updated", "deleted"):
        found = close.get("event", params={"object_type": "phone_number", "action": action})
        assert [event["object_id"] for event in found["data"]] == [number_id], (action, found)
        assert close.get("event/" + found["data"][0]["id"])["action"] == action
    refused(ValidationError, 400, close.get, "event", params={"object_type": "phone_number"})
    refused(ValidationError, 400, close.get, "event", params={"_limit": 51})


def limits_and_retries(close, control):
    """The client waits after a 429. After a 503 it repeats a POST that rents, which leads to two numbers."""
    # The RateLimit header is off, because this client truncates its `reset` to whole seconds. With `reset=0.9` the
    # client would not wait at all and give up.
    control.post("settings", {"rate_limit": {"rent_limit": 1, "rent_window": "2s", "header": False}})
    started = time.monotonic()
    for _ in range(2):
        close.post("phone_number/request/internal", {"country": "US"})
    assert time.monotonic() - started >= 0.9, "the second rent did not wait"
    control.post("settings", {"rate_limit": {"rent_limit": None, "header": True}})

    before = len(close.get("phone_number")["data"])
    control.post("faults", {"path": "/phone_number/request/internal/", "times": 1, "effect": True,
                            "answer": {"status": 503}})
    close.post("phone_number/request/internal", {"country": "US"})
    assert len(close.get("phone_number")["data"]) == before + 2


def main(base_url, api_key):
    close = API(base_url + "/", api_key)
    control = API(base_url.replace("/api/v1", "/_control/"), api_key)
    refused(APIError, 401, API(base_url + "/", "api_wrong").get, "me")
    me = close.get("me")
    assert me["id"] in [user["id"] for user in close.get("user")["data"]]
    assert close.get("user/" + me["id"])["email"] == me["email"]
    organization = close.get("organization/" + me["organizations"][0]["id"],
                             params={"_expand": "memberships__user"})
    assert organization["memberships"][0]["user"]["id"] == me["id"]
    number_id = numbers(close, me)
    groups(close, me)
    webhooks(close)
    events(close, number_id)
    limits_and_retries(close, control)
    print("closeio used every method")


if __name__ == "__main__":
    main(*sys.argv[1:])
