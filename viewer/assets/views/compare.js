// Two traces, or two windows of time, by operation.

import { fill, h, square, tag } from '../app/dom.js';
import { clock, count, duration, percent, short } from '../app/format.js';
import { get } from '../app/api.js';
import { go, parameter, path } from '../app/url.js';
import { listKey } from '../app/keys.js';
import { quoted } from '../app/search.js';

export async function open(context) {
  const [a, b] = [parameter('a'), parameter('b')];
  if (!a || !b) return nothing();
  const data = await get(path('/compare.json', { a, b }), { signal: context.signal });
  const longest = Math.max(1, ...data.rows.flatMap((row) => [row.a?.p50 ?? 0, row.b?.p50 ?? 0]));
  const windows = a.includes('-') && !/^[0-9a-f]{32}$/.test(a);

  const side = (letter, id, facts) => h('span', { class: 'small' }, h('b', null, `${letter} `),
    windows ? windowText(id) : h('a', { class: 'link', href: `/trace/${id}` }, facts?.label && facts.label !== id ? `${facts.label} ${short(id)}` : short(id)),
    facts?.spans !== undefined && h('span', { class: 'soft' }, ` ${count(facts.spans)} spans`));

  const swap = h('button', { class: 'button', type: 'button', on: { click: () => go(path('/compare', { a: b, b: a })) } }, 'Swap');
  const list = h('div', { class: 'scroll' });
  fill(list, data.rows.length ? h('table', null,
    h('thead', null, h('tr', null,
      h('th', null, 'Operation'), h('th', { class: 'right wide' }, 'Count A'), h('th', { class: 'right wide' }, 'Count B'), h('th', { class: 'right' }, 'p50 A'), h('th', { class: 'right' }, 'p50 B'),
      h('th', { class: 'wide', 'aria-hidden': 'true' }, ''), h('th', { class: 'right wide' }, 'p95 A'), h('th', { class: 'right wide' }, 'p95 B'), h('th', { class: 'right wide' }, 'Errors A'), h('th', { class: 'right wide' }, 'Errors B'),
      h('th', { class: 'right' }, 'Change'))),
    h('tbody', null, data.rows.map((row) => line(row, longest, windows)))) : h('div', { class: 'note' }, 'Neither side holds a span.'));

  return {
    element: h('div', { class: 'column space' },
      h('div', { class: 'bar' }, h('h1', null, 'Compare'), h('span', { class: 'sides' }, side('A', a, data.a), side('B', b, data.b)), h('span', { class: 'space' }), swap,
        h('a', { class: 'button', href: path('/compare.json', { a, b }), target: '_blank', rel: 'noreferrer' }, 'JSON')),
      list),
    title: 'Compare',
    hints: [['j k', 'move'], ['Enter', 'traces of this operation'], ['Esc', 'back']],
    key: (event) => listKey(event, list, 'tbody tr'),
  };
}

function line(row, longest) {
  const value = (side, field, format) => (side ? format(side[field]) : '–');
  const bar = (side) => h('i', { set: { width: `${((side?.p50 ?? 0) / longest) * 100}%` } });
  const open = () => go(path('/traces', { q: `service:${quoted(row.service)} name:${quoted(row.name)}`, range: 'all' }));
  const errors = (side) => h('td', { class: `right wide ${side?.errors ? 'error strong' : ''}` }, side ? (side.errors ? `◆ ${count(side.errors)}` : '0') : '–');
  return h('tr', { tabindex: 0, on: { click: open, keydown: (event) => { if (event.key === 'Enter') open(); } } },
    h('td', { class: 'wrap' }, square(row.service, row.hue), ' ', row.name, h('span', { class: 'soft tiny' }, ` ${row.service}`)),
    h('td', { class: 'right wide' }, value(row.a, 'count', count)), h('td', { class: 'right wide' }, value(row.b, 'count', count)),
    h('td', { class: 'right' }, value(row.a, 'p50', duration)), h('td', { class: 'right' }, value(row.b, 'p50', duration)),
    h('td', { class: 'wide' }, h('div', { class: 'paired', role: 'presentation' }, bar(row.a), bar(row.b))),
    h('td', { class: 'right wide' }, value(row.a, 'p95', duration)), h('td', { class: 'right wide' }, value(row.b, 'p95', duration)), errors(row.a), errors(row.b),
    h('td', { class: 'right' }, difference(row)));
}

function difference({ a, b }) {
  if (!a) return tag('only B');
  if (!b) return tag('only A');
  const delta = b.p50 - a.p50;
  const share = a.p50 ? delta / a.p50 : 0;
  if (Math.abs(share) < 0.05) return h('span', { class: 'soft' }, 'no change');
  const factor = b.p50 / a.p50;
  const text = factor >= 2 ? `${factor >= 9.95 ? Math.round(factor) : factor.toFixed(1)}×` : `${delta > 0 ? '+' : '−'}${percent(Math.abs(share))}`;
  return h('span', { class: delta > 0 && share > 0.2 ? 'warning strong' : '' }, text, ` (${delta > 0 ? '+' : '−'}${duration(Math.abs(delta))})`);
}

function windowText(id) {
  const [from, to] = id.split('-').map(Number);
  return `${clock(from)} – ${clock(to)}`;
}

function nothing() {
  return {
    title: 'Compare',
    hints: [['Esc', 'back']],
    element: h('div', { class: 'lonely' }, h('h1', null, 'Compare two traces or two windows'),
      h('p', null, 'Open the traces, press x on the first trace and x on the second. Or press Compare to set the window that is shown against the one before it.'),
      h('a', { class: 'link', href: '/traces' }, 'To the traces')),
  };
}
