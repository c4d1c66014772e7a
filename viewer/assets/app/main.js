// The frame: routes, header, footer, live state and the keys of the page.

import { fill, h, hint, learnHues, narrow, say, copy } from './dom.js';
import { bytes, count, minute, rate } from './format.js';
import { onStatus, store, watch, Refused } from './api.js';
import { back, go, permanent } from './url.js';
import { buildSheet, typing } from './keys.js';
import { welcome, isEmpty } from './welcome.js';
import * as traces from '../views/traces.js';
import * as trace from '../views/trace.js';
import * as metrics from '../views/metrics.js';
import * as logs from '../views/logs.js';
import * as map from '../views/map.js';
import * as findings from '../views/findings.js';
import * as compare from '../views/compare.js';

const VIEWS = { traces, metrics, logs, map, findings, trace, compare };
const TABS = [['traces', 'Traces'], ['metrics', 'Metrics'], ['logs', 'Logs'], ['map', 'Map'], ['findings', 'Findings']];
const UNDER = { trace: 'traces', compare: 'traces' };

const main = document.getElementById('main');
const sheet = document.getElementById('keys');
let live = true;
let name = '';
let current;
let stop = new AbortController();
let drawn = '';
let changed;

/** Opens the view that the address names. The old one stays until the new one has its data. */
async function route() {
  const [, first, second] = location.pathname.split('/');
  const wanted = VIEWS[first] ? first : 'traces';
  const mine = new AbortController();
  stop.abort();
  stop = mine;
  name = wanted;
  const before = { field: searchInput(), focused: document.activeElement };
  frame(true);
  const context = {
    id: decode(second ?? ''), status: () => store.status, live: () => live && !store.lost, signal: mine.signal, pause: () => setLive(false), root: main,
  };
  let view;
  try {
    if (!store.status) await firstStatus();
    // What arrives while the view loads must not be missed.
    changed = store.status?.cursor;
    view = isEmpty(store.status) && wanted !== 'trace' ? welcome(context) : await VIEWS[wanted].open(context);
  } catch (error) {
    if (mine.signal.aborted) return;
    view = refused(error);
  }
  if (mine.signal.aborted) return;
  current = view;
  // Who searched while the view loaded typed into the old one.
  const typed = before.field && document.activeElement === before.field && before.focused !== before.field ? before.field.value : undefined;
  fill(main, view.element);
  view.shown?.();
  if (typed !== undefined) goOnTyping(typed);
  document.title = `${view.title ?? TABS.find(([key]) => key === wanted)?.[1]} · Telemark`;
  frame(true);
}

const searchInput = () => main.querySelector('.query input');

