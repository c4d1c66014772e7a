// Choosing what to compare: two traces of the list, or the window shown with the one before it.

import { h } from '../app/dom.js';
import { clock, duration } from '../app/format.js';
import { patch } from '../app/patch.js';
import { go, path } from '../app/url.js';

/** Keeps what the reader has marked and shows it in `notice`. */
export function comparison(notice, { window: bounds, drawn }) {
  let on = false;
  let first;
  const self = {
    button: undefined,
    active: () => on,
    has: (id) => first?.id === id,
    toggle() {
      on = !on;
      first = undefined;
      draw();
      drawn();
    },
    /** Marks a trace; the second one opens the comparison. */
    mark(trace) {
      if (first && first.id !== trace.id) {
        go(path('/compare', { a: first.id, b: trace.id }));
        return;
      }
      first = first ? undefined : trace;
      on = first !== undefined || on;
      draw();
      drawn();
    },
  };
  function draw() {
    self.button?.setAttribute('aria-pressed', String(on));
    if (!on) { patch(notice); return; }
    const { start, end } = bounds();
    const before = start - (end - start);
    patch(notice, h('div', { class: 'note' },
      h('b', null, 'Compare'),
      h('span', { class: 'space' }, first ? [`${first.name}, ${clock(first.start)}, ${duration(first.duration)} with: `, h('span', { class: 'soft' }, 'choose the second trace')] : 'Choose two traces from the list'),
      h('a', { class: 'link', href: path('/compare', { a: `${Math.round(before)}-${Math.round(start)}`, b: `${Math.round(start)}-${Math.round(end)}` }) },
        `${clock(before)} – ${clock(start)} with ${clock(start)} – ${clock(end)}`),
      h('button', { type: 'button', class: 'link', on: { click: () => self.toggle() } }, 'Cancel')));
  }
  return self;
}
