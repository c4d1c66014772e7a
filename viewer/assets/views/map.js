// The service map: who calls whom, with rate, errors and p95 on each edge; and the same as a table.

import { h, hueClass, narrow, s, segment, square } from '../app/dom.js';
import { count, duration, percent, plural, rate } from '../app/format.js';
import { get } from '../app/api.js';
import { change, go, parameter, path, timeWindow } from '../app/url.js';
import { quoted } from '../app/search.js';
import { loader } from '../app/load.js';
import { patch } from '../app/patch.js';
import { listKey } from '../app/keys.js';
import { fitting, onResize } from '../app/chart.js';
import { arrange } from './layout.js';

const RANGES = [['1m', '1m'], ['5m', '5m'], ['15m', '15m'], ['all', 'All']];
const MOST_NODES = 60;
const MOST_EDGES = 500;
const FAILING = 0.01;
const KINDS = { service: 'service', database: 'database', peer: 'peer, not instrumented', queue: 'queue' };

export async function open(context) {
  const { signal } = context;
  const drawing = h('div', { class: 'map' });
  const table = h('div', { class: 'edges' });
  let data = { nodes: [], edges: [] };
  let before;

  // By name, because the ids of another window may differ.
  const key = (edge, nodes = data.nodes) => [edge.from, edge.to].map((id) => { const node = nodes.find((one) => one.id === id); return `${node?.kind} ${node?.name}`; }).join(' → ');

  const loads = loader({
    signal,
    async fetch(options) {
      const now = context.status()?.now ?? Date.now() * 1000;
      const { from, to } = timeWindow(now, '5m');
      const end = to ?? now;
      const ask = (a, b) => get(path('/map.json', { from: a && Math.round(a), to: b && Math.round(b) }), options);
      return Promise.all([ask(from, to), from ? ask(from - (end - from), from) : undefined]);
    },
    show([current, past]) {
      data = current;
      before = past && new Map(past.edges.map((edge) => [key(edge, past.nodes), edge]));
      draw();
    },
  });

  function draw() {
    const name = new Map(data.nodes.map((node) => [node.id, node]));
    patch(drawing, data.nodes.length
      ? drawing.clientWidth > 50 && picture(data, name, drawing.clientWidth - (narrow() ? 0 : 24))
      : h('div', { class: 'note' }, 'No span in this range of time.'));
    const edges = [...data.edges].sort((a, b) => b.errors - a.errors || b.rate - a.rate);
    patch(table, edges.length > 0 && h('table', null,
      h('thead', null, h('tr', null, h('th', null, 'From'), h('th', null, 'To'), h('th', { class: 'right' }, 'Rate'), h('th', { class: 'right' }, 'Errors'),
        h('th', { class: 'right' }, 'p95'), before && h('th', { class: 'wide' }, `Against the ${windowName()} before`))),
      h('tbody', null, edges.map((edge) => row(edge, name)))));
  }

  const windowName = () => ({ '1m': 'minute', '5m': '5 minutes', '15m': '15 minutes' })[parameter('range', '5m')] ?? 'time';

  function row(edge, name) {
    const failing = edge.errors >= FAILING;
    const end = (id) => h('td', null, square(name.get(id)?.name, name.get(id)?.hue), ' ', name.get(id)?.name ?? id);
    return h('tr', { key: key(edge), tabindex: 0, on: { click: () => openEdge(edge), keydown: (event) => { if (event.key === 'Enter') openEdge(edge); } } },
      end(edge.from), end(edge.to), h('td', { class: 'right' }, rate(edge.rate)),
      h('td', { class: `right ${failing ? 'error strong' : ''}` }, failing ? '◆ ' : '', percent(edge.errors)),
      h('td', { class: 'right' }, duration(edge.p95)), before && h('td', { class: 'soft wide' }, difference(edge, before.get(key(edge)))));
  }

  function difference(edge, past) {
    if (!before.size) return '–';
    if (!past) return 'new';
    const parts = [];
    if (Math.abs(edge.errors - past.errors) >= 0.01) parts.push(`errors ${percent(edge.errors)}, were ${percent(past.errors)}`);
    const ratio = past.p95 ? edge.p95 / past.p95 : 1;
    if (ratio >= 1.5 || ratio <= 0.67) parts.push(`p95 ${duration(edge.p95)}, was ${duration(past.p95)}`);
    return parts.join('; ') || 'no change';
  }

  function openEdge(edge) {
    const ends = [edge.from, edge.to].map((id) => data.nodes.find((node) => node.id === id)).filter((node) => node?.kind === 'service');
    const words = ends.map((node) => `service:${quoted(node.name)}`);
    if (edge.errors >= FAILING) words.push('status:error');
    go(path('/traces', { q: words.join(' '), range: parameter('range') }));
  }

  function picture({ nodes, edges }, name, width) {
    const shown = nodes.length > MOST_NODES ? [...nodes].sort((a, b) => b.rate - a.rate).slice(0, MOST_NODES) : nodes;
    const kept = new Set(shown.map(({ id }) => id));
    const all = edges.filter((edge) => kept.has(edge.from) && kept.has(edge.to) && edge.from !== edge.to);
    // Failing edges first, then the busiest: more than these would be a blot, and take long to lay out.
    const drawn = all.length > MOST_EDGES ? [...all].sort((a, b) => (b.errors >= FAILING) - (a.errors >= FAILING) || b.rate - a.rate).slice(0, MOST_EDGES) : all;
    const plan = arrange(shown, drawn);
    const down = narrow();
    const box = down ? { w: Math.min(112, width / plan.widest - 6), h: 44 } : { w: 144, h: 48 };
    const height = down ? Math.max(240, plan.layers * 116 - 40) : Math.max(200, Math.min(460, plan.widest * 108));
    const along = (layer, size, length) => (plan.layers > 1 ? (layer * (length - size - 4)) / (plan.layers - 1) + 2 : (length - size) / 2);
    const centre = ({ layer, place }) => (down
      ? [place * (width - 8) + 4, along(layer, box.h, height) + box.h / 2]
      : [along(layer, box.w, width) + box.w / 2, place * height]);
    const chart = s('svg', { width, height, role: 'img', 'aria-label': `Service map: ${plural(shown.length, 'node')}, ${plural(drawn.length, 'edge')}. The table below lists each edge.` });
    const taken = shown.map((node) => { const [x, y] = centre(plan.node(node.id)); return { x: x - box.w / 2, y: y - box.h / 2, w: box.w, h: box.h }; });
    const labels = [];
    drawn.forEach((edge, index) => {
      const points = [plan.node(edge.from), ...plan.edge(index), plan.node(edge.to)].map(centre);
      const back = plan.node(edge.from).layer > plan.node(edge.to).layer;
      const half = (down ? box.h : box.w) / 2;
      const axis = down ? 1 : 0;
      points[0][axis] += back ? -half : half;
      points[points.length - 1][axis] += back ? half : -half;
      const failing = edge.errors >= FAILING;
      const end = points[points.length - 1];
      chart.append(s('g', { class: `edge ${failing ? 'failing' : ''}` },
        s('path', { d: curve(points, down), 'stroke-width': Math.max(1, Math.min(3, Math.log2(1 + edge.rate) / 2)).toFixed(1) }),
        s('path', { class: 'head', d: down ? `M${end[0]} ${end[1]}l-4 ${back ? 7 : -7}h8Z` : `M${end[0]} ${end[1]}l${back ? 7 : -7} -4v8Z` })));
      if (!down || failing) labels.push(label(edge, points, down, failing, taken));
    });
    chart.append(...labels, ...shown.map((node) => nodeBox(node, centre(plan.node(node.id)), box)));
    return [
      chart,
      (drawn.length < all.length || shown.length < nodes.length) && h('div', { class: 'note' }, `${count(shown.length)} of ${plural(nodes.length, 'node')} and ${count(drawn.length)} of ${plural(edges.length, 'edge')} are drawn; the table has each edge.`),
    ];
  }

  function nodeBox(node, [cx, cy], box) {
    const [x, y] = [cx - box.w / 2, cy - box.h / 2];
    const kind = node.kind === 'service' ? rate(node.rate) : narrow() ? node.kind : KINDS[node.kind] ?? node.kind;
    return s('g', { class: `node ${node.kind === 'service' ? '' : 'outside'} ${hueClass(node.name, node.hue)}` },
      s('title', null, `${node.name}: ${rate(node.rate)}, ${percent(node.errors)} errors, p95 ${duration(node.p95)}`),
      s('rect', { x, y, width: box.w, height: box.h, rx: 3 }), s('rect', { class: 'patch', x: x + 9, y: y + 13, width: 8, height: 8, rx: 2 }),
      s('text', { class: 'title', x: x + 23, y: y + 21 }, fitting(node.name, box.w - 32, 600, 12)), s('text', { x: x + 9, y: y + 38 }, fitting(kind, box.w - 18)));
  }

  const element = h('div', { class: 'column space' },
    h('div', { class: 'bar' }, h('h1', null, 'Service map'), h('span', { class: 'soft small wide' }, 'Each edge: rate, errors, p95. Width follows rate.'), h('span', { class: 'space' }),
      segment('Range of time', RANGES, parameter('range', '5m'), (value) => { change({ range: value, from: undefined, to: undefined }); loads.load(); })),
    h('div', { class: 'scroll' }, drawing, table));
  await loads.load();

  return {
    element,
    range: '5m',
    hints: [['j k', 'next edge'], ['Enter', 'traces of this edge']],
    shown: () => { draw(); onResize(drawing, draw, signal); },
    owes: loads.owes,
    update: () => { if (loads.owes() || !timeWindow(0).to) loads.load(true); },
    key: (event) => listKey(event, table, 'tbody tr'),
  };
}

