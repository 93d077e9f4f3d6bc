/** Iterates over the rows of all pages of a list. */

/** One page of a list. */
export interface Page<Row> {
  data: Row[];
  next_cursor: string | null;
}

/** Yields the rows of all pages, and reads a page only when its first row is needed. */
export async function* rows<Row>(read: (cursor: string | undefined) => Promise<Page<Row>>): AsyncGenerator<Row> {
  let cursor: string | undefined;
  do {
    const page: Page<Row> = await read(cursor);
    yield* page.data;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
}
