// Drives Chromium over its debugging pipe: no package is needed.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PATIENCE = 10_000;
/** A path that only an interception answers. */
const PROBE = '/intercepted.json';
/** Chromium executes a command within this time, even on a busy machine. */
const COMMAND_DEADLINE = 60_000;

/** Waits for a promise until a deadline. */
export function within(milliseconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what} took longer than ${milliseconds / 1000} s`)), milliseconds); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Starts Chromium with a profile of its own. */
export async function launch(program) {
  const profile = mkdtempSync(join(tmpdir(), 'telemark-chromium-'));
  const child = spawn(program, [
    '--headless=new', '--remote-debugging-pipe', `--user-data-dir=${profile}`, '--no-first-run', '--disable-gpu', '--no-sandbox', '--disable-dev-shm-usage',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions', '--hide-scrollbars', '--force-color-profile=srgb', 'about:blank',
  ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const waiting = new Map();
  const listeners = new Set();
  let next = 0;
  let rest = '';
  child.stdio[4].setEncoding('utf8').on('data', (chunk) => {
    rest += chunk;
    for (let end = rest.indexOf('\0'); end >= 0; end = rest.indexOf('\0')) {
      const message = JSON.parse(rest.slice(0, end));
      rest = rest.slice(end + 1);
      if (message.id === undefined) for (const listener of listeners) listener(message);
      const done = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) done?.reject(new Error(`${message.error.message} (${done.method})`));
      else done?.resolve(message.result);
    }
  });
  child.on('exit', () => { for (const { reject, method } of waiting.values()) reject(new Error(`Chromium ended during ${method}`)); });
  const send = (method, params = {}, sessionId = undefined) => within(COMMAND_DEADLINE, method, new Promise((resolve, reject) => {
    next += 1;
    waiting.set(next, { resolve, reject, method });
    child.stdio[3].write(`${JSON.stringify({ id: next, method, params, sessionId })}\0`);
  }));
  return {
    page: (options) => open({ send, listeners, ...options }),
    async close() {
      const ended = new Promise((resolve) => { child.on('exit', resolve); });
      child.kill();
      await ended;
      // Helpers of the browser may still write to the profile.
      try { rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }); } catch { /* It is in the folder for temporary files. */ }
    },
  };
}

const KEYS = {
  Enter: ['Enter', 13, '\r'], Escape: ['Escape', 27], Tab: ['Tab', 9], ' ': ['Space', 32, ' '], Backspace: ['Backspace', 8],
  ArrowLeft: ['ArrowLeft', 37], ArrowUp: ['ArrowUp', 38], ArrowRight: ['ArrowRight', 39], ArrowDown: ['ArrowDown', 40],
};

/**
 * Opens a page of the given size and colour scheme, which records its requests and its errors. With `hurry`, the page's timers of more
 * than a second end twenty times as early, so that a test of a deadline need not wait for it.
 */
async function open({ send: sendAll, listeners, width = 1280, height = 800, dark = false, hurry = false }) {
  const { targetId } = await sendAll('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await sendAll('Target.attachToTarget', { targetId, flatten: true });
  const send = (method, params) => sendAll(method, params, sessionId);
  const requests = [];
  const errors = [];
  let answer = () => undefined;
  listeners.add(({ method, params, sessionId: from }) => {
    if (from !== sessionId) return;
    if (method === 'Network.requestWillBeSent') requests.push(params.request.url);
    if (method === 'Fetch.requestPaused') {
      const body = params.request.url.endsWith(PROBE) ? {} : answer(params.request.url);
      if (body) send('Fetch.fulfillRequest', { requestId: params.requestId, responseCode: 200, body: Buffer.from(JSON.stringify(body)).toString('base64') });
    }
    if (method === 'Runtime.exceptionThrown') errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Log.entryAdded' && params.entry.level === 'error' && !/status of 4\d\d/.test(params.entry.text)) errors.push(`${params.entry.text} ${params.entry.url ?? ''}`);
    if (method === 'Page.javascriptDialogOpening') { errors.push(`a dialog opened: ${params.message}`); send('Page.handleJavaScriptDialog', { accept: true }); }
  });
  for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await send(`${domain}.enable`);
  await send('Performance.enable', { timeDomain: 'threadTicks' });
  await sendAll('Browser.grantPermissions', { permissions: ['clipboardReadWrite', 'clipboardSanitizedWrite'] });
  await send('Emulation.setFocusEmulationEnabled', { enabled: true });
  await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }, { name: 'prefers-reduced-motion', value: 'reduce' }] });

  if (hurry) {
    await send('Page.addScriptToEvaluateOnNewDocument', {
      source: '{ const wait = setTimeout; window.setTimeout = (then, after, ...values) => wait(then, after > 1000 ? after / 20 : after, ...values); }',
    });
  }

  const page = {
    requests,
    errors,
    /** Evaluates a function in the page, with JSON arguments. */
    async run(body, ...values) {
      const expression = `(${body})(...${JSON.stringify(values)})`;
      const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    /** Opens an address, and waits until the view is drawn. */
    async goto(url) {
      await send('Page.navigate', { url });
      await page.until('the view', () => document.readyState === 'complete' && document.querySelector('#main > :not(noscript)'));
    },
    /** Waits until a function in the page returns something true, and returns that. */
    async until(what, body, ...values) {
      const end = Date.now() + PATIENCE;
      for (;;) {
        const value = await page.run(body, ...values).catch(() => undefined);
        if (value) return value;
        if (Date.now() > end) throw new Error(`waited in vain for ${what}; the page shows:\n${(await page.run(() => `${location.href}\n${document.body.innerText}`)).slice(0, 1500)}`);
        await page.run(() => new Promise((resolve) => { requestAnimationFrame(resolve); }));
      }
    },
    /** Presses keys one after the other; names as in `KeyboardEvent.key`. */
    async press(...keys) {
      for (const key of keys) {
        const [code, number, text = undefined] = KEYS[key] ?? [`Key${key.toUpperCase()}`, key.toUpperCase().charCodeAt(0), key];
        const event = { key, code, windowsVirtualKeyCode: number };
        await send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', text, ...event });
        await send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
      }
    },
    type: (text) => page.press(...text),
    /** Clicks the centre of the first element that matches. */
    async click(selector, text) {
      const at = await page.until(`${selector} ${text ?? ''}`, (wanted, words) => {
        const element = [...document.querySelectorAll(wanted)].find((one) => words === null || one.textContent.includes(words));
        if (!element) return undefined;
        element.scrollIntoView({ block: 'nearest' });
        const { x, y, width: w, height: h } = element.getBoundingClientRect();
        return w || h ? { x: x + w / 2, y: y + h / 2 } : undefined;
      }, selector, text ?? null);
      // Some controls appear only under the pointer.
      await page.mouse('mouseMoved', at);
      await page.mouse('mousePressed', at);
      await page.mouse('mouseReleased', at);
    },
    mouse: (type, { x, y }) => send('Input.dispatchMouseEvent', { type, x, y, button: type === 'mouseMoved' ? 'none' : 'left', buttons: type === 'mouseReleased' ? 0 : 1, clickCount: 1 }),
    async drag(from, to) {
      await page.mouse('mousePressed', from);
      for (const share of [0.25, 0.5, 0.75, 1]) await send('Input.dispatchMouseEvent', { type: 'mouseMoved', x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share, button: 'left', buttons: 1 });
      await page.mouse('mouseReleased', to);
    },
    async screenshot() {
      const { data } = await send('Page.captureScreenshot', { format: 'png' });
      return Buffer.from(data, 'base64');
    },
    /** Returns the processor time of the page's main thread, in milliseconds: on a busy machine, the clock says little. */
    async work() {
      const { metrics } = await send('Performance.getMetrics');
      return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
    },
    resize: (wide, high) => send('Emulation.setDeviceMetricsOverride', { width: wide, height: high, deviceScaleFactor: 1, mobile: false }),
    /** Lets requests whose address matches hang, or answers them with what `respond` returns as JSON; without a pattern, no longer. */
    async intercept(urlPattern, respond = () => undefined) {
      answer = respond;
      if (!urlPattern) { await send('Fetch.disable'); return; }
      await send('Fetch.enable', { patterns: [{ urlPattern }, { urlPattern: `*${PROBE}` }] });
      // The page learns of it a little later.
      await page.until('the interception', async (probe) => (await fetch(probe)).ok, PROBE);
    },
    /** Hides the page as another tab does, or shows it again. */
    visible: (visible) => page.run((state) => {
      for (const [name, value] of [['visibilityState', state ? 'visible' : 'hidden'], ['hidden', !state]]) Object.defineProperty(document, name, { configurable: true, get: () => value });
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
    }, visible),
    /** Returns the number of requests for a path. */
    asked: (path) => requests.filter((url) => new URL(url).pathname === path).length,
    /** Returns the point at the centre of the first element that matches. */
    centre: (selector, text) => page.until(`${selector} ${text ?? ''}`, (wanted, words) => {
      const element = [...document.querySelectorAll(wanted)].find((one) => words === null || one.textContent.includes(words));
      const { x, y, width: w, height: h } = element.getBoundingClientRect();
      return { x: x + w / 2, y: y + h / 2 };
    }, selector, text ?? null),
    offline: (offline) => send('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 }),
    close: () => sendAll('Target.closeTarget', { targetId }),
  };
  return page;
}