/** A smooth line through points, level where it leaves and enters. */
function curve(points, down) {
  let text = `M${points[0].map((value) => value.toFixed(1)).join(' ')}`;
  for (let at = 1; at < points.length; at += 1) {
    const [a, b] = [points[at - 1], points[at]];
    const middle = down ? (a[1] + b[1]) / 2 : (a[0] + b[0]) / 2;
    const controls = down ? [a[0], middle, b[0], middle] : [middle, a[1], middle, b[1]];
    text += `C${[...controls, ...b].map((value) => value.toFixed(1)).join(' ')}`;
  }
  return text;
}

/** The label of an edge, at the first place along it that is free. */
function label(edge, points, down, failing, taken) {
  const share = percent(edge.errors);
  const text = down ? `◆ ${share}` : `${rate(edge.rate)} · ${failing ? '◆ ' : ''}${share} · ${duration(edge.p95)}`;
  const width = text.length * 5.9 + 12;
  let best;
  for (const t of [0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78]) {
    for (let part = 0; part < points.length - 1; part += 1) {
      const [x, y] = between(points[part], points[part + 1], t, down);
      const area = { x: x - width / 2, y: y - 9, w: width, h: 18 };
      best ??= { area, x, y };
      if (!taken.some((other) => meets(area, other))) {
        taken.push(area);
        return drawLabel({ area, x, y });
      }
    }
  }
  taken.push(best.area);
  return drawLabel(best);

  function drawLabel({ area, x, y }) {
    const bad = s('tspan', { class: 'rate-bad' }, `◆ ${share}`);
    return s('g', { class: 'edge-label' }, s('rect', { x: area.x, y: area.y, width: area.w, height: area.h }),
      down ? s('text', { x, y: y + 4, 'text-anchor': 'middle' }, bad)
        : s('text', { x, y: y + 4, 'text-anchor': 'middle' }, `${rate(edge.rate)} · `, failing ? bad : share, ` · ${duration(edge.p95)}`));
  }
}

// The point of the curve between two points.
function between(a, b, t, down) {
  const ease = (from, to) => from * ((1 - t) ** 3 + 3 * (1 - t) ** 2 * t) + to * (3 * (1 - t) * t ** 2 + t ** 3);
  const middle = (from, to) => { const m = (from + to) / 2; return from * (1 - t) ** 3 + 3 * m * (1 - t) ** 2 * t + 3 * m * (1 - t) * t ** 2 + to * t ** 3; };
  return down ? [ease(a[0], b[0]), middle(a[1], b[1])] : [middle(a[0], b[0]), ease(a[1], b[1])];
}

const meets = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
