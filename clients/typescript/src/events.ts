/** Follows the events of the caller's teams, over any number of connections. */
import { isRetriable } from "./backoff.js";
import type { webhooks } from "./generated/schema.js";
import { problemError } from "./problem.js";
import { messages } from "./sse.js";
import { ConnectionError, type Transport, usable } from "./transport.js";
import { sleep } from "./wait.js";

/**
 * An event, by its `type`.
 *
 * Later versions may add types: ignore those that you do not know.
 */
export type DeskEvent = {
  [Type in keyof webhooks]: webhooks[Type] extends {
    post: { requestBody: { content: { "application/json": infer E } } };
  }
    ? E & { type: Type }
    : never;
}[keyof webhooks];

/** Which events to follow. */
export interface EventsOptions {
  /** The id of the last event that you have handled. Without it, the stream begins after the newest event. */
  after?: string;
  /** Only events of this team. */
  team?: string;
  /** Only events of these types, such as `order.fulfilled` or `phone_number.*`. */
  types?: string[];
  /** Ends the stream. */
  signal?: AbortSignal;
  /** Called for each connection, once it is open. */
  onConnect?: () => void;
  /** How long the stream may be silent before it connects again, in milliseconds. Default: 45 000. */
  idleTimeoutMs?: number;
}

/** How many ids the stream remembers to drop duplicates. */
const REMEMBERED = 1_000;
/** A connection that lasted so long is no reason to wait longer before the next one. */
const STABLE_MS = 10_000;

/**
 * Yields each event once, and connects again as often as needed: after a broken or silent connection, the end of the
 * token, or a restart of the service.
 *
 * It ends when the signal aborts. It throws if the service refuses it, for example because `after` is too old, and if
 * the token function fails.
 */
export async function* follow(
  transport: Transport,
  base: string,
  options: EventsOptions = {},
): AsyncGenerator<DeskEvent> {
  const { signal, onConnect, idleTimeoutMs = 45_000 } = options;
  const url = new URL(`${base}/v1/events/stream`);
  if (options.team !== undefined) url.searchParams.set("team", options.team);
  if (options.types?.length) url.searchParams.set("type", options.types.join(","));
  const seen = new Set<string>();
  let last = options.after;
  for (let failures = 0; !signal?.aborted;) {
    const connection = new AbortController();
    const stop = (): void => connection.abort(new ConnectionError(new Error("the caller ended the stream")));
    signal?.addEventListener("abort", stop, { once: true });
    let retryAfter: number | undefined;
    let opened = Infinity;
    try {
      const headers = { accept: "text/event-stream", ...(last === undefined ? {} : { "last-event-id": last }) };
      const request = new Request(url, { headers, signal: connection.signal, redirect: "manual" });
      const response = await limited(transport.send(request));
      // A page of 200, such as a proxy's login, is no stream.
      if (!response.ok || !response.headers.get("content-type")?.startsWith("text/event-stream")) {
        const problem = problemError(response, await limited(usable(body(response), connection.signal)));
        if (!isRetriable(problem.status)) throw problem;
        retryAfter = problem.retryAfter;
      } else {
        opened = Date.now();
        onConnect?.();
        const reader = response.body!.getReader();
        const read = async (): Promise<Uint8Array | undefined> =>
          (await limited(usable(reader.read(), connection.signal))).value;
        for await (const { id, data } of messages(read)) {
          // A stream that begins now first names the event before, in a message without data.
          last = id || last;
          if (data === "" || (id !== undefined && seen.has(id))) continue;
          if (signal?.aborted) return;
          if (id !== undefined) remember(seen, id);
          yield JSON.parse(data) as DeskEvent;
        }
      }
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
      connection.abort();
    }
    if (Date.now() - opened > STABLE_MS) failures = 0;
    await sleep(transport.backoff.delay(++failures, retryAfter), signal).catch(() => {});

    /** Limits the time for one step. */
    async function limited<T>(step: Promise<T>): Promise<T> {
      const silent = new ConnectionError(new Error("the stream is silent"));
      const timer = setTimeout(() => connection.abort(silent), idleTimeoutMs);
      return step.finally(() => clearTimeout(timer));
    }
  }
}

function remember(seen: Set<string>, id: string): void {
  seen.add(id);
  if (seen.size > REMEMBERED) seen.delete(seen.values().next().value!);
}

async function body(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
