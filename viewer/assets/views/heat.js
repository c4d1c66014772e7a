// Histograms as heat maps over time, with exemplars that lead to their traces.

import { h, s, narrow, mark } from '../app/dom.js';
import { clock, count, measured, short } from '../app/format.js';
import { patch } from '../app/patch.js';
import { path } from '../app/url.js';
import { canvas, CANVAS_ABOVE, diamond, timeAxis, token } from '../app/chart.js';

const LEFT = 58;
const STEPS = 6;

/** Draws the heat map. Counts map to six tones on a square-root scale; empty cells stay blank. */
export function heat({ heat: { times, bounds, counts }, exemplars, hint, unit, width, from, to }) {
  const height = narrow() ? 236 : 256;
  const bottom = height - 18;
  const used = usedBuckets(counts, bounds.length + 1);
  const buckets = used.last - used.first + 1;
  const cellHeight = (bottom - 4) / buckets;
  const x = (time) => LEFT + ((time - from) / (to - from)) * (width - LEFT);
  const cellTop = (bucket) => bottom - (bucket - used.first + 1) * cellHeight;
  const top = Math.max(1, ...counts.map((cells) => Math.max(0, ...cells)));
  const gap = usualGap(times, to - from);

  const cells = [];
  times.forEach((time, column) => {
    const end = Math.min(width, x(time));
    const start = Math.max(LEFT, x(time - gap));
    if (end <= start) return;
    for (let bucket = used.first; bucket <= used.last; bucket += 1) {
      const number = counts[column][bucket] ?? 0;
      if (number > 0) cells.push({ start, width: end - start, bucket, number, time, step: Math.min(STEPS - 1, Math.floor(Math.sqrt(number / top) * STEPS)) });
    }
  });
  const chart = s('svg', { width, height, class: 'heat', role: 'img', 'aria-label': summary(counts, bounds, unit) });
  const element = h('div', { set: { position: 'relative' } });
  if (cells.length > CANVAS_ABOVE) element.append(onCanvas(cells, { cellTop, cellHeight, width, height }));
  else {
    chart.append(...cells.map((cell) => s('rect', { class: `step${cell.step}`, x: cell.start.toFixed(2), y: cellTop(cell.bucket).toFixed(2), width: cell.width.toFixed(2), height: cellHeight.toFixed(2) },
      s('title', null, `${clock(cell.time)}  ${bucketName(cell.bucket, bounds, unit)}  ${count(cell.number)}`))));
  }
  const every = Math.max(1, Math.ceil(buckets / (narrow() ? 6 : 8)));
  for (let bucket = used.first; bucket <= used.last; bucket += every) {
    const bound = bounds[bucket];
    if (bound !== undefined) chart.append(s('text', { x: LEFT - 8, y: cellTop(bucket) + 4, 'text-anchor': 'end' }, measured(bound, unit).replace(/(\.\d*?)0+ /, '$1 ').replace('. ', ' ')));
  }
  chart.append(...timeAxis(LEFT, width, height - 2, from, to));
  const y = (value) => {
    const bucket = Math.max(used.first, Math.min(used.last, bucketOf(value, bounds)));
    const low = bounds[bucket - 1] ?? 0;
    const high = bounds[bucket] ?? Math.max(value, low * 2 || 1);
    return cellTop(bucket) + cellHeight * (1 - Math.max(0, Math.min(1, (value - low) / (high - low))));
  };
  chart.append(exemplarDots(exemplars, { hint, unit, x, y, from, to, width }));
  element.append(chart);
  return element;
}

/**
 * Exemplars as links; one whose trace has left the store is a hollow disc. `hint.key` names the one whose hint is shown, so that it
 * stays while the chart is drawn again.
 */
export function exemplarDots(exemplars, { hint, unit, x, y, from, to, width }) {
  const shown = exemplars.filter(([time]) => time >= from && time <= to);
  const hide = ({ currentTarget }) => {
    hint.key = undefined;
    currentTarget.parentNode?.lastElementChild.setAttribute('visibility', 'hidden');
  };
  let bubble = s('g', { visibility: 'hidden', 'pointer-events': 'none' });
  const dots = shown.map(([time, value, trace, span, held, error]) => {
    const key = `${time} ${trace} ${span}`;
    const [px, py] = [x(time), y(value)];
    const text = measured(value, unit);
    const words = [`${text} at ${clock(time)}`, held ? `trace ${short(trace)}, Enter to open` : 'Its trace is not held'];
    if (hint.key === key) bubble = hintBox(px, py, words, width);
    const show = ({ currentTarget }) => {
      hint.key = key;
      patch(currentTarget.parentNode, ...[...currentTarget.parentNode.children].slice(0, -1), hintBox(px, py, words, width));
    };
    return s('a', {
      key, class: `exemplar ${held ? '' : 'gone'}`, href: held ? path(`/trace/${trace}`, { span }) : undefined, tabindex: 0,
      role: held ? undefined : 'img', 'aria-label': `Exemplar: ${text}${held ? '' : ', its trace is not held'}`,
      on: { focus: show, blur: hide, pointerenter: show, pointerleave: hide },
    }, s('circle', { cx: px, cy: py, r: 12, 'fill-opacity': 0, 'stroke-opacity': 0 }),
    held && error ? s('path', { d: diamond(px, py, 6) }) : s('circle', { cx: px, cy: py, r: 4 }));
  });
  return s('g', null, dots, bubble);
}

