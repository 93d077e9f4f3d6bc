/** Waits that a signal ends. */

/** The longest time that a timer can wait. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Waits for a promise. Rejects with the signal's reason as soon as it aborts; the promise goes on. */
export async function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal?.reason);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
  return Promise.race([aborted, promise]).finally(() => signal?.removeEventListener("abort", stop));
}

/** Waits. Rejects with the signal's reason as soon as it aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const elapsed = new Promise<void>((resolve) => (timer = setTimeout(resolve, Math.min(ms, MAX_TIMER_MS))));
  await abortable(elapsed, signal).finally(() => clearTimeout(timer));
}
