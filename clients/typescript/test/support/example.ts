/** Runs the examples as processes of their own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { until } from "./desk.ts";

const PACKAGE = resolve(import.meta.dirname, "../..");

export class Example {
  readonly process: ChildProcess;
  output = "";

  constructor(name: string, args: string[], env: Record<string, string>) {
    const command = ["--import", "tsx", `examples/${name}.ts`, ...args];
    this.process = spawn(process.execPath, command, {
      cwd: PACKAGE,
      env: { ...process.env, ...env },
      timeout: 60_000,
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (text: Buffer) => (this.output += text));
    }
  }

  /** Waits until the example has printed a text. */
  async prints(text: string | RegExp): Promise<void> {
    const printed = (): boolean => (typeof text === "string" ? this.output.includes(text) : text.test(this.output));
    await until(`the example prints ${text}`, () => {
      assert.ok(printed() || this.process.exitCode === null, `the example ended without ${text}: ${this.output}`);
      return printed();
    });
  }

  /** Waits for the end, and returns the exit status. */
  async end(): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, "close");
    return this.process.exitCode;
  }

  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.process.kill(signal);
    await this.end();
  }
}
