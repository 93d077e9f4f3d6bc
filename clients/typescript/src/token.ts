/** The caller's token: supplied by a function, kept until shortly before it expires. */

/** A token, or a function that returns a current one. */
export type TokenProvider = string | (() => string | Promise<string>);

/** The longest time before its expiry at which a token is replaced. */
const MARGIN_MS = 30_000;

/** The syntax of a bearer token (RFC 6750). */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Calls the token function when a token is needed, and for concurrent requests only once. */
export class TokenSource {
  readonly #provide: () => string | Promise<string>;
  #token: string | undefined;
  #replaceAt = 0;
  #pending: Promise<string> | undefined;

  constructor(provider: TokenProvider) {
    this.#provide = typeof provider === "string" ? () => provider : provider;
  }

  /** Returns a token that is not about to expire, and that is not `rejected`, the one that just got a 401. */
  async get(rejected?: string): Promise<string> {
    if (this.#token !== undefined && this.#token !== rejected && Date.now() < this.#replaceAt) return this.#token;
    this.#pending ??= this.#load().finally(() => (this.#pending = undefined));
    return this.#pending;
  }

  async #load(): Promise<string> {
    const given: unknown = await this.#provide();
    const token = typeof given === "string" ? given.trim() : ""; // files often end with a line end
    // Checked here, because the error of a header would show it.
    if (!TOKEN.test(token)) {
      throw new TypeError("the option `token` of the client must give a bearer token (RFC 6750), and nothing else");
    }
    this.#replaceAt = replaceAt(token, Date.now());
    this.#token = token;
    return token;
  }
}

/** Returns the time at which to replace a token: before its `exp`, or never if it is no JWT that has one. */
function replaceAt(token: string, now: number): number {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const { exp } = JSON.parse(atob(payload)) as { exp?: unknown };
    if (typeof exp !== "number") return Infinity;
    const left = exp * 1000 - now;
    return now + left - Math.min(MARGIN_MS, left / 5);
  } catch {
    return Infinity;
  }
}
