// The traces: filters, durations over time, and the list.

import { add, fill, h, hueClass, mark, segment, square, tag } from '../app/dom.js';
import { clock, count, date, duration, plural } from '../app/format.js';
import { get, Refused } from '../app/api.js';
import { change, parameter, path, RANGE_CHOICES, timeWindow } from '../app/url.js';
import { quoted, searchField, toggleWord, words } from '../app/search.js';
import { listKey } from '../app/keys.js';
import { markLegend, onResize } from '../app/chart.js';
import { scatter } from './scatter.js';
import { comparison } from './choose.js';

const PAGE = 200;
const OVER = [['over 100 ms', '>100ms'], ['over 500 ms', '>500ms'], ['over 1 s', '>1s']];

export async function open(context) {
  const chart = h('div', { class: 'chart' });
  const notice = h('div');
  const list = h('div', { class: 'scroll', role: 'region', 'aria-label': 'Traces' });
  const rows = h('div');
  const rail = h('div', { class: 'rail', role: 'group', 'aria-label': 'Filters' });
  let data;
  let waiting;
  let plot;
  let loading = false;
  let again = false;

  const search = searchField({
    value: parameter('q'), example: 'service:orders  status:error  >100ms  http.route=/checkout',
    changed: (text) => { if (text !== parameter('q')) ask({ q: text }); },
  });
  const range = h('span');
  const chosen = comparison(notice, { window: () => bounds(), drawn: () => drawRows() });
  const filters = h('button', {
    class: 'button narrow', type: 'button', 'aria-expanded': false,
    on: { click: () => filters.setAttribute('aria-expanded', String(rail.classList.toggle('open'))) },
  }, 'Filters');
  const compareButton = h('button', { class: 'button', type: 'button', 'aria-pressed': false, on: { click: () => chosen.toggle() } },
    'Compare ', h('kbd', { class: 'wide', 'aria-hidden': 'true' }, 'x'));
  chosen.button = compareButton;

  function bounds() {
    const now = context.status()?.now ?? Date.now() * 1000;
    const view = timeWindow(now);
    return { ...view, now, start: view.from ?? data?.oldest ?? now - 300e6, end: view.to ?? now };
  }

  async function ask(values) {
    change(values);
    search.set(parameter('q'));
    rail.classList.remove('open');
    drawRange();
    await load(false, true);
  }

  /** Fetches the list; `quiet` for live updates. New rows wait if the reader has moved away from the top. */
  async function load(quiet, top = false) {
    if (loading) { again = !quiet; return; }
    loading = true;
    try {
      const { from, to } = bounds();
      const answer = await get(path('/traces.json', { q: parameter('q'), from: from && Math.round(from), to: to && Math.round(to), limit: PAGE }), { signal: context.signal, quiet });
      search.refuse('');
      const held = quiet && data && !atTop();
      if (held) waiting = answer;
      else show(answer);
      if (held) drawWaiting();
      if (top) list.scrollTop = 0;
    } catch (error) {
      if (context.signal.aborted) return;
      if (error instanceof Refused && error.status === 400) search.refuse(error.message);
      else if (!quiet) throw error;
    } finally {
      loading = false;
      if (again) { again = false; load(false); }
    }
  }

  const atTop = () => list.scrollTop < 4 && !chosen.active() && !rows.contains(document.activeElement) && !plot?.busy();

  function show(answer) {
    data = answer;
    waiting = undefined;
    const times = answer.points.map(([start]) => start);
    data.oldest = times.length ? Math.min(...times) : undefined;
    drawRail();
    drawChart();
    drawRows();
  }

  function drawWaiting() {
    const known = new Set(data.traces.map(({ id }) => id));
    const fresh = waiting.traces.filter(({ id }) => !known.has(id)).length;
    fill(freshBox, fresh > 0 && h('button', {
      type: 'button', on: { click: () => { list.scrollTop = 0; document.activeElement?.blur?.(); show(waiting); } },
    }, `${fresh === PAGE ? `${PAGE} or more` : count(fresh)} new`));
  }
  const freshBox = h('div', { class: 'fresh' });

  function facet(text, word, number, sign) {
    const on = words(parameter('q')).includes(word);
    return h('button', { class: 'facet', type: 'button', 'aria-pressed': on, on: { click: () => ask({ q: toggleWord(parameter('q'), word) }) } },
      sign, h('span', { class: 'cut' }, text), number === undefined ? null : h('span', { class: 'number' }, count(number)));
  }

  function drawRail() {
    const focused = [...rail.querySelectorAll('button')].indexOf(document.activeElement);
    const facets = data.facets ?? {};
    const services = facets.services ?? (context.status()?.services ?? []).slice(0, 12).map(({ name }) => [name]);
    const roots = facets.roots ?? commonRoots(data.traces);
    fill(rail,
      h('h3', { class: 'caption' }, 'Status'),
      facet('Error', 'status:error', facets.error, mark('error')), facet('OK', 'status:ok', facets.ok, mark('debug')),
      services.length > 0 && h('h3', { class: 'caption' }, 'Service'),
      services.map(([name, number]) => facet(name, `service:${quoted(name)}`, number, square(name))),
      roots.length > 0 && h('h3', { class: 'caption' }, 'Root span'),
      roots.map(([name, number]) => facet(name, `name:${quoted(name)}`, number)),
      h('h3', { class: 'caption' }, 'Duration'),
      OVER.map(([text, word], index) => facet(text, word, facets.over?.[index]?.[1])));
    if (focused >= 0) rail.querySelectorAll('button')[focused]?.focus();
  }

  function drawChart() {
    if (!data || chart.clientWidth < 50) return;
    const { start, end } = bounds();
    const errors = data.points.filter(([, , error]) => error).length;
    const sorted = data.points.map(([, length]) => length).sort((a, b) => a - b);
    const p50 = data.p50 ?? sorted[sorted.length >> 1];
    const p95 = data.p95 ?? sorted[Math.floor(sorted.length * 0.95)];
    plot = scatter({
      points: data.points, from: start, to: end, p95, width: chart.clientWidth - 24, names: data.traces,
      selected: (from, to) => ask({ from: Math.round(from), to: Math.round(to), range: undefined }),
    });
    fill(chart,
      h('div', { class: 'top' },
        h('span', null, h('b', null, count(data.matched)), data.matched === 1 ? ' trace' : ' traces'),
        h('span', { class: errors ? 'error' : 'soft' }, `${plural(errors, 'error')}${data.matched > data.points.length ? ` in ${count(data.points.length)} shown` : ''}`),
        sorted.length > 0 && [h('span', { class: 'soft small' }, `p50 ${duration(p50)}`), h('span', { class: 'soft small' }, `p95 ${duration(p95)}`)],
        h('span', { class: 'space' }),
        markLegend('info', 'OK'), markLegend('error', 'Error'), h('span', { class: 'soft tiny wide' }, 'drag to select')),
      plot.element);
  }

  function drawRows() {
    const focused = rows.contains(document.activeElement) ? document.activeElement.dataset.trace : undefined;
    const longest = Math.max(1, ...data.traces.map((trace) => trace.duration));
    if (!data.traces.length) {
      fill(rows, h('div', { class: 'note' },
        h('span', null, 'No trace matches. ', h('b', null, count(data.held)), data.held === 1 ? ' is held' : ' are held', oldest()),
        h('button', { type: 'button', class: 'link', on: { click: () => ask({ q: undefined, from: undefined, to: undefined, range: 'all' }) } }, 'Clear the search')));
      return;
    }
    fill(rows,
      h('div', { class: 'trace-head', 'aria-hidden': 'true' }, h('span', null, 'Start'), h('span', null, 'Trace'), h('span', null, 'Services'),
        h('span', { class: 'right' }, 'Spans'), h('span', { class: 'right' }, 'Duration'), h('span', null, 'Trace id')),
      freshBox,
      data.traces.map((trace) => row(trace, longest)),
      data.matched > data.traces.length && h('div', { class: 'more' }, h('button', { type: 'button', class: 'link', on: { click: older } },
        `Show ${count(Math.min(PAGE, data.matched - data.traces.length))} older of ${count(data.matched - data.traces.length)}`)));
    fill(freshBox);
    if (focused) rows.querySelector(`[data-trace="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  const oldest = () => {
    const time = context.status()?.oldest;
    return time ? `; the oldest is from ${clock(time)}.` : '.';
  };

  async function older() {
    const last = data.traces[data.traces.length - 1];
    const { from } = bounds();
    const answer = await get(path('/traces.json', { q: parameter('q'), from: from && Math.round(from), before: last.start, limit: PAGE }), { signal: context.signal });
    const known = new Set(data.traces.map(({ id }) => id));
    data.traces.push(...answer.traces.filter(({ id }) => !known.has(id)));
    drawRows();
  }

  function row(trace, longest) {
    const failed = trace.status === 'error' || trace.errors > 0;
    const share = Math.log10(1 + trace.duration / 1e5) / Math.log10(1 + longest / 1e5);
    return h('a', {
      class: `trace-row ${failed ? 'failed' : ''} ${chosen.has(trace.id) ? 'marked' : ''}`, href: `/trace/${trace.id}`, 'data-trace': trace.id,
      on: { click: (event) => { if (chosen.active()) { event.preventDefault(); chosen.mark(trace); } } },
    },
    h('span', { class: 'soft small wide', title: date(trace.start) }, clock(trace.start)),
    h('span', { class: 'name' }, square(trace.service), h('span', { class: 'cut' }, trace.name), failed && tag('Error', 'bad'),
      Boolean(trace.running) && tag('Running', '', 'A span of this trace has not ended'),
      Boolean(trace.partial) && !trace.running && tag('Partial', '', 'Spans of this trace are missing: they are still to come, were not sent, or have left the store')),
    h('span', { class: 'services wide', role: 'img', 'aria-label': trace.services.join(', '), title: trace.services.join(', ') },
      trace.services.slice(0, 16).map((service) => h('i', { class: hueClass(service) }))),
    h('span', { class: 'right small soft wide' }, count(trace.spans)),
    h('span', { class: 'length' }, h('i', { set: { width: `${Math.max(2, share * 100)}%` } }), h('span', { class: 'right small' }, duration(trace.duration))),
    h('span', { class: 'mono soft wide' }, `${trace.id.slice(0, 4)}…`),
    h('span', { class: 'under cut' }, [clock(trace.start), plural(trace.spans, 'span'), trace.services.join(', ')].join(' · ')));
  }

  function drawRange() {
    const { fixed, from, to, now } = bounds();
    fill(range, fixed
      ? h('button', { class: 'button', type: 'button', title: 'Show the last minutes again', on: { click: () => ask({ from: undefined, to: undefined }) } },
        `${clock(from ?? 0)} – ${to ? clock(to) : clock(now)} ✕`)
      : segment('Range of time', RANGE_CHOICES, parameter('range', '5m'), (value) => ask({ range: value })));
  }

  const element = h('div', { class: 'column space' },
    h('div', { class: 'bar' }, search.field, range, filters, compareButton), search.reason, notice,
    h('div', { class: 'two' }, rail, h('div', { class: 'column' }, chart, list)));
  add(list, [rows]);
  drawRange();
  await load(true);
  if (!data) show({ traces: [], points: [], matched: 0, held: context.status()?.traces ?? 0 });

  return {
    element,
    range: '5m',
    hints: [['j k', 'move'], ['Enter', 'open'], ['/', 'search'], ['b', 'select a range of time'], ['x', 'compare two']],
    shown: () => { drawChart(); onResize(chart, drawChart, context.signal); },
    update: () => { if (!timeWindow(0).to) load(true); },
    key(event) {
      if (plot?.key(event)) return true;
      if (event.key === 'x') {
        const trace = data.traces.find(({ id }) => id === document.activeElement?.dataset?.trace);
        if (trace) chosen.mark(trace);
        else chosen.toggle();
        return true;
      }
      if (event.key === 'Escape' && chosen.active()) { chosen.toggle(); return true; }
      return listKey(event, rows, '.trace-row');
    },
  };
}

function commonRoots(traces) {
  const roots = new Map();
  for (const { name } of traces) roots.set(name, (roots.get(name) ?? 0) + 1);
  return [...roots].sort((a, b) => b[1] - a[1]).slice(0, 12).map(([name]) => [name]);
}
