/**
 * Receives webhooks. WEBHOOK_SECRET has the secret of the endpoint; during a rotation both, with a space between.
 *
 *     WEBHOOK_SECRET=whsec_… PORT=8888 node --import tsx examples/receive-webhooks.ts
 */
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { verifyWebhook, WebhookVerificationError } from "@numberdesk/client";

const secrets = (process.env.WEBHOOK_SECRET ?? "").split(" ").filter(Boolean);
if (secrets.length === 0)
  throw new Error("WEBHOOK_SECRET is missing: the answer to POST /v1/webhook-endpoints has it");
const port = Number(process.env.PORT ?? 8888);
const seen = new Set<string>(); // in production: a database table

const server = createServer(async (request, response) => {
  try {
    const event = await verifyWebhook(await buffer(request), request.headers, secrets);
    if (!seen.has(event.id)) {
      seen.add(event.id);
      console.log(event.type, JSON.stringify(event.data));
    }
    response.writeHead(204).end();
  } catch (error) {
    response.writeHead(error instanceof WebhookVerificationError ? 401 : 500).end();
  }
});
server.listen(port, "127.0.0.1", () => console.log(`listening on http://localhost:${port}`));
