// The traces: filters, durations over time, and the list.

import { h, hueClass, mark, segment, square, tag } from '../app/dom.js';
import { clock, count, date, duration, plural } from '../app/format.js';
import { get } from '../app/api.js';
import { change, parameter, path, RANGE_CHOICES, timeWindow } from '../app/url.js';
import { loader, olderButton } from '../app/load.js';
import { patch } from '../app/patch.js';
import { quoted, searchField, toggleWord, words } from '../app/search.js';
import { listKey } from '../app/keys.js';
import { markLegend, onResize } from '../app/chart.js';
import { scatter } from './scatter.js';
import { comparison } from './choose.js';

const PAGE = 200;
const OVER = [['over 100 ms', '>100ms'], ['over 500 ms', '>500ms'], ['over 1 s', '>1s']];

export async function open(context) {
  const { signal } = context;
  const top = h('div', { class: 'top' });
  const plotBox = h('div');
  const chart = h('div', { class: 'chart' }, top, plotBox);
  const notice = h('div');
  const freshBox = h('div', { class: 'fresh', whole: true });
  const runningBox = h('div', { whole: true });
  const rows = h('div');
  const list = h('div', { class: 'scroll', role: 'region', 'aria-label': 'Traces' }, rows);
  const rail = h('div', { class: 'rail', role: 'group', 'aria-label': 'Filters' });
  const range = h('span');
  // `traces` are held, `running` are those of which no span has ended; `matched` counts the held ones alone.
  let data = { traces: [], running: [], points: [], matched: 0, held: context.status()?.traces ?? 0 };
  let waiting;
  let plot;

  const search = searchField({
    value: parameter('q'), example: 'service:orders  status:error  >100ms  http.route=/checkout', signal,
    changed: (text) => { if (text !== parameter('q')) ask({ q: text }); },
  });
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
    return { ...view, now, start: view.from ?? data.oldest ?? now - 300e6, end: view.to ?? now };
  }

  /** The parameters of a request for what the page shows. */
  function asked() {
    const { from, to } = bounds();
    return { q: parameter('q'), from: from && Math.round(from), to: to && Math.round(to), limit: PAGE };
  }

  const traces = loader({
    signal,
    async fetch(options) {
      const values = asked();
      const answer = await get(path('/traces.json', values), options);
      const running = Math.min(answer.running, PAGE);
      return { ...answer, from: values.from, matched: answer.matched - answer.running, runningMatched: answer.running, running: answer.traces.slice(0, running), traces: answer.traces.slice(running) };
    },
    show(answer, quiet) {
      search.refuse('');
      if (quiet && !atTop()) {
        waiting = answer;
        drawWaiting();
        return;
      }
      show(answer);
      if (!quiet) list.scrollTop = 0;
    },
    refuse: (error) => search.refuse(error.message),
  });

  // What runs changes more often than what is held, and needs neither the chart nor the facets.
  const running = loader({
    signal,
    fetch: (options) => get(path('/running.json', asked()), options),
    show({ traces: fresh, matched, spans }) {
      for (const trace of data.traces) trace.running = spans[trace.id] ?? 0;
      if (atTop()) {
        data.running = fresh;
        data.runningMatched = matched;
      }
      drawTop();
      drawRows();
    },
    refuse() {},
  });

  async function ask(values) {
    change(values);
    search.set(parameter('q'));
    rail.classList.remove('open');
    filters.setAttribute('aria-expanded', 'false');
    drawRange();
    drawRail();
    await traces.load();
  }

  // New rows wait if the reader has moved away from the top.
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
    const fresh = waiting?.traces.filter(({ id }) => !known.has(id)).length ?? 0;
    patch(freshBox, fresh > 0 && h('button', {
      type: 'button', on: { click: () => { list.scrollTop = 0; document.activeElement?.blur?.(); show(waiting); } },
    }, `${fresh === PAGE ? `${PAGE} or more` : count(fresh)} new`));
  }

  function facet(text, word, number, sign) {
    const on = words(parameter('q')).includes(word);
    return h('button', { key: word, class: 'facet', type: 'button', 'aria-pressed': on, on: { click: () => ask({ q: toggleWord(parameter('q'), word) }) } },
      sign, h('span', { class: 'cut', title: text }, text), number === undefined ? null : h('span', { class: 'number' }, count(number)));
  }

  function drawRail() {
    const facets = data.facets ?? {};
    const services = facets.services ?? (context.status()?.services ?? []).slice(0, 12).map(({ name }) => [name]);
    const roots = facets.roots ?? commonRoots(data.traces);
    patch(rail,
      h('h3', { class: 'caption' }, 'Status'),
      facet('Error', 'status:error', facets.error, mark('error')), facet('OK', 'status:ok', facets.ok, mark('debug')),
      services.length > 0 && h('h3', { class: 'caption' }, 'Service'),
      services.map(([name, number]) => facet(name, `service:${quoted(name)}`, number, square(name))),
      roots.length > 0 && h('h3', { class: 'caption' }, 'Root span'),
      roots.map(([name, number]) => facet(name, `name:${quoted(name)}`, number)),
      h('h3', { class: 'caption' }, 'Duration'),
      OVER.map(([text, word], index) => facet(text, word, facets.over?.[index]?.[1])));
  }

  const allMatched = () => data.matched + (data.runningMatched ?? 0);

  function drawTop() {
    const errors = data.points.filter(([, , error]) => error).length;
    const sorted = data.points.map(([, length]) => length).sort((a, b) => a - b);
    patch(top,
      h('span', null, h('b', null, count(allMatched())), allMatched() === 1 ? ' trace' : ' traces'),
      h('span', { class: errors ? 'error' : 'soft' }, `${plural(errors, 'error')}${data.matched > data.points.length ? ` in ${count(data.points.length)} shown` : ''}`),
      sorted.length > 0 && [h('span', { class: 'soft small' }, `p50 ${duration(data.p50 ?? sorted[sorted.length >> 1])}`), h('span', { class: 'soft small' }, `p95 ${duration(p95(sorted))}`)],
      h('span', { class: 'space' }),
      markLegend('info', 'OK'), markLegend('error', 'Error'), h('span', { class: 'soft tiny wide' }, 'drag to select'));
  }

  const p95 = (sorted) => data.p95 ?? sorted[Math.floor(sorted.length * 0.95)];

  function drawChart() {
    drawTop();
    if (chart.clientWidth < 50) return;
    const { start, end } = bounds();
    const sorted = data.points.map(([, length]) => length).sort((a, b) => a - b);
    plot = scatter({
      points: data.points, from: start, to: end, p95: p95(sorted), width: chart.clientWidth - 24, names: data.traces, range: plot?.range(),
      selected: (from, to) => ask({ from: Math.round(from), to: Math.round(to), range: undefined }),
    });
    patch(plotBox, plot.element);
  }

  function drawRows() {
    const all = [...data.running, ...data.traces];
    drawWaiting();
    if (!all.length) {
      patch(rows, h('div', { class: 'note' },
        h('span', null, 'No trace matches. ', h('b', null, count(data.held)), data.held === 1 ? ' is held' : ' are held', oldest()),
        h('button', { type: 'button', class: 'link', on: { click: () => ask({ q: undefined, from: undefined, to: undefined, range: 'all' }) } }, 'Clear the search')));
      return;
    }
    drawRunning();
    const longest = longestOf(all);
    const rest = data.matched - data.traces.length;
    patch(rows,
      h('div', { class: 'trace-head', 'aria-hidden': 'true' }, h('span', null, 'Start'), h('span', null, 'Trace'), h('span', null, 'Services'),
        h('span', { class: 'right' }, 'Spans'), h('span', { class: 'right' }, 'Duration'), h('span', null, 'Trace id')),
      freshBox, runningBox,
      data.traces.map((trace) => row(trace, longest)),
      rest > 0 && olderButton(`Show ${count(Math.min(PAGE, rest))} older of ${count(rest)}`, older));
  }

  const longestOf = (all) => Math.max(1, ...all.map((trace) => trace.duration));

  /** Draws the rows of traces that run, up to now. */
  function drawRunning() {
    const now = context.status()?.now;
    for (const trace of data.running) if (now > trace.start) trace.duration = (now - trace.start) * 1000;
    const longest = longestOf([...data.running, ...data.traces]);
    patch(runningBox, data.running.map((trace) => row(trace, longest)));
  }

  const oldest = () => {
    const time = context.status()?.oldest;
    return time ? `; the oldest is from ${clock(time)}.` : '.';
  };

  async function older() {
    const mine = data;
    const last = mine.traces[mine.traces.length - 1];
    const answer = await get(path('/traces.json', { q: parameter('q'), from: mine.from, before: last.start, limit: PAGE }), { signal });
    if (data !== mine) return;
    const known = new Set(mine.traces.map(({ id }) => id));
    mine.traces.push(...answer.traces.filter(({ id }) => !known.has(id)));
    drawRows();
  }

  function row(trace, longest) {
    const failed = trace.status === 'error' || trace.errors > 0;
    const share = Math.log10(1 + trace.duration / 1e5) / Math.log10(1 + longest / 1e5);
    const name = trace.name || 'no root span';
    return h('a', {
      key: trace.id, class: `trace-row ${failed ? 'failed' : ''} ${chosen.has(trace.id) ? 'marked' : ''}`, href: `/trace/${trace.id}`, 'data-trace': trace.id,
      on: { click: (event) => { if (chosen.active()) { event.preventDefault(); chosen.mark(trace); } } },
    },
    h('span', { class: 'soft small wide', title: date(trace.start) }, clock(trace.start)),
    h('span', { class: 'name' }, square(trace.service), h('span', { class: 'cut' }, name), failed && tag('Error', 'bad'),
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
    patch(range, fixed
      ? h('button', { class: 'button', type: 'button', title: 'Show the last minutes again', on: { click: () => ask({ from: undefined, to: undefined }) } },
        `${clock(from ?? 0)} – ${to ? clock(to) : clock(now)} ✕`)
      : segment('Range of time', RANGE_CHOICES, parameter('range', '5m'), (value) => ask({ range: value })));
  }

  const element = h('div', { class: 'column space' },
    h('div', { class: 'bar' }, search.field, range, filters, compareButton), search.reason, notice,
    h('div', { class: 'two' }, rail, h('div', { class: 'column' }, chart, list)));
  drawRange();
  await traces.load();

  return {
    element,
    range: '5m',
    hints: [['j k', 'move'], ['Enter', 'open'], ['/', 'search'], ['b', 'select a range of time'], ['x', 'compare two']],
    shown: () => { drawChart(); drawRows(); onResize(chart, drawChart, signal); },
    owes: traces.owes,
    update: () => { if (traces.owes() || !timeWindow(0).to) traces.load(true); },
    running(changed) {
      if (timeWindow(0).to) return;
      if (changed) running.load(true);
      else if (data.running.length) drawRunning();
    },
    busy: () => plot?.chosen() ?? false,
    key(event) {
      if (plot?.key(event)) return true;
      if (event.key === 'x') {
        const id = document.activeElement?.dataset?.trace;
        const trace = [...data.running, ...data.traces].find((one) => one.id === id);
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
