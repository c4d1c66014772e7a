// One trace: its summary, the likely origin of an error, the waterfall, and the panel of a span.

import { copy, h, narrow, square, tag } from '../app/dom.js';
import { clock, count, date, duration, plural, short } from '../app/format.js';
import { get } from '../app/api.js';
import { back, change, parameter } from '../app/url.js';
import { loader } from '../app/load.js';
import { patch } from '../app/patch.js';
import { onResize } from '../app/chart.js';
import { buildTree, firstError, FLAG, fold, layout, reveal } from '../trace/tree.js';
import { waterfall } from '../trace/waterfall.js';
import { overview } from '../trace/overview.js';
import { panel } from '../trace/panel.js';

const REFRESH_BELOW = 5000;
/** Spans may still come for this long after the start, in microseconds. */
const STILL_OPEN = 60e6;
/** A span that has ended arrives within this time, in milliseconds. */
const ARRIVAL = 3000;

export async function open(context) {
  const { id, signal } = context;
  const data = await get(`/trace/${encodeURIComponent(id)}.json`, { signal });
  const tree = buildTree(data);
  const view = {
    tree, selected: -1, from: 0, to: tree.end, showPath: parameter('cp') !== '0', showLogs: parameter('logs') !== '0',
  };
  view.selected = startingSpan(view);
  const zoomed = [Number(parameter('from')) * 1e6, Number(parameter('to')) * 1e6];
  if (zoomed[1] > zoomed[0]) [view.from, view.to] = [Math.max(0, zoomed[0]), Math.min(tree.end, zoomed[1])];

  const head = h('div', { class: 'bar' });
  const note = h('div');
  const side = panel(view, { id, signal, close: () => pick(-1, true) });
  const strip = overview(view, { zoom, scroll: (share) => list.scrollToShare(share) });
  const list = waterfall(view, { pick: (index) => pick(index, true), changed: (top, height) => strip.frame(top, height) });
  const body = h('div', { class: 'waterfall' }, list.element, side.element);
  const element = h('div', { class: 'column space' }, head, note, strip.element, body);

  function pick(index, focus = false) {
    view.selected = index;
    change({ span: index < 0 ? undefined : view.tree.columns.id[index] });
    arrange();
    if (index < 0) list.paint(true);
    else list.showSelected(focus);
    side.show();
  }

  function arrange() {
    body.classList.toggle('bare', view.selected < 0);
    body.classList.toggle('zoomed', view.from > 0 || view.to < view.tree.end);
    side.element.hidden = view.selected < 0;
  }

  function zoom(from, to) {
    view.from = Math.max(0, from);
    view.to = Math.min(view.tree.end, Math.max(to, view.from + 1));
    const ms = (time) => Number((time / 1e6).toFixed(6));
    change({ from: view.from > 0 || view.to < view.tree.end ? ms(view.from) : undefined, to: view.to < view.tree.end || view.from > 0 ? ms(view.to) : undefined });
    arrange();
    list.drawAxis();
    list.paint(true);
  }

  function toggle(text, field, name) {
    const button = h('button', {
      class: 'button', type: 'button', 'aria-pressed': view[field],
      on: {
        click: () => {
          view[field] = !view[field];
          button.setAttribute('aria-pressed', String(view[field]));
          change({ [name]: view[field] ? undefined : '0' });
          list.paint(true);
        },
      },
    }, text);
    return button;
  }
  const pathButton = toggle('Critical path', 'showPath', 'cp');
  const logsButton = toggle('Logs and events', 'showLogs', 'logs');

  function drawHead() {
    const { data: now } = view.tree;
    const { columns } = view.tree;
    const errors = columns.flags.filter((flags) => flags & FLAG.error).length;
    const services = new Set(columns.service).size;
    const peers = new Set(view.tree.colour.filter((colour, index) => colour !== columns.service[index])).size;
    const root = Math.max(0, typeof now.root === 'number' ? now.root : 0);
    const service = now.services[columns.service[root]] ?? {};
    patch(head,
      h('button', { class: 'soft whole twist', type: 'button', 'aria-label': 'Back', on: { click: () => back('/traces') } }, '‹'),
      square(service.name, service.hue), h('h1', { class: 'cut' }, now.names[columns.name[root]] ?? short(id)),
      errors > 0 && tag(errors > 20 ? `${count(errors)} errors` : 'Error', 'bad', plural(errors, 'span with an error', 'spans with an error')),
      columns.flags.some((flags) => flags & FLAG.running) && tag('Running', '', 'A span of this trace has not ended'),
      now.partial && tag('Partial', '', 'Spans of this trace are missing: they are still to come, were not sent, or have left the store'),
      now.cut > 0 && tag(`${count(Number(now.cut))} more spans not kept`, 'odd', 'A single trace takes at most a part of the store'),
      h('span', { class: 'whole strong' }, duration(now.duration)),
      h('span', { class: 'soft small wide cut', title: date(now.t0) },
        [plural(view.tree.length, 'span'), plural(services, 'service') + (peers ? `, ${plural(peers, 'peer')}` : ''), clock(now.t0, true)].join(' · ')),
      h('button', { class: 'mono soft wide whole', type: 'button', title: 'Copy the trace id', on: { click: (event) => copy(id, event.target) } }, short(id)),
      h('span', { class: 'space' }),
      h('span', { class: 'buttons all' }, pathButton, logsButton, h('a', { class: 'button', href: `/trace/${id}.json`, target: '_blank', rel: 'noreferrer' }, 'JSON')));
    const { origin } = now;
    patch(note, origin && h('div', { class: 'note bad origin' },
      h('b', { class: 'error whole' }, 'Likely origin'),
      h('span', { class: 'space' },
        h('button', { type: 'button', on: { click: () => pick(origin.span, true) } }, now.names[columns.name[origin.span]]),
        ' in ', h('b', null, now.services[columns.service[origin.span]]?.name),
        `: ${origin.message || 'error'}, ending at ${duration(columns.start[origin.span] + columns.duration[origin.span])}.`,
        origin.sentence && h('span', { class: 'soft wide', title: 'The origin is the earliest error that nothing recovered. An error is recovered if a later, equal call succeeded, or if its parent succeeded.' }, ` ${origin.sentence}`)),
      h('kbd', { class: 'wide', 'aria-hidden': 'true' }, 'e')));
  }

  const loads = loader({
    signal,
    fetch: (options) => get(`/trace/${encodeURIComponent(id)}.json`, options),
    show(fresh) {
      const old = view.tree;
      if (sameTrace(fresh, old.data)) return;
      const selected = old.columns.id[view.selected];
      const next = buildTree(fresh, old);
      // A span that has just ended is neither running nor held until it has arrived.
      if (selected !== undefined && !next.byId.has(selected)) {
        missing ??= Date.now();
        if (Date.now() - missing < ARRIVAL) return;
      }
      missing = undefined;
      const whole = view.to >= old.end;
      view.tree = next;
      view.selected = next.byId.get(selected) ?? -1;
      if (whole) view.to = next.end;
      draw();
      side.show();
    },
    // The trace has left the store; what is shown stays.
    refuse() {},
  });
  let missing;

  const runs = () => view.tree.columns.flags.some((flags) => flags & FLAG.running);

  function update() {
    const { data: now, length } = view.tree;
    if (length > REFRESH_BELOW) return;
    if (loads.owes() || now.partial || missing || runs() || Date.now() * 1000 - now.t0 < STILL_OPEN) loads.load(true);
  }

  /** Lets what runs last until now. */
  function grow() {
    const { data: now, columns } = view.tree;
    const end = ((context.status()?.now ?? 0) - now.t0) * 1000;
    let changed = false;
    columns.flags.forEach((flags, index) => {
      if (!(flags & FLAG.running) || end <= columns.start[index] + columns.duration[index]) return;
      columns.duration[index] = end - columns.start[index];
      changed = true;
    });
    if (!changed) return;
    const whole = view.to >= view.tree.end;
    view.tree.end = Math.max(view.tree.end, end);
    now.duration = Math.max(now.duration, end);
    if (whole) view.to = view.tree.end;
    draw();
    side.draw();
  }

  function draw() {
    drawHead();
    arrange();
    list.drawAxis();
    list.paint(true);
    strip.draw();
  }

  function move(forward) {
    const { rows, rowOf } = view.tree;
    if (view.selected >= 0 && rowOf[view.selected] < 0) reveal(view.tree, view.selected);
    const at = view.selected < 0 ? (forward ? -1 : rows.length) : rowOf[view.selected];
    pick(rows[Math.max(0, Math.min(rows.length - 1, at + (forward ? 1 : -1)))], true);
  }

  function foldOrParent(folded) {
    if (view.selected < 0) return;
    if (fold(view.tree, view.selected, folded)) list.showSelected(true);
    else if (folded && view.tree.columns.parent[view.selected] >= 0) pick(view.tree.columns.parent[view.selected], true);
  }

  const keys = {
    j: () => move(true), ArrowDown: () => move(true), k: () => move(false), ArrowUp: () => move(false),
    ArrowLeft: () => foldOrParent(true), ArrowRight: () => foldOrParent(false),
    Home: () => pick(view.tree.rows[0], true), End: () => pick(view.tree.rows[view.tree.rows.length - 1], true),
    e: () => { const at = view.tree.data.origin?.span ?? firstError(view.tree); if (at >= 0) pick(at, true); },
    c: () => pathButton.click(), l: () => logsButton.click(),
    z: () => {
      if (view.selected < 0) return;
      const { start, duration: length } = view.tree.columns;
      const margin = length[view.selected] * 0.15 + 5e4;
      zoom(start[view.selected] - margin, start[view.selected] + length[view.selected] + margin);
    },
    0: () => zoom(0, view.tree.end),
    Escape: () => {
      if (view.from > 0 || view.to < view.tree.end) zoom(0, view.tree.end);
      else if (view.selected >= 0) pick(-1);
      else back('/traces');
    },
  };

  drawHead();
  layout(view.tree);
  return {
    element,
    title: data.names[data.columns.name[Math.max(0, data.root ?? 0)]] ?? 'Trace',
    hints: [['j k', 'move'], ['← →', 'fold'], ['e', 'likely origin'], ['c', 'critical path'], ['l', 'logs'], ['z', 'zoom to span'], ['0', 'whole trace'], ['Esc', 'back']],
    shown() {
      draw();
      list.showSelected(!narrow());
      side.show();
      onResize(element, draw, signal);
    },
    owes: loads.owes,
    update,
    running(changed) {
      if (!runs() || view.tree.length > REFRESH_BELOW) return;
      if (changed) update();
      grow();
    },
    key(event) {
      if (!Object.hasOwn(keys, event.key)) return false;
      event.preventDefault();
      keys[event.key]();
      return true;
    },
  };
}

function startingSpan({ tree }) {
  const wanted = tree.byId.get(parameter('span'));
  if (wanted !== undefined) { reveal(tree, wanted); return wanted; }
  if (narrow()) return -1;
  return tree.data.origin ? tree.data.origin.span : 0;
}

/** Returns true if two answers about a trace show the same. */
function sameTrace(a, b) {
  const equal = (one, other) => one.length === other.length && one.every((value, index) => value === other[index]);
  return ['id', 'start', 'duration', 'flags', 'parent'].every((column) => equal(a.columns[column], b.columns[column]))
    && a.marks.length === b.marks.length && a.partial === b.partial && a.origin?.message === b.origin?.message;
}
