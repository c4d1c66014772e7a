// The log records: over time by severity, and as a list that follows.

import { h, mark, narrow, s, segment, square } from '../app/dom.js';
import { clock, count, date, severity } from '../app/format.js';
import { get } from '../app/api.js';
import { change, go, parameter, path, RANGE_CHOICES, timeWindow } from '../app/url.js';
import { loader, olderButton } from '../app/load.js';
import { patch } from '../app/patch.js';
import { searchField } from '../app/search.js';
import { listKey } from '../app/keys.js';
import { onResize, timeAxis } from '../app/chart.js';
import { pair } from '../trace/panel.js';

const PAGE = 500;
const LEVELS = [['debug', 'DEBUG'], ['info', 'INFO'], ['warn', 'WARN'], ['error', 'ERROR']];
const AROUND = 2e6;

export async function open(context) {
  const { signal } = context;
  const chart = h('div', { class: 'chart' });
  const freshBox = h('div', { class: 'fresh' });
  const rows = h('div', { class: 'records' });
  const list = h('div', { class: 'scroll', role: 'log', 'aria-label': 'Log records', 'aria-live': 'off' }, freshBox, rows);
  const least = h('span');
  const range = h('span', { class: 'wide' });
  let data = { records: [], histogram: [], matched: 0 };
  let waiting;
  let opened = parameter('open') || undefined;

  const search = searchField({
    value: parameter('q'), complete: 'records', example: 'service:orders  severity:>=warn  trace:a41c  "deadlock"', signal,
    changed: (text) => { if (text !== parameter('q')) ask({ q: text }); },
  });

  const query = () => [parameter('q'), parameter('min') && `severity:>=${parameter('min')}`].filter(Boolean).join(' ');
  const bounds = () => {
    const now = context.status()?.now ?? Date.now() * 1000;
    return { now, ...timeWindow(now, '15m') };
  };

  const records = loader({
    signal,
    async fetch(options) {
      const { from, to } = bounds();
      const values = { q: query(), from: from && Math.round(from), to: to && Math.round(to), limit: PAGE };
      return { ...await get(path('/records.json', values), options), values };
    },
    show(answer, quiet) {
      search.refuse('');
      if (quiet && (list.scrollTop > 4 || opened !== undefined || rows.contains(document.activeElement))) {
        waiting = answer;
        drawWaiting();
        drawChart(answer);
        return;
      }
      show(answer);
      if (!quiet) list.scrollTop = 0;
    },
    refuse: (error) => search.refuse(error.message),
  });

  async function ask(values) {
    change({ open: undefined, ...values });
    opened = undefined;
    search.set(parameter('q'));
    drawControls();
    await records.load();
  }

  function show(answer) {
    data = answer;
    waiting = undefined;
    drawChart(data);
    drawRows();
  }

  function drawWaiting() {
    const known = new Set(data.records.map(({ id }) => id));
    const fresh = waiting?.records.filter(({ id }) => !known.has(id)).length ?? 0;
    patch(freshBox, fresh > 0 && h('button', {
      type: 'button',
      on: { click: () => { opened = undefined; change({ open: undefined }); document.activeElement?.blur?.(); list.scrollTop = 0; show(waiting); } },
    }, `${fresh >= PAGE ? `${PAGE} or more` : count(fresh)} new`));
  }

  function drawChart(answer) {
    const width = chart.clientWidth - 24;
    if (width <= 0) return;
    const height = 50;
    const { from: start, to: end, now } = bounds();
    const cells = answer.histogram;
    const from = start ?? cells[0]?.[0] ?? now - 900e6;
    const to = end ?? now;
    const size = cells.length > 1 ? cells[1][0] - cells[0][0] : (to - from) / 60;
    const top = Math.max(1, ...cells.map(([, errors, warnings, rest]) => errors + warnings + rest));
    const x = (time) => ((time - from) / (to - from)) * width;
    const bars = cells.flatMap(([time, errors, warnings, rest]) => {
      let y = height - 16;
      return [['error', errors], ['warning', warnings], ['rest', rest]].filter(([, number]) => number > 0).map(([kind, number]) => {
        const tall = Math.max(kind === 'rest' ? 0.5 : 2, (number / top) * (height - 20));
        y -= tall;
        return s('rect', { class: `stack-${kind}`, x: x(time).toFixed(1), y: y.toFixed(1), width: Math.max(1, (size / (to - from)) * width - 1).toFixed(1), height: tall.toFixed(1) });
      });
    });
    const errors = cells.reduce((sum, cell) => sum + cell[1], 0);
    const warnings = cells.reduce((sum, cell) => sum + cell[2], 0);
    patch(chart,
      h('div', { class: 'top' },
        h('span', null, h('b', null, count(answer.matched)), answer.matched === 1 ? ' record' : ' records'),
        h('span', { class: 'legend' }, mark('error'), `${count(errors)} errors`), h('span', { class: 'legend' }, mark('warning'), `${count(warnings)} warnings`),
        h('span', { class: 'space' }), h('span', { class: 'soft tiny wide' }, context.live() && !end ? 'Newest first, following' : 'Newest first')),
      s('svg', { width, height, role: 'img', 'aria-label': `Records over time: ${count(errors)} errors, ${count(warnings)} warnings` }, bars, timeAxis(0, width, height - 1, from, to)));
  }

  function drawRows() {
    drawWaiting();
    if (!data.records.length) {
      const filtered = query() || parameter('from');
      patch(rows, h('div', { class: 'note' }, h('span', null, `No record matches. ${count(context.status()?.records ?? 0)} are held; new ones appear here as they arrive.`),
        filtered && h('button', { type: 'button', class: 'link', on: { click: () => ask({ q: undefined, min: undefined, from: undefined, to: undefined, range: 'all' }) } }, 'Clear the search')));
      return;
    }
    patch(rows, data.records.map(row), data.matched > data.records.length && olderButton('Show older records', older));
  }

  async function older() {
    const mine = data;
    const last = mine.records[mine.records.length - 1];
    // The range of the list: a relative one has moved on since.
    const answer = await get(path('/records.json', { ...mine.values, before: last.id }), { signal });
    if (data !== mine) return;
    const known = new Set(mine.records.map(({ id }) => id));
    mine.records.push(...answer.records.filter(({ id }) => !known.has(id)));
    // The list ends here if what was older has left the store.
    if (!answer.records.length) mine.matched = mine.records.length;
    drawRows();
  }

  function toggle(record) {
    const id = String(record.id);
    opened = opened === id ? undefined : id;
    change({ open: opened });
    drawRows();
  }

  function row(record) {
    const level = severity(record.severity);
    const isOpen = String(record.id) === opened;
    const line = h('div', {
      key: record.id, class: `record ${record.severity >= 17 ? 'failed' : ''}`, role: 'button', tabindex: 0, 'aria-expanded': isOpen, 'data-record': record.id,
      on: {
        click: (event) => { if (!event.target.closest('a')) toggle(record); },
        keydown: (event) => { if (event.target === event.currentTarget && (event.key === 'Enter' || event.key === ' ')) { event.preventDefault(); event.stopPropagation(); toggle(record); } },
      },
    },
    h('span', { class: 'soft', title: date(record.time) }, clock(record.time, true)),
    h('span', { class: `severity ${level.tone}`, title: record.text || level.text }, mark(level.mark), level.text),
    h('span', { class: 'service' }, square(record.service), h('span', { class: 'cut' }, record.service)),
    h('span', { class: 'message cut' }, record.event && !record.body ? h('b', null, record.event) : record.body, ' ',
      h('span', { class: 'soft' }, record.attributes.slice(0, 6).map(([key, value]) => `${key}=${brief(value)}`).join(' '))),
    h('span', { class: 'trace right' }, record.trace
      ? record.trace_held ? h('a', { class: 'link', href: traceOf(record), tabindex: -1 }, `${record.trace.slice(0, 4)}…`) : h('span', { class: 'soft', title: 'Its trace is not held' }, `${record.trace.slice(0, 4)}…`)
      : h('span', { class: 'soft whole', title: 'Written outside of any span' }, 'no trace')));
    return isOpen ? [line, details(record)] : line;
  }

  function details(record) {
    const around = { from: Math.round(record.time - AROUND), to: Math.round(record.time + AROUND), open: record.id };
    return h('div', { key: `${record.id} open`, class: 'record-open' },
      record.body && pair(['body', record.body], false), record.event && pair(['event name', record.event], false),
      record.attributes.map((attribute) => pair(attribute, true, '/logs')),
      h('div', { class: 'actions' },
        record.trace && record.trace_held && h('a', { class: 'link', href: traceOf(record) }, 'Open in trace ', h('kbd', { 'aria-hidden': 'true' }, 't')),
        record.trace && !record.trace_held && h('span', { class: 'soft' }, `Trace ${record.trace} is not held`),
        !record.trace && h('span', { class: 'soft' }, 'Written outside of any span'),
        h('a', { class: 'link', href: path('/logs', around) }, 'Records around this one')));
  }

  function drawControls() {
    const { from, to, fixed, now } = bounds();
    patch(least, segment('Lowest severity', LEVELS, parameter('min', 'debug'), (value) => ask({ min: value === 'debug' ? undefined : value })));
    patch(range, fixed
      ? h('button', { class: 'button', type: 'button', title: 'Show the last minutes again', on: { click: () => ask({ from: undefined, to: undefined }) } }, `${clock(from ?? now)} – ${clock(to ?? now)} ✕`)
      : segment('Range of time', RANGE_CHOICES, parameter('range', '15m'), (value) => ask({ range: value })));
  }

  const element = h('div', { class: 'column space' }, h('div', { class: 'bar' }, search.field, least, range), search.reason, chart, list);
  drawControls();
  await records.load();

  return {
    element,
    range: '15m',
    hints: [['j k', 'move'], ['Enter', 'open'], ['t', 'go to the trace'], ['Space', 'pause'], ['/', 'search']],
    owes: records.owes,
    shown() {
      drawChart(data);
      drawRows();
      const line = opened && rows.querySelector(`[data-record="${CSS.escape(opened)}"]`);
      if (line) { line.scrollIntoView({ block: 'center' }); if (!narrow()) line.focus({ preventScroll: true }); }
      onResize(chart, () => drawChart(data), signal);
    },
    update: () => { if (records.owes() || !bounds().to) records.load(true); },
    key(event) {
      if (event.key === 't') {
        const id = document.activeElement?.dataset?.record ?? opened;
        const record = data.records.find((one) => String(one.id) === id);
        if (record?.trace && record.trace_held) go(traceOf(record));
        return true;
      }
      if (event.key === 'Escape' && opened !== undefined) { opened = undefined; change({ open: undefined }); drawRows(); return true; }
      return listKey(event, rows, '.record');
    },
  };
}

const traceOf = (record) => path(`/trace/${record.trace}`, { span: record.span });

const brief = (value) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
};
