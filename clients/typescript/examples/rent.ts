/**
 * Rents a number for a purpose, such as an order of your own system. Run it as often as you like: it stays one number.
 *
 *     node --import tsx examples/rent.ts GB "Front desk"
 */
import {
  CloseRefusedError,
  LimitExceededError,
  NotRentedError,
  NumberdeskClient,
  PolicyDeniedError,
  RentUnfinishedError,
} from "@numberdesk/client";
import { FileKeyStore } from "@numberdesk/client/node";

const [country = "GB", purpose = "front-desk"] = process.argv.slice(2);
const client = new NumberdeskClient({
  baseUrl: process.env.API ?? "http://127.0.0.1:8080",
  token: () => process.env.TOKEN ?? process.env.ALICE ?? "",
  keyStore: new FileKeyStore(process.env.KEYS ?? "keys"),
});

try {
  const order = await client.rent(
    { country, carrier_type: "local" },
    {
      purpose,
      timeoutMs: 60_000,
      onProgress: ({ id, state, reason }) => console.error(id, "is", state, reason ?? ""),
    },
  );
  console.log(`${order.id} ${order.phone_number?.number}`);
} catch (error) {
  process.exitCode = 1;
  if (error instanceof PolicyDeniedError) console.error(`denied: ${error.decision?.hint}`);
  else if (error instanceof LimitExceededError)
    console.error(`limit ${error.limit}: ${error.used} used, ${error.reserved} reserved`);
  else if (error instanceof CloseRefusedError) console.error(`Close refused: ${error.detail}`);
  // Nothing was rented. To try again, choose another purpose.
  else if (error instanceof NotRentedError) console.error(`not rented: ${error.detail}`);
  // The order may go on. Run this again.
  else if (error instanceof RentUnfinishedError) console.error(error.message);
  else throw error;
}
