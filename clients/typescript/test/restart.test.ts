/** A process that is killed goes on with the stored key, and one number is rented. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { FileKeyStore } from "@numberdesk/client/node";
import { Desk, ORDER, until } from "./support/desk.ts";
import { Example } from "./support/example.ts";
import { Proxy } from "./support/proxy.ts";

let desk: Desk;
let proxy: Proxy;
let folder: string;

before(async () => {
  desk = await Desk.start();
  proxy = await Proxy.start(desk.url);
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "numberdesk-keys-"));
  await desk.close.forgetRequests();
});
after(async () => {
  proxy?.stop();
  await desk?.stop();
  await rm(folder, { recursive: true });
});

function run(api: string): Example {
  return new Example("rent", ["GB", "killed"], { ...desk.env, API: api, KEYS: folder });
}

test("a process that is killed before its request arrives rents one number after its restart", async () => {
  proxy.holding = true;
  const before = proxy.request.length;
  const killed = run(proxy.url);
  await until("the proxy holds the request", () => proxy.request.length > before);
  assert.equal((await readdir(folder)).length, 1, "the key is stored before the request");
  await killed.stop();
  proxy.holding = false;
  proxy.disconnect();
  assert.equal(await desk.close.rents(), 0);

  const restarted = run(desk.url);
  assert.equal(await restarted.end(), 0, restarted.output);
  assert.equal(await desk.close.rents(), 1);
});

test("a process that is killed while Close rents learns the number after its restart", async () => {
  await desk.close.control("POST", "settings", { rents_held: true });
  const killed = run(desk.url);
  assert.equal(await desk.close.rents(1), 1);
  await killed.stop();
  await desk.close.control("POST", "settings", { rents_held: false });

  const restarted = run(desk.url);
  assert.equal(await restarted.end(), 0, restarted.output);
  assert.match(restarted.output, /\+44\d+/);
  assert.equal(await desk.close.rents(), 1);
});

test("several processes that order for one purpose rent one number", async () => {
  const processes = [1, 2, 3].map(() => run(desk.url));
  for (const process of processes) assert.equal(await process.end(), 0, process.output);
  assert.equal(new Set(processes.map(({ output }) => /\+44\d+/.exec(output)?.[0])).size, 1);
  assert.equal(await desk.close.rents(), 1);
});

test("a key store that fails stops the order before its request", async () => {
  const broken = { keep: () => Promise.reject(new Error("the disk is full")) };
  await assert.rejects(
    desk.client("ALICE", { keyStore: broken }).rent(ORDER, { purpose: "x" }),
    /the disk is full/,
  );
  assert.equal(await desk.close.rents(), 0);
});

test("the file store keeps the first key of a purpose until it forgets it", async () => {
  const store = new FileKeyStore(join(folder, "a", "b"));
  const kept = await Promise.all(["1", "2", "3", "4"].map((key) => store.keep("line", key)));
  assert.equal(new Set(kept).size, 1);
  assert.equal(await store.keep("../line", "5"), "5");
  assert.equal(await new FileKeyStore(join(folder, "a", "b")).keep("line", "6"), kept[0]);
  await store.forget("line");
  assert.equal(await store.keep("line", "7"), "7");
  assert.equal((await readdir(join(folder, "a", "b"))).length, 2, "no temporary file is left");
});
