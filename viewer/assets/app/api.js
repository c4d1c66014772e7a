// Requests to the viewer. Data that is already on the page stays there while a request runs.

const listeners = new Set();
let pending = 0;
let timer;
let answered;

/** The newest state of the store, from `/status.json`; `lost` is the reason for which it does not arrive. */
export const store = { status: undefined, lost: undefined };

/** Resolves once `/status.json` has arrived or failed for the first time. */
export const firstStatus = new Promise((resolve) => { answered = resolve; });

/** An answer of the API other than success. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.error ?? `The viewer answered with status ${status}.`);
    this.status = status;
    this.body = body ?? {};
  }
}

// A viewer that is busy answers late; one that has not answered after this time will not.
const DEADLINE = 20_000;
const STATUS_DEADLINE = 5000;

/** Fetches JSON. `quiet` requests draw no line under the header. Fails with `Refused`, or with the reason for which no answer came. */
export async function get(path, { signal, quiet = false, deadline = DEADLINE } = {}) {
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const late = setTimeout(() => stop.abort(new Error(`The viewer did not answer within ${deadline / 1000} seconds.`)), deadline);
  if (!quiet) begin();
  try {
    const response = await fetch(path, { signal: stop.signal, headers: { accept: 'application/json' } });
    const body = parsed(await response.text());
    if (!response.ok) throw new Refused(response.status, body);
    if (body === undefined) throw new Refused(response.status, { error: 'The viewer sent no JSON.' });
    return body;
  } catch (error) {
    throw error instanceof TypeError ? new Error('The viewer cannot be reached.') : error;
  } finally {
    if (!quiet) end();
    clearTimeout(late);
    signal?.removeEventListener('abort', abort);
  }
}

function parsed(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

function begin() {
  pending += 1;
  timer ??= setTimeout(() => document.body.classList.add('loading'), 150);
}

function end() {
  pending -= 1;
  if (pending > 0) return;
  clearTimeout(timer);
  timer = undefined;
  document.body.classList.remove('loading');
}

/** Calls `listener` with each state of the store, and when the connection is lost. */
export function onStatus(listener) {
  listeners.add(listener);
}

const PERIOD = 500;
const RETRY = 2000;

/** Asks for the store's state: twice a second, less often while it does not answer, never while the page is hidden. */
export async function watch() {
  let wait = PERIOD;
  try {
    store.status = await get('/status.json', { quiet: true, deadline: STATUS_DEADLINE });
    store.lost = undefined;
  } catch (error) {
    store.lost = error.message;
    wait = RETRY;
  }
  answered();
  for (const listener of listeners) listener(store);
  setTimeout(() => (document.hidden ? document.addEventListener('visibilitychange', watch, { once: true }) : watch()), wait);
}
