// Tests the HTML pages of a running service in a real browser. Arguments: URL TOKEN LABEL.
//
// URL is the root of the service, and may have a path. TOKEN belongs to a caller who may order and read numbers; the
// program rents three numbers. LABEL is a label with a script in it, of a number that the caller can read. The program
// prints one line for each passed check, and exits with 1 at the first failure. If SCREENSHOT is set, it writes a
// picture of the documentation to that file.
import assert from "node:assert/strict";
import { launch } from "./launch.mjs";

const [url, token, label] = process.argv.slice(2);
assert.ok(url && token && label, "usage: node docs.mjs URL TOKEN LABEL");
const base = url.replace(/\/$/, "");
const TIMEOUT_MS = 60_000;

const browser = await launch();
// Ends the program, and the browser with it, if a check hangs.
const deadline = setTimeout(() => {
  console.error("the checks did not end in time");
  process.exit(1);
}, 540_000);
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
  await checkReload(page);
  await checkFilter(page);
  await checkHeight(page);
  await checkCode(page);
  await checkValidate(page);
  await checkKeys(page);
  await checkLabels(page);
  await checkLogout(page);
  await checkPages(page, context);
  await checkProblemPage(page);

  assert.ok(requests.length >= 8, `only ${requests.length} requests were seen`);
  const elsewhere = requests.filter((request) => !/^(data|blob):/.test(request) && !request.startsWith(`${base}/`));
  assert.deepEqual(elsewhere, [], "requests to other origins or paths");
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
  const answer = await page.goto(`${base}/docs`);
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

// The token survives a reload of the tab, and is stored nowhere else.
async function checkReload(page) {
  await page.reload();
  await page.locator(".auth-wrapper .btn.authorize.locked").waitFor();
  // The URL names the operation that was open.
  await page.locator(".opblock-get.is-open").waitFor();
  const { status, body } = await execute(await tryOut(page, "get", "/v1/me"));
  assert.equal(status, 200, body);
  const stored = await page.evaluate(() => [JSON.stringify(localStorage), document.cookie]);
  assert.deepEqual(stored, ["{}", ""], "the token is stored beyond the session");
  const other = await page.context().newPage();
  await other.goto(`${base}/docs/`);
  await other.locator(".auth-wrapper .btn.authorize.unlocked").waitFor();
  await other.close();
  passed("the token is kept over a reload, in this tab only");
}

async function checkFilter(page) {
  const filter = page.getByRole("searchbox", { name: "Filter operations" });
  await filter.fill("KEEP_phone scheduled");
  await page.waitForFunction(() => document.querySelectorAll('.opblock-summary-path[data-path^="/v1/"]').length === 1);
  await operation(page, "post", "/v1/phone-numbers/{id}/keep").waitFor();
  await filter.fill("");
  await operation(page, "post", "/v1/orders").waitFor();
  passed("the filter finds operations by their words");
}

// An opened operation is a screen or two. The body of an error is there on demand.
async function checkHeight(page) {
  const size = page.viewportSize();
  await page.setViewportSize({ width: 1280, height: 800 });
  const order = operation(page, "post", "/v1/orders");
  await order.locator(".opblock-summary-control").first().click();
  await order.locator(".responses-table .nd-common-toggle").waitFor();
  await order.locator(".responses-table .microlight, .responses-table .example code").first().waitFor();
  const { height } = await order.boundingBox();
  assert.ok(height <= 2000, `POST /v1/orders is ${height} pixels high`);
  const row = (status) => order.locator(`tr.response[data-code="${status}"]`);
  assert.equal(await row(500).isVisible(), false, "a common error is visible");
  await order.locator(".nd-common-toggle button").click();
  assert.equal(await row(500).isVisible(), true, "a common error stays hidden");
  await order.locator(".nd-common-toggle button").click();
  await row(403).locator("button").click();
  await row(403).locator("code").filter({ hasText: "/problems/policy-denied" }).first().waitFor();
  await order.locator(".opblock-summary-control").first().click();
  await page.setViewportSize(size);
  passed(`POST /v1/orders is ${Math.round(height)} pixels high, and its errors open on demand`);
}

// A chip of code is not higher than its line, so it covers no other line.
async function checkCode(page) {
  const overlaps = await page.evaluate(() => {
    const chips = [...document.querySelectorAll(".info .renderedMarkdown li code, .info .markdown li code")];
    const tooHigh = (chip) => {
      const line = Number.parseFloat(getComputedStyle(chip.closest("li")).lineHeight);
      return [...chip.getClientRects()].some((box) => box.height > line + 0.5);
    };
    return [chips.length, chips.filter(tooHigh).length];
  });
  assert.ok(overlaps[0] > 5, "no code was found in the introduction");
  assert.equal(overlaps[1], 0, "code is higher than its line");
  passed("code in a text does not overlap other lines");
}

