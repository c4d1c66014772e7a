// The whole trace in one strip. Dragging zooms, a click scrolls there.

import { h } from '../app/dom.js';
import { token } from '../app/chart.js';
import { FLAG } from './tree.js';

const HEIGHT = 36;

/** Builds the strip. `zoom(from, to)` takes nanoseconds, `scroll(share)` a position between 0 and 1. */
export function overview(view, { zoom, scroll }) {
  const strip = h('canvas', { role: 'img', 'aria-label': 'Overview of the whole trace' });
  const frame = h('i');
  const element = h('div', { class: 'overview wide' }, strip, frame);
  let begin;
  const share = (event) => Math.max(0, Math.min(1, event.offsetX / strip.clientWidth));

  strip.addEventListener('pointerdown', (event) => {
    begin = share(event);
    strip.setPointerCapture(event.pointerId);
  });
  strip.addEventListener('pointerup', (event) => {
    if (begin === undefined) return;
    const now = share(event);
    if (Math.abs(now - begin) * strip.clientWidth > 4) zoom(Math.min(begin, now) * view.tree.end, Math.max(begin, now) * view.tree.end);
    else scroll(event.offsetY / HEIGHT);
    begin = undefined;
  });
  strip.addEventListener('pointercancel', () => { begin = undefined; });

  return {
    element,
    draw() {
      const width = strip.clientWidth;
      if (width > 0) draw(strip, view.tree, width);
    },
    /** Shows which part of the trace is in view. */
    frame(top, height) {
      const { from, to, tree } = view;
      const side = (value) => `calc(12px + (100% - 24px) * ${value})`;
      frame.style.setProperty('left', side(from / tree.end));
      frame.style.setProperty('right', side(1 - to / tree.end));
      frame.style.setProperty('top', `${4 + HEIGHT * Math.min(1, top)}px`);
      frame.style.setProperty('height', `${Math.max(2, HEIGHT * Math.min(1 - Math.min(1, top), height))}px`);
    },
  };
}

// Each line of pixels shows the spans of its share of the rows; later spans and errors win.
function draw(strip, tree, width) {
  const scale = devicePixelRatio || 1;
  const columns = Math.round(width * scale);
  const lines = Math.round(HEIGHT * scale);
  strip.width = columns;
  strip.height = lines;
  const context = strip.getContext('2d');
  const colours = [token('--err'), ...Array.from({ length: 10 }, (_, hue) => token(`--hue${hue}`)), token('--fg2')];
  const { start, duration, flags } = tree.columns;
  const thick = Math.max(1, Math.round(scale), Math.floor(lines / tree.length) - 1);
  const errors = tree.data.services.length && tree.length <= 2000;
  const line = new Uint8Array(columns);
  let index = 0;
  for (let y = 0; y < lines && index < tree.length; y += 1) {
    const until = Math.max(index, Math.ceil(((y + 1) / lines) * tree.length));
    if (until === index) continue;
    line.fill(0);
    for (; index < until && index < tree.length; index += 1) {
      const from = Math.max(0, Math.floor((start[index] / tree.end) * columns));
      const to = Math.max(from + 1, Math.ceil(((start[index] + duration[index]) / tree.end) * columns));
      const hue = tree.data.services[tree.colour[index]]?.hue;
      line.fill(flags[index] & FLAG.error && errors ? 1 : hue === undefined ? 12 : 2 + (hue % 10), from, Math.min(columns, to));
    }
    runs(line, (colour, from, to) => {
      context.fillStyle = colours[colour - 1];
      context.fillRect(from, Math.min(y, lines - thick), to - from, thick);
    });
  }
}

function runs(line, each) {
  for (let from = 0; from < line.length;) {
    const colour = line[from];
    let to = from + 1;
    while (to < line.length && line[to] === colour) to += 1;
    if (colour) each(colour, from, to);
    from = to;
  }
}
