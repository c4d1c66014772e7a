// Durations of traces over time. Each dot is a trace; dragging selects a range of time.

import { h, s, narrow, say } from '../app/dom.js';
import { clock, duration, plural, tick } from '../app/format.js';
import { go } from '../app/url.js';
import { canvas, CANVAS_ABOVE, diamond, level, timeAxis, token } from '../app/chart.js';

const DECADES = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];
const LEFT = 52;

/** Draws the chart. `selected(from, to)` is called for a range that the reader chose; `range` is one that is still being chosen. */
export function scatter({ points, from, to, p95, width, names, range, selected }) {
  const height = narrow() ? 130 : 164;
  const bottom = height - 18;
  const inside = points.filter(([start]) => start >= from && start <= to);
  const lengths = inside.map(([, length]) => Math.max(1, length));
  const low = DECADES.filter((decade) => decade <= Math.min(1e6, ...lengths)).pop() ?? 1e3;
  const high = DECADES.find((decade) => decade >= Math.max(low * 100, ...lengths)) ?? 1e12;
  const scale = Math.log10(high / low);
  const x = (time) => LEFT + 4 + ((time - from) / (to - from)) * (width - LEFT - 8);
  const y = (length) => bottom - 6 - (Math.log10(Math.max(low, length) / low) / scale) * (bottom - 20);
  const named = new Map(names.map((trace) => [trace.id, trace.name]));
  const title = ([start, length, error, , id]) => `${named.get(id) ?? 'Trace'}, ${duration(length)}, ${clock(start)}${error ? ', error' : ''}`;

  const decades = DECADES.filter((decade) => decade >= low && decade <= high && (scale <= 4 || Math.round(Math.log10(decade)) % 2 === 0));
  const chart = s('svg', { width, height, class: 'scatter', role: 'img', 'aria-label': summary(inside, p95) },
    decades.map((decade) => level(LEFT, width, y(decade), tick(decade))),
    timeAxis(LEFT, width, height - 2, from, to),
    p95 > low && p95 < high && [
      s('line', { class: 'p95', x1: LEFT, x2: width, y1: y(p95), y2: y(p95) }),
      s('text', { class: 'halo', x: LEFT + 4, y: y(p95) - 5 }, 'p95')]);
  const selection = s('rect', { class: 'brush', y: 2, height: bottom - 2, x: 0, width: 0, visibility: 'hidden' });
  // Errors last, so that they lie on top.
  const ordered = [...inside.filter(([, , error]) => !error), ...inside.filter(([, , error]) => error)];
  const element = h('div', { whole: true, set: { position: 'relative' } });
  if (ordered.length > CANVAS_ABOVE) element.append(onCanvas(ordered, { x, y, width, height }));
  else chart.append(...ordered.map((point) => dot(point, x(point[0]), y(point[1]), title(point))));
  chart.append(selection);
  element.append(chart);

  const [left, right] = [x(from), x(to)];
  const time = (px) => from + ((px - left) / (right - left)) * (to - from);
  const brush = brushing({ chart, selection, left, right, range: range?.map(x), time, selected });
  chart.addEventListener('click', (event) => {
    if (ordered.length <= CANVAS_ABOVE || brush.moved()) return;
    const near = nearest(ordered, event.offsetX, event.offsetY, x, y);
    if (near?.[4]) go(`/trace/${near[4]}`);
  });
  return { element, key: brush.key, busy: brush.busy, chosen: brush.chosen, range: brush.range };
}

function summary(points, p95) {
  const errors = points.filter(([, , error]) => error).length;
  return `Duration of ${plural(points.length, 'trace')} over time, ${errors} with an error${p95 ? `, 95th percentile ${duration(p95)}` : ''}. The list below is its table.`;
}

function dot([, , error, , id], cx, cy, title) {
  const shape = error
    ? s('path', { class: 'dot-error', d: diamond(cx, cy, 4.5) })
    : s('circle', { class: 'dot', cx, cy, r: 2.6 });
  // The list holds the same links for the keyboard.
  return s('a', { href: id ? `/trace/${id}` : undefined, tabindex: -1 }, s('title', null, title), shape);
}

