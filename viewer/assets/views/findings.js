// The findings: what is likely worth a change, with its evidence, and what costs the most bytes.

import { h, mark, segment, square } from '../app/dom.js';
import { bytes, count, duration, percent, plural } from '../app/format.js';
import { get } from '../app/api.js';
import { change, go, parameter, path } from '../app/url.js';
import { loader } from '../app/load.js';
import { patch } from '../app/patch.js';
import { listKey } from '../app/keys.js';
import { onResize } from '../app/chart.js';
import { evidence } from './evidence.js';

const GROUPS = [['all', 'All'], ['time', 'Time'], ['errors', 'Errors'], ['structure', 'Structure'], ['cost', 'Cost']];
const KINDS = {
  slow: { text: 'Slow against its past', groups: ['time'] },
  retries: { text: 'Retries', groups: ['time', 'errors'] },
  n_plus_one: { text: 'N+1 queries', groups: ['time'] },
  repeated: { text: 'Same call repeated', groups: ['time', 'structure'] },
  missing_parent: { text: 'Missing parent', groups: ['structure'] },
  cost: { text: 'Cost', groups: ['cost'] },
};

export async function open(context) {
  const { signal } = context;
  const list = h('div', { class: 'scroll' });
  const held = h('span', { class: 'soft small wide' });
  let data = { findings: [], cost: { routes: [], attributes: [] } };

  const loads = loader({
    signal,
    fetch: (options) => get('/findings.json', options),
    show(answer) {
      data = answer;
      draw();
    },
  });

  function draw() {
    const group = parameter('group', 'all');
    const shown = data.findings.filter(({ kind }) => group === 'all' || kindOf(kind).groups.includes(group));
    patch(held, `From ${plural(context.status()?.traces ?? 0, 'trace')} held.`);
    patch(list, shown.map(card),
      !shown.length && group !== 'cost' && h('div', { class: 'note' }, data.findings.length
        ? 'No finding of this kind.'
        : 'Nothing found in the traces held. Repeated calls, retries, missing parents and calls slower than their own past appear here.'),
      (group === 'all' || group === 'cost') && costs());
  }

  function card(finding) {
    const kind = kindOf(finding.kind);
    const service = finding.evidence?.service ?? finding.service;
    const impact = finding.evidence?.lost_ns;
    return h('article', {
      key: finding.id, class: 'finding', tabindex: 0, 'data-kind': finding.kind,
      on: { keydown: (event) => { if (event.key === 'Enter' && event.target === event.currentTarget) openIt(finding); } },
    },
    h('div', { class: 'kind' },
      h('div', { class: 'line' }, mark(finding.severity === 'error' ? 'error' : finding.severity === 'warning' ? 'warning' : 'debug'), h('span', { class: 'strong small whole' }, kind.text)),
      service && h('div', { class: 'line soft small' }, square(service), h('span', { class: 'cut' }, service))),
    h('div', { class: 'body' }, h('h2', null, finding.title), h('p', null, finding.text),
      h('div', { class: 'links' },
        finding.trace && h('a', { class: 'link', href: path(`/trace/${finding.trace}`, { span: finding.span }) }, 'Example trace'),
        finding.q && h('a', { class: 'link', href: path('/traces', { q: finding.q, range: 'all' }) }, finding.count > 1 ? `All ${count(finding.count)}` : 'Traces like it'),
        finding.trace && h('a', { class: 'link', href: path('/logs', { q: `trace:${finding.trace}`, range: 'all' }) }, 'Logs of the example'))),
    h('div', { class: 'evidence' }, evidence(finding, service, Math.min(300, innerWidth - 40))),
    h('div', { class: 'impact right' }, h('div', { class: 'big' }, impact ? duration(impact) : count(finding.count)),
      h('div', { class: 'soft tiny' }, impact ? 'each time' : finding.count === 1 ? 'trace' : 'traces')));
  }

  function openIt(finding) {
    if (finding.trace) go(path(`/trace/${finding.trace}`, { span: finding.span }));
    else if (finding.q) go(path('/traces', { q: finding.q, range: 'all' }));
  }

  function costs() {
    const { routes = [], attributes = [] } = data.cost ?? {};
    if (!routes.length && !attributes.length) return null;
    const all = attributes.reduce((sum, one) => sum + one.bytes, 0);
    const whole = routes.reduce((sum, one) => sum + one.bytes, 0);
    const table = (title, head, rows) => h('section', null, h('h2', null, title), h('table', null,
      h('thead', null, h('tr', null, head.map((text, index) => h('th', { class: index ? 'right' : '' }, text)))),
      h('tbody', null, rows.map((cells) => h('tr', null, cells.map((cell, index) => h('td', { class: index ? 'right' : 'mono wrap' }, cell)))))));
    return h('div', { class: 'costs' },
      table('Bytes by route', ['Route', 'Spans', 'Bytes', 'Share'], routes.slice(0, 12).map((one) => [one.route, count(one.spans), bytes(one.bytes), percent(one.bytes / whole)])),
      table('Bytes by attribute', ['Attribute', 'Spans', 'Bytes', 'Share'], attributes.slice(0, 12).map((one) => [one.key, count(one.spans), bytes(one.bytes), percent(one.bytes / all)])));
  }

  const element = h('div', { class: 'column space' },
    h('div', { class: 'bar' }, h('h1', null, 'Findings'), held, h('span', { class: 'space' }),
      segment('Kind of finding', GROUPS, parameter('group', 'all'), (value) => { change({ group: value === 'all' ? undefined : value }); draw(); })),
    list);
  await loads.load();

  return {
    element,
    hints: [['j k', 'move'], ['Enter', 'example trace']],
    shown: () => { draw(); onResize(list, draw, signal); },
    owes: loads.owes,
    update: () => { loads.load(true); },
    key: (event) => listKey(event, list, '.finding'),
  };
}

const kindOf = (kind) => KINDS[kind] ?? { text: kind, groups: [] };
