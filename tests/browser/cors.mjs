// Calls the API from pages of other origins in a real browser. Arguments: URL TOKEN ALLOWED REFUSED.
//
// URL is the root of the service. ALLOWED is an origin that the service lists, REFUSED one that it does not list. The
// program rents a number, prints one line for each passed check, and exits with 1 at the first failure.
import assert from "node:assert/strict";
import { launch } from "./launch.mjs";

const [url, token, allowed, refused] = process.argv.slice(2);
assert.ok(url && token && allowed && refused, "usage: node cors.mjs URL TOKEN ALLOWED REFUSED");

const browser = await launch();
// Ends the program, and the browser with it, if a check hangs.
const deadline = setTimeout(() => {
  console.error("the checks did not end in time");
  process.exit(1);
}, 540_000);
try {
  const context = await browser.newContext();
  const page = await pageOf(context, allowed);

  const me = await call(page, "GET", "/v1/me", { authorization: `Bearer ${token}` });
  assert.equal(me.status, 200);
  assert.match(me.headers["x-request-id"], /^req_/);
  assert.ok(me.headers["ratelimit-policy"] === undefined || me.headers.ratelimit);
  passed("a page of a listed origin reads an answer and its headers");

  const problem = await call(page, "GET", "/v1/me", {});
  assert.equal(problem.status, 401);
  assert.equal(problem.body.type, "/problems/unauthorized");
  assert.match(problem.headers["www-authenticate"], /^Bearer/);
  passed("it reads a problem");

  const followed = page.evaluate(follow, { url, token });
  const order = await call(
    page,
    "POST",
    "/v1/orders",
    {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "idempotency-key": "from-a-page",
      prefer: "wait=20",
    },
    JSON.stringify({ country: "DE", carrier_type: "local" }),
  );
  assert.equal(order.status, 201);
  assert.match(order.headers.location, /^\/v1\/orders\/ord_/);
  passed("it orders a number and reads its location");

  assert.match(await followed, /event: order\.queued\n/);
  passed("it follows the events with a reader of fetch");

  const other = await pageOf(context, refused);
  const outcome = await other.evaluate(
    ({ url, token }) =>
      fetch(`${url}/v1/me`, { headers: { authorization: `Bearer ${token}` } }).then(
        () => "answered",
        (error) => error.name,
      ),
    { url, token },
  );
  assert.equal(outcome, "TypeError");
  passed("the browser refuses a page of another origin");
} finally {
  clearTimeout(deadline);
  await browser.close();
}

async function pageOf(context, origin) {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  return page;
}

function call(page, method, path, headers, body) {
  return page.evaluate(
    async ({ url, method, path, headers, body }) => {
      const response = await fetch(url + path, { method, headers, body });
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: await response.json(),
      };
    },
    { url, method, path, headers, body },
  );
}

// Runs in the page: reads events until the first one, and returns the text.
async function follow({ url, token }) {
  const headers = { authorization: `Bearer ${token}`, "last-event-id": "" };
  const response = await fetch(`${url}/v1/events/stream`, { headers });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("event: order.queued\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text;
}

function passed(what) {
  console.log(`ok: ${what}`);
}
