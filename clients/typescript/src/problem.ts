/** Errors of the service: one class for each problem type that is worth catching. */
import { retryAfterOf } from "./backoff.js";
import type { Decision, FieldError, Problem } from "./generated/schema.js";

/**
 * An error response of the service (RFC 9457).
 *
 * Branch on the class, or on `type`; never on `detail`. Types without a class of their own, also those of later
 * versions, are plain `ProblemError`s. A response that is no problem document, such as a proxy's HTML page, has the
 * type `about:blank`.
 */
export class ProblemError extends Error {
  /** The URI of the problem type, such as `/problems/policy-denied`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** An explanation of this occurrence, for people. */
  readonly detail: string;
  /** Identifies the request in the log of the service. */
  readonly requestId: string | undefined;
  /** The order that the problem belongs to. */
  readonly orderId: string | undefined;
  /** The seconds of `Retry-After`. */
  readonly retryAfter: number | undefined;
  /** All members of the document, those of later versions included. */
  readonly problem: Problem;
  /** The key of the order, if `rent()` threw this error. */
  idempotencyKey: string | undefined;

  constructor(problem: Problem, retryAfter?: number) {
    super(`${problem.title} (${problem.type}, ${problem.status}): ${problem.detail}`);
    this.name = new.target.name;
    this.problem = problem;
    this.type = problem.type;
    this.title = problem.title;
    this.status = problem.status;
    this.detail = problem.detail;
    this.requestId = problem.request_id;
    this.orderId = problem.order_id;
    this.retryAfter = retryAfter;
  }
}

/** The body, the query or a header is not valid; `errors` lists every fault. */
export class InvalidRequestError extends ProblemError {
  get errors(): FieldError[] {
    return this.problem.errors ?? [];
  }
}

/** The token belongs to several teams, or to none, and the request names no team. */
export class TeamRequiredError extends ProblemError {
  get teams(): string[] {
    return this.problem.teams ?? [];
  }
}

/** The token is missing or not valid, also after the token function was called again. */
export class UnauthorizedError extends ProblemError {}

/** The token lacks the permission `need`. */
export class PermissionMissingError extends ProblemError {
  get need(): string | undefined {
    return this.problem.need;
  }
}

/** The team's policy denies the request. Nothing was stored, and the idempotency key is not used up. */
export class PolicyDeniedError extends ProblemError {
  /** The rule, the value in the request, the required value, and a hint. */
  get decision(): Decision | undefined {
    return this.problem.decision;
  }
}

/** A limit of the team is reached. Nothing was stored, and the idempotency key is not used up. */
export class LimitExceededError extends ProblemError {
  get decision(): Decision | undefined {
    return this.problem.decision;
  }
  /** A number, or an amount in US dollars as a string. */
  get limit(): unknown {
    return this.problem.limit;
  }
  get used(): unknown {
    return this.problem.used;
  }
  /** The part of the limit that open orders hold. */
  get reserved(): unknown {
    return this.problem.reserved;
  }
}

/** The team holds, or ordered in the last 24 hours, as many numbers as its policy allows. */
export class QuotaExceededError extends LimitExceededError {}

/** The number would exceed the team's monthly budget. */
export class BudgetExceededError extends LimitExceededError {}

/** A second person rejected the order. To order again, use a new key. */
export class ApprovalRejectedError extends ProblemError {}

/** The order was cancelled, or not approved in time. Nothing was rented. To order again, use a new key. */
export class OrderCancelledError extends ProblemError {}

/** Close refused. Nothing was rented, and the reservation is free again. To order again, use a new key. */
export class CloseRefusedError extends ProblemError {
  /** Close's word for the reason, such as `billing-error`. */
  get closeStatus(): string | null | undefined {
    return this.problem.close_status;
  }
  /** Close's field errors. */
  get errors(): FieldError[] {
    return this.problem.errors ?? [];
  }
}

/** The outcome was unknown, and the service has made sure that nothing was rented. A new key is safe. */
export class NotRentedError extends ProblemError {
  get evidence(): string | null | undefined {
    return this.problem.evidence;
  }
}

/** The team already has an order with this key, and its body is different. `orderId` names that order. */
export class IdempotencyKeyReusedError extends ProblemError {}

/** The object does not exist, or belongs to another team. */
export class NotFoundError extends ProblemError {}

/** The order was already sent to Close, or has ended. */
export class OrderNotCancellableError extends ProblemError {
  get state(): string | undefined {
    return this.problem.state;
  }
}

/** The number has changed since its `ETag` was read. */
export class PreconditionFailedError extends ProblemError {}

/** The team sends too many requests, also after the client's retries. */
export class RateLimitedError extends ProblemError {}

/** Close did not answer a change or a release. */
export class CloseUnavailableError extends ProblemError {}

/** The service is overloaded, or lacks its database or an issuer's keys. It did not execute the request. */
export class ServiceUnavailableError extends ProblemError {}

const CLASSES: Readonly<Record<string, typeof ProblemError>> = {
  "invalid-request": InvalidRequestError,
  "team-required": TeamRequiredError,
  unauthorized: UnauthorizedError,
  "permission-missing": PermissionMissingError,
  "policy-denied": PolicyDeniedError,
  "quota-exceeded": QuotaExceededError,
  "budget-exceeded": BudgetExceededError,
  "approval-rejected": ApprovalRejectedError,
  "order-cancelled": OrderCancelledError,
  "close-refused": CloseRefusedError,
  "not-rented": NotRentedError,
  "idempotency-key-reused": IdempotencyKeyReusedError,
  "not-found": NotFoundError,
  "order-not-cancellable": OrderNotCancellableError,
  "precondition-failed": PreconditionFailedError,
  "rate-limited": RateLimitedError,
  "close-unavailable": CloseUnavailableError,
  busy: ServiceUnavailableError,
  "store-unavailable": ServiceUnavailableError,
  "keys-unavailable": ServiceUnavailableError,
};

/** Returns the error for a response and its body, which is the parsed JSON or else the text. */
export function problemError(response: Response, body: unknown): ProblemError {
  const retryAfter = retryAfterOf(response);
  if (!isProblem(body)) {
    const location = response.headers.get("location")?.split("?")[0];
    const text = typeof body === "string" ? body : (JSON.stringify(body) ?? "");
    const problem = {
      type: "about:blank",
      title: `HTTP ${response.status}${location ? `, redirected to ${location}` : ""}`,
      status: response.status,
      detail: text.slice(0, 200) || "The response has no problem document.",
      instance: "",
      request_id: response.headers.get("x-request-id") ?? "",
    };
    return new ProblemError(problem, retryAfter);
  }
  // Below a path prefix, the prefix may be part of the type.
  const name = /\/problems\/([a-z0-9-]+)$/.exec(body.type)?.[1] ?? "";
  return new (Object.hasOwn(CLASSES, name) ? CLASSES[name]! : ProblemError)(body, retryAfter);
}

function isProblem(body: unknown): body is Problem {
  const fields = body as Partial<Problem> | null | undefined;
  return typeof fields === "object" && typeof fields?.type === "string" && typeof fields.status === "number";
}
