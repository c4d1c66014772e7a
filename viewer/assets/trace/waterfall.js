// The rows of a trace. Only those in view exist, so 50,000 spans scroll like fifty.

import { h, hueClass, mark, narrow, square, tag } from '../app/dom.js';
import { duration, severity, tick } from '../app/format.js';
import { patch } from '../app/patch.js';
import { FLAG, fold, hasChildren, reveal } from './tree.js';

const SPARE = 10;
const TALLEST = 10e6;
const MOST_BARS = 200;

/** Returns all members, or evenly spaced ones if there are too many to draw. */
const sample = (members) => members.length <= MOST_BARS ? members : members.filter((_, at) => at % Math.ceil(members.length / MOST_BARS) === 0);

/** Builds the waterfall. `view` holds `tree`, `selected`, `from`, `to`, `showPath`, `showLogs`; `pick(index)` selects. */
export function waterfall(view, { pick, changed }) {
  const rows = h('div', { class: 'rows', role: 'presentation' });
  const scroller = h('div', { class: 'scroll', role: 'treegrid', 'aria-label': 'Spans', 'aria-readonly': 'true', tabindex: -1 }, rows);
  const times = h('div', { class: 'time' });
  const axis = h('div', { class: 'axis', 'aria-hidden': 'true' }, h('span', null, 'Span'), times);
  let drawn = '';
  let asked = false;
  let rowHeight = 26;

  const x = (time) => ((time - view.from) / (view.to - view.from)) * 100;
  const total = () => view.tree.rows.length * rowHeight + (narrow() && view.selected >= 0 ? innerHeight * 0.44 : 0);

  /** Returns the offset in rows' pixels; above 10 million pixels it differs from the scroll position by a factor. */
  function offset() {
    const all = total();
    const room = scroller.clientHeight;
    return all <= TALLEST ? scroller.scrollTop : (scroller.scrollTop * (all - room)) / (TALLEST - room);
  }

  function scrollTo(pixels) {
    const all = total();
    const room = scroller.clientHeight;
    scroller.scrollTop = all <= TALLEST ? pixels : (pixels * (TALLEST - room)) / (all - room);
  }

  function paint(force = false) {
    rowHeight = parseInt(getComputedStyle(document.documentElement).getPropertyValue('--row'), 10) || 26;
    const top = offset();
    const first = Math.max(0, Math.floor(top / rowHeight) - SPARE);
    const last = Math.min(view.tree.rows.length, Math.ceil((top + scroller.clientHeight) / rowHeight) + SPARE);
    const state = `${first}:${last}`;
    if (state === drawn && !force) return;
    drawn = state;
    const focused = scroller.contains(document.activeElement);
    rows.style.setProperty('height', `${Math.min(TALLEST, total())}px`);
    scroller.setAttribute('aria-rowcount', String(view.tree.rows.length));
    const shift = scroller.scrollTop - top;
    const lines = ticks();
    patch(rows, Array.from({ length: Math.max(0, last - first) }, (_, index) => row(view.tree.rows[first + index], first + index, shift, lines)));
    // The row that had the focus may have left the view.
    if (focused && !scroller.contains(document.activeElement)) (rows.querySelector('[aria-selected=true]') ?? scroller).focus({ preventScroll: true });
    changed(top / Math.max(1, total()), scroller.clientHeight / Math.max(1, total()));
  }

  /** The times at which lines stand: multiples of 1, 2 or 5. */
  function ticks() {
    const raw = (view.to - view.from) / (narrow() ? 4 : 5);
    const power = 10 ** Math.floor(Math.log10(raw));
    const size = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw * 0.8);
    const list = [];
    for (let time = Math.ceil(view.from / size) * size; time < view.to - size * 0.12; time += size) list.push(time);
    return list;
  }

  function drawAxis() {
    patch(times, ticks().filter((time) => !narrow() || x(time) < 86).map((time) => h('span', { set: { left: `${x(time)}%` } }, time ? tick(Number(time.toPrecision(6))) : '0')));
  }

  function row(index, at, shift, lines) {
    const { tree } = view;
    const { columns } = tree;
    const flags = columns.flags[index];
    const grouped = tree.groups.has(index) && !tree.openGroups.has(index);
    const members = grouped ? tree.groups.get(index) : [index];
    const final = members[members.length - 1];
    const length = members.reduce((sum, member) => sum + columns.duration[member], 0);
    const left = x(columns.start[index]);
    const right = x(columns.start[final] + columns.duration[final]);
    const outside = right < 0 || left > 100;
    const failed = members.some((member) => columns.flags[member] & FLAG.error);
    const open = grouped ? false : hasChildren(tree, index) ? !tree.folded[index] : tree.groups.has(index) ? true : undefined;
    const text = duration(length);
    const chosen = index === view.selected || (grouped && members.includes(view.selected));
    return h('div', {
      key: columns.id[index], class: `span ${outside ? 'outside' : ''}`, role: 'row', 'data-row': index, tabindex: chosen ? 0 : -1,
      'aria-level': columns.depth[index] + 1, 'aria-rowindex': at + 1, 'aria-setsize': tree.siblings[index], 'aria-posinset': tree.position[index], 'aria-selected': chosen, 'aria-expanded': open,
      set: { top: `${at * rowHeight + shift}px` },
      on: { click: () => pick(index) },
    }, nameCell({ index, grouped, members, failed, open, text, flags }),
    h('div', { class: 'time', role: 'gridcell' },
      lines.map((time) => h('i', { class: 'tick', set: { left: `${x(time)}%` } })),
      h('div', { class: 'lane' }, bars(members), view.showPath && sample(members).map(path), view.showLogs && sample(members).map(pins)),
      label(left, right, text)));
  }

  function nameCell({ index, grouped, members, failed, open, text, flags }) {
    const { tree } = view;
    const { columns, data } = tree;
    const depth = columns.depth[index];
    const indent = narrow() ? Math.min(depth, 6) * 9 : Math.min(depth, 14) * 14;
    const service = data.services[tree.colour[index]] ?? { name: '?' };
    const origin = data.origin && members.includes(data.origin.span);
    const inGroup = tree.groupOf.get(index);
    const owner = data.services[columns.service[index]] ?? service;
    const skew = Boolean(owner.skew_ns) && !data.columns.service.slice(0, index).includes(columns.service[index]);
    return h('div', { class: 'name', role: 'gridcell', set: { 'padding-left': `${12 + indent}px` } },
      !narrow() && Array.from({ length: Math.min(depth, 14) }, (_, level) => h('i', { class: 'guide', set: { left: `${19.5 + level * 14}px` } })),
      open === undefined ? h('i', { class: 'twist' }) : h('button', {
        class: 'twist', type: 'button', tabindex: -1, 'aria-label': open ? 'Fold' : 'Unfold',
        on: { click: (event) => { event.stopPropagation(); fold(tree, index, open); paint(true); } },
      }, open ? '▾' : '▸'),
      square(service.name, service.hue),
      failed && h('span', { role: 'img', 'aria-label': 'Error' }, mark('error')),
      h('span', { class: `cut ${failed ? 'error' : ''}`, title: data.names[columns.name[index]] }, data.names[columns.name[index]]),
      grouped ? tag(`${members.length} in a row`, 'odd', 'Equal spans, one after the other. The arrow shows each.')
        : inGroup !== undefined && h('span', { class: 'soft tiny whole' }, `${tree.groups.get(inGroup).indexOf(index) + 1}/${tree.groups.get(inGroup).length}`),
      h('span', { class: 'soft tiny cut service' }, service.name),
      origin && tag('Origin', 'bad', 'The earliest error that nothing recovered'),
      members.some((member) => columns.flags[member] & FLAG.recovered) && tag('Retried', 'odd', 'A later, equal call succeeded, so this error was recovered'),
      Boolean(flags & FLAG.running) && tag('Running', '', 'This span has not ended'),
      Boolean(flags & FLAG.orphan) && tag('No parent', '', 'The parent of this span is not held'),
      Boolean(flags & FLAG.cut) && tag('Cut', '', 'Values of this span were cut or dropped'),
      skew && tag('Clock', '', `The clock of ${owner.name} differs; its spans were moved by ${owner.skew_ns > 0 ? '+' : ''}${duration(owner.skew_ns)}`),
      h('span', { class: 'short tiny soft whole' }, text));
  }

  function bars(members) {
    const { columns } = view.tree;
    const one = members.length > 1;
    const shown = sample(members);
    return shown.map((member) => {
      const flags = columns.flags[member];
      const service = view.tree.data.services[view.tree.colour[member]] ?? {};
      const left = Math.max(-1, x(columns.start[member]));
      const width = Math.min(101, x(columns.start[member] + columns.duration[member])) - left;
      if (width < 0 || left > 100) return null;
      return h('i', {
        class: `bar-of ${hueClass(service.name, service.hue)} ${flags & FLAG.error ? 'failed' : ''} ${one ? 'one' : ''} ${flags & FLAG.running ? 'running' : ''}`,
        set: { left: `${left}%`, width: `${width}%` },
      });
    });
  }

  function path(member) {
    const parts = view.tree.critical.get(member) ?? [];
    const least = parts.length < 2 ? 0 : (view.to - view.from) * 0.003;
    return parts.filter(([from, to]) => to > view.from && from < view.to && to - from >= least).map(([from, to]) => {
      const left = Math.max(0, x(from));
      return h('i', { class: 'critical', set: { left: `${left}%`, width: `${Math.min(100, x(to)) - left}%` } });
    });
  }

  function pins(member) {
    return (view.tree.marks.get(member) ?? []).slice(0, 100).filter(({ at }) => at >= view.from && at <= view.to).map((item) => {
      const kind = item.kind === 'log' ? severity(item.severity).mark : item.kind === 'exception' ? 'error' : 'event';
      return h('span', { class: 'pin', title: `${duration(item.at)}  ${item.text}`, set: { left: `${x(item.at)}%` } }, mark(kind));
    });
  }

  function label(left, right, text) {
    if (right < 0) return h('span', { class: 'label', set: { left: '0' } }, `‹ ${text}`);
    if (left > 100) return h('span', { class: 'label', set: { left: '100%' } }, `${text} ›`);
    return h('span', { class: 'label', set: { left: `${Math.min(100, right)}%`, 'margin-left': '4px' } }, text);
  }

  /** Scrolls the selected row into view, and focuses it if asked to. */
  function showSelected(focus) {
    if (view.selected < 0) return;
    const top = reveal(view.tree, view.selected) * rowHeight;
    const room = scroller.clientHeight - (narrow() ? innerHeight * 0.44 - 50 : 0);
    const now = offset();
    if (top < now + rowHeight || top > now + room - rowHeight * 2) scrollTo(Math.max(0, top - room / 2));
    paint(true);
    if (focus) rows.querySelector('[aria-selected=true]')?.focus({ preventScroll: true });
  }

  scroller.addEventListener('scroll', () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; paint(); });
  }, { passive: true });

  return { element: h('div', { class: 'column' }, axis, scroller), paint, drawAxis, showSelected, scrollToShare: (share) => scrollTo(share * total() - scroller.clientHeight / 2) };
}
