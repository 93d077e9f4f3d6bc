/** Lists over several pages. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ConnectionError,
  InvalidRequestError,
  NotFoundError,
  NumberdeskClient,
  ProblemError,
  unwrap,
} from "@numberdesk/client";
import { collect, Desk, ORDER } from "./support/desk.ts";
import { Proxy } from "./support/proxy.ts";

const COUNT = 7;
let desk: Desk;
let proxy: Proxy;

before(async () => {
  desk = await Desk.start();
  proxy = await Proxy.start(desk.url);
  for (let rents = 0; rents < COUNT; rents++) await desk.client().rent({ ...ORDER, label: `line ${rents}` });
});
after(async () => {
  proxy?.stop();
  await desk?.stop();
});

/** Asserts that pages of two have the same rows as one page. */
async function assertSame(list: (limit: number) => AsyncIterable<{ id: string }>, least: number): Promise<void> {
  const [small, large] = [await collect(list(2)), await collect(list(200))];
  assert.ok(large.length >= least);
  assert.deepEqual(
    small.map(({ id }) => id),
    large.map(({ id }) => id),
  );
  assert.equal(new Set(small.map(({ id }) => id)).size, small.length);
}

test("all rows of every list are read over pages of two", async () => {
  const [alice, lena] = [desk.client(), desk.client("LENA")];
  await assertSame((limit) => alice.listOrders({ limit, state: "fulfilled" }), COUNT);
  await assertSame((limit) => alice.listNumbers({ limit, country: "GB" }), COUNT);
  await assertSame((limit) => alice.listEvents({ limit }), 3 * COUNT);
  await assertSame((limit) => lena.listAudit({ limit, action: "order.create" }), COUNT);
});

test("endpoints and deliveries are read over pages", async () => {
  const lena = desk.client("LENA");
  const url = "http://localhost:9000/";
  const endpoint = await unwrap(lena.api.POST("/v1/webhook-endpoints", { body: { url } }));
  await unwrap(lena.api.POST("/v1/webhook-endpoints", { body: { url } }));
  const path = { id: endpoint.id };
  for (let tests = 0; tests < 3; tests++)
    await unwrap(lena.api.POST("/v1/webhook-endpoints/{id}/test", { params: { path } }));
  await assertSame((limit) => lena.listWebhookEndpoints({ limit }), 2);
  await assertSame((limit) => lena.listDeliveries(endpoint.id, { limit }), 3);
});

test("a page is read only when its first row is needed", async () => {
  const client = desk.client("ALICE", { baseUrl: proxy.url });
  const orders = client.listOrders({ limit: 2 });
  await orders.next();
  await orders.next();
  proxy.answer({ status: 403, body: "" });
  await assert.rejects(orders.next(), (error) => error instanceof ProblemError && error.status === 403);
});

test("pages of events go on after the given one", async () => {
  const ids = (await collect(desk.client().listEvents())).map(({ id }) => id);
  const rest = await collect(desk.client().listEvents({ after: ids[1]!, limit: 2 }));
  assert.deepEqual(
    rest.map(({ id }) => id),
    ids.slice(2),
  );
});

test("a cursor that is not valid any more ends the list with an error that names it", async () => {
  const expire: typeof fetch = async (input, init) => {
    const request = input as Request;
    const url = request.url.replace(/cursor=[^&]+/, "cursor=expired");
    return fetch(new Request(url, request), init);
  };
  const orders = desk.client("ALICE", { fetch: expire }).listOrders({ limit: 2 });
  await orders.next();
  await orders.next();
  await assert.rejects(orders.next(), (error) => {
    assert.ok(error instanceof InvalidRequestError);
    assert.equal(error.errors[0]!.pointer, "/query/cursor");
    return true;
  });
  assert.deepEqual(await orders.next(), { done: true, value: undefined });
});

test("a base URL that cannot be one is an error that shows no password", () => {
  for (const baseUrl of [
    "",
    "numberdesk.example.com",
    "ftp://x",
    "https://x/?a=b",
    "https://x/#a",
    "https://user:password@x",
  ]) {
    assert.throws(
      () => new NumberdeskClient({ baseUrl, token: "t" }),
      (error) => error instanceof TypeError && !error.message.includes("password"),
    );
  }
});

test("an export may take longer than the time for a request, and other answers may not", async () => {
  // Each body ends only after the time for the request.
  const slow = (type: string): typeof fetch => {
    return async (request) => {
      const { signal } = request as Request;
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          await Promise.race([sleep(1_500), new Promise((resolve) => signal.addEventListener("abort", resolve))]);
          if (signal.aborted) return controller.error(signal.reason);
          controller.enqueue(new TextEncoder().encode("{}\n"));
          controller.close();
        },
      });
      return new Response(body, { headers: { "content-type": type } });
    };
  };
  const options = { requestTimeoutMs: 1_000, retry: { maxRetries: 0 } };
  const exporting = desk.client("LENA", { ...options, fetch: slow("application/x-ndjson") });
  const text = await unwrap(exporting.api.GET("/v1/audit/export", { parseAs: "text" }));
  assert.equal(text as unknown, "{}\n");
  const reading = desk.client("LENA", { ...options, fetch: slow("application/json") });
  await assert.rejects(unwrap(reading.api.GET("/v1/me")), ConnectionError);
});

test("a page is read again after a broken connection and after 503", async () => {
  const client = desk.client("ALICE", { baseUrl: proxy.url });
  const before = proxy.answered;
  proxy.answer({ status: 503 }, { status: 429, headers: { "retry-after": "0" } });
  proxy.cut({ side: "response", after: -10, reset: true });
  assert.ok((await collect(client.listNumbers({ limit: 3 }))).length >= COUNT);
  assert.equal(proxy.answered - before, 2);
  assert.ok(proxy.wasCut);
});

test("a read that would have to wait long fails with the time to wait", async () => {
  proxy.answer({ status: 503, headers: { "retry-after": "3600" } });
  const read = unwrap(desk.client("ALICE", { baseUrl: proxy.url }).api.GET("/v1/me"));
  await assert.rejects(read, (error) => error instanceof ProblemError && error.retryAfter === 3600);
});

test("the typed operations work below the prefix of a base URL, and their errors are typed", async () => {
  const seen: string[] = [];
  // Stands for a reverse proxy that removes the prefix.
  const strip: typeof fetch = async (input, init) => {
    const request = input as Request;
    seen.push(new URL(request.url).pathname);
    return fetch(new Request(request.url.replace("/desk/prefix", ""), request), init);
  };
  const client = desk.client("ALICE", { baseUrl: `${desk.url}/desk/prefix/`, fetch: strip });
  const me = await unwrap(client.api.GET("/v1/me"));
  assert.equal(me.subject, "alice@example.com");
  assert.equal((await client.validate(ORDER)).allowed, true);
  assert.equal((await client.rent(ORDER)).state, "fulfilled");
  await client.events({ after: (await client.listEvents().next()).value!.id }).next();
  assert.ok(seen.length >= 5 && seen.every((path) => path.startsWith("/desk/prefix/v1/")), seen.join());
  const missing = client.api.GET("/v1/orders/{id}", { params: { path: { id: "ord_0" } } });
  await assert.rejects(unwrap(missing), NotFoundError);
});
