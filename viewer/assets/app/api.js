// Requests to the store. Data that is already on the page stays there while a request runs.

const listeners = new Set();
let pending = 0;
let timer;

/** The newest state of the store, from `/status.json`. */
export const store = { status: undefined, lost: false };

/** An answer of the API other than success. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.error ?? `The viewer answered with status ${status}.`);
    this.status = status;
    this.body = body ?? {};
  }
}

/** Fetches JSON. `quiet` requests draw no line under the header. */
export async function get(path, { signal, quiet = false } = {}) {
  if (!quiet) begin();
  try {
    const response = await fetch(path, { signal, headers: { accept: 'application/json' } });
    const body = await response.json().catch(() => undefined);
    if (!response.ok) throw new Refused(response.status, body);
    if (body === undefined) throw new Refused(response.status, { error: 'The viewer sent no JSON.' });
    return body;
  } finally {
    if (!quiet) end();
  }
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

/** Calls `listener` whenever the store has changed or the connection has. */
export function onStatus(listener) {
  listeners.add(listener);
}

const PERIOD = 500;
const RETRY = 2000;

/** Asks for the store's state: twice a second, less often while it does not answer, never while the page is hidden. */
export async function watch() {
  let wait = PERIOD;
  try {
    store.status = await get('/status.json', { quiet: true });
    store.lost = false;
  } catch {
    store.lost = true;
    wait = RETRY;
  }
  for (const listener of listeners) listener(store);
  setTimeout(() => (document.hidden ? addEventListener('visibilitychange', watch, { once: true }) : watch()), wait);
}
