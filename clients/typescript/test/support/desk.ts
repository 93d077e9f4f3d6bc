/** A real service with a simulated Close, for the tests of one file. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NumberdeskClient, type ClientOptions } from "@numberdesk/client";

const REPOSITORY = resolve(import.meta.dirname, "../../../..");
const BINARY = findBinary();
/** A desk that a crashed test leaves behind ends after this time. */
const LIFETIME_S = 300;
/** Limits far above what the tests rent; the demo and the tests of denials need the rest. */
const POLICY = `
[teams.sales-emea]
countries = ["DE", "FR", "GB"]
group_numbers = { permission = "numbers:group" }
carrier_types = ["local", "mobile"]
max_numbers = 5000
max_orders_per_day = 5000
monthly_budget = "100000.00"
forward_to_countries = ["DE", "FR", "GB"]
assign_to = "anyone"
approval = { group_numbers = true }
[teams.small]
countries = ["GB"]
max_numbers = 0
[prices]
default = "1.00"
`;

/** A number in the country that the tests rent in; the demo of `dev` uses the others. */
export const ORDER = { country: "GB", carrier_type: "local" } as const;

type Persona = "ALICE" | "BOB" | "LENA" | "OLAF" | "GRETA";

export class Desk {
  readonly #process: ChildProcess;
  readonly folder: string;
  /** The variables of `.dev/env`. */
  readonly env: Record<string, string>;
  readonly close: Close;

  private constructor(process: ChildProcess, folder: string, env: Record<string, string>) {
    this.#process = process;
    this.folder = folder;
    this.env = env;
    this.close = new Close(env.CLOSE!);
  }

  static async start(settings: Record<string, string> = {}): Promise<Desk> {
    const folder = await mkdtemp(join(tmpdir(), "numberdesk-client-"));
    const dev = join(folder, ".dev");
    await mkdir(dev);
    await writeFile(join(dev, "policy.toml"), POLICY);
    const tour = !execFileSync(BINARY, ["dev", "--help"], { encoding: "utf8" }).includes("--no-tour");
    const args = ["dev", "--dir", dev, "--port", String(await freePort()), ...(tour ? [] : ["--no-tour"])];
    const env: NodeJS.ProcessEnv = { ...process.env, NUMBERDESK_LIMITS__REQUESTS_PER_MINUTE: "0", ...settings };
    // The service refuses variables with its prefix that are no settings.
    delete env.NUMBERDESK_BIN;
    const child = spawn("timeout", ["--kill-after=10", String(LIFETIME_S), BINARY, ...args], { env });
    let output = "";
    child.stdout.on("data", (text: Buffer) => (output += text));
    child.stderr.on("data", (text: Buffer) => (output += text));
    const file = join(dev, "env");
    await until("the service starts", async () => {
      assert.equal(child.exitCode, null, output);
      return existsSync(file) && (!tour || output.includes("Try it yourself"));
    });
    const lines = (await readFile(file, "utf8")).split("\n").filter((line) => /^[A-Z_]+=/.test(line));
    const variables = lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
    return new Desk(child, folder, Object.fromEntries(variables));
  }

  get url(): string {
    return this.env.API!;
  }

  /** Returns a client for a persona, whose retries do not wait. */
  client(persona: Persona = "ALICE", options: Partial<ClientOptions> = {}): NumberdeskClient {
    const retry = { baseDelayMs: 2, maxDelayMs: 20 };
    return new NumberdeskClient({ baseUrl: this.url, token: () => this.env[persona]!, retry, ...options });
  }

  /** Returns a new token, as `numberdesk token` prints it. */
  token(...args: string[]): string {
    const all = ["token", "--dir", join(this.folder, ".dev"), ...args];
    return execFileSync(BINARY, all, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      this.#process.kill("SIGTERM");
      await once(this.#process, "exit");
    }
    await rm(this.folder, { recursive: true });
  }
}

/** The control routes of the simulated Close. */
export class Close {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Waits for at least so many paid requests, and returns how many Close got for orders of the tests. */
  async rents(atLeast = 0): Promise<number> {
    const path = "requests?method=POST&path=/phone_number/request/internal/";
    const all = await this.control("GET", `${path}&at_least=${atLeast}&timeout=20s`);
    return (all as { body: { country: string } }[]).filter(({ body }) => body.country === ORDER.country).length;
  }

  async forgetRequests(): Promise<void> {
    await this.control("DELETE", "requests");
  }

  /** Returns how many numbers of the tests Close has. */
  async numbers(): Promise<number> {
    const all = (await this.control("GET", "numbers")) as { country: string }[];
    return all.filter(({ country }) => country === ORDER.country).length;
  }

  async control(method: string, path: string, body?: unknown): Promise<unknown> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`${this.#url}/_control/${path}`, init);
    const text = await response.text();
    assert.ok(response.ok, text);
    return text === "" ? undefined : JSON.parse(text);
  }
}

/** Waits until a condition holds. */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !(await holds()); await sleep(20)) {
    assert.ok(Date.now() < end, `waited in vain until ${what}`);
  }
}

/** Collects what an iterator yields. */
export async function collect<T>(iterator: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of iterator) all.push(item);
  return all;
}

/** Returns a port on loopback that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

function findBinary(): string {
  const built = ["debug", "release"].map((profile) => join(REPOSITORY, "target", profile, "numberdesk"));
  const binary = process.env.NUMBERDESK_BIN ?? built.find((path) => existsSync(path));
  assert.ok(binary, `build numberdesk, or set NUMBERDESK_BIN; there is none at ${built.join(" and ")}`);
  return binary;
}
