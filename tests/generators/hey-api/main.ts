// What an app does first, with the functions of @hey-api/openapi-ts.
import { createOrder, listOrders } from "./generated/index.js";
import { client } from "./generated/client.gen.js";

client.setConfig({ baseUrl: process.env.API!, auth: () => process.env.TOKEN! });

const rented = await createOrder({
  headers: { "Idempotency-Key": crypto.randomUUID() },
  body: { country: "DE", carrier_type: "local" },
});
if (!rented.data?.phone_number) throw new Error(`not rented: ${JSON.stringify(rented.error)}`);
console.log("rents", rented.data.id, rented.data.phone_number.number);

const pages: string[] = [];
let cursor: string | undefined;
while (pages.length < 2) {
  const page = await listOrders({ query: { limit: 1, cursor } });
  if (!page.data) throw new Error(JSON.stringify(page.error));
  pages.push(...page.data.data.map((order) => order.id));
  cursor = page.data.next_cursor ?? undefined;
}
console.log("pages", ...pages);

const denied = await createOrder({
  headers: { "Idempotency-Key": crypto.randomUUID() },
  body: { country: "US", carrier_type: "local" },
});
console.log("problem", denied.error?.type, denied.error?.decision?.rule);
