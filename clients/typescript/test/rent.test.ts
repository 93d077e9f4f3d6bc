/** rent() under refusals, storms, deadlines and long orders. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import {
  ApprovalRejectedError,
  CloseRefusedError,
  IdempotencyKeyReusedError,
  InvalidRequestError,
  NotRentedError,
  type Order,
  OrderCancelledError,
  PermissionMissingError,
  PolicyDeniedError,
  ProblemError,
  QuotaExceededError,
  RateLimitedError,
  RentUnfinishedError,
  UnauthorizedError,
  unwrap,
} from "@numberdesk/client";
import { collect, Desk, ORDER, until } from "./support/desk.ts";
import { Proxy } from "./support/proxy.ts";

let desk: Desk;
let proxy: Proxy;
const RENT = { method: "POST", path: "/phone_number/request/internal/", times: 1 };

before(async () => {
  desk = await Desk.start();
  proxy = await Proxy.start(desk.url);
});
after(async () => {
  proxy?.stop();
  await desk?.stop();
});
afterEach(async () => {
  await desk.close.control("DELETE", "faults");
  await desk.close.control("POST", "settings", { rents_held: false });
  await desk.close.forgetRequests();
});

/** Returns the error of a promise that must fail. */
async function failure<E extends Error>(type: new (...args: never[]) => E, promise: Promise<unknown>): Promise<E> {
  const error = await promise.then(
    () => assert.fail(`expected ${type.name}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof type, `expected ${type.name}, got ${error}`);
  return error;
}

test("a rented number is returned with its order", async () => {
  const order = await desk.client().rent({ ...ORDER, label: "London line" });
  assert.equal(order.state, "fulfilled");
  assert.match(order.phone_number!.number!, /^\+44/);
  assert.equal(await desk.close.rents(), 1);
});

test("the same key returns the same order, and another call without one rents another number", async () => {
  const client = desk.client();
  const first = await client.rent(ORDER, { idempotencyKey: "one-line" });
  const again = await client.rent(ORDER, { idempotencyKey: "one-line" });
  const other = await client.rent(ORDER);
  assert.equal(again.id, first.id);
  assert.notEqual(other.id, first.id);
  assert.equal(await desk.close.rents(), 2);
});

test("a change of the request while it is sent again does not change the order", async () => {
  proxy.answer({ status: 503 });
  const request: { country: string; carrier_type: "local" | "mobile" } = { ...ORDER };
  const client = desk.client("ALICE", { baseUrl: proxy.url });
  const rented = client.rent(request, { idempotencyKey: "unchanged" });
  request.carrier_type = "mobile";
  assert.equal((await rented).request.carrier_type, "local");
});

test("storms of 429 and 5xx lead to one number", async () => {
  const client = desk.client("ALICE", { baseUrl: proxy.url });
  const before = proxy.answered;
  proxy.answer(
    { status: 429 },
    { status: 503 },
    { status: 500 },
    { status: 429 },
    { status: 502, body: "<html>" },
    { status: 504 },
  );
  const order = await client.rent(ORDER);
  assert.equal(order.state, "fulfilled");
  assert.equal(proxy.answered - before, 6);
  assert.equal(await desk.close.rents(), 1);
});

test("a 504 after the order was placed leads to one number", async () => {
  // The desk gets the whole request, and its answer never arrives.
  proxy.silent = true;
  const client = desk.client("ALICE", { baseUrl: proxy.url });
  const rented = client.rent(ORDER);
  assert.equal(await desk.close.rents(1), 1);
  proxy.silent = false;
  proxy.answer({ status: 504 });
  proxy.disconnect();
  assert.equal((await rented).state, "fulfilled");
  assert.equal(await desk.close.rents(), 1);
});

test("failures without end stop after a bound, with the key to go on", async () => {
  const client = desk.client("ALICE", { baseUrl: proxy.url, retry: { maxRetries: 3, baseDelayMs: 1 } });
  const before = proxy.answered;
  const body = JSON.stringify({
    type: "/problems/rate-limited",
    title: "",
    status: 429,
    detail: "",
    instance: "",
    request_id: "",
  });
  proxy.answer(...Array(4).fill({ status: 429, headers: { "content-type": "application/problem+json" }, body }));
  const error = await failure(RentUnfinishedError, client.rent(ORDER));
  assert.equal(proxy.answered - before, 4);
  assert.ok(error.cause instanceof RateLimitedError);
  assert.equal(error.order, undefined);
  assert.equal(await desk.close.rents(), 0);
  const order = await client.rent(ORDER, { idempotencyKey: error.idempotencyKey });
  assert.equal(order.idempotency_key, error.idempotencyKey);
});

test("an answer that is no order, such as a login page, counts as lost", async () => {
  proxy.answer(
    { status: 200, body: "<html>Sign in" },
    { status: 200, body: "{}", headers: { "content-type": "application/json" } },
  );
  const order = await desk.client("ALICE", { baseUrl: proxy.url }).rent(ORDER);
  assert.equal(order.state, "fulfilled");
  assert.equal(await desk.close.rents(), 1);
});

test("a redirect is an error, because it would turn the order into a read", async () => {
  proxy.answer({ status: 301, headers: { location: "/elsewhere" } });
  const error = await failure(ProblemError, desk.client("ALICE", { baseUrl: proxy.url }).rent(ORDER));
  assert.match(error.message, /redirected to \/elsewhere/);
});

test("no redirect carries the token to another host, or shows its query", async () => {
  const other = await Proxy.start(desk.url);
  try {
    const client = desk.client("ALICE", { baseUrl: proxy.url });
    for (const attempt of [
      () => client.rent(ORDER),
      () => unwrap(client.api.GET("/v1/me")),
      () => client.events().next(),
    ]) {
      proxy.answer({ status: 307, headers: { location: `${other.url}/v1/me?code=secret` } });
      const error = await failure(ProblemError, attempt());
      assert.match(error.message, /redirected to http/);
      assert.doesNotMatch(error.message, /secret/);
    }
    assert.equal(other.connections, 0);
  } finally {
    other.stop();
  }
});

test("an error page that breaks off counts as lost", async () => {
  const client = desk.client("ALICE", { baseUrl: proxy.url });
  const html = { "content-type": "text/html", "content-length": "1000" };
  let first = true;
  const broken: typeof fetch = async (request, init) => {
    if (!first) return fetch(request, init);
    first = false;
    const body = new ReadableStream({ pull: (controller) => controller.error(new TypeError("terminated")) });
    return new Response(body, { status: 502, headers: html });
  };
  const order = await desk.client("ALICE", { fetch: broken }).rent(ORDER);
  assert.equal(order.state, "fulfilled");
  assert.equal((await client.rent(ORDER, { idempotencyKey: order.idempotency_key })).id, order.id);
});

test("a short time for requests shortens the wait at the service", async () => {
  const waits: (string | null)[] = [];
  const client = desk.client("ALICE", {
    requestTimeoutMs: 9_000,
    fetch: (request, init) => {
      waits.push((request as Request).headers.get("prefer"));
      return fetch(request, init);
    },
  });
  await client.rent(ORDER);
  assert.deepEqual(waits, ["wait=4"]);
});

test("an order whose number was released has what is left of it", async () => {
  const client = desk.client();
  const { phone_number: number, idempotency_key: idempotencyKey } = await client.rent(ORDER);
  await unwrap(desk.client("LENA").api.DELETE("/v1/phone-numbers/{id}", { params: { path: { id: number!.id } } }));
  await until("the number is released", async () => {
    const { phone_number: left } = await client.rent(ORDER, { idempotencyKey });
    assert.deepEqual([left?.id, left?.number], [number!.id, number!.number]);
    return left?.released_at !== undefined;
  });
});

test("a lost answer of Close is followed to the number", async () => {
  await desk.close.control("POST", "faults", { ...RENT, effect: true, answer: { status: 503, body: "<html>" } });
  const states: string[] = [];
  // Its Retry-After is 30 s, so in this time only the event can tell of the end.
  const options = { timeoutMs: 15_000, onProgress: ({ state }: Order) => states.push(state) };
  const order = await desk.client().rent(ORDER, options);
  assert.equal(order.evidence, "found-by-reconciliation");
  assert.equal(states[0], "unverified");
  assert.equal(await desk.close.rents(), 1);
});

test("a token that may not read events follows its order by Retry-After", async () => {
  const token = desk.token("--team", "sales-emea", "--permissions", "numbers:rent");
  const open = JSON.stringify({ id: "ord_1", state: "queued", team: "sales-emea" });
  proxy.answer({ status: 202, headers: { "content-type": "application/json", "retry-after": "1" }, body: open });
  const states: string[] = [];
  const client = desk.client("ALICE", { baseUrl: proxy.url, token });
  const order = await client.rent(ORDER, { onProgress: ({ state }) => states.push(state) });
  assert.deepEqual(states, ["queued"]);
  assert.equal(order.state, "fulfilled");
});

test("an order that needs an approval is followed until a second person approves it", async () => {
  const lena = desk.client("LENA");
  const order = await desk.client("BOB").rent(
    { ...ORDER, sharing: "group" },
    {
      timeoutMs: 30_000, // less than Retry-After, so only the event can tell of the end
      onProgress: ({ id, state }) => {
        assert.equal(state, "awaiting_approval");
        approve ??= unwrap(lena.api.POST("/v1/orders/{id}/approve", { params: { path: { id } }, body: {} }));
      },
    },
  );
  assert.equal(order.state, "fulfilled");
  assert.equal((await approve!).id, order.id);
});
let approve: Promise<Order> | undefined;

test("a rejected and a cancelled order are errors of their own", async () => {
  const lena = desk.client("LENA");
  const bob = desk.client("BOB");
  const decide = (path: "reject" | "cancel") => ({
    onProgress: ({ id }: Order) =>
      void lena.api.POST(`/v1/orders/{id}/${path}`, { params: { path: { id } }, body: {} } as never),
  });
  const request = { ...ORDER, sharing: "group" } as const;
  const rejected = await failure(
    ApprovalRejectedError,
    bob.rent(request, { ...decide("reject"), idempotencyKey: "rejected" }),
  );
  assert.equal(rejected.idempotencyKey, "rejected");
  assert.match(rejected.orderId!, /^ord_/);
  await failure(OrderCancelledError, bob.rent(request, decide("cancel")));
  assert.equal(await desk.close.rents(), 0);
});

test("the deadline leaves an error with the key and the order, to go on later", async () => {
  await desk.close.control("POST", "settings", { rents_held: true });
  const error = await failure(RentUnfinishedError, desk.client().rent(ORDER, { timeoutMs: 1_500 }));
  assert.match(error.orderId!, /^ord_/);
  assert.equal((error.cause as Error).name, "TimeoutError");
  await desk.close.control("POST", "settings", { rents_held: false });
  const order = await desk.client().rent(ORDER, { idempotencyKey: error.idempotencyKey });
  assert.equal(order.id, error.orderId);
  assert.equal(await desk.close.rents(), 1);
});

test("the caller's signal stops following, and the error has the key and the reason", async () => {
  await desk.close.control("POST", "settings", { rents_held: true });
  const stop = new AbortController();
  const rented = failure(
    RentUnfinishedError,
    desk.client().rent(ORDER, { signal: stop.signal, idempotencyKey: "stopped" }),
  );
  await desk.close.rents(1);
  stop.abort(new Error("the user left"));
  const error = await rented;
  assert.equal(error.idempotencyKey, "stopped");
  assert.equal((error.cause as Error).message, "the user left");
  await desk.close.control("POST", "settings", { rents_held: false });
  const order = await desk.client().rent(ORDER, { idempotencyKey: error.idempotencyKey });
  assert.equal(order.state, "fulfilled");
  assert.equal(await desk.close.rents(), 1);
});

test("a signal that has aborted before sends nothing", async () => {
  await assert.rejects(desk.client().rent(ORDER, { signal: AbortSignal.abort(new Error("too late")) }), /too late/);
  assert.equal(await desk.close.rents(), 0);
});

test("a denial by the policy has its decision, and does not use up the key", async () => {
  const client = desk.client();
  const error = await failure(
    PolicyDeniedError,
    client.rent({ ...ORDER, country: "US" }, { idempotencyKey: "free" }),
  );
  assert.equal(error.decision!.rule, "teams.sales-emea.countries");
  assert.equal(error.decision!.have, "US");
  assert.deepEqual(error.decision!.need, ["DE", "FR", "GB"]);
  assert.equal(error.type, "/problems/policy-denied");
  assert.match(error.requestId!, /^req_/);
  assert.equal((await client.rent(ORDER, { idempotencyKey: "free" })).state, "fulfilled");
});

test("a full quota, a refusal by Close, a reused key and bad input are errors of their own", async () => {
  const small = desk.client("ALICE", { token: desk.token("--team", "small") });
  const quota = await failure(QuotaExceededError, small.rent(ORDER));
  assert.equal(quota.limit, 0);

  await desk.close.control("POST", "faults", { refuse: "billing-error", times: 1 });
  const refused = await failure(CloseRefusedError, desk.client().rent(ORDER));
  assert.equal(refused.closeStatus, "billing-error");
  assert.match(refused.orderId!, /^ord_/);

  await desk.client().rent(ORDER, { idempotencyKey: "used" });
  await failure(
    IdempotencyKeyReusedError,
    desk.client().rent({ ...ORDER, label: "other" }, { idempotencyKey: "used" }),
  );

  const invalid = await failure(InvalidRequestError, desk.client().rent({ ...ORDER, contry: "DE" } as never));
  assert.equal(invalid.errors[0]!.pointer, "/contry");
});

test("an order that turned out not to be rented has an error of its own, also below a prefix", async () => {
  const problem = {
    type: "/numberdesk/problems/not-rented",
    title: "Not rented",
    status: 422,
    detail: "Close shows no number.",
    instance: "/v1/orders",
    request_id: "req_1",
    order_id: "ord_1",
    evidence: "absent-after-reconciliation",
  };
  proxy.answer({
    status: 422,
    headers: { "content-type": "application/problem+json" },
    body: JSON.stringify(problem),
  });
  const error = await failure(NotRentedError, desk.client("ALICE", { baseUrl: proxy.url }).rent(ORDER));
  assert.equal(error.evidence, "absent-after-reconciliation");
  assert.equal(error.orderId, "ord_1");
});

test("a problem of an unknown type is a ProblemError with all its members", async () => {
  const problem = {
    type: "/problems/of-tomorrow",
    title: "New",
    status: 409,
    detail: "…",
    instance: "",
    request_id: "",
    more: 1,
  };
  proxy.answer({
    status: 409,
    headers: { "content-type": "application/problem+json" },
    body: JSON.stringify(problem),
  });
  const error = await failure(ProblemError, desk.client("ALICE", { baseUrl: proxy.url }).rent(ORDER));
  assert.equal(error.constructor, ProblemError);
  assert.equal(error.problem.more, 1);
});

test("a caller who loses access after the order was placed learns its key, and not that it failed", async () => {
  await desk.close.control("POST", "settings", { rents_held: true });
  const reader = desk.token("--team", "sales-emea", "--permissions", "numbers:read");
  const tokens = [desk.env.ALICE!];
  // The first answer is lost after the order was placed. Then the token is refused, and the next lacks the permission.
  proxy.silent = true;
  const client = desk.client("ALICE", { baseUrl: proxy.url, token: () => tokens.shift() ?? reader });
  const rented = failure(RentUnfinishedError, client.rent(ORDER));
  await desk.close.rents(1);
  proxy.silent = false;
  proxy.answer({ status: 401 });
  proxy.disconnect();
  assert.ok((await rented).cause instanceof PermissionMissingError);
  const denied = await failure(PermissionMissingError, client.rent(ORDER));
  assert.equal(denied.need, "numbers:rent");
});

test("a token that the service never accepts is UnauthorizedError", async () => {
  await failure(UnauthorizedError, desk.client("ALICE", { token: "no-token" }).rent(ORDER));
});

test("keys that no header can carry, and contradicting options, are errors before anything is sent", async () => {
  for (const options of [
    { idempotencyKey: "ä" },
    { idempotencyKey: "" },
    { idempotencyKey: "a", purpose: "b" },
    { purpose: "b" },
  ]) {
    await failure(TypeError, desk.client().rent(ORDER, options));
  }
  assert.equal(await desk.close.rents(), 0);
});

test("an order placed in an attempt without answer can be found by its key", async () => {
  const client = desk.client();
  const order = await client.rent(ORDER, { idempotencyKey: "find-me" });
  const found = await collect(client.listOrders({ idempotency_key: "find-me" }));
  assert.deepEqual(
    found.map(({ id }) => id),
    [order.id],
  );
});
