/** Client of Numberdesk, a service that rents Close phone numbers under company policy. */
export type { RetryOptions } from "./backoff.js";
export { NumberdeskClient, type ClientOptions, type Query } from "./client.js";
export type { DeskEvent, EventsOptions } from "./events.js";
export type * from "./generated/schema.js";
export type { KeyChoice, KeyStore } from "./key.js";
export * from "./problem.js";
export type { RentOptions } from "./rent.js";
export type { TokenProvider } from "./token.js";
export { ConnectionError } from "./transport.js";
export { RentUnfinishedError } from "./unfinished.js";
export { unwrap, type ApiResult } from "./unwrap.js";
export { verifyWebhook, WebhookVerificationError, type VerifyOptions, type WebhookHeaders } from "./webhooks.js";
