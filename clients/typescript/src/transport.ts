/** Sends requests: with a token, a time limit, and retries where they are harmless. */
import { type Backoff, isRetriable, retryAfterOf } from "./backoff.js";
import { TokenSource, type TokenProvider } from "./token.js";
import { abortable, MAX_TIMER_MS, sleep } from "./wait.js";

/** No usable answer arrived: no connection, a broken one, or a time-out. The service may have executed the request. */
export class ConnectionError extends Error {
  constructor(cause: unknown) {
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    super(`no complete answer from the service: ${reason instanceof Error ? reason.message : reason}`, { cause });
    this.name = "ConnectionError";
  }
}

/** A longer `Retry-After` of a read is left to the caller, in seconds. */
const LONG_S = 60;
/** Answers that may be long, which the caller reads piece by piece. */
const STREAMED = /^(application\/x-ndjson|text\/csv|text\/event-stream)\b/;

/** What a transport needs. */
export interface TransportOptions {
  token: TokenProvider;
  backoff: Backoff;
  fetch: typeof fetch;
  requestTimeoutMs: number;
}

/** Sends requests to the service. */
export class Transport {
  readonly backoff: Backoff;
  readonly requestTimeoutMs: number;
  readonly #tokens: TokenSource;
  readonly #fetch: typeof fetch;

  constructor({ token, backoff, fetch, requestTimeoutMs }: TransportOptions) {
    this.backoff = backoff;
    this.#tokens = new TokenSource(token);
    this.#fetch = fetch;
    this.requestTimeoutMs = requestTimeoutMs;
  }

  /**
   * Sends a request and reads the answer completely, unless it is a long one, so that a connection that breaks later
   * loses nothing.
   *
   * Repeats `GET` and `HEAD`, which change nothing. Everything else is sent once: only `rent()` knows how to repeat
   * an order.
   */
  readonly fetch = async (request: Request): Promise<Response> => {
    const retries = ["GET", "HEAD"].includes(request.method) ? this.backoff.maxRetries : 0;
    for (let failures = 1; ; failures++) {
      let retryAfter: number | undefined;
      try {
        const response = await this.#complete(request.clone());
        retryAfter = retryAfterOf(response) ?? 0;
        if (failures > retries || !isRetriable(response.status) || retryAfter > LONG_S) return response;
      } catch (error) {
        if (failures > retries || !(error instanceof ConnectionError)) throw error;
      }
      await sleep(this.backoff.delay(failures, retryAfter), request.signal);
    }
  };

  /** Sends a request with a token, and after a 401 once more with the next token. Does not read the answer's body. */
  async send(request: Request): Promise<Response> {
    const token = await abortable(this.#tokens.get(), request.signal);
    const response = await this.#attempt(request.clone(), token);
    if (response.status !== 401) return response;
    const next = await abortable(this.#tokens.get(token), request.signal);
    if (next === token) return response;
    await response.body?.cancel();
    return this.#attempt(request, next);
  }

  async #complete(request: Request): Promise<Response> {
    const late = new AbortController();
    const reason = new ConnectionError(new Error(`it took longer than ${this.requestTimeoutMs} ms`));
    const timer = setTimeout(() => late.abort(reason), Math.min(this.requestTimeoutMs, MAX_TIMER_MS));
    const limited = new Request(request, { signal: AbortSignal.any([request.signal, late.signal]) });
    try {
      const response = await this.send(limited);
      const isStreamed = response.ok && STREAMED.test(response.headers.get("content-type") ?? "");
      if (isStreamed || response.body === null) return response;
      return new Response(await usable(response.arrayBuffer(), limited.signal), response);
    } finally {
      clearTimeout(timer);
    }
  }

  async #attempt(request: Request, token: string): Promise<Response> {
    request.headers.set("authorization", `Bearer ${token}`);
    return usable(this.#fetch(request), request.signal);
  }
}

/** Reports the failure of a step as one of the connection, unless the signal is its reason. */
export async function usable<T>(step: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await step;
  } catch (error) {
    throw signal.aborted ? signal.reason : new ConnectionError(error);
  }
}
