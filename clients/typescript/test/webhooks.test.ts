/** Webhooks are verified as the Standard Webhooks specification asks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { verifyWebhook, WebhookVerificationError } from "@numberdesk/client";
import { Webhook } from "standardwebhooks";

/** The vector that implementations of the specification share. */
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"test": 2432232314}';
const NOW = new Date(1_614_265_330_000);
const HEADERS = {
  "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
  "webhook-timestamp": "1614265330",
  "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};
const OTHER = `whsec_${Buffer.from("another secret, as long as needed").toString("base64")}`;

test("the vector of the specification is valid, in every form of headers, body and secret", async () => {
  const expected = { test: 2432232314 };
  for (const headers of [
    HEADERS,
    new Headers(HEADERS),
    {
      "Webhook-Id": HEADERS["webhook-id"],
      "WEBHOOK-TIMESTAMP": [HEADERS["webhook-timestamp"]],
      "webhook-signature": HEADERS["webhook-signature"],
    },
  ]) {
    for (const body of [BODY, new TextEncoder().encode(BODY), Buffer.from(BODY)]) {
      for (const secrets of [SECRET, SECRET.slice(6), [OTHER, SECRET]]) {
        assert.deepEqual(await verifyWebhook(body, headers, secrets, { now: NOW }), expected);
      }
    }
  }
});

test("what the reference library signs is valid, and one of several signatures is enough", async () => {
  const body = JSON.stringify({ id: "evt_1", type: "order.fulfilled", data: { label: "Zürich ☎" } });
  const now = new Date();
  const signed = new Webhook(SECRET).sign("evt_1", now, body);
  const other = new Webhook(OTHER).sign("evt_1", now, body);
  const headers = { "webhook-id": "evt_1", "webhook-timestamp": String(Math.floor(now.getTime() / 1000)) };
  for (const signature of [signed, `${other} ${signed}`, `v1a,AAAA v1,? ${signed} v1,`]) {
    const event = await verifyWebhook(body, { ...headers, "webhook-signature": signature }, SECRET);
    assert.equal(event.type, "order.fulfilled");
  }
  await assert.rejects(
    verifyWebhook(body, { ...headers, "webhook-signature": other }, SECRET),
    WebhookVerificationError,
  );
});

test("an event of a later version keeps what the client does not know", async () => {
  const later = { id: "evt_1", type: "order.later", data: { later: [1] }, later: { a: 1 } };
  const body = JSON.stringify(later);
  const now = new Date();
  const headers = {
    "webhook-id": "evt_1",
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(SECRET).sign("evt_1", now, body),
  };
  const event: unknown = await verifyWebhook(body, headers, SECRET);
  assert.deepEqual(event, later);
});

test("every change of the signed parts is found", async () => {
  const change = (name: string, value: string | undefined) => ({ ...HEADERS, [name]: value });
  const cases: [string, Record<string, string | undefined>, RegExp][] = [
    [`${BODY} `, HEADERS, /no signature matches/],
    [BODY, change("webhook-id", "msg_other"), /no signature matches/],
    [BODY, change("webhook-timestamp", "1614265331"), /no signature matches/],
    [BODY, change("webhook-signature", HEADERS["webhook-signature"].replace("v1,", "v2,")), /no signature matches/],
    [
      BODY,
      change("webhook-signature", HEADERS["webhook-signature"].replace("v1,g", "v1,h")),
      /no signature matches/,
    ],
    [BODY, change("webhook-signature", "v1,"), /no signature matches/],
    [BODY, change("webhook-timestamp", "1614265330.0"), /must be a number of seconds/],
    [BODY, change("webhook-timestamp", "soon"), /must be a number of seconds/],
    ...Object.keys(HEADERS).map(
      (name) =>
        [BODY, change(name, undefined), /is missing/] as [string, Record<string, string | undefined>, RegExp],
    ),
  ];
  for (const [body, headers, reason] of cases) {
    await assert.rejects(verifyWebhook(body, headers, SECRET, { now: NOW }), (error) => {
      assert.ok(error instanceof WebhookVerificationError);
      assert.match(error.message, reason);
      return true;
    });
  }
});

test("a webhook that is older or newer than the tolerance is not valid", async () => {
  const at = (seconds: number) => ({ now: new Date(NOW.getTime() + seconds * 1000) });
  for (const seconds of [-300, 300]) await verifyWebhook(BODY, HEADERS, SECRET, at(seconds));
  for (const seconds of [-301, 301]) {
    await assert.rejects(verifyWebhook(BODY, HEADERS, SECRET, at(seconds)), WebhookVerificationError);
  }
  await verifyWebhook(BODY, HEADERS, SECRET, { ...at(900), toleranceSeconds: 900 });
});

test("an empty or broken secret is the receiver's mistake, and verifies nothing", async () => {
  for (const secret of ["", "whsec_", "whsec_?", undefined, null, []]) {
    await assert.rejects(
      verifyWebhook(BODY, HEADERS, secret as string, { now: NOW }),
      Array.isArray(secret) ? WebhookVerificationError : TypeError,
    );
  }
});

test("a body that was parsed is the receiver's mistake, and a signed one that is no JSON is not valid", async () => {
  const parsed = JSON.parse(BODY) as string;
  await assert.rejects(verifyWebhook(parsed, HEADERS, SECRET, { now: NOW }), TypeError);
  const headers = {
    ...HEADERS,
    "webhook-signature": new Webhook(SECRET).sign(HEADERS["webhook-id"], NOW, "no JSON"),
  };
  await assert.rejects(verifyWebhook("no JSON", headers, SECRET, { now: NOW }), WebhookVerificationError);
});
