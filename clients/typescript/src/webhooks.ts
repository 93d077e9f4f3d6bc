/** Verifies webhooks by the Standard Webhooks specification. Uses only Web Crypto, so it also runs at the edge. */
import type { DeskEvent } from "./events.js";

/** The webhook is not signed by any of the secrets, or is too old. Answer 401, and do not use its body. */
export class WebhookVerificationError extends Error {
  constructor(reason: string) {
    super(`the webhook is not valid: ${reason}`);
    this.name = "WebhookVerificationError";
  }
}

/** The headers of a request: of `fetch`, of Node.js, or of a framework. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** How strict the verification is. */
export interface VerifyOptions {
  /** The largest difference between the signed time and this machine's clock, in seconds. Default: 300. */
  toleranceSeconds?: number;
  /** The present time. For tests. */
  now?: Date;
}

/**
 * Verifies the signature of a webhook and returns its event.
 *
 * `body` is the body as it was received: parsed and serialized again, it would have another signature. `secrets` are
 * one or several secrets of the endpoint, like `whsec_…`; after a rotation, both the old and the new one are valid
 * for a while. A webhook can arrive more than once: remember the ids of events.
 *
 * @throws {@link WebhookVerificationError}
 */
export async function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secrets: string | readonly string[],
  { toleranceSeconds = 300, now = new Date() }: VerifyOptions = {},
): Promise<DeskEvent> {
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  const signatures = header(headers, "webhook-signature").split(" ");
  if (!/^\d{1,15}$/.test(timestamp))
    throw new WebhookVerificationError("`webhook-timestamp` must be a number of seconds");
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > toleranceSeconds) {
    throw new WebhookVerificationError(`it was signed more than ${toleranceSeconds} s before or after this time`);
  }
  const encoder = new TextEncoder();
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  if (!(bytes instanceof Uint8Array)) throw new TypeError("`body` must be the text or the bytes of the request");
  const head = encoder.encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(head.length + bytes.length);
  signed.set(head);
  signed.set(bytes, head.length);

  let valid = false;
  for (const secret of [secrets].flat()) {
    const raw = typeof secret === "string" ? decode(secret.replace(/^whsec_/, "")) : undefined;
    if (!raw?.length) throw new TypeError("a webhook secret must be base64, like `whsec_…`");
    const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const candidate of signatures) {
      const signature = candidate.startsWith("v1,") ? decode(candidate.slice(3)) : undefined;
      // `verify` compares in constant time.
      if (signature && (await crypto.subtle.verify("HMAC", key, signature, signed))) valid = true;
    }
  }
  if (!valid) throw new WebhookVerificationError("no signature matches");
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as DeskEvent;
  } catch {
    throw new WebhookVerificationError("the body is signed, and is no JSON");
  }
}

function header(headers: WebhookHeaders, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : caseless(headers, name);
  if (typeof value !== "string" || value === "")
    throw new WebhookVerificationError(`the header \`${name}\` is missing`);
  return value;
}

function caseless(headers: Exclude<WebhookHeaders, Headers>, wanted: string): unknown {
  const found = Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1];
  return Array.isArray(found) && found.length === 1 ? found[0] : found;
}

function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
