/** The stream of events over broken connections, and its parser. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  InvalidRequestError,
  NumberdeskClient,
  type DeskEvent,
  PermissionMissingError,
  ProblemError,
} from "@numberdesk/client";
import { type Message, messages } from "../dist/sse.js";
import { collect, Desk, ORDER } from "./support/desk.ts";
import { Proxy } from "./support/proxy.ts";

let desk: Desk;
let proxy: Proxy;

before(async () => {
  desk = await Desk.start();
  proxy = await Proxy.start(desk.url);
});
after(async () => {
  proxy?.stop();
  await desk?.stop();
});

const SSE = { "content-type": "text/event-stream" };

function message(id: string): string {
  return `id: ${id}\nevent: order.queued\ndata: {"id":"${id}","type":"order.queued"}\n\n`;
}

/** Returns a client whose answers are these, and the `Last-Event-ID` of each of its requests. */
function scripted(...answers: (string | Response)[]): { client: NumberdeskClient; resumed: (string | null)[] } {
  const resumed: (string | null)[] = [];
  let tokens = 0;
  const client = desk.client("ALICE", {
    token: () => `token-${++tokens}`,
    fetch: async (request) => {
      resumed.push((request as Request).headers.get("last-event-id"));
      const answer = answers.shift() ?? "";
      return typeof answer === "string" ? new Response(answer, { headers: SSE }) : answer;
    },
  });
  return { client, resumed };
}

/** Rents until there are some events, and returns all of them. */
async function history(): Promise<DeskEvent[]> {
  for (let rents = 0; rents < 3; rents++) await desk.client().rent(ORDER);
  return collect(desk.client().listEvents());
}

test("a stream that breaks again and again misses no event and repeats none", async () => {
  const ids = (await history()).map(({ id }) => id);
  const resumed: unknown[] = [];
  const client = desk.client("ALICE", {
    baseUrl: proxy.url,
    fetch: (request, init) => {
      resumed.push((request as Request).headers.get("last-event-id"));
      // Every connection breaks after its head and an event or two.
      proxy.cut({ side: "response", after: 1_200, reset: false });
      return fetch(request, init);
    },
  });
  const read: string[] = [];
  for await (const { id } of client.events({ after: ids[0]! })) {
    if (read.push(id) === ids.length - 1) break;
  }
  assert.deepEqual(read, ids.slice(1));
  assert.ok(resumed.length > 2 && resumed.every((id) => ids.includes(id as string)));
  assert.equal(new Set(resumed).size, resumed.length, "each connection continues after the last event");
});

test("a stream that is cut at any byte of its messages misses no event and repeats none", async () => {
  const ids = (await history()).map(({ id }) => id).slice(0, 4);
  const client = desk.client("ALICE", { baseUrl: proxy.url });
  for (let place = 0; place < 900; place += 37) {
    proxy.cut({ side: "response", after: place, reset: place % 2 === 0 });
    const read: string[] = [];
    for await (const { id } of client.events({ after: ids[0]! })) if (read.push(id) === ids.length - 1) break;
    assert.deepEqual(read, ids.slice(1), `cut at byte ${place}`);
  }
});

test("events that a server repeats are dropped", async () => {
  const { client } = scripted(message("evt_1") + message("evt_2"), message("evt_2") + message("evt_3"));
  const ids: string[] = [];
  for await (const { id } of client.events()) if (ids.push(id) === 3) break;
  assert.deepEqual(ids, ["evt_1", "evt_2", "evt_3"]);
});

test("a stream that breaks before its first event goes on after the position that the service named", async () => {
  const { client, resumed } = scripted("id: evt_1\n\n: comment\n\n", ": comment\n\n", message("evt_2"));
  assert.equal((await client.events().next()).value!.id, "evt_2");
  assert.deepEqual(resumed, [null, "evt_1", "evt_1"]);

  // The service names it, too: whatever happens after the first connection is read by the second.
  await desk.client().rent(ORDER);
  const stream = desk.client("ALICE", { baseUrl: proxy.url });
  let connected = 0;
  let order: Promise<{ id: string }> | undefined;
  const onConnect = (): void => {
    if (++connected > 1) return;
    // Breaks the first connection once it has brought the position.
    const position = setInterval(() => {
      if (!/id: evt_\w+\n\n/.test(proxy.response.toString())) return;
      clearInterval(position);
      proxy.disconnect();
      order = desk.client().rent(ORDER);
    }, 5);
  };
  proxy.response = Buffer.alloc(0);
  const { value } = await stream.events({ types: ["order.fulfilled"], onConnect }).next();
  assert.ok(value?.type === "order.fulfilled");
  assert.equal(value.data.order_id, (await order!).id);
  assert.equal(connected, 2);
});