function goOnTyping(text) {
  const input = searchInput();
  if (!input) return;
  input.value = text;
  input.focus();
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

function decode(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

const firstStatus = () => new Promise((resolve) => {
  const wait = () => (store.status || store.lost ? resolve() : setTimeout(wait, 20));
  wait();
});

function refused(error) {
  const evicted = error instanceof Refused && error.body.evicted_at;
  return {
    title: 'Not found',
    hints: [['Esc', 'back']],
    element: h('div', { class: 'lonely' },
      h('h1', null, error instanceof Refused ? (evicted ? 'This trace has left the store' : 'Not held') : 'The viewer does not respond'),
      h('p', null, evicted ? `It was removed at ${minute(evicted)} to keep the store within its bound.` : error.message),
      h('a', { class: 'link', href: '/traces' }, 'Back to the traces')),
  };
}

/** Draws header and footer if what they show has changed. */
function frame(force = false) {
  const status = store.status;
  const state = JSON.stringify([name, live, store.lost, narrow(), status?.findings, status?.used, status?.oldest, status?.spans_per_second]);
  if (state === drawn && !force) return;
  drawn = state;
  const tabs = () => TABS.map(([key, text]) => h('a', {
    href: `/${key}`, 'aria-current': key === (UNDER[name] ?? name) ? 'page' : undefined,
  }, text, key === 'findings' && status?.findings ? h('span', { class: 'number' }, count(status.findings)) : null));
  fill(document.getElementById('views'), tabs());
  const focused = document.activeElement?.id === 'live';
  fill(document.getElementById('store'), status && [
    h('span', { class: 'wide' }, status.address),
    h('span', { class: 'gauge wide', role: 'img', 'aria-label': `${bytes(status.used)} of ${bytes(status.limit)} used` },
      h('i', { set: { width: `${Math.min(100, (status.used / status.limit) * 100)}%` } })),
    h('span', { class: 'wide' }, use(status)),
  ], liveButton(status));
  if (focused) document.getElementById('live').focus();
  fill(document.getElementById('footer'),
    (current?.hints ?? []).map(([keys, text]) => hint(keys, text)),
    h('span', { class: 'space' }),
    [['1 – 5', 'views'], ['y', 'copy link'], ['?', 'all keys']].map(([keys, text]) => hint(keys, text)),
    h('nav', { class: 'narrow', 'aria-label': 'Views' }, tabs()));
}

function use(status) {
  const [used, unit] = bytes(status.used).split(' ');
  const bound = bytes(status.limit);
  return `${bound.endsWith(` ${unit}`) ? used : `${used} ${unit}`} / ${bound}${status.oldest ? `, oldest ${minute(status.oldest)}` : ''}${status.refused ? `, ${count(status.refused)} refused` : ''}`;
}

function liveButton(status) {
  const text = store.lost ? 'Disconnected, retrying' : live ? `Live, ${rate(status?.spans_per_second ?? 0).replace('/s', ' spans/s')}` : 'Paused';
  return h('button', {
    id: 'live', type: 'button', class: `live ${store.lost ? 'lost' : live ? '' : 'off'}`, 'aria-pressed': live && !store.lost,
    title: live ? 'Pause live updates (Space)' : 'Resume live updates (Space)', on: { click: () => setLive(!live) },
  }, h('i', { 'aria-hidden': 'true' }), h('span', null, text));
}

function setLive(wanted) {
  live = wanted;
  say(live ? 'Live updates resumed' : 'Live updates paused');
  frame(true);
  if (live) current?.update?.(store.status);
}

document.addEventListener('click', (event) => {
  const anchor = event.target instanceof Element ? event.target.closest('a[href^="/"]') : null;
  if (!anchor || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || anchor.hasAttribute('download')) return;
  const href = anchor.getAttribute('href');
  if (href.split('?')[0].endsWith('.json')) return;
  event.preventDefault();
  go(href);
});

const PAGE_KEYS = {
  '/': () => { searchInput()?.focus(); },
  '?': () => sheet.showModal(),
  ' ': () => setLive(!live),
  y: () => copy(permanent(store.status?.now ?? Date.now() * 1000, current?.range)),
};

document.addEventListener('keydown', (event) => {
  if (sheet.open || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
  const onControl = event.target instanceof Element && event.target.closest('button, a, [role=button]');
  if ((event.key === ' ' || event.key === 'Enter') && onControl) return;
  if (current?.key?.(event)) return;
  if (event.key >= '1' && event.key <= '5') go(`/${TABS[event.key - 1][0]}`);
  else if (PAGE_KEYS[event.key]) { event.preventDefault(); PAGE_KEYS[event.key](); }
  else if (event.key === 'Escape') { event.preventDefault(); back('/traces'); }
});

onStatus(({ status, lost }) => {
  learnHues(status?.services);
  frame();
  if (lost || !status || !current) return;
  if (current.empty && !isEmpty(status)) { route(); return; }
  const moved = changed !== status.cursor;
  changed = status.cursor;
  if (moved && live) current.update?.(status);
});

addEventListener('popstate', route);
addEventListener('route', route);
addEventListener('resize', () => frame());
buildSheet(sheet);
sheet.addEventListener('click', (event) => { if (event.target === sheet) sheet.close(); });
watch();
route();
