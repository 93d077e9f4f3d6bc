/** The pauses between attempts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, isRetriable, retryAfterOf } from "../dist/backoff.js";

test("pauses double up to the longest one, and half of each is random", () => {
  const backoff = new Backoff({ baseDelayMs: 100, maxDelayMs: 1_000 });
  for (const [failures, full] of [
    [1, 100],
    [2, 200],
    [3, 400],
    [4, 800],
    [5, 1_000],
    [50, 1_000],
  ] as const) {
    const pauses = Array.from({ length: 200 }, () => backoff.delay(failures));
    assert.ok(Math.min(...pauses) >= full / 2 && Math.max(...pauses) <= full, `${failures}: ${pauses}`);
    assert.ok(new Set(pauses).size > 100);
  }
});

test("a pause is never shorter than Retry-After, and its random part is at most the shortest pause", () => {
  const backoff = new Backoff({ baseDelayMs: 100, maxDelayMs: 1_000 });
  const pauses = Array.from({ length: 200 }, () => backoff.delay(5, 7));
  assert.ok(Math.min(...pauses) >= 7_000 && Math.max(...pauses) <= 7_100);
  assert.ok(backoff.delay(1, 0) <= 100, "Retry-After: 0 asks for no pause");
});

test("Retry-After is a number of seconds or a date", () => {
  const after = (value?: string) =>
    retryAfterOf(new Response(null, value === undefined ? {} : { headers: { "retry-after": value } }));
  assert.equal(after("7"), 7);
  assert.equal(after("0"), 0);
  const ahead = after(new Date(Date.now() + 600_000).toUTCString())!;
  assert.ok(ahead > 500 && ahead <= 600, String(ahead));
  assert.equal(after(new Date(0).toUTCString()), 0, "a date in the past");
  for (const none of ["soon", "1.5", "-1", "0x5", "2026-11-23", "5, 7", undefined]) {
    assert.equal(after(none), undefined, none);
  }
});

test("time-outs, rate limits and failures of the service may pass; faults of the request do not", () => {
  for (const status of [408, 425, 429, 500, 502, 503, 504, 599]) assert.ok(isRetriable(status), String(status));
  for (const status of [301, 400, 401, 403, 404, 409, 412, 413, 422])
    assert.ok(!isRetriable(status), String(status));
});