test("an expired token is replaced, and the stream goes on after its last event", async () => {
  const { client, resumed } = scripted(message("evt_1"), new Response(null, { status: 401 }), message("evt_2"));
  const ids: string[] = [];
  for await (const { id } of client.events({ after: "evt_0" })) if (ids.push(id) === 2) break;
  assert.deepEqual(ids, ["evt_1", "evt_2"]);
  assert.deepEqual(resumed, ["evt_0", "evt_1", "evt_1"]);
});

test("a page that is no stream, such as a login, is an error and no silent stream", async () => {
  const html = { headers: { "content-type": "text/html" } };
  for (const answer of [
    new Response("<html>Sign in", html),
    new Response(null, { status: 302, headers: { location: "https://login.example.com/" } }),
  ]) {
    await assert.rejects(scripted(answer).client.events().next(), ProblemError);
  }
});

test("no event is yielded after the signal has aborted, also if it has arrived", async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const { client } = scripted(message("evt_1") + message("evt_2"));
  for await (const { id } of client.events({ signal: stop.signal })) {
    seen.push(id);
    stop.abort();
  }
  assert.deepEqual(seen, ["evt_1"]);
});

test("a connection that goes silent is replaced", async () => {
  const [first, second] = await history();
  proxy.silent = true;
  const connections = proxy.connections;
  const client = desk.client("ALICE", { baseUrl: proxy.url });
  const next = client.events({ after: first!.id, idleTimeoutMs: 200 }).next();
  while (proxy.connections < connections + 2) await new Promise(setImmediate);
  proxy.silent = false;
  assert.equal((await next).value!.id, second!.id);
});

test("a service that is down for a while is asked again", async () => {
  const [first, second] = await history();
  proxy.answer({ status: 503 }, { status: 429 }, { status: 502, body: "<html>" });
  const events = desk.client("ALICE", { baseUrl: proxy.url }).events({ after: first!.id });
  assert.equal((await events.next()).value!.id, second!.id);
  await events.return(undefined);
});

test("a stream without `after` begins now, and ends when the signal aborts", async () => {
  const stop = new AbortController();
  const seen: DeskEvent[] = [];
  let rented: Promise<{ id: string }> | undefined;
  const onConnect = (): void => void (rented ??= desk.client().rent(ORDER));
  for await (const event of desk
    .client()
    .events({ signal: stop.signal, types: ["order.fulfilled"], team: "sales-emea", onConnect })) {
    seen.push(event);
    stop.abort();
  }
  assert.equal(seen.length, 1);
  const [event] = seen;
  assert.ok(event?.type === "order.fulfilled");
  assert.equal(event.data.order_id, (await rented!).id);
});

test("an abort ends a stream that waits for an event or for the next attempt", async () => {
  const stop = new AbortController();
  const idle = desk.client().events({ signal: stop.signal, onConnect: () => stop.abort() });
  assert.deepEqual(await idle.next(), { done: true, value: undefined });

  const away = new NumberdeskClient({
    baseUrl: "http://127.0.0.1:1",
    token: "t",
    retry: { baseDelayMs: 60_000, maxDelayMs: 60_000 },
  });
  const waiting = new AbortController();
  const next = away.events({ signal: waiting.signal }).next();
  setImmediate(() => waiting.abort());
  assert.deepEqual(await next, { done: true, value: undefined });
});

test("an event of a later version is handed out with what the client does not know", async () => {
  const later = { id: "evt_2", type: "order.later", data: { later: [1] }, later: { a: 1 } };
  const { client } = scripted(
    `${message("evt_1")}id: evt_2\nevent: order.later\nlater: x\ndata: ${JSON.stringify(later)}\n\n${message("evt_3")}`,
  );
  const seen: unknown[] = [];
  for await (const event of client.events({ after: "evt_0" })) {
    if (seen.push(event) === 3) break;
  }
  assert.deepEqual(seen[1], later);
});

test("a stream that the service refuses throws", async () => {
  await assert.rejects(desk.client().events({ after: "evt_unknown" }).next(), InvalidRequestError);
  const token = desk.token("--team", "sales-emea", "--permissions", "numbers:rent");
  await assert.rejects(desk.client("ALICE", { token }).events().next(), PermissionMissingError);
});

test("messages are read in pieces of any size, with every line end", async () => {
  const stream =
    "\ufeff: comment\n\nid: 1\ndata: a: b\ndata:ü☎\n\nretry: 7\n\nid: 2\r\ndata\r\n\r\nevent: x\rdata: 3\r\rid: 4\n\ndata: cut";
  const expected: Message[] = [
    { id: "1", data: "a: b\nü☎" },
    { id: "2", data: "" },
    { id: undefined, data: "3" },
    { id: "4", data: "" },
  ];
  const bytes = new TextEncoder().encode(stream);
  for (let size = 1; size <= bytes.length; size++) {
    let at = 0;
    const read = async (): Promise<Uint8Array | undefined> =>
      at < bytes.length ? bytes.subarray(at, (at += size)) : undefined;
    assert.deepEqual(await collect(messages(read)), expected, `pieces of ${size} bytes`);
  }
});
