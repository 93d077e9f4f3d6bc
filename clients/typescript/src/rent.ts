/** Rents one number: sends an order until its end is known, always under one idempotency key. */
import type { Client } from "openapi-fetch";
import { isRetriable, retryAfterOf } from "./backoff.js";
import type { Order, OrderRequest, paths } from "./generated/schema.js";
import { chooseKey, type KeyChoice, type KeyStore } from "./key.js";
import { NotFoundError, PermissionMissingError, ProblemError, problemError, UnauthorizedError } from "./problem.js";
import { ConnectionError, type Transport } from "./transport.js";
import { RentUnfinishedError } from "./unfinished.js";
import { MAX_TIMER_MS, sleep } from "./wait.js";
import { EndWatch } from "./watch.js";

/** How `rent()` orders, and how long it follows the order. */
export interface RentOptions extends KeyChoice {
  /** How long to follow the order, in milliseconds. Default: 10 minutes. An approval may take days. */
  timeoutMs?: number;
  /** Stops following the order. The order itself continues; to stop that, cancel it. */
  signal?: AbortSignal;
  /**
   * Called with every state of the order that is not its end, such as `awaiting_approval`. Of a `queued` order,
   * `reason` says what it waits for.
   */
  onProgress?: (order: Order) => void;
}

/** The parts of the client that an order needs. */
export interface RentParts {
  api: Client<paths>;
  transport: Transport;
  /** The base URL, without a slash at its end. */
  base: string;
  keyStore: KeyStore | undefined;
}

/** One answer: the end of the order, its present state, or a failure after which the order may be sent again. */
type Answer =
  | { kind: "rented"; order: Order }
  | { kind: "open"; order: Order; retryAfter: number }
  | { kind: "failed"; cause: unknown; retryAfter: number | undefined; lost: boolean };

/** The longest time that a request waits at the service for the end of the order, in seconds. */
const WAIT_S = 20;
/** The pause before an open order is asked for again, if the answer has no `Retry-After`. */
const DEFAULT_RETRY_S = 2;

/**
 * Rents a number and returns its order once it is fulfilled.
 *
 * Every repetition is the same POST, which the service answers with the order in its present state, or with the
 * problem that ended it. So this needs no permission beyond `numbers:rent`.
 */
export async function rent(parts: RentParts, request: OrderRequest, options: RentOptions = {}): Promise<Order> {
  const { api, transport, base, keyStore } = parts;
  options.signal?.throwIfAborted();
  // A copy: the body must not change between two attempts.
  const body = structuredClone(request);
  const key = await chooseKey(options, keyStore);
  const timeoutMs = Math.min(options.timeoutMs ?? 600_000, MAX_TIMER_MS);
  const deadline = Date.now() + timeoutMs;
  const finished = new AbortController();
  const stops = [finished.signal, AbortSignal.timeout(timeoutMs), ...(options.signal ? [options.signal] : [])];
  const signal = AbortSignal.any(stops);
  const watch = new EndWatch(transport, base, signal);
  let order: Order | undefined;
  let failures = 0;
  let lost = false;
  try {
    for (;;) {
      const answer = await send();
      if (answer.kind === "rented") return answer.order;
      if (answer.kind === "open") {
        failures = 0;
        order = answer.order;
        options.onProgress?.(order);
        watch.start(order);
        await watch.pause(answer.retryAfter * 1000);
      } else {
        lost ||= answer.lost;
        if (++failures > transport.backoff.maxRetries) throw new RentUnfinishedError(key, order, answer.cause);
        await sleep(transport.backoff.delay(failures, answer.retryAfter), signal);
      }
    }
  } catch (error) {
    if (error instanceof RentUnfinishedError || isAboutOrder(error)) throw error;
    const unknown = order !== undefined || lost || (signal.aborted && error === signal.reason);
    throw unknown ? new RentUnfinishedError(key, order, error) : error;
  } finally {
    finished.abort();
  }

  async function send(): Promise<Answer> {
    // The service answers before the deadline, so that the error can name the order, and before the request times out.
    const left = Math.floor((deadline - Date.now()) / 1000) - 1;
    const wait = Math.max(0, Math.min(WAIT_S, left, Math.floor(transport.requestTimeoutMs / 2_000)));
    const header = { "Idempotency-Key": key, Prefer: `wait=${wait}` };
    try {
      const { data, error, response } = await api.POST("/v1/orders", { params: { header }, body, signal });
      if (data !== undefined) return accepted(data, response);
      const problem = problemError(response, error);
      problem.idempotencyKey = key;
      if (isRetriable(problem.status)) {
        return { kind: "failed", cause: problem, retryAfter: problem.retryAfter, lost: problem.status >= 500 };
      }
      throw problem;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // A JSON text that ends early is a broken answer too.
      if (error instanceof ConnectionError || error instanceof SyntaxError) {
        return { kind: "failed", cause: error, retryAfter: undefined, lost: true };
      }
      throw error;
    }
  }
}

function accepted(order: Order, response: Response): Answer {
  if (typeof order?.id !== "string" || typeof order.state !== "string") {
    const cause = new Error(`the answer with status ${response.status} is not an order`);
    return { kind: "failed", cause, retryAfter: undefined, lost: true };
  }
  if (order.state === "fulfilled") return { kind: "rented", order };
  return { kind: "open", order, retryAfter: retryAfterOf(response) ?? DEFAULT_RETRY_S };
}

/**
 * Whether an error is the service's answer about this order.
 *
 * The others are about the caller's access, or come from a proxy. They say nothing about an order that an earlier
 * attempt may have placed.
 */
function isAboutOrder(error: unknown): boolean {
  const access = [UnauthorizedError, PermissionMissingError, NotFoundError].some((type) => error instanceof type);
  if (!(error instanceof ProblemError) || access) return false;
  return error.type !== "about:blank" && !error.type.endsWith("/service-account-unmapped");
}
