// The metrics: every instrument, and for one of them its series, heat map and exemplars.

import { add, h, narrow, s, segment } from '../app/dom.js';
import { count, measured, number, plural, rate } from '../app/format.js';
import { get } from '../app/api.js';
import { change, parameter, path, timeWindow } from '../app/url.js';
import { loader } from '../app/load.js';
import { patch } from '../app/patch.js';
import { searchField } from '../app/search.js';
import { legend, linePath, lines, onResize } from '../app/chart.js';
import { exemplarDots, heat, heatLegend, heatTable } from './heat.js';

const RANGES = [['5m', '5m'], ['15m', '15m'], ['all', 'All']];
const MOST_SPLITS = 3;

export async function open(context) {
  const { signal } = context;
  const list = h('div', { class: 'scroll instruments', role: 'group', 'aria-label': 'Instruments' });
  const right = h('div', { class: 'scroll' });
  const picker = h('select', { class: 'button space narrow', 'aria-label': 'Instrument', on: { change: (event) => pick(event.target.value) } });
  const splits = h('span', { class: 'wide' });
  const range = h('span');
  const search = searchField({
    value: parameter('q'), example: 'Find an instrument, unit or attribute', complete: false, signal,
    changed: (text) => { if (text !== parameter('q')) { change({ q: text }); loads.load(); } },
  });
  // The exemplar whose hint is shown.
  const hint = {};
  let instruments = [];
  let chosen;
  let body;
  let table = parameter('as') === 'table';

  const loads = loader({
    signal,
    async fetch(options) {
      const all = (await get(path('/instruments.json', { q: parameter('q') }), options)).instruments;
      const wanted = parameter('i');
      const one = all.find(({ id, name }) => String(id) === wanted || name === wanted) ?? all.find(({ id }) => id === chosen?.id) ?? all[0];
      if (!one) return { all };
      const { from, to } = timeWindow(context.status()?.now ?? Date.now() * 1000, '15m');
      const by = parameter('by');
      const content = await get(path(`/instrument/${encodeURIComponent(one.id)}.json`, {
        by: by === '-' ? undefined : by, from: from && Math.round(from), to: to && Math.round(to),
      }), options);
      return { all, one, content };
    },
    show({ all, one, content }) {
      search.refuse('');
      instruments = all;
      chosen = one;
      body = content;
      drawList();
      drawOne();
    },
    // An instrument that has just left the store is not in the next list.
    refuse: (error) => search.refuse(error.status === 404 ? '' : error.message),
  });

  function shownRange() {
    const now = context.status()?.now ?? Date.now() * 1000;
    const { from, to } = timeWindow(now, '15m');
    const times = (body?.series ?? []).flatMap(({ points }) => points.map(([time]) => time));
    return { from: from ?? (times.length ? Math.min(...times) : now - 900e6), to: to ?? now };
  }

  async function pick(id) {
    chosen = instruments.find((instrument) => String(instrument.id) === String(id)) ?? chosen;
    change({ i: instruments.filter(({ name }) => name === chosen.name).length > 1 ? chosen.id : chosen.name, by: undefined });
    drawList();
    await loads.load();
    right.scrollTop = 0;
  }

  const nothing = () => h('div', { class: 'note' }, parameter('q')
    ? [h('span', null, 'No instrument matches.'), h('button', { type: 'button', class: 'link', on: { click: () => { change({ q: undefined }); search.set(''); loads.load(); } } }, 'Clear the search')]
    : 'No metric has arrived yet. Instruments appear here with their first point.');

  function drawList() {
    patch(list, instruments.map((instrument) => h('button', {
      key: instrument.id, class: 'instrument', type: 'button', 'aria-pressed': instrument === chosen, on: { click: () => pick(instrument.id) },
    },
    h('span', { class: 'mono cut', title: instrument.name }, instrument.name), spark(instrument.spark),
    h('span', { class: 'tiny soft cut' }, [kindName(instrument.kind), instrument.unit].filter(Boolean).join(' · ')),
    h('span', { class: `tiny right whole ${full(instrument) ? 'error strong' : 'soft'}` }, full(instrument) ? 'limit met' : plural(instrument.series, 'series', 'series')))),
    !instruments.length && nothing());
    patch(picker, instruments.map((instrument) => h('option', { key: instrument.id, value: instrument.id }, instrument.name)));
    picker.hidden = !instruments.length;
    if (chosen) picker.value = chosen.id;
  }

  function drawOne() {
    drawSplits();
    if (!chosen || !body) { patch(right, nothing()); return; }
    const unit = chosen.unit;
    const { from, to } = shownRange();
    const width = right.clientWidth - 24;
    const histogram = Boolean(body.heat?.times.length);
    patch(right, h('div', { class: 'chart' },
      h('h1', { class: 'instrument-name' }, chosen.name),
      h('div', { class: 'soft small' }, chosen.description && `${chosen.description.replace(/[.\s]*$/, '')}. `, `${kindName(chosen.kind)}${unit ? ` in ${unit}` : ''}. `,
        h('span', { class: full(chosen) ? 'error strong' : '' }, `${count(chosen.series)}${chosen.limit ? ` of ${count(chosen.limit)}` : ''} series`),
        full(chosen) ? ': further attribute sets go to the overflow series.' : chosen.services?.length ? ` · from ${chosen.services.slice(0, 6).join(', ')}` : '')),
    width > 50 && histogram && heatChart(unit, width, from, to),
    width > 50 && seriesChart({ unit, width, from, to, histogram }),
    seriesTable(unit));
  }

  function heatChart(unit, width, from, to) {
    const exemplars = body.exemplars ?? [];
    return h('div', { class: 'chart' },
      h('div', { class: 'top' }, h('h3', null, /request/.test(chosen.name) ? 'Requests by duration' : 'Measurements by value'),
        quantiles(unit), h('span', { class: 'space' }), heatLegend(exemplars.length > 0)),
      table ? h('div', { class: 'sideways' }, heatTable(body.heat, unit)) : heat({ heat: body.heat, exemplars, hint, unit, width, from, to }));
  }

  function quantiles(unit) {
    const parts = Object.entries(body.quantiles ?? {}).map(([name, values]) => [name, values.findLast?.((value) => Number.isFinite(value))]);
    return parts.filter(([, value]) => value !== undefined).map(([name, value]) => h('span', { class: 'soft small' }, `${name} ${measured(value, unit)}`));
  }

  const rated = () => Boolean(body.series.some((one) => one.rate)) || Boolean(body.heat?.times.length);
  const show = (value, unit) => (rated() ? (body.heat?.times.length || !['s', 'ms', 'By', 'us', 'ns'].includes(unit) ? rate(value) : `${measured(value, unit)}/s`) : measured(value, unit));

  function seriesChart({ unit, width, from, to, histogram }) {
    const series = body.series.slice(0, 5).map((one) => ({ name: seriesName(one), points: one.points }));
    const title = rated() ? 'Rate, per second' : 'Value';
    const { chart, x, y } = lines({
      series, width, height: narrow() ? 120 : 138, from, to, format: (value) => (rated() ? number(value) : measured(value, unit)),
      summary: `${title} of ${chosen.name}: ${plural(series.length, 'line')}. Press t for a table.`,
    });
    // Without a heat map the exemplars of a counter or gauge stand on the line chart's time axis.
    if (!histogram && body.exemplars?.length) add(chart, [exemplarDots(body.exemplars, { hint, unit, x, y: () => y(0) - 4, from, to, width })]);
    return h('div', { class: 'chart' },
      h('div', { class: 'top' }, h('h3', null, title), body.rest ? h('span', { class: 'soft small' }, `and ${plural(body.rest, 'more series', 'more series')}`) : null,
        h('span', { class: 'space' }), series.map(({ name }, index) => legend(index, name))),
      series.length ? chart : h('div', { class: 'soft small' }, 'No point in this range of time.'));
  }

  function seriesTable(unit) {
    const held = (body.exemplars ?? []).length;
    return h('table', null,
      h('thead', null, h('tr', null, h('th', null, parameter('by') && parameter('by') !== '-' ? parameter('by') : 'Series'),
        ['Latest', 'Mean', 'Lowest', 'Highest'].map((name, index) => h('th', { class: `right ${index === 2 ? 'wide' : ''}` }, name)))),
      h('tbody', null, body.series.map((one) => {
        const values = one.points.map(([, value]) => value).filter(Number.isFinite);
        const overflow = one.labels?.['otel.metric.overflow'] !== undefined;
        return h('tr', null,
          h('td', { class: 'mono wrap' }, overflow ? [h('span', { class: 'tag bad' }, 'Overflow'), ' '] : null, seriesName(one)),
          [values[values.length - 1], values.reduce((sum, value) => sum + value, 0) / values.length, Math.min(...values), Math.max(...values)]
            .map((value, index) => h('td', { class: `right ${index === 2 ? 'wide' : ''}` }, values.length ? show(value, unit) : '–')));
      })),
      held ? h('caption', { class: 'unseen' }, plural(held, 'exemplar')) : null);
  }

  function drawSplits() {
    const labels = (body?.labels ?? []).slice(0, MOST_SPLITS);
    patch(splits, labels.length > 0 && segment('Split by', [...labels.map((label) => [label, label]), ['-', 'No split']], parameter('by', '-'),
      (value) => { change({ by: value === '-' ? undefined : value }); loads.load(); }));
    patch(range, segment('Range of time', RANGES, parameter('range', '15m'), (value) => { change({ range: value, from: undefined, to: undefined }); loads.load(); }));
  }

  const element = h('div', { class: 'column space' },
    h('div', { class: 'bar' }, search.field, picker, splits, range), search.reason,
    h('div', { class: 'two metrics' }, list, right));
  await loads.load();

  return {
    element,
    range: '15m',
    hints: [['j k', 'instrument'], ['← →', 'exemplar'], ['Enter', 'open its trace'], ['t', 'as table']],
    shown: () => { drawList(); drawOne(); onResize(right, drawOne, signal); },
    owes: loads.owes,
    update: () => { loads.load(true); },
    key(event) {
      if (event.key === 't') { table = !table; change({ as: table ? 'table' : undefined }); drawOne(); return true; }
      if ('jk'.includes(event.key) || event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault();
        const at = instruments.indexOf(chosen) + (event.key === 'j' || event.key === 'ArrowDown' ? 1 : -1);
        if (!instruments[at]) return true;
        pick(instruments[at].id);
        const button = list.children[at];
        button.focus({ preventScroll: true });
        button.scrollIntoView({ block: 'nearest' });
        return true;
      }
      if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return false;
      event.preventDefault();
      const dots = [...right.querySelectorAll('a.exemplar')];
      const at = dots.indexOf(document.activeElement);
      const next = event.key === 'ArrowRight' ? at + 1 : at < 0 ? dots.length - 1 : at - 1;
      dots[Math.max(0, Math.min(dots.length - 1, next))]?.focus();
      return true;
    },
  };
}

const full = ({ series, limit }) => Boolean(limit) && series >= limit;

const KINDS = { gauge: 'Gauge', sum: 'Sum', counter: 'Counter', updowncounter: 'Up-down counter', histogram: 'Histogram', exponentialhistogram: 'Exponential histogram', summary: 'Summary' };

/** Names the kind of an instrument as the reader knows it. */
function kindName(kind) {
  const key = String(kind).toLowerCase().replace(/[^a-z]/g, '');
  return KINDS[key] ?? String(kind);
}

function seriesName({ labels }) {
  const entries = Object.entries(labels ?? {});
  if (!entries.length) return 'all';
  return entries.length === 1 ? String(entries[0][1]) || 'not set' : entries.map(([key, value]) => `${key}=${value}`).join(' ');
}

function spark(values) {
  if (!values || values.length < 2) return h('span');
  const top = Math.max(...values);
  const low = Math.min(...values);
  const points = values.map((value, index) => [index, value]);
  return s('svg', { width: 64, height: 18, 'aria-hidden': 'true' }, s('path', {
    class: 'spark', d: linePath(points, (index) => (index * 64) / (values.length - 1), (value) => (top === low ? 9 : 16 - ((value - low) / (top - low)) * 14)),
  }));
}
