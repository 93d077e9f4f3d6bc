/** The part of the client that needs Node.js: a key store in files. */
import { createHash, randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { KeyStore } from "./key.js";

/** Keeps idempotency keys in a folder, one file for each purpose. Several processes may share the folder. */
export class FileKeyStore implements KeyStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async keep(purpose: string, fresh: string): Promise<string> {
    await mkdir(this.#folder, { recursive: true });
    const file = this.#file(purpose);
    const temporary = `${file}.${randomUUID()}`;
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(fresh);
      await handle.sync();
      // Creates the name only if it is free, and with the whole content: no reader sees half a key.
      await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      });
    } finally {
      await handle.close();
      await rm(temporary, { force: true });
    }
    // Makes the name durable, too. Windows does this by itself, and does not allow it for a folder.
    if (process.platform !== "win32") {
      const folder = await open(this.#folder);
      await folder.sync().finally(() => folder.close());
    }
    return readFile(file, "utf8");
  }

  /** Forgets the key of a purpose, so that its next order rents another number. */
  async forget(purpose: string): Promise<void> {
    await rm(this.#file(purpose), { force: true });
  }

  #file(purpose: string): string {
    return join(this.#folder, `${createHash("sha256").update(purpose).digest("hex")}.key`);
  }
}
