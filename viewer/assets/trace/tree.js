// The spans of one trace as rows: what is folded, which equal siblings share a row, and what lies on each.

export const FLAG = { error: 1, running: 2, orphan: 4, critical: 8, recovered: 16, server: 32, client: 64, cut: 128 };

const FOLD_ABOVE = 2000;
const OPEN_DEPTH = 2;

/** Reads the columns of `/trace/{id}.json`. `before` keeps folds when a running trace has grown. */
export function buildTree(data, before) {
  const { columns } = data;
  const length = columns.start.length;
  const subtreeEnd = ends(columns.depth, length);
  const tree = {
    data,
    length,
    columns,
    end: Math.max(data.duration, 1),
    subtreeEnd,
    folded: new Uint8Array(length),
    groups: groupsOf(data, subtreeEnd),
    openGroups: new Set(),
    critical: collect(data.critical, ([span, from, to]) => [span, [from, to]]),
    marks: collect(data.marks, (item) => [item.span, item]),
    byId: new Map(columns.id.map((id, index) => [id, index])),
    rows: new Int32Array(0),
    rowOf: new Int32Array(length),
  };
  [tree.position, tree.siblings] = siblings(columns.parent, length);
  tree.groupOf = new Map([...tree.groups].flatMap(([first, members]) => members.map((member) => [member, first])));
  tree.colour = Array.from({ length }, (_, index) => colourOf(tree, index));
  if (before) keepFolds(tree, before);
  else if (length > FOLD_ABOVE) foldDeep(tree);
  layout(tree);
  return tree;
}

/** Returns true if the span has children. */
export const hasChildren = (tree, index) => tree.subtreeEnd[index] > index + 1;

/** Recomputes which spans have a row. */
export function layout(tree) {
  const rows = [];
  tree.rowOf.fill(-1);
  for (let index = 0; index < tree.length;) {
    tree.rowOf[index] = rows.length;
    rows.push(index);
    const members = tree.groups.get(index);
    if (members && !tree.openGroups.has(index)) index = tree.subtreeEnd[members[members.length - 1]];
    else index = tree.folded[index] ? tree.subtreeEnd[index] : index + 1;
  }
  tree.rows = Int32Array.from(rows);
}

/** Opens all that hides a span, and returns its row. */
export function reveal(tree, index) {
  if (tree.rowOf[index] < 0) {
    for (let at = index, steps = 0; at >= 0 && steps <= tree.length; at = tree.columns.parent[at], steps += 1) {
      if (at !== index) tree.folded[at] = 0;
      const first = tree.groupOf.get(at);
      if (first !== undefined && (first !== at || at !== index)) tree.openGroups.add(first);
    }
    layout(tree);
  }
  return tree.rowOf[index];
}

/** Folds or unfolds a row. Returns false if there is nothing to fold. */
export function fold(tree, index, folded) {
  const group = tree.groups.has(index);
  const open = tree.openGroups.has(index);
  if (!group || (open && !folded)) return setFolded(tree, index, folded);
  if (open === !folded) return false;
  if (folded) tree.openGroups.delete(index);
  else tree.openGroups.add(index);
  layout(tree);
  return true;
}

function setFolded(tree, index, folded) {
  if (!hasChildren(tree, index) || Boolean(tree.folded[index]) === folded) return false;
  tree.folded[index] = folded ? 1 : 0;
  layout(tree);
  return true;
}

/** The first span with an error, or -1. */
export const firstError = (tree) => tree.columns.flags.findIndex((flags) => flags & FLAG.error);

/** The time of the critical path that the span itself takes. */
export const onPath = (tree, index) => (tree.critical.get(index) ?? []).reduce((sum, [from, to]) => sum + to - from, 0);

// A client span takes the colour of what it calls, unless that service reports spans of its own.
function colourOf(tree, index) {
  const { peer, service, parent, flags } = tree.columns;
  const called = peer?.[index] ?? -1;
  if (called < 0) return service[index];
  const child = index + 1;
  const answered = child < tree.subtreeEnd[index] && parent[child] === index && flags[child] & FLAG.server;
  return answered ? service[index] : called;
}

function ends(depth, length) {
  const end = new Int32Array(length).fill(length);
  const stack = [];
  for (let index = 0; index < length; index += 1) {
    while (stack.length && depth[stack[stack.length - 1]] >= depth[index]) end[stack.pop()] = index;
    stack.push(index);
  }
  return end;
}

// The position of each span among its siblings, and their number.
function siblings(parent, length) {
  const position = new Int32Array(length);
  const numbers = new Int32Array(length + 1);
  for (let index = 0; index < length; index += 1) position[index] = numbers[parent[index] + 1] += 1;
  return [position, Int32Array.from({ length }, (_, index) => numbers[parent[index] + 1])];
}

function groupsOf(data, subtreeEnd) {
  const { parent, depth } = data.columns;
  const groups = new Map();
  for (const { first, count } of data.groups ?? []) {
    const members = [];
    for (let index = first; members.length < count && index < parent.length; index = subtreeEnd[index]) {
      if (parent[index] !== parent[first] || depth[index] !== depth[first]) break;
      members.push(index);
    }
    if (members.length > 1) groups.set(first, members);
  }
  return groups;
}

function collect(items, read) {
  const map = new Map();
  for (const item of items ?? []) {
    const [key, value] = read(item);
    const list = map.get(key);
    if (list) list.push(value);
    else map.set(key, [value]);
  }
  return map;
}

function foldDeep(tree) {
  const { depth, parent } = tree.columns;
  for (let index = 0; index < tree.length; index += 1) {
    if (depth[index] >= OPEN_DEPTH - 1 && hasChildren(tree, index)) tree.folded[index] = 1;
  }
  for (let at = firstError(tree), steps = 0; at >= 0 && steps <= tree.length; at = parent[at], steps += 1) tree.folded[at] = 0;
}

function keepFolds(tree, before) {
  for (const [id, old] of before.byId) {
    const now = tree.byId.get(id);
    if (now === undefined) continue;
    tree.folded[now] = before.folded[old];
    if (before.openGroups.has(old)) tree.openGroups.add(now);
  }
}