function hintBox(px, py, words, width) {
  const wide = Math.min(width, Math.max(...words.map((line) => line.length)) * 6.2 + 18);
  const left = px - 24 - wide > 0 ? px - 24 - wide : Math.min(px + 24, width - wide);
  return s('g', { 'pointer-events': 'none' },
    s('rect', { class: 'hint', x: left, y: py - 20, width: wide, height: 40, rx: 3 }),
    s('text', { class: 'ink', x: left + 9, y: py - 4 }, words[0]), s('text', { x: left + 9, y: py + 11 }, words[1]));
}

/** The legend of tones and exemplars. */
export function heatLegend(exemplars) {
  return [
    h('span', { class: 'legend' }, 'fewer', Array.from({ length: STEPS }, (_, step) => s('svg', { width: 12, height: 10, 'aria-hidden': 'true' }, s('rect', { class: `step${step}`, width: 12, height: 10 }))), 'more'),
    exemplars && h('span', { class: 'legend' }, s('svg', { class: 'exemplar-sign', width: 9, height: 9, 'aria-hidden': 'true' }, s('circle', { cx: 4.5, cy: 4.5, r: 4 })), 'exemplar'),
    exemplars && h('span', { class: 'legend wide' }, mark('error'), 'of a failing trace'),
  ];
}

/** The heat map as a table. */
export function heatTable({ times, bounds, counts }, unit) {
  const used = usedBuckets(counts, bounds.length + 1);
  const buckets = Array.from({ length: used.last - used.first + 1 }, (_, index) => used.first + index);
  return h('table', null,
    h('thead', null, h('tr', null, h('th', null, 'Time'), buckets.map((bucket) => h('th', { class: 'right' }, bucketName(bucket, bounds, unit))))),
    h('tbody', null, times.map((time, column) => h('tr', null, h('td', null, clock(time)),
      buckets.map((bucket) => h('td', { class: 'right' }, counts[column][bucket] ? count(counts[column][bucket]) : '')))).reverse()));
}

function onCanvas(cells, { cellTop, cellHeight, width, height }) {
  const { element, context } = canvas(width, height, { 'aria-hidden': 'true' });
  element.style.setProperty('position', 'absolute');
  const tones = Array.from({ length: STEPS }, (_, step) => `color-mix(in oklab, ${token('--accent')} ${[8, 22, 40, 60, 80, 100][step]}%, ${token('--cell')})`);
  for (const cell of cells) {
    context.fillStyle = tones[cell.step];
    context.fillRect(cell.start, cellTop(cell.bucket), Math.max(0.5, cell.width - 0.4), Math.max(0.5, cellHeight - 0.4));
  }
  return element;
}

function usedBuckets(counts, length) {
  let first = length;
  let last = -1;
  for (const cells of counts) {
    cells.forEach((number, bucket) => {
      if (!number) return;
      if (bucket < first) first = bucket;
      if (bucket > last) last = bucket;
    });
  }
  return last < 0 ? { first: 0, last: Math.max(0, length - 1) } : { first, last };
}

function usualGap(times, otherwise) {
  const gaps = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
  return gaps[gaps.length >> 1] ?? otherwise / 60;
}

const bucketOf = (value, bounds) => {
  const at = bounds.findIndex((bound) => value <= bound);
  return at < 0 ? bounds.length : at;
};

function bucketName(bucket, bounds, unit) {
  if (bucket >= bounds.length) return bounds.length ? `over ${measured(bounds[bounds.length - 1], unit)}` : 'all';
  return `up to ${measured(bounds[bucket], unit)}`;
}

function summary(counts, bounds, unit) {
  const all = counts.reduce((sum, cells) => sum + cells.reduce((a, b) => a + b, 0), 0);
  const totals = Array.from({ length: bounds.length + 1 }, (_, bucket) => counts.reduce((sum, cells) => sum + (cells[bucket] ?? 0), 0));
  const most = totals.indexOf(Math.max(...totals));
  return `Heat map of ${count(all)} measurements over time; most lie in the bucket ${bucketName(most, bounds, unit)}. Press t for a table.`;
}
