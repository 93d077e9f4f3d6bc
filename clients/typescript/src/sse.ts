/** Reads server-sent events from the body of a response. */

/** One message of a stream. `data` is empty if the message only sets the id. */
export interface Message {
  id: string | undefined;
  data: string;
}

/**
 * Yields the messages of a stream, as the HTML standard defines them. A message that is cut off is dropped.
 *
 * `read` gives the next piece of the stream, or `undefined` at its end.
 */
export async function* messages(read: () => Promise<Uint8Array | undefined>): AsyncGenerator<Message> {
  const decoder = new TextDecoder();
  let rest = "";
  let id: string | undefined;
  let data: string[] = [];
  for (let bytes = await read(); bytes; bytes = await read()) {
    rest += decoder.decode(bytes, { stream: true });
    // A carriage return at the end may be the first half of a line end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line !== "") {
        const [, field, value = ""] = /^([^:]*)(?:: ?([^]*))?$/.exec(line) ?? [];
        if (field === "data") data.push(value);
        else if (field === "id" && !value.includes("\0")) id = value;
      } else if (data.length > 0 || id !== undefined) {
        yield { id, data: data.join("\n") };
        data = [];
        id = undefined;
      }
    }
  }
}
