/** A broken connection, at whatever byte, leads to one paid request and one number. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { collect, Desk, ORDER } from "./support/desk.ts";
import { boundaries, Proxy } from "./support/proxy.ts";

let desk: Desk;
let proxy: Proxy;

before(async () => {
  desk = await Desk.start();
  proxy = await Proxy.start(desk.url);
});
after(async () => {
  proxy?.stop();
  await desk?.stop();
});

for (const side of ["request", "response"] as const) {
  for (const reset of [false, true]) {
    const how = reset ? "reset" : "closed";
    test(`a connection that is ${how} at any boundary of the ${side} leads to one number`, async () => {
      const client = desk.client("ALICE", { baseUrl: proxy.url });
      proxy.request = proxy.response = Buffer.alloc(0);
      await client.rent(ORDER);
      const message = proxy[side];
      const places = boundaries(message);
      // A request may also break after its last byte. A response that is complete is not broken.
      if (side === "request") places.push(message.length);
      assert.ok(places.length > 20, "head and body have many boundaries");

      for (const place of places) {
        await desk.close.forgetRequests();
        const before = await desk.close.numbers();
        proxy.cut({ side, after: place, reset });
        const order = await client.rent(ORDER);
        const at = `${side} cut at byte ${place} of ${message.length}`;
        assert.ok(proxy.wasCut, at);
        assert.equal(await desk.close.rents(), 1, at);
        assert.equal(await desk.close.numbers(), before + 1, at);
        assert.equal(order.state, "fulfilled", at);
        const [found, ...others] = await collect(client.listOrders({ idempotency_key: order.idempotency_key }));
        assert.equal(found?.id, order.id, at);
        assert.deepEqual(others, [], at);
      }
    });
  }
}
