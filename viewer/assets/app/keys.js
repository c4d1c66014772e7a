// The keyboard: keys of the page, the sheet of all keys, and lists in which j and k move the focus.

import { fill, h } from './dom.js';

const SHEET = [
  ['Everywhere', [
    ['/', 'Search'], ['1 – 5', 'Traces, Metrics, Logs, Map, Findings'], ['j k', 'Next, previous'], ['Enter', 'Open'],
    ['Esc', 'One step back: zoom, panel, page'], ['Space', 'Pause or resume live updates'], ['y', 'Copy a permanent link'], ['?', 'This sheet'],
  ]],
  ['Traces', [['b', 'Select a range of time with the arrow keys'], ['x', 'Mark a trace to compare; the second opens the comparison']]],
  ['Trace', [
    ['e', 'Likely origin of the error'], ['c', 'Critical path'], ['l', 'Logs and events'], ['← →', 'Fold, unfold'],
    ['z', 'Zoom to the span'], ['0', 'Whole trace'],
  ]],
  ['Metrics', [['← →', 'Previous, next exemplar'], ['t', 'Chart or table']]],
  ['Logs', [['t', 'Open the trace of the record']]],
];

/** Builds the sheet of all keys. */
export function buildSheet(dialog) {
  fill(
    dialog,
    h('h1', { id: 'keys-title' }, 'Keys'),
    SHEET.map(([title, keys]) => [
      h('h2', { class: 'caption' }, title),
      h('dl', { class: 'keys' }, keys.map(([key, text]) => [h('dt', null, h('kbd', null, key)), h('dd', null, text)])),
    ]),
  );
}

/** Returns true while the reader types, so that keys must not act. */
export function typing(event) {
  const target = event.target;
  return target instanceof HTMLElement && (target.matches('input, select, textarea') || target.isContentEditable);
}

/** Moves the focus among the elements that match `selector` inside of `root`. Returns the one that now has it. */
export function step(root, selector, forward) {
  const items = [...root.querySelectorAll(selector)];
  if (!items.length) return undefined;
  const at = items.indexOf(document.activeElement?.closest?.(selector));
  const next = at < 0 ? (forward ? 0 : items.length - 1) : Math.max(0, Math.min(items.length - 1, at + (forward ? 1 : -1)));
  items[next].focus({ preventScroll: true });
  items[next].scrollIntoView({ block: 'nearest' });
  return items[next];
}

/** Handles j, k and the vertical arrows for a list; returns true if the key was one of them. */
export function listKey(event, root, selector) {
  const forward = event.key === 'j' || event.key === 'ArrowDown';
  if (!forward && event.key !== 'k' && event.key !== 'ArrowUp') return false;
  event.preventDefault();
  step(root, selector, forward);
  return true;
}
