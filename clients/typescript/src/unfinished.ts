/** The error that `rent()` leaves when it stops before the end of an order. */
import type { Order } from "./generated/schema.js";

/**
 * `rent()` stopped before the order ended: by the deadline, the caller's signal, or too many failures (`cause`).
 *
 * The order may exist and may still rent a number. To go on, also in another process, call `rent()` again with the
 * same request and this `idempotencyKey`. Another key could rent a second number.
 */
export class RentUnfinishedError extends Error {
  readonly idempotencyKey: string;
  /** The order as last seen, if the service has answered at all. */
  readonly order: Order | undefined;

  constructor(idempotencyKey: string, order: Order | undefined, cause: unknown) {
    const reason = order?.reason ? ` (${order.reason})` : "";
    const known = order
      ? `order ${order.id} is ${order.state}${reason}`
      : "it is unknown whether the service has the order";
    super(`the order has not ended; ${known}. To go on, rent again with the key ${idempotencyKey}`, { cause });
    this.name = "RentUnfinishedError";
    this.idempotencyKey = idempotencyKey;
    this.order = order;
  }

  get orderId(): string | undefined {
    return this.order?.id;
  }
}