function onCanvas(points, { x, y, width, height }) {
  const { element, context } = canvas(width, height, { 'aria-hidden': 'true' });
  element.style.setProperty('position', 'absolute');
  const [accent, red] = [token('--accent'), token('--err')];
  for (const [start, length, error] of points) {
    context.fillStyle = error ? red : accent;
    context.globalAlpha = error ? 1 : 0.5;
    if (error) context.fill(new Path2D(diamond(x(start), y(length), 4)));
    else context.fillRect(x(start) - 1.5, y(length) - 1.5, 3, 3);
  }
  return element;
}

function nearest(points, px, py, x, y) {
  let best;
  let distance = 100;
  for (const point of points) {
    const away = (x(point[0]) - px) ** 2 + (y(point[1]) - py) ** 2;
    if (away < distance) { distance = away; best = point; }
  }
  return best;
}

/** Selecting a range by dragging, or with `b`, the arrow keys and Enter. `range` and `time` are in pixels of the chart. */
function brushing({ chart, selection, left, right, range: kept, time, selected }) {
  const clamp = (px) => Math.max(left, Math.min(right, px));
  let begin;
  let dragged = false;
  let range = kept?.map(clamp);
  if (range && range[1] - range[0] < 1) range = undefined;

  const show = () => {
    selection.setAttribute('visibility', range ? 'visible' : 'hidden');
    if (!range) return;
    selection.setAttribute('x', range[0]);
    selection.setAttribute('width', Math.max(1, range[1] - range[0]));
  };
  const set = (wanted) => {
    range = wanted;
    show();
  };
  const at = (event) => clamp(event.clientX - chart.getBoundingClientRect().left);
  const apply = () => {
    const [from, to] = range.map(time);
    set(undefined);
    selected(from, to);
  };
  const stop = () => {
    begin = undefined;
    if (dragged && range) apply();
  };
  const cancel = () => {
    begin = undefined;
    set(undefined);
  };
  show();

  chart.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    begin = at(event);
    dragged = false;
  });
  chart.addEventListener('pointermove', (event) => {
    if (begin === undefined) return;
    // The button was released where the chart was not told.
    if (!event.buttons) { cancel(); return; }
    const now = at(event);
    if (!dragged && Math.abs(now - begin) < 5) return;
    if (!dragged) chart.setPointerCapture(event.pointerId);
    dragged = true;
    set([Math.min(begin, now), Math.max(begin, now)]);
  });
  chart.addEventListener('pointerup', stop);
  chart.addEventListener('pointercancel', cancel);
  // Until it is a drag, the pointer is not captured, so that a click reaches its dot.
  chart.addEventListener('pointerleave', () => { if (!dragged) begin = undefined; });
  chart.addEventListener('dragstart', (event) => event.preventDefault());
  chart.addEventListener('click', (event) => { if (dragged) { event.preventDefault(); event.stopPropagation(); } }, true);

  const announce = () => say(`From ${clock(time(range[0]))} to ${clock(time(range[1]))}. The arrow keys move it, with Shift its end; Enter selects, Escape leaves.`);
  const move = (turn, endOnly) => {
    const step = ((right - left) / 40) * turn;
    const [from, to] = range;
    if (endOnly) set([from, clamp(Math.max(from + (right - left) / 40, to + step))]);
    else {
      const by = Math.max(left - from, Math.min(right - to, step));
      set([from + by, to + by]);
    }
    announce();
  };

  return {
    busy: () => range !== undefined || begin !== undefined,
    /** Returns true while a range is shown, so that Enter selects it. */
    chosen: () => range !== undefined,
    /** The times of the range that is shown. */
    range: () => range?.map(time),
    moved: () => dragged,
    key(event) {
      if (event.key === 'b' && !range) {
        set([right - (right - left) / 4, right]);
        announce();
      } else if (!range) return false;
      else if (event.key === 'Enter') apply();
      else if (event.key === 'Escape' || event.key === 'b') cancel();
      else if (event.key === 'ArrowLeft') move(-1, event.shiftKey);
      else if (event.key === 'ArrowRight') move(1, event.shiftKey);
      else return false;
      event.preventDefault();
      return true;
    },
  };
}
