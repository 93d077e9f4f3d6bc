/**
 * Prints every number of the caller's teams, and what is left of quota and budget.
 *
 *     node --import tsx examples/report.ts
 */
import { NumberdeskClient, unwrap } from "@numberdesk/client";

const client = new NumberdeskClient({
  baseUrl: process.env.API ?? "http://127.0.0.1:8080",
  token: () => process.env.TOKEN ?? process.env.ALICE ?? "",
});

for await (const { number, country, label, desk } of client.listNumbers()) {
  console.log([number, country, desk.team, desk.monthly_price, label ?? ""].join("\t"));
}
const me = await unwrap(client.api.GET("/v1/me"));
for (const { team, left } of me.teams) console.log(`${team}: ${JSON.stringify(left)} left`);
