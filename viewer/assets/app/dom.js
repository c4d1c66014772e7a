// Elements. Text reaches the page only as text nodes, so telemetry can never become markup.

import { visible } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';

/** Where an element holds its `key`, by which `patch` finds it again. */
export const KEY = Symbol('key');
/** Where an element holds its listeners. */
export const LISTENERS = Symbol('listeners');
/** Marks an element that `patch` must not reuse, because code holds on to parts of it. */
export const WHOLE = Symbol('whole');

/** Creates an HTML element: `h('a', {class: 'link', href, on: {click}}, 'text', child)`. `key` names it among its siblings. */
export function h(tag, properties, ...children) {
  return finish(document.createElement(tag), properties, children);
}

/** Creates an SVG element. */
export function s(tag, properties, ...children) {
  return finish(document.createElementNS(SVG, tag), properties, children);
}

function finish(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null) continue;
    if (name === 'on') listen(element, value);
    else if (name === 'key') element[KEY] = value;
    else if (name === 'whole') element[WHOLE] = value;
    else if (name === 'set') {
      // The content security policy forbids style attributes; the DOM is allowed to set properties.
      for (const [property, wanted] of Object.entries(value)) element.style.setProperty(property, wanted);
    } else if (name.startsWith('aria-')) {
      element.setAttribute(name, visible(String(value)));
    } else if (value !== false) {
      element.setAttribute(name, value === true ? '' : name === 'title' ? visible(String(value)) : String(value));
    }
  }
  return add(element, children);
}

const dispatch = (event) => event.currentTarget[LISTENERS]?.[event.type]?.(event);

/** Makes `listeners` those of an element, in place of those that it had. */
export function listen(element, listeners) {
  const known = element[LISTENERS] ?? {};
  for (const event of Object.keys(listeners)) if (!Object.hasOwn(known, event)) element.addEventListener(event, dispatch);
  // Events that were listened to before stay known, so that no listener is added twice.
  element[LISTENERS] = { ...Object.fromEntries(Object.keys(known).map((event) => [event, undefined])), ...listeners };
}

/** Returns children, however nested, as nodes; leaves out `null`, `undefined` and `false`. */
export const nodes = (children) => children.flat(Infinity)
  .filter((child) => child !== undefined && child !== null && child !== false)
  .map((child) => (child instanceof Node ? child : document.createTextNode(visible(String(child)))));

/** Appends children, however nested. */
export function add(element, children) {
  for (const node of nodes(children)) element.append(node);
  return element;
}

/** Replaces all children. */
export function fill(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

const MOST_HUES = 1000;
const hues = new Map();

/** Remembers the hue of each service, as the store assigned it; forgets those that it has not named for the longest time. */
export function learnHues(services) {
  for (const { name, hue } of services ?? []) {
    hues.delete(name);
    hues.set(name, hue);
  }
  for (const name of hues.keys()) {
    if (hues.size <= MOST_HUES) break;
    hues.delete(name);
  }
}

/** Returns the class that carries a service's hue. */
export function hueClass(service, hue = hues.get(service)) {
  return hue === undefined || hue === null ? '' : `hue${hue % 10}`;
}

/** The coloured square that stands before a service's name. */
export function square(service, hue) {
  return h('i', { class: `square ${hueClass(service, hue)}`, 'aria-hidden': 'true' });
}

const SHAPES = {
  error: () => s('path', { d: 'M4.5 2 9 7 4.5 12 0 7Z', fill: 'var(--err)' }),
  warning: () => s('path', { d: 'M4.5 3 9 11H0Z', fill: 'var(--warnf)' }),
  info: () => s('circle', { cx: 4.5, cy: 7, r: 3, fill: 'var(--accent)' }),
  debug: () => s('circle', { cx: 4.5, cy: 7, r: 2.5, fill: 'var(--bg)', stroke: 'var(--fg2)' }),
  event: () => s('path', { d: 'M4.5 1V13', stroke: 'var(--fg)', 'stroke-width': 2 }),
};

/** A status mark: its shape says what it is, its colour repeats that. */
export function mark(kind) {
  return s('svg', { class: 'mark', width: 9, height: 14, viewBox: '0 0 9 14', 'aria-hidden': 'true' }, SHAPES[kind]());
}

/** A word in a box: `bad` for errors, `odd` for warnings, else grey. */
export function tag(text, tone, title) {
  return h('span', { class: `tag ${tone ?? ''}`, title }, text);
}

/** A key and what it does. */
export function hint(keys, text) {
  return h('span', null, keys.split(' ').map((key) => [h('kbd', null, key), ' ']), text);
}

/** Buttons of which one is pressed. */
export function segment(label, choices, chosen, choose) {
  const press = ({ currentTarget }, value) => {
    for (const button of currentTarget.parentNode.children) button.setAttribute('aria-pressed', String(button === currentTarget));
    choose(value);
  };
  return h('div', { class: 'segment', role: 'group', 'aria-label': label }, choices.map(([value, text]) => h('button', {
    class: 'cut', type: 'button', 'aria-pressed': value === chosen, on: { click: (event) => press(event, value) },
  }, text)));
}

/** Says a sentence to screen readers. */
export function say(text) {
  document.getElementById('said').textContent = text;
}

const SAID = 1200;

/** Copies text and says so, also on the button; tells the reader if the browser refuses. */
export async function copy(text, button) {
  let result = 'Copied';
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    result = 'Not allowed';
  }
  say(result);
  if (!button) return;
  // The text of the button stays, so that a second click finds it as it was.
  button.dataset.said = result;
  clearTimeout(unsaid.get(button));
  unsaid.set(button, setTimeout(() => { delete button.dataset.said; }, SAID));
}
const unsaid = new WeakMap();

/** Returns true on a narrow screen. */
export const narrow = () => innerWidth < 720;
