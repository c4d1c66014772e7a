// Redrawing in place: elements that stay keep the focus, the selection, their scroll position and the click that is under way.

import { KEY, LISTENERS, listen, nodes, WHOLE } from './dom.js';

/**
 * Replaces the children of an element, and reuses the old ones where it can: those with the same `key`, else those of the same kind
 * at the same place. A child that is already there stays as it is.
 */
export function patch(element, ...children) {
  const focused = document.activeElement;
  reconcile(element, nodes(children));
  // Moving an element takes its focus.
  if (focused !== document.activeElement && element.contains(focused)) focused.focus({ preventScroll: true });
  return element;
}

function reconcile(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.childNodes) if (child[KEY] !== undefined && !keyed.has(child[KEY])) keyed.set(child[KEY], child);
  const keys = new Set(wanted.map((node) => node[KEY]));
  const staying = new Set(wanted.filter((node) => node.parentNode === parent));
  const free = (node) => node[KEY] === undefined && !staying.has(node);
  // The number of children without a key that have to go.
  let spare = [...parent.childNodes].filter(free).length - wanted.filter(free).length;
  let at = parent.firstChild;
  for (const node of wanted) {
    while (at && at[KEY] !== undefined && !keys.has(at[KEY]) && !staying.has(at)) at = removed(at);
    for (; free(node) && spare > 0 && at && free(at) && !alike(at, node); spare -= 1) at = removed(at);
    const place = staying.has(node) ? node : reused(node);
    if (place !== node) update(place, node);
    if (place === at) at = at.nextSibling;
    else parent.insertBefore(place, at);
  }
  while (at) at = removed(at);

  function reused(node) {
    const key = node[KEY];
    if (key === undefined) return at && free(at) && alike(at, node) ? at : node;
    const old = keyed.get(key);
    keyed.delete(key);
    return old && !staying.has(old) && alike(old, node) ? old : node;
  }
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

const alike = (a, b) => a.nodeName === b.nodeName && !a[WHOLE] && !b[WHOLE];

function update(old, now) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (name !== 'style' && name !== 'data-said' && !now.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (name !== 'style' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.style.cssText !== now.style.cssText) old.style.cssText = now.style.cssText;
  listen(old, now[LISTENERS] ?? {});
  reconcile(old, [...now.childNodes]);
}
