// What an app does first, with the classes of openapi-generator's typescript-fetch.
import { CarrierType, Configuration, OrdersApi, ProblemFromJSON, ResponseError } from "./generated/index.js";

const orders = new OrdersApi(
  new Configuration({ basePath: process.env.API!, accessToken: () => process.env.TOKEN! }),
);

const order = await orders.createOrder({
  idempotencyKey: crypto.randomUUID(),
  orderRequest: { country: "DE", carrierType: CarrierType.Local },
});
console.log("rents", order.id, order.phoneNumber?.number);

const pages: string[] = [];
let cursor: string | undefined;
while (pages.length < 2) {
  const page = await orders.listOrders({ limit: 1, cursor });
  pages.push(...page.data.map((order) => order.id));
  cursor = page.nextCursor ?? undefined;
}
console.log("pages", ...pages);

try {
  await orders.createOrder({
    idempotencyKey: crypto.randomUUID(),
    orderRequest: { country: "US", carrierType: CarrierType.Local },
  });
} catch (error) {
  if (!(error instanceof ResponseError)) throw error;
  const problem = ProblemFromJSON(await error.response.json());
  console.log("problem", problem.type, problem.decision?.rule);
}
