/** When and how long to wait before a request is sent again. */

/** How often, and after which pauses, the client repeats a request. */
export interface RetryOptions {
  /** Failed attempts in a row after the first one, before the client gives up. Default: 8. */
  maxRetries?: number;
  /** The pause after the first failure, in milliseconds; it doubles with each failure. Default: 500. */
  baseDelayMs?: number;
  /** The longest pause, unless `Retry-After` asks for more. Default: 30 000. */
  maxDelayMs?: number;
}

/** Whether a request with this answer may succeed later. */
export function isRetriable(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** Returns the seconds that `Retry-After` asks for: a number, or the time until a date. */
export function retryAfterOf({ headers }: Response): number | undefined {
  const value = headers.get("retry-after") ?? "";
  if (/^\d+$/.test(value)) return Number(value);
  // `Date.parse` takes much that is no date of HTTP: `1.5` is a day in January.
  const date = /^[A-Z][a-z]+, .+ GMT$/.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

/** The pauses between attempts. */
export class Backoff {
  readonly maxRetries: number;
  readonly #base: number;
  readonly #max: number;

  constructor({ maxRetries = 8, baseDelayMs = 500, maxDelayMs = 30_000 }: RetryOptions = {}) {
    this.maxRetries = maxRetries;
    this.#base = baseDelayMs;
    this.#max = maxDelayMs;
  }

  /**
   * Returns the pause after `failures` failures in a row, in milliseconds.
   *
   * Half of it is random, so that clients that failed together do not come back together. It is never shorter than
   * `retryAfter`, the seconds of the response's `Retry-After`.
   */
  delay(failures: number, retryAfter = 0): number {
    const pause = Math.min(this.#max, this.#base * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
    return retryAfter > 0 ? retryAfter * 1000 + Math.min(pause, this.#base) : pause;
  }
}
