/** The client: its settings, and one method for each task. */
import createClient, { type Client } from "openapi-fetch";
import { Backoff, type RetryOptions } from "./backoff.js";
import { follow, type DeskEvent, type EventsOptions } from "./events.js";
import type * as schema from "./generated/schema.js";
import type { paths } from "./generated/schema.js";
import type { KeyStore } from "./key.js";
import { type Page, rows } from "./pages.js";
import { rent, type RentOptions } from "./rent.js";
import type { TokenProvider } from "./token.js";
import { Transport } from "./transport.js";
import { unwrap } from "./unwrap.js";

/** The settings of a client. */
export interface ClientOptions {
  /** The URL of the service, which may have a path, such as `https://apps.example.com/numberdesk`. */
  baseUrl: string;
  /**
   * A token, or better a function that returns a current one. The client calls it when it needs a token: first,
   * shortly before a JWT expires, and once after a 401.
   */
  token: TokenProvider;
  /** Keeps idempotency keys over restarts, for orders with a `purpose`. */
  keyStore?: KeyStore;
  retry?: RetryOptions;
  /** The time for one request and its answer, in milliseconds. Default: 40 000, since orders wait at the service. */
  requestTimeoutMs?: number;
  /** Sends requests. Default: the global `fetch`. */
  fetch?: typeof fetch;
}

/** Filters of a list. */
export type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Q } } }
  ? Omit<NonNullable<Q>, "cursor">
  : never;

/** A client of one Numberdesk service. It holds no connection, and needs no `close`. */
export class NumberdeskClient {
  /**
   * All operations, typed by the OpenAPI document (openapi-fetch). Use {@link unwrap} to get typed errors.
   *
   * To order a number, use {@link NumberdeskClient.rent} instead: only that repeats safely.
   */
  readonly api: Client<paths>;
  readonly #transport: Transport;
  readonly #base: string;
  readonly #keyStore: KeyStore | undefined;

  constructor({ baseUrl, token, keyStore, retry, requestTimeoutMs = 40_000, fetch: send }: ClientOptions) {
    this.#base = checkBase(baseUrl);
    this.#keyStore = keyStore;
    const backoff = new Backoff(retry);
    // The global function is looked up at each call, as tracing libraries replace it.
    this.#transport = new Transport({
      token,
      backoff,
      requestTimeoutMs,
      fetch: send ?? ((...call) => fetch(...call)),
    });
    // A redirect would turn a POST into a GET.
    this.api = createClient<paths>({ baseUrl: this.#base, fetch: this.#transport.fetch, redirect: "manual" });
  }

  /**
   * Rents one number and returns its order, which is `fulfilled`.
   *
   * Sends the order again after a broken connection, a 5xx or a 429, always under one idempotency key, and follows it
   * until it ends. With a key that was used before, it returns the order as it is now: of a number that has been
   * released since, `phone_number` has only `id`, `number` and `released_at`; of one that another team has got, it is
   * `null`.
   *
   * @throws {@link RentUnfinishedError} if it stops before the end is known; it has the key to go on
   * @throws {@link ProblemError} if the order was denied, or ended without a number
   */
  rent(request: schema.OrderRequest, options?: RentOptions): Promise<schema.Order> {
    const parts = { api: this.api, transport: this.#transport, base: this.#base, keyStore: this.#keyStore };
    return rent(parts, request, options);
  }

  /** Asks whether an order would be allowed, and what it would cost. Nothing is stored or sent to Close. */
  validate(request: schema.OrderRequest): Promise<schema.Validation> {
    return unwrap(this.api.POST("/v1/orders/validate", { body: request }));
  }

  /** Follows events, over any number of connections, until the signal aborts. */
  events(options?: EventsOptions): AsyncGenerator<DeskEvent> {
    return follow(this.#transport, this.#base, options);
  }

  /** Yields the events that exist now, oldest first. */
  listEvents(query: Query<"/v1/events"> = {}): AsyncGenerator<DeskEvent> {
    const { after: _, ...others } = query; // the cursor replaces `after`; both are an error
    return rows(async (cursor) => {
      const page = cursor === undefined ? query : { ...others, cursor };
      return (await unwrap(this.api.GET("/v1/events", { params: { query: page } }))) as Page<DeskEvent>;
    });
  }

  listOrders(query: Query<"/v1/orders"> = {}): AsyncGenerator<schema.Order> {
    return rows((cursor) => unwrap(this.api.GET("/v1/orders", { params: { query: next(query, cursor) } })));
  }

  listNumbers(query: Query<"/v1/phone-numbers"> = {}): AsyncGenerator<schema.PhoneNumber> {
    return rows((cursor) => unwrap(this.api.GET("/v1/phone-numbers", { params: { query: next(query, cursor) } })));
  }

  listAudit(query: Query<"/v1/audit"> = {}): AsyncGenerator<schema.AuditRow> {
    return rows((cursor) => unwrap(this.api.GET("/v1/audit", { params: { query: next(query, cursor) } })));
  }

  listWebhookEndpoints(query: Query<"/v1/webhook-endpoints"> = {}): AsyncGenerator<schema.WebhookEndpoint> {
    return rows((cursor) =>
      unwrap(this.api.GET("/v1/webhook-endpoints", { params: { query: next(query, cursor) } })),
    );
  }

  /** Yields the deliveries to a webhook endpoint, with the outcome of each. */
  listDeliveries(
    id: string,
    query: Query<"/v1/webhook-endpoints/{id}/deliveries"> = {},
  ): AsyncGenerator<schema.WebhookDelivery> {
    return rows((cursor) =>
      unwrap(
        this.api.GET("/v1/webhook-endpoints/{id}/deliveries", {
          params: { path: { id }, query: next(query, cursor) },
        }),
      ),
    );
  }
}

/** Returns the base URL without a slash at its end. The error does not show a password in it. */
function checkBase(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new TypeError("`baseUrl` must be like https://numberdesk.example.com, and may have a path, nothing else");
  }
  return url.href.replace(/\/+$/, "");
}

function next<Q extends object>(query: Q, cursor: string | undefined): Q & { cursor?: string } {
  return cursor === undefined ? query : { ...query, cursor };
}
