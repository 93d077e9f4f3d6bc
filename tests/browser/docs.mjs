// Tests the HTML pages of a running service in a real browser. Arguments: URL TOKEN LABEL.
//
// TOKEN belongs to a caller who may order and read numbers. LABEL is a label with a script in it, of a number that the
// caller can read. The program prints one line for each passed check, and exits with 1 at the first failure. If
// SCREENSHOT is set, it writes a picture of the documentation to that file.
import assert from "node:assert/strict";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const [url, token, label] = process.argv.slice(2);
assert.ok(url && token && label, "usage: node docs.mjs URL TOKEN LABEL");
const origin = new URL(url).origin;
const TIMEOUT_MS = 20_000;

const browser = await chromium.launch({
  executablePath: browserOnPath(),
  headless: true,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    // The page can reach only this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
// Ends the program, and the browser with it, if a check hangs.
const deadline = setTimeout(() => {
  console.error("the checks did not end in time");
  process.exit(1);
}, 90_000);
const complaints = [];
try {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 } });
  context.setDefaultTimeout(TIMEOUT_MS);
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy violation: ${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  const requests = recordRequests(page);

  await checkDocs(page);
  await checkAuthorize(page);
  if (process.env.SCREENSHOT) await takePicture(page);
  await checkMe(page);
  await checkOrder(page);
  await checkLabels(page);
  await checkProblemPage(page);

  assert.ok(requests.length >= 8, `only ${requests.length} requests were seen`);
  const elsewhere = requests.filter((request) => !/^(data|blob):/.test(request) && new URL(request).origin !== origin);
  assert.deepEqual(elsewhere, [], "requests to other origins");
  assert.deepEqual(complaints, [], "errors or warnings of the browser");
  passed(`${requests.length} requests, all to the service, and no errors or warnings in the console`);
} catch (failure) {
  for (const complaint of complaints) console.error(complaint);
  console.error(failure);
  process.exitCode = 1;
} finally {
  clearTimeout(deadline);
  await browser.close();
}

async function checkDocs(page) {
  const answer = await page.goto(`${origin}/docs`);
  assert.equal(answer.status(), 200);
  const policy = answer.headers()["content-security-policy"] ?? "";
  const scripts = policy.split(";").map((part) => part.trim()).filter((part) => /^(default|script)-src/.test(part));
  assert.ok(scripts.length > 0, `no policy for scripts: ${policy}`);
  for (const part of scripts) assert.doesNotMatch(part, /unsafe|\*|https?:|data:/, policy);
  await operation(page, "get", "/v1/me").waitFor();
  await operation(page, "post", "/v1/orders").waitFor();
  const title = await page.locator(".info .title").innerText();
  assert.match(title, /numberdesk/i);
  passed("/docs shows the operations, under a strict content security policy");
}

async function checkAuthorize(page) {
  await page.locator(".auth-wrapper .btn.authorize").click();
  const dialog = page.locator(".dialog-ux");
  await dialog.locator("input").first().fill(token);
  await dialog.locator(".btn.authorize[type=submit]").click();
  await dialog.locator(".btn-done").click();
  await page.locator(".auth-wrapper .btn.authorize.locked").waitFor();
  passed("Authorize accepts a token");
}

async function checkMe(page) {
  const me = await tryOut(page, "get", "/v1/me");
  const { status, body } = await execute(me);
  assert.equal(status, 200, body);
  assert.equal(JSON.parse(body).subject, subject(), body);
  passed("Try it out on GET /v1/me returns the caller");
}

async function checkOrder(page) {
  const order = await tryOut(page, "post", "/v1/orders");
  const choice = order.locator('tr[data-param-name="validate_only"] select');
  assert.equal(await choice.inputValue(), "true", "Try it out would rent a number");
  const { status, body, requestUrl } = await execute(order);
  assert.match(requestUrl, /[?&]validate_only=true/);
  assert.equal(status, 200, body);
  const answer = JSON.parse(body);
  assert.equal(typeof answer.allowed, "boolean", body);
  assert.ok(answer.decision, body);
  passed("Try it out on POST /v1/orders starts with validate_only=true and shows the decision");
}

async function checkLabels(page) {
  const numbers = await tryOut(page, "get", "/v1/phone-numbers");
  const { status, body } = await execute(numbers);
  assert.equal(status, 200, body);
  assert.ok(JSON.parse(body).data.some((number) => number.label === label), `no number has the label: ${body}`);
  await page.waitForLoadState("networkidle");
  assert.equal(await page.locator("[data-hostile]").count(), 0, "the label was inserted as HTML");
  assert.equal(await page.evaluate(() => window.hostile), undefined, "the script in the label was executed");
  passed("a label with a script in it is shown as text");
}

async function checkProblemPage(page) {
  const answer = await page.goto(`${origin}/problems/policy-denied`);
  assert.equal(answer.status(), 200);
  assert.match(answer.headers()["content-type"], /^text\/html/);
  await page.getByRole("heading", { name: "The policy does not allow it" }).waitFor();
  passed("a problem type has a page");
}

// Writes a picture of the top of the page with all operations collapsed.
async function takePicture(page) {
  await page.setViewportSize({ width: 1200, height: 1270 });
  await page.screenshot({ path: process.env.SCREENSHOT });
}

// Returns the block of an operation in Swagger UI.
function operation(page, method, path) {
  return page.locator(`.opblock-${method}`).filter({ has: page.locator(`.opblock-summary-path[data-path="${path}"]`) });
}

async function tryOut(page, method, path) {
  const block = operation(page, method, path);
  await block.locator(".opblock-summary-control").first().click();
  const start = block.locator(".try-out__btn");
  await start.waitFor();
  // If "Try it out" is active already, the button would cancel it.
  if ((await start.innerText()).startsWith("Try")) await start.click();
  return block;
}

// Clicks Execute, and returns the response and the request URL that the page shows.
async function execute(block) {
  await block.locator(".btn.execute").click();
  const live = block.locator(".live-responses-table .response");
  await live.locator(".response-col_status").waitFor();
  const status = Number.parseInt(await live.locator(".response-col_status").innerText(), 10);
  const body = await live.locator(".response-col_description .highlight-code code").first().innerText();
  const requestUrl = await block.locator(".request-url").innerText();
  return { status, body, requestUrl };
}

// Records the URLs of all requests, and errors, warnings and dialogs of the browser as complaints.
function recordRequests(page) {
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  return requests;
}

function subject() {
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sub;
}

function browserOnPath() {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // Try the next folder.
      }
    }
  }
  throw new Error("Chromium is missing: run `make setup`");
}

function passed(what) {
  console.log(`ok: ${what}`);
}
