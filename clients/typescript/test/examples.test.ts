/** The examples run as they are printed in the README. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { unwrap } from "@numberdesk/client";
import { Desk, freePort, ORDER, until } from "./support/desk.ts";
import { Example } from "./support/example.ts";

let desk: Desk;
let port: number;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "numberdesk-examples-"));
  port = await freePort();
  desk = await Desk.start({ NUMBERDESK_WEBHOOKS__PORTS: String(port) });
});
after(async () => {
  await desk?.stop();
  await rm(folder, { recursive: true, force: true });
});

function run(name: string, args: string[] = [], env: Record<string, string> = {}): Example {
  return new Example(name, args, {
    ...desk.env,
    KEYS: join(folder, "keys"),
    POSITION: join(folder, "position"),
    ...env,
  });
}

test("rent.ts rents one number for one purpose, however often it runs, and explains a denial", async () => {
  await desk.close.forgetRequests();
  const first = run("rent", ["GB", "front desk"]);
  assert.equal(await first.end(), 0, first.output);
  const second = run("rent", ["GB", "front desk"]);
  await second.end();
  assert.match(first.output, /^ord_\w+ \+44\d+\n$/);
  assert.equal(second.output, first.output);
  assert.equal(await desk.close.rents(), 1);

  const denied = run("rent", ["US", "another"]);
  assert.equal(await denied.end(), 1);
  assert.match(denied.output, /denied: request one of DE, FR, GB/);
});

test("follow-events.ts continues where its last run stopped", async () => {
  const { value: oldest } = await desk.client().listEvents().next();
  const first = run("follow-events");
  const rents: Promise<unknown>[] = [];
  while (!first.output.includes("rented")) {
    rents.push(desk.client().rent(ORDER));
    await Promise.race([first.prints("rented"), new Promise((resolve) => setTimeout(resolve, 200))]);
  }
  await Promise.all(rents);
  await until("the first position is stored", () => existsSync(join(folder, "position")));
  await first.stop();

  const order = await desk.client().rent(ORDER);
  const second = run("follow-events");
  await second.prints(`order ${order.id} rented`);
  await second.stop("SIGINT");
  assert.equal(second.process.exitCode, 0, "Ctrl-C ends it");
  assert.ok(oldest && !second.output.includes(oldest.id));
});

test("follow-events.ts says what to do about a position that the service no longer keeps", async () => {
  const position = join(folder, "old-position");
  await writeFile(position, "evt_01M882VPZQF6EAN6492ZFVERXN");
  const follower = run("follow-events", [], { POSITION: position });
  assert.equal(await follower.end(), 1, follower.output);
  assert.match(follower.output, /delete .*old-position/);
  assert.doesNotMatch(follower.output, /^ {4}at /m);
});

test("receive-webhooks.ts accepts the service's webhooks, also with two secrets, and no others", async () => {
  const lena = desk.client("LENA");
  const body = { url: `http://localhost:${port}/` };
  const endpoint = await unwrap(lena.api.POST("/v1/webhook-endpoints", { body }));
  const params = { path: { id: endpoint.id } };
  const { secret } = await unwrap(lena.api.POST("/v1/webhook-endpoints/{id}/rotate-secret", { params }));
  const receiver = run("receive-webhooks", [], {
    PORT: String(port),
    WEBHOOK_SECRET: `${endpoint.secret} ${secret}`,
  });
  try {
    await receiver.prints(`listening on http://localhost:${port}`);
    await unwrap(lena.api.POST("/v1/webhook-endpoints/{id}/test", { params }));
    await receiver.prints("webhook_endpoint.test");
    const forged = await fetch(body.url, { method: "POST", body: "{}" });
    assert.equal(forged.status, 401);
  } finally {
    await receiver.stop();
  }
});

test("report.ts prints the numbers and what is left", async () => {
  await desk.client().rent({ ...ORDER, label: "printed line" });
  const report = run("report");
  assert.equal(await report.end(), 0, report.output);
  assert.match(report.output, /\+44\d+\tGB\tsales-emea\t1\.00\tprinted line/);
  assert.match(report.output, /sales-emea: \{.*"numbers":\d+.*\} left/);
});
