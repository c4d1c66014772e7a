// The small picture beside a finding.

import { hueClass, s } from '../app/dom.js';
import { count, duration } from '../app/format.js';
import { diamond, fitting } from '../app/chart.js';

const HEIGHT = 34;
const MOST_BARS = 40;
const MOST_DOTS = 100;

/** Draws what a finding rests on; nothing if its evidence has no shape. */
export function evidence({ kind, title, evidence: facts = {} }, service, width) {
  const parts = kind === 'slow' ? past(facts, width)
    : kind === 'retries' && facts.attempts ? attempts(facts, service, width)
      : kind === 'missing_parent' ? orphan(service, width)
        : facts.parts ? shares(facts.parts, width)
          : facts.repeats ? repeats(facts, service, width) : undefined;
  return parts && s('svg', { width, height: HEIGHT, role: 'img', 'aria-label': `Evidence: ${title}` }, parts);
}

const note = (x, text, anchor = 'start') => s('text', { x, y: 32, 'text-anchor': anchor }, text);

function past({ median, mad, recent: before = [], lost_ns: lost = 0 }, width) {
  if (!median) return undefined;
  const recent = [median + lost, ...before];
  const longest = Math.max(...recent);
  const top = Math.max(longest, median + 6 * mad) * 1.04;
  const x = (value) => (value / top) * (width - 12) + 6;
  const [low, high] = [x(Math.max(0, median - 5 * mad)), x(median + 5 * mad)];
  const slow = (value) => value > median + 5 * mad && value > 2 * median;
  return [
    s('rect', { class: 'evidence-band', x: low, y: 4, width: Math.max(3, high - low), height: 14 }),
    recent.slice(0, MOST_DOTS).map((value) => (slow(value) ? undefined : s('circle', { class: 'evidence-dot', cx: x(value), cy: 11, r: 2 }))),
    s('line', { class: 'evidence-median', x1: x(median), x2: x(median), y1: 2, y2: 20 }),
    recent.slice(0, MOST_DOTS).map((value) => (slow(value) ? s('path', { d: diamond(x(value), 11, 5), fill: 'var(--err)' }) : undefined)),
    note(Math.max(0, Math.min(x(median) - 20, width - 170)), `median ${duration(median)}`), note(width, `now ${duration(median + lost)}`, 'end'),
  ];
}

function attempts({ attempts: list }, service, width) {
  const end = Math.max(1, ...list.map(([offset, length]) => offset + length));
  const x = (value) => (value / end) * (width - 4) + 2;
  return list.slice(0, 8).map(([offset, length, error, text], index) => [
    s('rect', { class: `evidence-part ${hueClass(service)} ${error ? 'failed' : ''}`, x: x(offset), y: 6, width: Math.max(3, x(offset + length) - x(offset)), height: 12 }),
    text && (index === list.length - 1 && index > 0 ? note(width, fitting(text, width / 2 - 8), 'end') : index === 0 && note(x(offset), fitting(text, width / 2 - 8))),
  ]);
}

function repeats({ repeats: number, each, name }, service, width) {
  const shown = Math.min(MOST_BARS, number);
  const size = (width - 4) / shown;
  return [
    s('rect', { class: 'share2', x: 0, y: 0, width, height: 3 }),
    Array.from({ length: shown }, (_, index) => s('rect', { class: `evidence-part ${hueClass(service)}`, x: 2 + index * size, y: 6, width: Math.max(2, size * 0.84), height: 12 })),
    note(0, `${count(number)} × ${name ? fitting(name, 180) : 'the same call'}${each ? `, ${duration(each)} each` : ''}`),
  ];
}

function orphan(service, width) {
  return [
    s('rect', { class: 'evidence-band', x: 0.02 * width, y: 6, width: 0.34 * width, height: 12 }),
    s('line', { class: 'evidence-gap', x1: 0.38 * width, x2: 0.6 * width, y1: 12, y2: 12 }),
    s('rect', { class: `evidence-part ${hueClass(service)}`, x: 0.61 * width, y: 6, width: 0.34 * width, height: 12 }),
    note(0.02 * width, 'parent not held'), note(0.61 * width, fitting(service ?? 'span', 0.36 * width)),
  ];
}

function shares(parts, width) {
  const all = parts.reduce((sum, [, size]) => sum + size, 0) || 1;
  let at = 0;
  return parts.slice(0, 4).map(([name, size], index) => {
    const x = (at / all) * width;
    at += size;
    const wide = (size / all) * width;
    return [
      s('rect', { class: `share${index}`, x, y: 6, width: Math.max(1, wide - 1), height: 12 }),
      wide > 60 && note(x, fitting(name, wide)),
    ];
  });
}
