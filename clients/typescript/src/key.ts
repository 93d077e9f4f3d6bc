/** Idempotency keys: one for each number that the caller wants. */

/**
 * Keeps the idempotency key of each purpose, so that a process that dies goes on with the same key.
 *
 * A database table does it: `INSERT … ON CONFLICT DO NOTHING`, commit, `SELECT`. `FileKeyStore` of
 * `@numberdesk/client/node` does it with files.
 */
export interface KeyStore {
  /**
   * Returns the key that is stored for `purpose`. If there is none, stores `fresh` and returns it.
   *
   * Resolve only when the key would survive a crash: `rent()` sends its first request after this.
   */
  keep(purpose: string, fresh: string): Promise<string>;
}

/** Where the key of an order comes from: the caller, the key store, or nowhere. */
export interface KeyChoice {
  /** The key: 1 to 255 visible ASCII characters. Store it before you call. */
  idempotencyKey?: string;
  /** A name for what the number is for, such as `invoice-4711`. The client's key store keeps one key for each. */
  purpose?: string;
}

/** Returns the key for an order, durable if a purpose is given. */
export async function chooseKey({ idempotencyKey, purpose }: KeyChoice, store?: KeyStore): Promise<string> {
  if (idempotencyKey !== undefined && purpose !== undefined) {
    throw new TypeError("give either `idempotencyKey` or `purpose`, not both");
  }
  if (purpose !== undefined && !store) {
    throw new TypeError("`purpose` needs the option `keyStore` of the client");
  }
  const fresh = idempotencyKey ?? crypto.randomUUID();
  const key = purpose === undefined ? fresh : await store!.keep(purpose, fresh);
  if (!/^[!-~]{1,255}$/.test(key)) {
    throw new TypeError("the idempotency key must have 1 to 255 visible ASCII characters");
  }
  return key;
}
