// Axes, lines and marks that the charts share.

import { h, s, mark, narrow } from './dom.js';
import { clock, minute, visible } from './format.js';

/** Above this number of marks a chart is drawn on a canvas. */
export const CANVAS_ABOVE = 2000;

/** Labels of a time axis under a chart. */
export function timeAxis(left, width, y, from, to) {
  const steps = narrow() ? 3 : 5;
  const text = to - from > 20 * 60e6 ? minute : clock;
  return Array.from({ length: steps + 1 }, (_, index) => s('text', {
    x: left + ((width - left) * index) / steps, y,
    'text-anchor': index === steps ? 'end' : index ? 'middle' : 'start',
  }, text(from + ((to - from) * index) / steps)));
}

/** A horizontal line with its label at the left. */
export function level(left, width, y, text) {
  return [s('line', { class: 'grid-line', x1: left, x2: width, y1: y, y2: y }), s('text', { x: left - 8, y: y + 4, 'text-anchor': 'end' }, text)];
}

// Rounds up to a number whose thirds are short.
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1.2, 1.5, 1.8, 2.4, 3, 3.6, 4.5, 6, 7.5, 9, 12].map((factor) => factor * power).find((candidate) => candidate >= value * 0.999) ?? 12 * power;
}

/** Returns the path of a line through points; a gap longer than three usual steps breaks it. */
export function linePath(points, x, y) {
  const gaps = points.slice(1).map((point, index) => point[0] - points[index][0]).sort((a, b) => a - b);
  const usual = gaps[gaps.length >> 1] ?? Infinity;
  let text = '';
  let before;
  for (const [time, value] of points) {
    if (!Number.isFinite(value)) { before = undefined; continue; }
    text += `${before === undefined || time - before > usual * 3 ? 'M' : 'L'}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
    before = time;
  }
  return text;
}

/** A line chart of up to six series, which differ by dash as well as by tone. */
export function lines({ series, width, height, from, to, format, summary }) {
  const left = 58;
  const bottom = height - 18;
  let top = 0;
  let low = 0;
  for (const { points } of series) {
    for (const [, value] of points) {
      if (value > top) top = value;
      if (value < low) low = value;
    }
  }
  top = ceiling(top);
  low = low < 0 ? -ceiling(-low) : 0;
  const x = (time) => left + ((time - from) / (to - from)) * (width - left);
  const y = (value) => bottom - ((value - low) / (top - low)) * (bottom - 8);
  const levels = Array.from({ length: 4 }, (_, index) => low + ((top - low) * index) / 3);
  const chart = s('svg', { width, height, role: 'img', 'aria-label': summary },
    levels.map((value) => level(left, width, y(value), format(value))),
    timeAxis(left, width, height - 2, from, to),
    series.map(({ points }, index) => {
      const inside = points.filter(([time]) => time >= from && time <= to);
      if (inside.length !== 1) return s('path', { class: `series series${index}`, d: linePath(inside, x, y) });
      return s('circle', { class: `series series${index}`, cx: x(inside[0][0]), cy: y(inside[0][1]), r: 2 });
    }));
  return { chart, x, y };
}

/** The legend of one series. */
export function legend(index, text) {
  return h('span', { class: 'legend' },
    s('svg', { width: 18, height: 8, 'aria-hidden': 'true' }, s('line', { class: `series series${index}`, x1: 0, x2: 18, y1: 4, y2: 4 })),
    h('span', { class: 'cut' }, text));
}

/** The legend of a mark. */
export const markLegend = (kind, text) => h('span', { class: 'legend wide' }, mark(kind), text);

let ruler;

/** Cuts a text of a chart to a width in pixels. */
export function fitting(text, width, weight = 400, size = 11) {
  ruler ??= document.createElement('canvas').getContext('2d');
  ruler.font = `${weight} ${size}px ${token('--sans')}`;
  const fits = (shown) => ruler.measureText(shown).width <= width;
  const all = visible(text);
  if (fits(all)) return all;
  // The longest beginning that leaves room for the sign.
  let [low, high] = [0, Math.min(all.length, Math.ceil(width))];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (fits(`${all.slice(0, middle)}…`)) low = middle;
    else high = middle - 1;
  }
  return `${all.slice(0, Math.max(1, low))}…`;
}

/** The path of a diamond. */
export const diamond = (x, y, r) => `M${x} ${y - r}l${r} ${r}-${r} ${r}-${r}-${r}Z`;

/** The current value of a token. */
export const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A canvas in device pixels, with its context scaled to CSS pixels. */
export function canvas(width, height, properties) {
  const scale = devicePixelRatio || 1;
  const element = h('canvas', { width: Math.max(1, Math.round(width * scale)), height: Math.round(height * scale), role: 'img', whole: true, ...properties, set: { width: `${width}px`, height: `${height}px` } });
  const context = element.getContext('2d');
  context.scale(scale, scale);
  return { element, context };
}

/** Draws again when the size or the colour scheme changes, until `stop` aborts. */
export function onResize(element, draw, stop) {
  let width = element.clientWidth;
  const observer = new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    requestAnimationFrame(draw);
  });
  observer.observe(element);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => requestAnimationFrame(draw), { signal: stop });
  stop.addEventListener('abort', () => observer.disconnect());
}
