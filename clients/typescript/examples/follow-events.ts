/**
 * Follows events, and goes on where the last run stopped. Ctrl-C ends it.
 *
 *     node --import tsx examples/follow-events.ts
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { type DeskEvent, InvalidRequestError, NumberdeskClient } from "@numberdesk/client";

const file = process.env.POSITION ?? "position";
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
const client = new NumberdeskClient({
  baseUrl: process.env.API ?? "http://127.0.0.1:8080",
  token: () => process.env.TOKEN ?? process.env.ALICE ?? "",
});

const after = await readFile(file, "utf8").catch(() => undefined);
const events = client.events({ signal: stop.signal, ...(after ? { after } : {}) });
try {
  for await (const event of events) await handle(event);
} catch (error) {
  if (!after || !(error instanceof InvalidRequestError)) throw error;
  // Events are kept for a while only. What happened in between is in the lists of orders and numbers.
  console.error(`${error.message}\nRead orders and numbers once, delete ${file}, and run this again.`);
  process.exitCode = 1;
}

async function handle(event: DeskEvent): Promise<void> {
  switch (event.type) {
    case "order.fulfilled":
      console.log(`order ${event.data.order_id} rented ${event.data.phone_number_id}`);
      break;
    case "phone_number.released":
      console.log(`number ${event.data.phone_number_id} is gone`);
      break;
    default: // Later versions add types.
      console.log(event.type);
  }
  // Stored after the event was handled: a crash repeats it and does not lose it. The file is replaced in one step,
  // because an empty one would begin the stream anew.
  await writeFile(`${file}.new`, event.id);
  await rename(`${file}.new`, file);
}
