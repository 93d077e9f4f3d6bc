/** Tokens that expire, are refused, or cannot be had. */
import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ConnectionError, RentUnfinishedError, UnauthorizedError, unwrap } from "@numberdesk/client";
import { Desk, ORDER, until } from "./support/desk.ts";
import { Proxy } from "./support/proxy.ts";

let desk: Desk;
const TEAM = ["--team", "sales-emea"];

before(async () => {
  desk = await Desk.start();
});
after(() => desk?.stop());

test("a token that is about to expire is replaced before the next request", async () => {
  let calls = 0;
  const short = desk.token(...TEAM, "--expires", "1s");
  const client = desk.client("ALICE", { token: () => (calls++ === 0 ? short : desk.env.ALICE!) });
  await unwrap(client.api.GET("/v1/me"));
  await until("the token is about to expire", async () => {
    await unwrap(client.api.GET("/v1/me"));
    return calls > 1;
  });
  await unwrap(client.api.GET("/v1/me"));
  assert.equal(calls, 2, "a token that lasts is kept");
});

test("a token that expires in the middle of an order is replaced, and one number is rented", async () => {
  await desk.close.forgetRequests();
  await desk.close.control("POST", "faults", {
    method: "POST",
    path: "/phone_number/request/internal/",
    times: 1,
    effect: true,
    answer: "drop_before_headers",
  });
  // Each token has expired when the next request needs one. The service still accepts it for its leeway of 30 s.
  let calls = 0;
  const expired = { exp: Math.floor(Date.now() / 1000) - 10 };
  const used = new Set<string>();
  const client = desk.client("ALICE", {
    token: () => signed({ ...expired, jti: String(calls++) }),
    fetch: (request, init) => {
      used.add((request as Request).headers.get("authorization")!);
      return fetch(request, init);
    },
  });
  const order = await client.rent(ORDER);
  assert.equal(order.evidence, "found-by-reconciliation");
  assert.ok(used.size > 1);
  assert.equal(await desk.close.rents(), 1);
});

test("after a 401 the function is called once more", async () => {
  const tokens = ["not-a-token", desk.env.ALICE!];
  const client = desk.client("ALICE", { token: () => tokens.shift()! });
  assert.equal((await client.rent(ORDER)).state, "fulfilled");
  assert.deepEqual(tokens, []);

  let calls = 0;
  const refused = desk.client("ALICE", { token: () => `not-a-token-${calls++}` });
  await assert.rejects(unwrap(refused.api.GET("/v1/me")), UnauthorizedError);
  assert.equal(calls, 2);
});

test("concurrent requests share one call of the function", async () => {
  let calls = 0;
  const client = desk.client("ALICE", { token: async () => (calls++, desk.env.ALICE!) });
  await Promise.all([1, 2, 3, 4].map(() => unwrap(client.api.GET("/v1/me"))));
  assert.equal(calls, 1);
});

test("a token function that fails is the cause of RentUnfinishedError once an order may exist", async () => {
  const broken = new Error("the issuer is down");
  const proxy = await Proxy.start(desk.url);
  try {
    const none = desk.client("ALICE", { token: () => Promise.reject(broken) });
    await assert.rejects(none.rent(ORDER), broken);

    proxy.answer({ status: 500 }, { status: 401 });
    let calls = 0;
    const later = desk.client("ALICE", {
      baseUrl: proxy.url,
      token: () => (calls++ === 0 ? desk.env.ALICE! : Promise.reject(broken)),
    });
    await assert.rejects(
      later.rent(ORDER),
      (error) => error instanceof RentUnfinishedError && error.cause === broken,
    );
  } finally {
    proxy.stop();
  }
});

test("what is no token is an error that does not show it", async () => {
  for (const token of ["", "two secrets", "sec\nrets", "sécrets", undefined, 12345]) {
    const client = desk.client("ALICE", { token: () => token as string });
    for (const attempt of [
      () => unwrap(client.api.GET("/v1/me")),
      () => client.rent(ORDER),
      () => client.events().next(),
    ]) {
      await assert.rejects(attempt, (error) => {
        assert.ok(error instanceof TypeError && error.message.includes("RFC 6750"), String(error));
        return !/s.crets|12345/.test(String(error));
      });
    }
  }
  const client = desk.client("ALICE", { token: () => `${desk.env.ALICE}\n` });
  assert.equal((await unwrap(client.api.GET("/v1/me"))).subject, "alice@example.com");
});

test("a token function that never ends does not outlast the deadline, the signal or the time for a request", async () => {
  const client = desk.client("ALICE", {
    token: () => new Promise(() => {}),
    requestTimeoutMs: 50,
    retry: { maxRetries: 1, baseDelayMs: 1 },
  });
  await assert.rejects(unwrap(client.api.GET("/v1/me")), ConnectionError);
  await assert.rejects(client.rent(ORDER), RentUnfinishedError);
  const slow = desk.client("ALICE", { token: () => new Promise(() => {}) });
  await assert.rejects(slow.rent(ORDER, { timeoutMs: 50 }), RentUnfinishedError);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(slow.rent(ORDER, { signal }), (error) => (error as Error).cause === signal.reason);
  assert.deepEqual(await slow.events({ signal: AbortSignal.timeout(50) }).next(), { done: true, value: undefined });
});

test("a stream that ends with its token continues with the next one", async () => {
  const proxy = await Proxy.start(desk.url);
  const stop = new AbortController();
  try {
    const tokens = [desk.token(...TEAM, "--expires", "1s")];
    const connected: number[] = [];
    const client = desk.client("ALICE", { baseUrl: proxy.url, token: () => tokens.shift() ?? desk.env.ALICE! });
    const events = client.events({ signal: stop.signal, onConnect: () => connected.push(proxy.connections) });
    const first = events.next();
    await until("the stream has ended and begun again", () => connected.length > 1);
    const order = await desk.client().rent(ORDER);
    const { value } = await first;
    assert.equal((value!.data as { order_id: string }).order_id, order.id);
  } finally {
    stop.abort();
    proxy.stop();
  }
});

/** Returns Alice's token with other claims, signed by the key of the desk's development issuer. */
async function signed(claims: Record<string, unknown>): Promise<string> {
  const seed = await readFile(join(desk.folder, ".dev", "issuer.key"));
  const key = createPrivateKey({
    key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]),
    format: "der",
    type: "pkcs8",
  });
  const [head, body] = desk.env.ALICE!.split(".") as [string, string];
  const payload = { ...(JSON.parse(Buffer.from(body, "base64url").toString()) as object), ...claims };
  const text = `${head}.${Buffer.from(JSON.stringify(payload)).toString("base64url")}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}
