// Asking again and again, with manners: one call at a time, none while the page is hidden, fewer while they fail.

const LONGEST = 30_000;

/**
 * Runs a task now and again after each pause, until it is stopped. The task gets a signal that ends with it; what it
 * throws is told, and the next attempt waits longer.
 */
export const poll = (every, task, failed = () => {}) => {
  const ending = new AbortController();
  let timer;
  let misses = 0;
  let busy = false;
  const turn = async () => {
    clearTimeout(timer);
    if (ending.signal.aborted || busy) return;
    if (document.hidden) return;
    busy = true;
    let wait = every;
    try {
      await task(ending.signal);
      misses = 0;
    } catch (fault) {
      if (ending.signal.aborted) return;
      misses += 1;
      wait = Math.max((fault.retryAfter ?? 0) * 1000, Math.min(LONGEST, every * 2 ** misses));
      failed(fault);
    } finally {
      busy = false;
    }
    if (!ending.signal.aborted) timer = setTimeout(turn, wait);
  };
  document.addEventListener("visibilitychange", turn, { signal: ending.signal });
  turn();
  return {
    /** Ends it. */
    stop: () => { ending.abort(); clearTimeout(timer); },
    /** Does not wait for the next time. */
    now: turn,
  };
};
