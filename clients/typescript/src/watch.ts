/** Follows the events of an open order, so that a wait ends with the order and not with `Retry-After`. */
import { follow, type EventsOptions } from "./events.js";
import type { Order } from "./generated/schema.js";
import type { Transport } from "./transport.js";
import { sleep } from "./wait.js";

const ENDS = ["order.fulfilled", "order.refused", "order.cancelled"];

/**
 * Wakes a waiting `rent()` when its order ends.
 *
 * Only a shortcut: without it, for example for a token without `numbers:read`, the order is read at the times that the
 * service's `Retry-After` asks for.
 */
export class EndWatch {
  readonly #transport: Transport;
  readonly #base: string;
  readonly #signal: AbortSignal;
  #started = false;
  #rung = false;
  #ring = (): void => {};

  constructor(transport: Transport, base: string, signal: AbortSignal) {
    this.#transport = transport;
    this.#base = base;
    this.#signal = signal;
  }

  /** Begins to follow the order's team. Later calls do nothing. */
  start(order: Order): void {
    if (this.#started) return;
    this.#started = true;
    this.#follow(order).catch(() => {});
  }

  /** Waits until the order may have ended, at most `ms`. Rejects with the reason of the signal. */
  async pause(ms: number): Promise<void> {
    if (!this.#rung) {
      const woken = new AbortController();
      this.#ring = () => woken.abort(woken);
      await sleep(ms, AbortSignal.any([this.#signal, woken.signal])).catch((reason: unknown) => {
        if (reason !== woken) throw reason;
      });
    }
    this.#rung = false;
  }

  async #follow(order: Order): Promise<void> {
    const options: EventsOptions = { team: order.team, types: ENDS, signal: this.#signal };
    // The order may have ended before the stream began, so the beginning wakes too.
    const events = follow(this.#transport, this.#base, { ...options, onConnect: () => this.#wake() });
    for await (const { data } of events) if ("order_id" in data && data.order_id === order.id) this.#wake();
  }

  #wake(): void {
    this.#rung = true;
    this.#ring();
  }
}
