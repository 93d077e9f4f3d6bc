/** A TCP proxy in front of the service that breaks connections at a chosen byte, or answers by itself. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Where to break the next exchange, and whether with FIN or with RST. */
export interface Cut {
  side: "request" | "response";
  /** How many bytes of that side still pass; negative: how many at its end do not. */
  after: number;
  reset: boolean;
}

export class Proxy {
  readonly #server: Server;
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  #cut: Cut | undefined;
  #answers: string[] = [];
  /** The bytes of the present exchange. */
  request = Buffer.alloc(0);
  response = Buffer.alloc(0);
  /** How many requests the proxy answered by itself. */
  answered = 0;
  /** Whether everything from the service is dropped, so that no answer arrives. */
  silent = false;
  /** Whether requests stay in the proxy. */
  holding = false;
  connections = 0;

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(target: string): Promise<Proxy> {
    const proxy = new Proxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Breaks the next exchange. */
  cut(cut: Cut): void {
    this.#cut = cut;
    this.request = this.response = Buffer.alloc(0);
  }

  /** Whether the cut has happened. */
  get wasCut(): boolean {
    return this.#cut === undefined;
  }

  /** Answers the next requests with these statuses, headers and bodies, and closes the connection after each. */
  answer(...answers: { status: number; headers?: Record<string, string>; body?: string }[]): void {
    for (const { status, headers = {}, body = "" } of answers) {
      const all = { ...headers, "content-length": Buffer.byteLength(body), connection: "close" };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
      this.#answers.push(`HTTP/1.1 ${status} By the proxy\r\n${lines.join("")}\r\n${body}`);
    }
  }

  /** Breaks all connections. */
  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  stop(): void {
    this.disconnect();
    this.#server.close();
  }

  #serve(client: Socket): void {
    this.connections++;
    const upstream = connect(Number(this.#target.port), this.#target.hostname);
    let head = Buffer.alloc(0);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.on("data", (bytes) => {
      this.request = Buffer.concat([this.request, bytes]);
      if (this.holding) return;
      if (this.#answers.length > 0) {
        head = Buffer.concat([head, bytes]);
        if (head.length < length(head)) return;
        this.answered++;
        client.end(this.#answers.shift()!);
        return;
      }
      this.#pass("request", this.request, bytes, client, upstream);
    });
    upstream.on("data", (bytes) => {
      if (this.silent) return;
      this.response = Buffer.concat([this.response, bytes]);
      this.#pass("response", this.response, bytes, client, client);
    });
  }

  /** Passes the last bytes of a message on, or as many of them as the cut allows. */
  #pass(side: Cut["side"], message: Buffer, bytes: Buffer, client: Socket, to: Socket): void {
    const cut = this.#cut?.side === side ? this.#cut : undefined;
    const after = cut && (cut.after < 0 ? length(message) + cut.after : cut.after);
    if (after === undefined || message.length < Math.max(after, 1)) {
      to.write(bytes);
      return;
    }
    this.#cut = undefined;
    to.write(bytes.subarray(0, bytes.length - (message.length - after)), () => {
      if (cut!.reset) client.resetAndDestroy();
      else client.destroy();
    });
  }
}

/** Returns the interesting places to break a message: around every line end of the head, and in the body. */
export function boundaries(message: Buffer): number[] {
  const head = message.indexOf("\r\n\r\n") + 4;
  const places = new Set([0, 1, head, head + 1, Math.floor((head + message.length) / 2), -1]);
  for (let line = message.indexOf("\r\n"); line >= 0 && line < head; line = message.indexOf("\r\n", line + 2)) {
    for (const place of [line, line + 1, line + 2]) places.add(place);
  }
  return [...places];
}

/** Returns the length of a message, or infinity while its head is not complete. */
function length(message: Buffer): number {
  const head = message.indexOf("\r\n\r\n");
  const body = Number(/content-length: *(\d+)/i.exec(message.toString("latin1", 0, Math.max(head, 0)))?.[1] ?? 0);
  return head < 0 ? Infinity : head + 4 + body;
}
