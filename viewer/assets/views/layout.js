// Where the nodes and edges of the map stand: layers by the longest path, ordered so that few edges cross.

const SWEEPS = 6;

/**
 * Places nodes in layers. Returns for each node its layer and its place between 0 and 1 within it, and for each edge the points
 * at which it passes layers that lie between its ends. Cycles are cut where an edge leads back.
 */
export function arrange(nodes, edges) {
  const ids = nodes.map(({ id }) => id);
  const outgoing = new Map(ids.map((id) => [id, []]));
  for (const edge of edges) if (edge.from !== edge.to && outgoing.has(edge.from) && outgoing.has(edge.to)) outgoing.get(edge.from).push(edge.to);
  const layer = layers(ids, outgoing);
  const columns = [];
  const put = (key, at) => { (columns[at] ??= []).push(key); };
  for (const id of ids) put(id, layer.get(id));

  // An edge that passes layers takes a place in each of them.
  const links = [];
  const passes = edges.map((edge, index) => {
    const [a, b] = [layer.get(edge.from), layer.get(edge.to)];
    if (a === undefined || b === undefined) return [];
    const [low, high] = [Math.min(a, b), Math.max(a, b)];
    const inner = [];
    for (let at = low + 1; at < high; at += 1) {
      inner.push(`${index}@${at}`);
      put(`${index}@${at}`, at);
    }
    const chain = a <= b ? [edge.from, ...inner, edge.to] : [edge.to, ...inner, edge.from];
    for (let at = 1; at < chain.length; at += 1) links.push([chain[at - 1], chain[at]]);
    return a <= b ? inner : inner.reverse();
  });
  order(columns, links);
  const place = new Map();
  columns.forEach((column) => column.forEach((key, at) => place.set(key, (at + 0.5) / column.length)));
  return {
    layers: columns.length,
    widest: Math.max(1, ...columns.map((column) => column.length)),
    node: (id) => ({ layer: layer.get(id), place: place.get(id) }),
    edge: (index) => passes[index].map((key) => ({ layer: Number(key.split('@').pop()), place: place.get(key) })),
  };
}

function layers(ids, outgoing) {
  const state = new Map();
  const topological = [];
  const forward = new Map(ids.map((id) => [id, []]));
  for (const root of ids) {
    if (state.has(root)) continue;
    state.set(root, 'open');
    const stack = [[root, 0]];
    while (stack.length) {
      const top = stack[stack.length - 1];
      const next = outgoing.get(top[0])[top[1]];
      top[1] += 1;
      if (next === undefined) {
        state.set(top[0], 'done');
        topological.push(top[0]);
        stack.pop();
      } else if (!state.has(next)) {
        forward.get(top[0]).push(next);
        state.set(next, 'open');
        stack.push([next, 0]);
      } else if (state.get(next) === 'done') {
        forward.get(top[0]).push(next);
      }
    }
  }
  const layer = new Map(ids.map((id) => [id, 0]));
  for (const id of topological.reverse()) {
    for (const next of forward.get(id)) layer.set(next, Math.max(layer.get(next), layer.get(id) + 1));
  }
  return layer;
}

function order(columns, links) {
  const before = new Map();
  const after = new Map();
  for (const [from, to] of links) {
    if (!after.has(from)) after.set(from, []);
    if (!before.has(to)) before.set(to, []);
    after.get(from).push(to);
    before.get(to).push(from);
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forward = sweep % 2 === 0;
    const neighbours = forward ? before : after;
    const sequence = forward ? columns : [...columns].reverse();
    const at = new Map(columns.flatMap((column) => column.map((key, index) => [key, (index + 0.5) / column.length])));
    for (const column of sequence) {
      const centre = new Map(column.map((key) => {
        const near = neighbours.get(key) ?? [];
        return [key, near.length ? near.reduce((sum, other) => sum + at.get(other), 0) / near.length : at.get(key)];
      }));
      column.sort((a, b) => centre.get(a) - centre.get(b));
      column.forEach((key, index) => at.set(key, (index + 0.5) / column.length));
    }
  }
}