async function checkValidate(page) {
  const { status, body, requestUrl } = await execute(await tryOut(page, "post", "/v1/orders/validate"));
  assert.ok(requestUrl.endsWith(`\n${base}/v1/orders/validate`), requestUrl);
  assert.equal(status, 200, body);
  const answer = JSON.parse(body);
  assert.equal(answer.allowed, true, body);
  assert.ok(answer.decision, body);
  passed("Try it out on POST /v1/orders/validate shows the decision");
}

// Each try is a new order, unless a person types a key.
async function checkKeys(page) {
  const order = await tryOut(page, "post", "/v1/orders");
  const key = order.locator('tr[data-param-name="Idempotency-Key"] input');
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const tries = [];
  for (const typed of [null, null, "typed-by-a-person", "typed-by-a-person"]) {
    if (typed) await key.fill(typed);
    const shown = await key.inputValue();
    const sent = page.waitForRequest((request) => request.method() === "POST" && request.url() === `${base}/v1/orders`);
    const answered = page.waitForResponse((response) => response.url() === `${base}/v1/orders`);
    await order.locator(".btn.execute").click();
    const header = (await (await sent).allHeaders())["idempotency-key"];
    const response = await answered;
    assert.ok([201, 202].includes(response.status()), await response.text());
    tries.push({ header, shown, id: (await response.json()).id });
    await order.locator(".live-responses-table .response .response-col_status").waitFor();
  }
  const [first, second, typed, repeated] = tries;
  assert.match(first.header, uuid);
  assert.equal(first.header, first.shown, "the field does not show the key that is sent");
  assert.match(second.header, uuid);
  assert.notEqual(first.header, second.header, "two tries had the same key");
  assert.equal(new Set([first.id, second.id, typed.id]).size, 3, "two tries are one order");
  assert.equal(typed.header, "typed-by-a-person");
  assert.equal(repeated.id, typed.id, "a repetition made another order");
  passed("each try has a fresh Idempotency-Key, and a typed one is kept");
}

async function checkLogout(page) {
  await page.locator(".auth-wrapper .btn.authorize").click();
  await page.locator(".dialog-ux .auth-btn-wrapper button", { hasText: "Logout" }).click();
  await page.locator(".dialog-ux .btn-done").click();
  await page.goto(`${base}/docs/`);
  await page.locator(".auth-wrapper .btn.authorize.unlocked").waitFor();
  assert.equal(await page.evaluate(() => JSON.stringify(sessionStorage)), "{}", "the token is still stored");
  passed("Logout forgets the token");
}

// The guides are reachable from the documentation, readable in dark mode, and not wider than a phone.
async function checkPages(page, context) {
  assert.equal(await page.title(), "numberdesk API");
  assert.match(await page.locator('link[rel="icon"]').getAttribute("href"), /favicon\.svg$/);
  assert.equal(await page.locator(".nd-base").innerText(), base);
  await page.getByRole("link", { name: "Guides", exact: true }).click();
  await page.getByRole("link", { name: "orders.md" }).first().click();
  await page.getByRole("heading", { name: "Order a number" }).waitFor();
  assert.equal(page.url(), `${base}/guides/orders`);
  const phone = await context.newPage();
  recordRequests(phone);
  await phone.setViewportSize({ width: 390, height: 800 });
  await phone.emulateMedia({ colorScheme: "dark" });
  for (const path of ["/guides/", "/guides/permissions", "/problems/policy-denied"]) {
    await phone.goto(`${base}${path}`);
    const layout = await phone.evaluate(() => ({
      wide: document.documentElement.scrollWidth - innerWidth,
      background: getComputedStyle(document.body).backgroundColor,
    }));
    assert.ok(layout.wide <= 0, `${path} is ${layout.wide} pixels wider than a phone`);
    assert.equal(layout.background, "rgb(15, 19, 24)", `${path} is not dark`);
  }
  await phone.close();
  passed("guides are linked, dark if the reader wants it, and fit on a phone");
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
  const answer = await page.goto(`${base}/problems/policy-denied`);
  assert.equal(answer.status(), 200);
  assert.match(answer.headers()["content-type"], /^text\/html/);
  await page.getByRole("heading", { name: "The policy does not allow it" }).waitFor();
  await page.getByRole("link", { name: "Write a policy" }).click();
  await page.getByRole("heading", { name: "Write a policy" }).waitFor();
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
  if (!(await isOpen(block))) await block.locator(".opblock-summary-control").first().click();
  const start = block.locator(".try-out__btn");
  await start.waitFor();
  // If "Try it out" is active already, the button would cancel it.
  if ((await start.innerText()).startsWith("Try")) await start.click();
  return block;
}

async function isOpen(block) {
  return (await block.getAttribute("class")).split(" ").includes("is-open");
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

function passed(what) {
  console.log(`ok: ${what}`);
}
