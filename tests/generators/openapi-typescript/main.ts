// What an app does first, with openapi-fetch and the types of openapi-typescript.
import createClient from "openapi-fetch";
import type { paths } from "./generated/schema.js";

const client = createClient<paths>({
  baseUrl: process.env.API!,
  headers: { Authorization: `Bearer ${process.env.TOKEN}` },
});

const header = { "Idempotency-Key": crypto.randomUUID() };
const rented = await client.POST("/v1/orders", {
  params: { header },
  body: { country: "DE", carrier_type: "local" },
});
if (!rented.data?.phone_number) throw new Error(`not rented: ${JSON.stringify(rented.error)}`);
console.log("rents", rented.data.id, rented.data.phone_number.number);

const pages: string[] = [];
let cursor: string | undefined;
while (pages.length < 2) {
  const page = await client.GET("/v1/orders", { params: { query: { limit: 1, cursor } } });
  if (!page.data) throw new Error(page.error.detail);
  pages.push(...page.data.data.map((order) => order.id));
  cursor = page.data.next_cursor ?? undefined;
}
console.log("pages", ...pages);

const denied = await client.POST("/v1/orders", {
  params: { header: { "Idempotency-Key": crypto.randomUUID() } },
  body: { country: "US", carrier_type: "local" },
});
console.log("problem", denied.error?.type, denied.error?.decision?.rule);
